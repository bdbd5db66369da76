package consumers

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/churn"
)

var codes = []churn.Code{
	churn.CodeEmptyValue, churn.CodeMalformedJSON, churn.CodeInvalidUTF8, churn.CodeDuplicateKey, churn.CodeMissingField,
	churn.CodeWrongType, churn.CodeBadValue, churn.CodeBadMoney, churn.CodeBadTime, churn.CodeTimeOutOfRange,
	churn.CodeBadInterval, churn.CodeTextTooLong, churn.CodeUnsupportedSchema, churn.CodeBadHeader, churn.CodeRefusedByStore,
}

// What consumption can wait for.
const (
	waitStore      = "store"
	waitDeadLetter = "dead_letter"
	waitBroker     = "broker"
)

// Metrics are what consumption tells Prometheus. Series exist from the start, so that the first increase shows as one.
type Metrics struct {
	lag          *prometheus.GaugeVec
	rows         *prometheus.CounterVec
	batches      *prometheus.CounterVec
	rejected     *prometheus.CounterVec
	ahead        *prometheus.CounterVec
	insert       *prometheus.HistogramVec
	batchRows    *prometheus.HistogramVec
	waiting      *prometheus.GaugeVec
	inFlight     prometheus.Gauge
	lost         *prometheus.CounterVec
	rewound      *prometheus.CounterVec
	generations  prometheus.Counter
	commitErrors prometheus.Counter
}

// NewMetrics makes the collectors and registers them; the registerer may be nil.
func NewMetrics(registerer prometheus.Registerer, topics ...string) *Metrics {
	const space, part = "aftershock", "consumer"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: space, Subsystem: part, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: space, Subsystem: part, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: space, Subsystem: part, Name: name, Help: help, Buckets: buckets}, []string{"topic"})
	}
	m := &Metrics{
		lag:       gauge("lag_records", "Records of the partition that are not yet fetched.", "topic", "partition"),
		rows:      counter("rows_total", "Events stored.", "topic"),
		batches:   counter("chunks_total", "Batches stored and committed.", "topic"),
		rejected:  counter("rejected_total", "Records that became dead letters.", "topic", "code"),
		ahead:     counter("known_ahead_total", "Records whose header aftershock-known-at was more than five minutes ahead of our clock.", "topic"),
		insert:    histogram("insert_seconds", "Time of one successful insert.", prometheus.ExponentialBuckets(0.005, 2, 12)),
		batchRows: histogram("chunk_rows", "Records in a batch.", prometheus.ExponentialBuckets(1, 4, 9)),
		waiting:   gauge("waiting", "Partitions that wait for something that is away.", "for"),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: space, Subsystem: part, Name: "in_flight_bytes",
			Help: "Memory reserved for records that are not yet stored."}),
		lost:    counter("offsets_lost_total", "Offsets that the broker deleted before they were consumed.", "topic"),
		rewound: counter("rewound_total", "Times that a partition ended before our committed offset and was read from its start.", "topic"),
		generations: prometheus.NewCounter(prometheus.CounterOpts{Namespace: space, Subsystem: part, Name: "generations_total",
			Help: "Generations of the consumer group that this process took part in."}),
		commitErrors: prometheus.NewCounter(prometheus.CounterOpts{Namespace: space, Subsystem: part, Name: "commit_errors_total",
			Help: "Commits that failed or were refused; their records are read again."}),
	}
	for _, topic := range topics {
		m.rows.WithLabelValues(topic)
		m.ahead.WithLabelValues(topic)
		m.batches.WithLabelValues(topic)
		m.insert.WithLabelValues(topic)
		m.batchRows.WithLabelValues(topic)
		m.lost.WithLabelValues(topic)
		m.rewound.WithLabelValues(topic)
		for _, code := range codes {
			m.rejected.WithLabelValues(topic, string(code))
		}
	}
	for _, what := range []string{waitStore, waitDeadLetter, waitBroker} {
		m.waiting.WithLabelValues(what)
	}
	if registerer != nil {
		registerer.MustRegister(m.lag, m.rows, m.batches, m.rejected, m.ahead, m.insert, m.batchRows, m.waiting, m.inFlight, m.lost,
			m.rewound, m.generations, m.commitErrors)
	}
	return m
}

func (m *Metrics) partitionLag(tp churn.TopicPartition) prometheus.Gauge {
	return m.lag.WithLabelValues(tp.Topic, strconv.Itoa(tp.Partition))
}

func (m *Metrics) forget(tp churn.TopicPartition) {
	m.lag.DeleteLabelValues(tp.Topic, strconv.Itoa(tp.Partition))
}
