package publish

import "github.com/prometheus/client_golang/prometheus"

// Metrics are what relays tell Prometheus.
type Metrics struct {
	backlog   *prometheus.GaugeVec
	published *prometheus.CounterVec
	mended    *prometheus.CounterVec
}

// NewMetrics makes the collectors and registers them; the registerer may be nil. Series of the named destinations exist from
// the start.
func NewMetrics(registerer prometheus.Registerer, destinations ...string) *Metrics {
	label := []string{"destination"}
	m := &Metrics{
		backlog: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "aftershock", Subsystem: "relay", Name: "backlog_transitions",
			Help: "Transitions read from the alert log and not yet delivered: at most one page of the log."}, label),
		published: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aftershock", Subsystem: "relay", Name: "published_total",
			Help: "Transitions that the destination accepted."}, label),
		mended: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "aftershock", Subsystem: "relay", Name: "mended_total",
			Help: "Stale heads found at the destination and published anew."}, label),
	}
	for _, d := range destinations {
		m.backlog.WithLabelValues(d)
		m.published.WithLabelValues(d)
		m.mended.WithLabelValues(d)
	}
	if registerer != nil {
		registerer.MustRegister(m.backlog, m.published, m.mended)
	}
	return m
}
