package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/aftershock/aftershock/broker"
	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/consumers/deadletter"
	"github.com/aftershock/aftershock/rules"
	"github.com/aftershock/aftershock/sources"
	"github.com/aftershock/aftershock/text"
	"github.com/aftershock/aftershock/warehouse"
)

func deadletterCommand() *cobra.Command {
	return group("deadletter", "Look at records that could not become events, and replay them after a mend",
		deadletterList(), deadletterShow(), deadletterReplay())
}

// letterFilter is what the three commands have in common.
type letterFilter struct {
	code, topic string
	asJSON      bool
}

func (f *letterFilter) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.code, "code", "", "only what was refused with this code, such as missing_field")
	c.Flags().StringVar(&f.topic, "topic", "", "only what came from this topic")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
}

// positions reads arguments of the form topic/partition/offset.
func positions(args []string) ([]churn.Position, error) {
	var all []churn.Position
	for _, arg := range args {
		p, err := churn.ParsePosition(arg)
		if err != nil {
			return nil, usageError{err}
		}
		all = append(all, p)
	}
	return all, nil
}

func deadletterList() *cobra.Command {
	var filter letterFilter
	var since string
	c := &cobra.Command{
		Use: "list", Short: "Count dead letters by code and topic, with what became of them", Args: cobra.NoArgs,
		Long: `List asks the warehouse. A dead letter is open until the record behind it was replayed and stored (accepted), or a replay of it
was refused again: then the newest dead letter of the record is open. Sent are those that a replay sent and no consumer has read yet.`,
	}
	filter.flags(c)
	c.Flags().StringVar(&since, "since", "", "only what was refused since: a duration such as 24h or 7d, or an RFC 3339 time")
	c.RunE = func(c *cobra.Command, _ []string) error {
		from, err := instantOrAge(since, clock())
		if err != nil {
			return usageError{fmt.Errorf("--since %w", err)}
		}
		var groups []warehouse.DeadLetterGroup
		err = withSchema(c, func(w *warehouse.Warehouse) error {
			groups, err = w.DeadLetterGroups(c.Context(), churn.Code(filter.code), filter.topic, from)
			return err
		})
		if err != nil {
			return err
		}
		if filter.asJSON {
			return writeJSON(c.OutOrStdout(), groups)
		}
		fmt.Fprintln(c.OutOrStdout(), letterTable(groups))
		return nil
	}
	return c
}

// instantOrAge reads a time, or how long ago it was; empty is the beginning.
func instantOrAge(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Unix(0, 0), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	age, err := rules.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a duration such as 24h or 7d nor an RFC 3339 time such as 2026-01-31T00:00:00Z", text)
	}
	return now.Add(-age), nil
}

