package pipeline

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/warehouse"
)

// metrics are of what happens between the parts; consumers and publish bring their own.
type metrics struct {
	links       *warehouse.LinksMetrics
	ticks       *prometheus.CounterVec
	tickSeconds *prometheus.HistogramVec
	tickLag     *prometheus.GaugeVec
	runs        *prometheus.CounterVec
	alerts      *prometheus.CounterVec
	retries     *prometheus.CounterVec
	ahead       *prometheus.CounterVec

	rulesRefused prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	seconds := prometheus.ExponentialBuckets(0.005, 2, 14)
	m := &metrics{
		links:       warehouse.NewLinksMetrics(r),
		ticks:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_ticks_total", Help: "Ticks accounted for, by how."}, []string{"group", "status"}),
		tickSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "aftershock_tick_seconds", Help: "Time to evaluate one tick and store its entry.", Buckets: seconds}, []string{"group"}),
		tickLag:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "aftershock_tick_lag_seconds", Help: "From the last tick to the end of its evaluation."}, []string{"group"}),
		runs:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_rule_runs_total", Help: "Evaluations of a rule, by how they ended."}, []string{"rule", "status"}),
		alerts:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_alert_transitions_total", Help: "Transitions of alerts, by rule and state."}, []string{"rule", "state"}),
		ahead:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_tick_ledger_ahead_total", Help: "Times that the last tick of a group lay ahead of the clock, and the group went on from now."}, []string{"group"}),
		retries:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_tick_retries_total", Help: "Attempts at a tick that failed and were repeated."}, []string{"group"}),

		rulesRefused: prometheus.NewGauge(prometheus.GaugeOpts{Name: "aftershock_rules_refused", Help: "1 while changed rule files are refused and the old rules go on."}),
	}
	r.MustRegister(m.ticks, m.tickSeconds, m.tickLag, m.runs, m.alerts, m.retries, m.ahead, m.rulesRefused)
	return m
}

// follow creates the series of these rules at once: an alarm on a series that does not exist yet never fires.
func (m *metrics) follow(set *rules.Set) {
	m.rulesRefused.Set(0)
	for _, g := range set.Groups {
		for _, status := range []alert.TickStatus{alert.TickRun, alert.TickCaughtUp, alert.TickIncomplete, alert.TickMissed} {
			m.ticks.WithLabelValues(g.Name, string(status))
		}
		m.retries.WithLabelValues(g.Name)
		m.ahead.WithLabelValues(g.Name)
		for _, rule := range g.Rules {
			for _, state := range []alert.State{alert.Firing, alert.Resolved, alert.NoData, alert.QueryError} {
				m.alerts.WithLabelValues(rule.Name, string(state))
			}
			for _, status := range alert.RunStatuses {
				m.runs.WithLabelValues(rule.Name, status)
			}
		}
	}
}

// entry counts what one entry of the log says.
func (m *metrics) entry(e alert.Entry, began, ended time.Time) {
	if e.Status.Accounts() {
		m.ticks.WithLabelValues(e.Group, string(e.Status)).Inc()
		m.tickSeconds.WithLabelValues(e.Group).Observe(ended.Sub(began).Seconds())
		m.tickLag.WithLabelValues(e.Group).Set(ended.Sub(e.Tick).Seconds())
	}
	for _, run := range e.Runs {
		m.runs.WithLabelValues(run.Rule, run.Status).Inc()
	}
	for _, t := range e.Transitions {
		m.alerts.WithLabelValues(t.Rule, string(t.State)).Inc()
	}
}
