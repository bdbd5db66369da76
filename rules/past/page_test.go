package past

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/outcomes"
)

// aPast has what a page may have to show: strange words, alerts of all severities, a rule with nothing to say, feedback, a difference.
func aPast(t *testing.T) *Foretold {
	t.Helper()
	day := func(n int) time.Time { return time.Date(2025, 1, 6, 6, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	p := &Foretold{Report: &Report{From: day(0), To: day(720), Ticks: 720, Feedback: &Heard{Applied: 2},
		Rules:      []RulePast{{Rule: "Grave", Severity: "critical", Fired: 40, Told: 30}, {Rule: "Mild", Severity: "info", Fired: 20, Told: 20, LastError: "<b>no</b>", Failed: 1}, {Rule: "Silent", Severity: "warning"}},
		Difference: &Difference{Rules: []RuleDifference{{Rule: "Grave", Here: 40, There: 39}}}}}
	for i := range 60 {
		a := PastAlert{Rule: "Grave", AccountID: "account <script>alert(1)</script> " + string(rune('A'+i%26)), FiredAt: day(7 * i), Owner: "Zoë & Søn", Summary: `asks for "less"`}
		a.Identity = map[string]string{"account_id": a.AccountID}
		if i >= 40 {
			a.Rule = "Mild"
		}
		if i%4 != 0 {
			told, over := day(7*i), day(7*i+30)
			a.ToldAt, a.ResolvedAt = &told, &over
		}
		p.Alerts = append(p.Alerts, a)
		if i < 15 {
			p.Terms = append(p.Terms, churn.Term{AccountID: a.AccountID, ContractID: "c", ClosedAt: day(7*i - 100), EndsAt: day(7*i + 265), OverAt: day(7*i + 40 + i), Fate: churn.Churned})
		}
	}
	p.Owners = []OwnerPast{{Owner: "Zoë & Søn", Told: 45, Most: 1, Weeks: map[string]int{"2025-01-06": 1, "2025-01-13": 1}}}
	if err := p.Judge(outcomes.Span{From: p.From, To: p.To, Horizon: 180 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestThePageInABrowser: on a telephone in the dark and on a desk, nothing is asked of the network, nothing runs, nothing is
// wider than the screen but what scrolls by itself, and what stands in the report stands on the page.
func TestThePageInABrowser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "past.html")
	if err := WritePage(path, aPast(t)); err != nil {
		t.Fatal(err)
	}
	for _, screen := range []struct {
		name          string
		width, height int64
		colours, back string
	}{{"telephone", 390, 844, "dark", "rgb(20, 23, 27)"}, {"desk", 1400, 900, "light", "rgb(255, 255, 255)"}} {
		t.Run(screen.name, func(t *testing.T) {
			browser := openBrowser(t)
			var mu sync.Mutex
			var asked, said []string
			err := chromedp.Listen(browser, func(event any) {
				mu.Lock()
				defer mu.Unlock()
				switch e := event.(type) {
				case *network.EventRequestWillBeSent:
					asked = append(asked, e.Request.URL)
				case *runtime.EventConsoleAPICalled:
					said = append(said, "console "+string(e.Type))
				case *runtime.EventExceptionThrown:
					said = append(said, e.ExceptionDetails.Text)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := chromedp.Call(browser, network.Enable, network.EnableParams{}); err != nil {
				t.Fatal(err)
			}
			colours := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.colours}}}
			if _, err := chromedp.Call(browser, emulation.SetEmulatedMedia, colours); err != nil {
				t.Fatal(err)
			}
			if err := chromedp.Do(browser, chromedp.EmulateViewport(screen.width, screen.height), chromedp.Navigate("file://"+path)); err != nil {
				t.Fatal(err)
			}
			text, back := evaluated[string](t, browser, `document.body.innerText`), evaluated[string](t, browser, `getComputedStyle(document.body).backgroundColor`)
			seen := evaluated[struct{ Width, Scripts, Bars, Lost, Titled, Regions int64 }](t, browser, `({Width: document.documentElement.scrollWidth, Scripts: document.scripts.length,
				Bars: [...document.querySelectorAll('rect:has(title), path:has(title)')].filter(b => b.getBBox().width > 0 || b.getBBox().height > 0).length,
				Lost: document.querySelectorAll('[aria-labelledby=accounts] path.lost').length,
				Titled: [...document.querySelectorAll('svg[role=img]')].filter(s => s.getAttribute('aria-label')).length,
				Regions: document.querySelectorAll('[role=region][tabindex="0"]').length})`)
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(asked, []string{"file://" + path}) || len(said) > 0 {
				t.Errorf("the page asked for %v and said %v", asked, said)
			}
			if seen.Width > screen.width {
				t.Errorf("the page is %d wide on a screen of %d", seen.Width, screen.width)
			}
			if seen.Scripts != 0 || seen.Bars < 150 || seen.Lost != 15 || seen.Titled != 4 || seen.Regions < 5 {
				t.Errorf("the page has %+v", seen)
			}
			if back != screen.back {
				t.Errorf("in %s colours the page is %s, not %s", screen.colours, back, screen.back)
			}
			for _, part := range []string{"Grave", "Silent", "<b>no</b>", "account <script>alert(1)</script> A", "Zoë & Søn", "2 applied", "only there"} {
				if !strings.Contains(text, part) {
					t.Errorf("nobody reads %q on the page", part)
				}
			}
		})
	}
}

func evaluated[T any](t *testing.T, browser context.Context, script string) T {
	t.Helper()
	value, err := chromedp.Run(browser, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// openBrowser starts a Chromium that the test ends.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("chromium is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-background-networking", true))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	browser, leave := chromedp.NewContext(allocator)
	t.Cleanup(leave)
	return browser
}
