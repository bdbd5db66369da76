package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/churn/outcomes"
	"github.com/aftershock/aftershock/demo"
	"github.com/aftershock/aftershock/pipeline"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/rules/past"
	"github.com/aftershock/aftershock/simulate"
	"github.com/aftershock/aftershock/text"
	"github.com/aftershock/aftershock/warehouse"
)

func rulesBacktest() *cobra.Command {
	var o backtestOptions
	var truth, page string
	var asJSON bool
	c := &cobra.Command{
		Use: "backtest --from TIME [--to TIME]", Short: "Run rules over the past: when would each have fired?", Args: cobra.NoArgs,
		Long: `Backtest evaluates every tick of a span of the past, by the queries and the lifecycle of the live pipeline, as known at each
instant, with what people did with alerts. It publishes nothing and changes nothing. A tick counts as attended: what is told is what a
process would have told that evaluated then. Then it holds the alerts against what became of the contracts: docs/backtest.md
says how.`,
		Example: "  aftershock rules backtest --from 2025-01-01\n  aftershock rules backtest --from 2025-01-01 --rules mine.yaml --compare milder.yaml --html past.html",
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "", "ticks after this: a date, or an RFC 3339 time")
	f.StringVar(&o.to, "to", "", "ticks until this (default: now)")
	f.StringSliceVar(&o.rules, "rules", nil, "rule files or folders (default: those of the configuration)")
	f.StringSliceVar(&o.compare, "compare", nil, "other rule files or folders, to be held against the first")
	f.StringVar(&o.schedule, "schedule", "", "replaces every group's schedule, such as \"0 6 * * *\" for each day at 06:00")
	f.StringVar(&o.horizon, "horizon", "180d", "how far an alert looks ahead: a contract that goes wrong later was not foretold")
	f.StringVar(&truth, "truth", "", "what really became of simulated contracts, as simulate --truth wrote it (default: the view outcomes)")
	f.StringVar(&page, "html", "", "write a page with a timeline to this file, too")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		config, err := loadConfig(c)
		if err != nil {
			return err
		}
		b, span, err := o.read(config)
		if err != nil {
			return err
		}
		r := &past.Foretold{}
		if truth != "" { // read first: a backtest may take minutes
			if r.Terms, err = simulate.TermsIn(truth); err != nil {
				return err
			}
		}
		err = withSchema(c, func(w *warehouse.Warehouse) (err error) {
			if r.Report, err = backtest(c.Context(), b, w); err == nil && truth == "" {
				r.Terms, err = w.Terms(c.Context())
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := r.Judge(span); err != nil {
			return err
		}
		if page != "" {
			if err := past.WritePage(page, r); err != nil {
				return err
			}
		}
		if asJSON {
			return writeJSON(c.OutOrStdout(), r)
		}
		return writeBacktest(c.OutOrStdout(), r)
	}
	return c
}

// backtestOptions are what of a backtest a person says on the command line.
type backtestOptions struct {
	from, to, schedule, horizon string
	rules, compare              []string
}

// read joins what was said with the configuration.
func (o backtestOptions) read(config pipeline.Config) (b past.Backtest, span outcomes.Span, err error) {
	b = past.Backtest{HoldoutShare: config.Evaluate.HoldoutShare, Schedule: config.Evaluate.Schedule, To: clock().UTC()}
	if o.from == "" {
		return b, span, usageError{errors.New("--from is missing: a date such as 2025-01-31, or an RFC 3339 time")}
	}
	if b.From, err = instantOf("--from", o.from); err != nil {
		return b, span, err
	}
	if o.to != "" {
		if b.To, err = instantOf("--to", o.to); err != nil {
			return b, span, err
		}
	}
	if !b.To.After(b.From) {
		return b, span, usageError{fmt.Errorf("--to %s is not after --from %s", b.To.Format(time.RFC3339), b.From.Format(time.RFC3339))}
	}
	if o.schedule != "" {
		if _, err := rules.ParseSchedule(o.schedule, time.UTC); err != nil {
			return b, span, usageError{fmt.Errorf("--schedule: %w", err)}
		}
		b.Schedule = o.schedule
	}
	files := o.rules
	if len(files) == 0 {
		files = config.Evaluate.Rules
	}
	if b.Set, err = rules.LoadOrBuiltin(files); err != nil {
		return b, span, err
	}
	if len(o.compare) > 0 {
		if b.Compare, err = rules.LoadOrBuiltin(o.compare); err != nil {
			return b, span, err
		}
	}
	span = outcomes.Span{From: b.From, To: b.To}
	if span.Horizon, err = rules.ParseDuration(o.horizon); err != nil {
		return b, span, usageError{fmt.Errorf("--horizon: %w", err)}
	}
	return b, span, nil
}

// backtest runs over the past that a warehouse holds.
func backtest(ctx context.Context, b past.Backtest, w *warehouse.Warehouse) (*past.Report, error) {
	history, err := w.OpenPast()
	if err != nil {
		return nil, err
	}
	defer history.Close()
	b.Warehouse = history
	if b.Feedback, err = w.FeedbackKnown(ctx, b.From, b.To); err != nil {
		return nil, err
	}
	show := newBar("ticks")
	set, compare, err := b.Run(ctx, show.to)
	show.end()
	if err != nil {
		return nil, err
	}
	return b.Report(set, compare), nil
}

// instantOf reads a date, which is its midnight in UTC, or a time.
func instantOf(flag, text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usageError{fmt.Errorf("%s %q is neither a date such as 2025-01-31 nor an RFC 3339 time such as 2025-01-31T06:00:00Z", flag, text)}
}

// writeBacktest prints the report for a person.
func writeBacktest(w io.Writer, r *past.Foretold) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d ticks after %s until %s", r.Ticks, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	if r.Schedule != "" {
		fmt.Fprintf(&b, ", by the schedule %s", r.Schedule)
	}
	b.WriteString("; nothing was published\n\n")
	t := demo.Table("WHAT EACH RULE WOULD HAVE SAID", table.Row{"rule", "severity", "fired", "at start", "told", "resolved", "open at end", "median days open", "no data", "failed"})
	for _, p := range r.Rules {
		days := ""
		if p.OpenDays != nil {
			days = fmt.Sprintf("%.1f", *p.OpenDays)
		}
		t.AppendRow(table.Row{p.Rule, p.Severity, p.Fired, p.AtStart, p.Told, p.Resolved, p.Open, days, p.NoData, p.Failed})
	}
	b.WriteString(t.Render() + "\n")
	for _, p := range r.Rules {
		if p.Failed > 0 {
			fmt.Fprintf(&b, "%s failed in %d of %d ticks, the last time: %s\n", p.Rule, p.Failed, p.Runs, text.Visible(p.LastError))
		}
	}
	if len(r.Owners) > 0 {
		weeks := r.To.Sub(r.From).Hours() / 24 / 7
		t := demo.Table("ALERTS TOLD, BY OWNER", table.Row{"owner", "alerts", "a week", "most in a week"})
		for i, o := range r.Owners {
			if i == past.OwnersShown {
				t.SetCaption("%d more are in the output of --json", len(r.Owners)-i)
				break
			}
			t.AppendRow(table.Row{text.Visible(o.Owner), o.Told, fmt.Sprintf("%.1f", float64(o.Told)/weeks), o.Most})
		}
		b.WriteString("\n" + t.Render() + "\n")
	}
	writeOutcomes(&b, r.Outcomes)
	if r.Feedback != nil {
		fmt.Fprintf(&b, "\nfeedback of people: %d applied, %d changed nothing\n", r.Feedback.Applied, r.Feedback.Refused)
	}
	if d := r.Difference; d != nil {
		t := demo.Table("WHAT THE OTHER RULES WOULD HAVE SAID OTHERWISE", table.Row{"rule", "fired", "there", "only here", "only there", "there earlier", "later", "told", "told there"})
		for _, x := range d.Rules {
			t.AppendRow(table.Row{x.Rule, x.Here, x.There, x.OnlyHere, x.OnlyThere, x.Earlier, x.Later, x.ToldHere, x.Told})
		}
		b.WriteString("\n" + t.Render() + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeOutcomes prints how well each rule did, and how that is to be read.
func writeOutcomes(b *strings.Builder, o *outcomes.Report) {
	t := demo.Table(fmt.Sprintf("WHAT BECAME OF CONTRACTS: %d TERMS, %d LOST, %d DOWNGRADED", o.Terms, o.Churned, o.Downgraded),
		table.Row{"rule", "precision", "recall", "days ahead", "lift", "verdict"})
	for _, x := range o.Rules {
		t.AppendRow(table.Row{x.Rule, past.ShareText(x.Precision), past.ShareText(x.Recall), past.LeadText(x.LeadDays), x.Lift.Text(), x.Verdict})
	}
	fmt.Fprintf(b, "\n%s\nWithin %.0f days of an alert; intervals of 95 %%, those of the lift for all rules together. Lift: how many times as often contracts\n"+
		"went wrong while alerted as others with as many days to their end.\n", t.Render(), o.HorizonDays)
}