func letterTable(groups []warehouse.DeadLetterGroup) string {
	if len(groups) == 0 {
		return "there are no dead letters"
	}
	t := table.NewWriter()
	t.AppendHeader(table.Row{"code", "topic", "letters", "open", "sent", "accepted", "refused again", "first", "last", "example"})
	t.SetColumnConfigs([]table.ColumnConfig{{Name: "example", WidthMax: 70}})
	for _, g := range groups {
		example := g.Example + "\n" + text.Visible(strings.TrimPrefix(g.Field+": "+g.Reason, ": "))
		if g.Replays > 0 {
			example += fmt.Sprintf("\n(%d of the letters are replays)", g.Replays)
		}
		t.AppendRow(table.Row{g.Code, g.Topic, g.Letters, g.Open, g.Sent, g.Accepted, g.RefusedAgain, minute(g.First), minute(g.Last), example})
	}
	return t.Render()
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func deadletterShow() *cobra.Command {
	var filter letterFilter
	var limit int
	c := &cobra.Command{
		Use: "show [POSITION...]", Short: "Show dead letters whole: headers, reason, value",
		Long: `Show reads the dead-letter topic. A POSITION is topic/partition/offset of the record, as list gives it. Without one it shows the
newest. Bytes that a terminal would obey, or could not show, are printed as escapes; --json gives the value byte for byte.`,
	}
	filter.flags(c)
	c.Flags().IntVar(&limit, "limit", 5, "show at most so many, the newest")
	c.RunE = func(c *cobra.Command, args []string) error {
		asked, err := positions(args)
		if err != nil {
			return err
		}
		if limit < 1 {
			return usageError{fmt.Errorf("--limit %d is not above 0", limit)}
		}
		var letters []*deadletter.Letter
		err = withKafka(c, func(kafka *broker.Connection) error {
			show := newBar("reading dead letters")
			defer show.end()
			search := deadletter.Search{Code: churn.Code(filter.code), Topic: filter.topic, Positions: asked, Limit: limit}
			letters, err = search.Find(c.Context(), kafka, show.bytes)
			return err
		})
		if err != nil {
			return err
		}
		if filter.asJSON {
			all := make([]deadletter.JSON, len(letters))
			for i, d := range letters {
				all[i] = deadletter.AsJSON(d)
			}
			return writeJSON(c.OutOrStdout(), all)
		}
		if len(letters) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "there are no such dead letters")
		}
		for i, d := range letters {
			if i > 0 {
				fmt.Fprintln(c.OutOrStdout())
			}
			writeLetter(c.OutOrStdout(), d)
		}
		return nil
	}
	return c
}

func deadletterReplay() *cobra.Command {
	var filter letterFilter
	var mend string
	var drop []string
	var dryRun, again bool
	c := &cobra.Command{
		Use: "replay [POSITION...]", Short: "Send dead letters to their topics again, after a mend of the program, the model or the records",
		Long: `Replay takes each refused record once, mends it where --mend says how, and holds it against today's decoder. What would be refused again
is reported and not sent, nor is what is stored already. The rest goes to the topic that it came from, with its own key and headers and
aftershock-replay-of. Run again, it sends nothing more. Try --dry-run first.`,
	}
	filter.flags(c)
	c.Flags().StringVar(&mend, "mend", "", "a jq program that makes the value anew; docs/operations.md says what it gets")
	c.Flags().StringSliceVar(&drop, "drop-header", nil, "headers to leave out, where one cannot be read (code bad_header)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what would become of each record, send nothing")
	c.Flags().BoolVar(&again, "again", false, "also what an earlier replay sent, be it accepted or not yet read, unless the same bytes are stored")
	c.RunE = func(c *cobra.Command, args []string) error {
		asked, err := positions(args)
		if err != nil {
			return err
		}
		replay := deadletter.Replay{
			Positions: asked, Code: churn.Code(filter.code), Topic: filter.topic, DropHeaders: drop, DryRun: dryRun, Again: again, Clock: clock,
		}
		if mend != "" {
			program, err := sources.LoadMend(mend)
			if err != nil {
				return err
			}
			replay.Mend = func(ctx context.Context, d *deadletter.Letter) ([]byte, error) {
				return program.Apply(ctx, brokenRecord(d))
			}
		}
		report, err := runReplay(c, replay)
		var printed error
		if filter.asJSON {
			printed = writeJSON(c.OutOrStdout(), report)
		} else if err == nil || report.Records > 0 {
			printed = writeReplay(c.OutOrStdout(), report)
		}
		return errors.Join(err, printed)
	}
	return c
}

// brokenRecord is a dead letter as a mend sees it.
func brokenRecord(d *deadletter.Letter) sources.Broken {
	headers := map[string]string{}
	for _, h := range d.Headers {
		headers[h.Key] = string(h.Value)
	}
	return sources.Broken{
		Value: d.Value, Key: d.Key, Headers: headers, Position: d.Path(), Code: string(d.Code), Field: d.Field, Reason: d.Reason,
	}
}

