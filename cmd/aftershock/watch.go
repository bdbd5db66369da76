package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/engine"
)

// watch holds the metrics of what happens between the parts; consumers and publish bring their own.
type watch struct {
	upkeep      prometheus.Histogram
	accounts    prometheus.Counter
	rewound     prometheus.Counter
	ticks       *prometheus.CounterVec
	tickSeconds *prometheus.HistogramVec
	tickLag     *prometheus.GaugeVec
	runs        *prometheus.CounterVec
	alerts      *prometheus.CounterVec
	retries     *prometheus.CounterVec

	rulesRefused prometheus.Gauge
}

func newWatch(r prometheus.Registerer) *watch {
	seconds := prometheus.ExponentialBuckets(0.005, 2, 14)
	w := &watch{
		upkeep:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "aftershock_upkeep_seconds", Help: "Time to bring links up to date for what arrived.", Buckets: seconds}),
		accounts:    prometheus.NewCounter(prometheus.CounterOpts{Name: "aftershock_upkeep_accounts_total", Help: "Accounts whose links were brought up to date."}),
		rewound:     prometheus.NewCounter(prometheus.CounterOpts{Name: "aftershock_upkeep_rewound_total", Help: "Partitions that upkeep took in again from their start."}),
		ticks:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_ticks_total", Help: "Ticks accounted for, by how."}, []string{"group", "status"}),
		tickSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "aftershock_tick_seconds", Help: "Time to evaluate one tick and store its entry.", Buckets: seconds}, []string{"group"}),
		tickLag:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "aftershock_tick_lag_seconds", Help: "From the last tick to the end of its evaluation."}, []string{"group"}),
		runs:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_rule_runs_total", Help: "Evaluations of a rule, by how they ended."}, []string{"rule", "status"}),
		alerts:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_alert_transitions_total", Help: "Transitions of alerts, by rule and state."}, []string{"rule", "state"}),
		retries:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aftershock_tick_retries_total", Help: "Attempts at a tick that failed and were repeated."}, []string{"group"}),

		rulesRefused: prometheus.NewGauge(prometheus.GaugeOpts{Name: "aftershock_rules_refused", Help: "1 while changed rule files are refused and the old rules go on."}),
	}
	r.MustRegister(w.upkeep, w.accounts, w.rewound, w.ticks, w.tickSeconds, w.tickLag, w.runs, w.alerts, w.retries, w.rulesRefused)
	return w
}

// follow creates the series of these rules at once: an alarm on a series that does not exist yet never fires.
func (w *watch) follow(set *rules.Set) {
	w.rulesRefused.Set(0)
	for _, g := range set.Groups {
		for _, status := range []alert.TickStatus{alert.TickRun, alert.TickCaughtUp, alert.TickIncomplete, alert.TickMissed} {
			w.ticks.WithLabelValues(g.Name, string(status))
		}
		w.retries.WithLabelValues(g.Name)
		for _, rule := range g.Rules {
			for _, state := range []alert.State{alert.Firing, alert.Resolved, alert.NoData, alert.QueryError} {
				w.alerts.WithLabelValues(rule.Name, string(state))
			}
			for _, status := range alert.RunStatuses {
				w.runs.WithLabelValues(rule.Name, status)
			}
		}
	}
}

// observe tells the metrics what the engine does, and wakes the relay at every transition that may have to be published.
func (w *watch) observe(wake func()) engine.Observe {
	return engine.Observe{
		Tick: func(group string, status alert.TickStatus, took, lag time.Duration) {
			w.ticks.WithLabelValues(group, string(status)).Inc()
			w.tickSeconds.WithLabelValues(group).Observe(took.Seconds())
			w.tickLag.WithLabelValues(group).Set(lag.Seconds())
		},
		Rule: func(_ string, run alert.Run) { w.runs.WithLabelValues(run.Rule, run.Status).Inc() },
		Transition: func(t alert.Transition) {
			w.alerts.WithLabelValues(t.Rule, string(t.State)).Inc()
			if t.Topic != "" {
				wake()
			}
		},
		Retry: func(group string, _ error) { w.retries.WithLabelValues(group).Inc() },
	}
}
