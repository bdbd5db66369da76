package past

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"os"
	"slices"
	"time"

	"github.com/aftershock/aftershock/rules/engine"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"date": func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"add":  func(a, b float64) float64 { return a + b },
	"f1":   func(x *float64) string { return fmt.Sprintf("%.1f", *x) },
}).Parse(pageText))

// What the page has room for. The table in the terminal and --json have all.
const (
	chartWidth    = 1000.0
	labelWidth    = 250.0
	rowHeight     = 22.0
	accountsShown = 40
)

// WritePage writes the report as one file that needs nothing else.
func WritePage(path string, p *Foretold) error {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, newPage(p)); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// page is what the template draws: the report, and charts in the units of their viewBox.
type page struct {
	*Foretold
	Width, LabelWidth float64
	Months            []mark
	Fired             chart
	Accounts          chart
	Owners            chart
	Lifts             chart
	Ratios            []mark // the grid of the chart of lifts
	OneAt             float64
}

// mark is a labelled place on an axis.
type mark struct {
	X    float64
	Text string
}

type chart struct {
	Height float64
	Rows   []chartRow
	Hidden int // rows that there was no room for
}

type chartRow struct {
	Y    float64 // of its upper edge
	Name string
	Note string
	Bars []barOf
}

// barOf is a rectangle, or a mark where Class says so.
type barOf struct {
	X, Y, Width, Height float64
	Class               string
	Says                string // shown by a pointer, read by a screen reader
}

func newPage(p *Foretold) *page {
	page := &page{Foretold: p, Width: chartWidth, LabelWidth: labelWidth}
	for at := time.Date(p.From.Year(), p.From.Month(), 1, 0, 0, 0, 0, time.UTC); at.Before(p.To); at = at.AddDate(0, 1, 0) {
		if at.After(p.From) {
			page.Months = append(page.Months, mark{page.x(at), at.Format("Jan 06")})
		}
	}
	for every := 2; len(page.Months) > 14; every++ {
		page.Months = slices.DeleteFunc(page.Months, func(m mark) bool { return slices.Index(page.Months, m)%every != 0 })
	}
	page.drawFired()
	page.drawAccounts()
	page.drawOwners()
	page.drawLifts()
	return page
}

// x is where an instant stands.
func (p *page) x(at time.Time) float64 {
	share := float64(at.Sub(p.From)) / float64(p.To.Sub(p.From))
	return labelWidth + (chartWidth-labelWidth)*min(max(share, 0), 1)
}

func (c *chart) row(name, note string, height float64) *chartRow {
	c.Rows = append(c.Rows, chartRow{Y: c.Height, Name: name, Note: note})
	c.Height += height
	return &c.Rows[len(c.Rows)-1]
}

const week = 7 * 24 * time.Hour

// drawFired has, for each rule, how many alerts began in each week: told and not told.
func (p *page) drawFired() {
	const height = 44.0
	for _, r := range p.Rules {
		told, untold := map[time.Time]int{}, map[time.Time]int{}
		most := 0
		for _, a := range p.Alerts {
			if a.Rule != r.Rule {
				continue
			}
			w := engine.Week(a.FiredAt, time.UTC)
			if a.ToldAt != nil {
				told[w]++
			} else {
				untold[w]++
			}
			most = max(most, told[w]+untold[w])
		}
		row := p.Fired.row(r.Rule, fmt.Sprintf("%d fired, most in a week %d", r.Fired, most), height)
		for w := engine.Week(p.From, time.UTC); w.Before(p.To); w = w.Add(week) {
			n, m := told[w], untold[w]
			if n+m == 0 {
				continue
			}
			unit := (height - 6) / float64(most)
			x, width := p.x(w), p.x(w.Add(week))-p.x(w)-1
			says := fmt.Sprintf("%s, week of %s: %d fired, %d of them told", r.Rule, w.Format(time.DateOnly), n+m, n)
			row.Bars = append(row.Bars, barOf{X: x, Y: row.Y + height - unit*float64(n), Width: max(width, 1), Height: unit * float64(n), Class: r.Severity, Says: says},
				barOf{X: x, Y: row.Y + height - unit*float64(n+m), Width: max(width, 1), Height: unit * float64(m), Class: "untold", Says: says})
		}
	}
}

