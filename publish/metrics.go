package publish

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what relays tell Prometheus.
type Metrics struct {
	backlog    *prometheus.GaugeVec
	published  *prometheus.CounterVec
	mended     *prometheus.CounterVec
	found      *prometheus.CounterVec
	tombstones *prometheus.CounterVec
	refused    *prometheus.CounterVec
	broken     *prometheus.GaugeVec
	flushed    *prometheus.GaugeVec
}

// NewMetrics makes the collectors and registers them; the registerer may be nil. Series of the named destinations exist from
// the start.
func NewMetrics(registerer prometheus.Registerer, destinations ...string) *Metrics {
	label := []string{"destination"}
	m := &Metrics{
		backlog: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "aftershock", Subsystem: "relay", Name: "backlog_transitions",
			Help: "Transitions read from the alert log and not yet delivered: one page of the log."}, label),
		published: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aftershock", Subsystem: "relay", Name: "published_total",
			Help: "Transitions that the destination accepted."}, label),
		mended: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aftershock", Subsystem: "relay", Name: "mended_total",
			Help: "Stale heads found at the destination and published anew."}, label),
		found: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aftershock", Subsystem: "relay", Name: "found_total",
			Help: "Transitions found at the destination at a start, that nobody had noted as delivered."}, label),
		tombstones: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aftershock", Subsystem: "relay", Name: "tombstones_total",
			Help: "Alerts that ended long ago and are off the destination."}, label),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aftershock", Subsystem: "relay", Name: "refused_total",
			Help: "Transitions that the destination refused and that were given up."}, label),
		broken: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "aftershock", Subsystem: "relay", Name: "broken_topics",
			Help: "Topics that cannot be written to; what is for them waits in the alert log."}, label),
		flushed: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "aftershock", Subsystem: "relay", Name: "up_to_date_timestamp_seconds",
			Help: "When the destination last had everything that the log holds for it."}, label),
	}
	for _, d := range destinations {
		m.backlog.WithLabelValues(d)
		m.published.WithLabelValues(d)
		m.mended.WithLabelValues(d)
		m.found.WithLabelValues(d)
		m.tombstones.WithLabelValues(d)
		m.refused.WithLabelValues(d)
		m.broken.WithLabelValues(d)
		m.flushed.WithLabelValues(d)
	}
	if registerer != nil {
		registerer.MustRegister(m.backlog, m.published, m.mended, m.found, m.tombstones, m.refused, m.broken, m.flushed)
	}
	return m
}
