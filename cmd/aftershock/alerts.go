package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/text"
	"github.com/aftershock/aftershock/warehouse"
)

func alertsCommand() *cobra.Command {
	return group("alerts", "Look at alerts, and say what was done with them", alertsList(), alertsShow(), digestCommand(),
		feedbackCommand(churn.Acknowledge, "ack", "Say that somebody looks after an alert: no reminders, no escalation"),
		feedbackCommand(churn.Snooze, "snooze", "Be quiet about an alert for a while"),
		feedbackCommand(churn.Close, "close", "End an alert: it does not come back while its rule still sees the same"),
		feedbackCommand(churn.Judge, "judge", "Say what an alert turned out to be"))
}

// openStates are those of an episode that has not ended.
var openStates = []alert.State{alert.Firing, alert.Reminder, alert.Acknowledged, alert.Snoozed}

func alertsList() *cobra.Command {
	var filter warehouse.AlertFilter
	var states []string
	var all, asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List where alerts stand, those with most value at risk first", Args: cobra.NoArgs,
		Long: "List shows alerts that are open. What stands there and was not published says why in the last column.",
	}
	c.Flags().StringVar(&filter.Rule, "rule", "", "only alerts of this rule")
	c.Flags().StringVar(&filter.Owner, "owner", "", "only alerts with this owner")
	c.Flags().StringVar(&filter.AccountID, "account", "", "only alerts about this account_id")
	c.Flags().StringSliceVar(&states, "state", nil, "only alerts in these states: firing, reminder, acknowledged, snoozed, pending, resolved")
	c.Flags().BoolVar(&all, "all", false, "alerts in every state")
	c.Flags().IntVar(&filter.Limit, "limit", 0, "at most so many; 0: all")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if filter.Limit < 0 {
			return usageError{errors.New("--limit must not be below zero")}
		}
		filter.States = openStates
		if all {
			filter.States = nil
		} else if len(states) > 0 {
			filter.States = nil
			for _, s := range states {
				if s := alert.State(s); !s.Published() && s != alert.Pending {
					return usageError{fmt.Errorf("--state %q: states are firing, reminder, acknowledged, snoozed, pending and resolved", s)}
				}
				filter.States = append(filter.States, alert.State(s))
			}
		}
		var alerts []alert.Transition
		err := withSchema(c, func(w *warehouse.Warehouse) (err error) {
			alerts, err = w.Alerts(c.Context(), filter)
			return err
		})
		if err != nil {
			return err
		}
		if asJSON {
			listed := []alert.Line{}
			for _, t := range alerts {
				listed = append(listed, alert.LineOf(t))
			}
			return writeJSON(c.OutOrStdout(), listed)
		}
		fmt.Fprintln(c.OutOrStdout(), alertTable(alerts))
		return nil
	}
	return c
}

func alertTable(alerts []alert.Transition) string {
	if len(alerts) == 0 {
		return "no alerts"
	}
	t := table.NewWriter()
	t.AppendHeader(table.Row{"alert", "state", "severity", "at risk", "since", "owner", "summary", ""})
	for _, a := range alerts {
		l := alert.LineOf(a)
		state, since := string(l.State), ""
		if l.By != "" && l.State != alert.Resolved {
			state += " (" + shown(l.By, 40) + ")"
		}
		if l.StartsAt != nil {
			since = l.StartsAt.Format(time.DateOnly)
		}
		t.AppendRow(table.Row{l.Fingerprint[:min(alert.Shown, len(l.Fingerprint))], state, l.Severity, a.AtRisk(), since, shown(l.Owner, 40), shown(l.Summary, 200), l.Suppressed})
	}
	t.AppendFooter(table.Row{fmt.Sprint(len(alerts), " alerts")})
	return t.Render()
}

// theAlert finds the one alert whose fingerprint begins so.
func theAlert(ctx context.Context, w *warehouse.Warehouse, prefix string) (alert.Transition, error) {
	if prefix == "" {
		return alert.Transition{}, usageError{errors.New("the alert: give its fingerprint or the beginning of it")}
	}
	found, err := w.Alerts(ctx, warehouse.AlertFilter{Fingerprint: prefix, Limit: 2})
	switch {
	case err != nil:
		return alert.Transition{}, err
	case len(found) == 0:
		return alert.Transition{}, fmt.Errorf("no alert's fingerprint begins with %q: `aftershock alerts list --all` shows them", prefix)
	case len(found) > 1:
		return alert.Transition{}, fmt.Errorf("several alerts' fingerprints begin with %q, for example %s and %s: give more of it", prefix, found[0].Fingerprint, found[1].Fingerprint)
	}
	return found[0], nil
}

func alertsShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ALERT", Short: "Explain one alert: why it fired, on what evidence, what became of it", Args: cobra.ExactArgs(1),
		Long: "Show takes the fingerprint of an alert, or as much of it as no other has. It explains the alert as things were known when it last changed.",
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		var e alert.Explained
		err := withSchema(c, func(w *warehouse.Warehouse) (err error) {
			t, err := theAlert(c.Context(), w, args[0])
			if err == nil {
				e, err = w.Explain(c.Context(), t)
			}
			return err
		})
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), e)
		}
		fmt.Fprint(c.OutOrStdout(), e.Text())
		return nil
	}
	return c
}

// shown is a text as a cell of a table: whatever is stored, a line stays a line.
func shown(s string, most int) string { return text.Visible(text.Fit(text.Line(s), most, "…")) }

func feedbackCommand(action churn.Action, name, short string) *cobra.Command {
	var by, why, disposition, length string
	var wait time.Duration
	c := &cobra.Command{
		Use: name + " ALERT", Short: short, Args: cobra.ExactArgs(1),
		Long: short + ".\n\nALERT is its fingerprint, or as much of it as no other has. What you say goes to the topic kafka.topics.feedback, as other systems\nmay send it too; the command waits until the leader has applied it.",
	}
	c.Flags().StringVar(&by, "by", "", "who you are; without it, the name of your account on this machine")
	c.Flags().StringVar(&why, "why", "", "why, for those who look at it later")
	c.Flags().StringVar(&disposition, "disposition", "", "what it turned out to be: "+strings.Join(churn.Dispositions, ", "))
	c.Flags().DurationVar(&wait, "wait", 15*time.Second, "how long to wait until it is applied; 0s: not at all")
	if action == churn.Snooze {
		c.Flags().StringVar(&length, "for", "", "for how long, such as 2d or 1w (needed)")
		_ = c.MarkFlagRequired("for")
	}
	if action == churn.Judge {
		_ = c.MarkFlagRequired("disposition")
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		now := clock().UTC().Truncate(time.Millisecond)
		f := churn.Feedback{EventID: "cli-" + rand.Text(), Action: action, By: by, Reason: why, Disposition: churn.Disposition(disposition), OccurredAt: now}
		if f.By == "" {
			f.By = account()
		}
		if length != "" {
			d, err := rules.ParseDuration(length)
			if err != nil || d <= 0 {
				return usageError{fmt.Errorf("--for: %q is not a duration such as 8h, 2d or 1w", length)}
			}
			f.Until = now.Add(d)
		}
		config, err := loadConfig(c)
		if err != nil {
			return err
		}
		return withSchema(c, func(w *warehouse.Warehouse) error {
			t, err := theAlert(c.Context(), w, args[0])
			if err != nil {
				return err
			}
			f.Fingerprint, f.Episode = t.Fingerprint, t.Episode
			if err := say(c.Context(), config, f); err != nil {
				return err
			}
			if wait == 0 {
				fmt.Fprintf(c.OutOrStdout(), "said; the leader will apply it\n")
				return nil
			}
			outcome, answered, err := w.AwaitOutcome(c.Context(), f.EventID, wait)
			switch {
			case err != nil:
				return err
			case !answered:
				return fmt.Errorf("it was sent, and not applied within %s: is `aftershock run` up? It will be applied when it is; --wait waits longer", wait)
			}
			if outcome != churn.FeedbackApplied {
				return fmt.Errorf("%s %s changed nothing: %s", name, f.Fingerprint[:alert.Shown], outcome)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s, by %s: %s\n", f.Fingerprint[:alert.Shown], name, f.By, text.Visible(t.Annotations["summary"]))
			return nil
		})
	}
	return c
}

func account() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return "unknown"
}

// say sends feedback to its topic. What the decoder would refuse is refused here, where somebody reads it.
func say(ctx context.Context, config pipeline.Config, f churn.Feedback) error {
	value, err := f.Encode()
	if err != nil {
		return err
	}
	if _, err := churn.DecodeFeedback(value, f.Fingerprint, time.Time{}); err != nil {
		return usageError{fmt.Errorf("this feedback would be refused: %w", err)}
	}
	kafka, err := broker.Connect(config.Kafka)
	if err != nil {
		return err
	}
	defer kafka.Close()
	if err := kafka.Check(ctx); err != nil {
		return err
	}
	p := broker.NewProducer(kafka)
	defer p.Close()
	if err := p.Add(ctx, kafka.Topics().Feedback, f.Fingerprint, value, time.Time{}); err != nil {
		return err
	}
	return p.Flush(ctx)
}