func runReplay(c *cobra.Command, replay deadletter.Replay) (report deadletter.Report, err error) {
	config, err := loadConfig(c)
	if err != nil {
		return report, err
	}
	enrichment, err := config.Models.Enrichment()
	if err != nil {
		return report, err
	}
	replay.Decode = enrichment.Decoders(config.Kafka.Topics)
	err = withSchema(c, func(w *warehouse.Warehouse) error {
		return withKafka(c, func(kafka *broker.Connection) error {
			show := newBar("replaying")
			defer show.end()
			replay.Kafka, replay.Store, replay.Progress = kafka, w, show.bytes
			report, err = replay.Run(c.Context())
			return errors.Join(err, deadletter.NotFound(kafka.Topics(), report.Missing))
		})
	})
	return report, err
}

func writeReplay(w io.Writer, r deadletter.Report) error {
	if r.Records == 0 {
		_, err := fmt.Fprintln(w, "there are no such dead letters")
		return err
	}
	sent := "sent"
	if r.DryRun {
		sent = "would send"
	}
	t := table.NewWriter()
	t.AppendHeader(table.Row{"code", "topic", "records", sent, "accepted", "waiting", "refused", "left out"})
	row := func(code churn.Code, topic string, n deadletter.Counts) table.Row {
		return table.Row{code, topic, n.Sent + n.Accepted + n.Waiting + n.Refused + n.LeftOut, n.Sent, n.Accepted, n.Waiting, n.Refused, n.LeftOut}
	}
	for _, g := range r.Groups {
		t.AppendRow(row(g.Code, g.Topic, g.Counts))
	}
	if len(r.Groups) > 1 {
		t.AppendFooter(row("", "all", r.Counts))
	}
	var b strings.Builder
	b.WriteString(t.Render() + "\n")
	for _, why := range r.Reasons {
		said := map[deadletter.Outcome]string{deadletter.OutcomeRefused: "still refused", deadletter.OutcomeLeftOut: "left out"}[why.Outcome]
		reason := why.Reason
		for _, part := range []string{why.Field, string(why.Code)} {
			if part != "" {
				reason = part + ": " + reason
			}
		}
		fmt.Fprintf(&b, "%s %d, such as %s: %s\n", said, why.Records, why.Example, text.Visible(reason))
	}
	if r.Foreign > 0 {
		fmt.Fprintf(&b, "%d records of the topic are not dead letters of aftershock\n", r.Foreign)
	}
	if r.Waiting > 0 {
		fmt.Fprintf(&b, "%d were sent by an earlier replay and no consumer has read them yet\n", r.Waiting)
	}
	if r.Sent == 0 {
		b.WriteString("nothing to send\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeLetter shows a dead letter to a person.
func writeLetter(w io.Writer, d *deadletter.Letter) {
	line := func(name, value string) { fmt.Fprintf(w, "%-10s %s\n", name, value) }
	line("position", d.Path())
	if d.ReplayOf != "" {
		line("replay of", d.ReplayOf)
	}
	line("code", text.Visible(string(d.Code)))
	if d.Field != "" {
		line("field", text.Visible(d.Field))
	}
	line("reason", text.Visible(d.Reason))
	line("written", d.Time.UTC().Format(time.RFC3339Nano))
	line("refused", d.RejectedAt.UTC().Format(time.RFC3339Nano))
	line("key", orNone(d.Key))
	for _, h := range d.Headers {
		line("header", text.Visible(h.Key)+": "+orNone(h.Value))
	}
	line("value", fmt.Sprintf("%d bytes", len(d.Value)))
	if len(d.Value) > 0 {
		fmt.Fprintln(w, text.VisibleLines(pretty(d.Value)))
	}
}

func orNone(b []byte) string {
	if b == nil {
		return "none"
	}
	return text.Visible(string(b))
}

// pretty indents JSON and leaves everything else alone.
func pretty(value []byte) string {
	var b bytes.Buffer
	if utf8.Valid(value) && json.Indent(&b, value, "", "  ") == nil {
		return b.String()
	}
	return string(value)
}