// drawAccounts has the alerts of the accounts with most at stake, and when contracts of theirs went wrong.
func (p *page) drawAccounts() {
	alerts, value := map[string][]PastAlert{}, map[string]float64{}
	for _, a := range p.Alerts {
		if account := a.AccountID; account != "" {
			alerts[account] = append(alerts[account], a)
			value[account] = max(value[account], a.Amount())
		}
	}
	order := make([]string, 0, len(alerts))
	for account := range alerts {
		order = append(order, account)
	}
	slices.SortFunc(order, func(a, b string) int { return cmp.Or(cmp.Compare(value[b], value[a]), cmp.Compare(a, b)) })
	p.Accounts.Hidden = max(len(order)-accountsShown, 0)
	severities := map[string]string{}
	for _, r := range p.Rules {
		severities[r.Rule] = r.Severity
	}
	wrong := map[string][]barOf{}
	for _, t := range p.Terms {
		bad := t.EndedBadly()
		if !bad.After(p.From) || bad.After(p.To) {
			continue
		}
		how := "lost"
		if bad.Equal(t.DowngradedAt) {
			how = "downgraded"
		}
		wrong[t.AccountID] = append(wrong[t.AccountID], barOf{X: p.x(bad), Class: how, Says: fmt.Sprintf("%s: contract %s %s on %s", t.AccountID, t.ContractID, how, bad.Format(time.DateOnly))})
	}
	for _, account := range order[:min(len(order), accountsShown)] {
		of := alerts[account]
		slices.SortStableFunc(of, func(a, b PastAlert) int { return cmp.Compare(rank(severities[a.Rule]), rank(severities[b.Rule])) }) // the gravest on top
		row := p.Accounts.row(account, "", rowHeight)
		for _, a := range of {
			until, end := p.To, "open at the end"
			if a.ResolvedAt != nil {
				until, end = *a.ResolvedAt, "until "+a.ResolvedAt.Format(time.DateOnly)
			}
			row.Bars = append(row.Bars, barOf{X: p.x(a.FiredAt), Y: row.Y + 4, Width: max(p.x(until)-p.x(a.FiredAt), 2), Height: rowHeight - 8, Class: severities[a.Rule],
				Says: fmt.Sprintf("%s: %s from %s, %s. %s", account, a.Rule, a.FiredAt.Format(time.DateOnly), end, a.Summary)})
		}
		for _, m := range wrong[account] {
			m.Y = row.Y + rowHeight/2
			row.Bars = append(row.Bars, m)
		}
	}
}

// rank orders severities; one that nobody knows is the mildest.
func rank(severity string) int {
	return slices.Index([]string{"info", "warning", "critical"}, severity)
}

// drawOwners has how many alerts each owner was told of in each week.
func (p *page) drawOwners() {
	most := 1
	for _, o := range p.Report.Owners {
		most = max(most, o.Most)
	}
	p.Owners.Hidden = max(len(p.Report.Owners)-OwnersShown, 0)
	for _, o := range p.Report.Owners[:min(len(p.Report.Owners), OwnersShown)] {
		row := p.Owners.row(o.Owner, fmt.Sprintf("%d told, most in a week %d", o.Told, o.Most), rowHeight)
		for w := engine.Week(p.From, time.UTC); w.Before(p.To); w = w.Add(week) {
			if n := o.Weeks[w.Format(time.DateOnly)]; n > 0 {
				row.Bars = append(row.Bars, barOf{X: p.x(w), Y: row.Y + 2, Width: max(p.x(w.Add(week))-p.x(w)-1, 1), Height: rowHeight - 4,
					Class: fmt.Sprintf("heat%d", 1+(n-1)*4/most), Says: fmt.Sprintf("%s, week of %s: %d told", o.Owner, w.Format(time.DateOnly), n)})
			}
		}
	}
}

// drawLifts has each rule's ratio with its interval, on a logarithmic scale from an eighth to eight.
func (p *page) drawLifts() {
	const reach = 3.0 // powers of two on either side of one
	x := func(ratio float64) float64 {
		share := (math.Log2(ratio) + reach) / (2 * reach)
		return labelWidth + (chartWidth-labelWidth)*min(max(share, 0), 1)
	}
	for _, ratio := range []float64{0.125, 0.25, 0.5, 1, 2, 4, 8} {
		p.Ratios = append(p.Ratios, mark{x(ratio), fmt.Sprintf("%g", ratio)})
	}
	p.OneAt = x(1)
	for _, r := range p.Outcomes.Rules {
		l := r.Lift
		if l.Ratio == nil {
			p.Lifts.row(r.Rule, r.Verdict, rowHeight)
			continue
		}
		row := p.Lifts.row(r.Rule, "", rowHeight)
		high := chartWidth
		if l.High != nil {
			high = x(*l.High)
		}
		class := "unclear"
		if *l.Low > 1 {
			class = "foretells"
		}
		says := r.Rule + ": " + l.Text() + ", " + r.Verdict
		row.Bars = append(row.Bars, barOf{X: x(*l.Low), Y: row.Y + rowHeight/2 - 1.5, Width: max(high-x(*l.Low), 1), Height: 3, Class: class, Says: says},
			barOf{X: x(*l.Ratio) - 4, Y: row.Y + rowHeight/2 - 4, Width: 8, Height: 8, Class: class, Says: says})
	}
}

// OutcomeRows is the table of how well rules did, as the terminal has it.
func (p *page) OutcomeRows() []outcomeRow {
	var rows []outcomeRow
	for _, x := range p.Outcomes.Rules {
		rows = append(rows, outcomeRow{x.Rule, ShareText(x.Precision), ShareText(x.Recall), LeadText(x.LeadDays), x.Lift.Text(), x.Verdict})
	}
	return rows
}

type outcomeRow struct{ Rule, Precision, Recall, Lead, Lift, Verdict string }
