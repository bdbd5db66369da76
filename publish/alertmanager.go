package publish

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aftershock/aftershock/churn"
	"github.com/aftershock/aftershock/churn/alert"
	"github.com/aftershock/aftershock/dial"
	"github.com/aftershock/aftershock/text"
)

// Alertmanager keeps one Prometheus Alertmanager showing what stands open and was told. It is a place for state, not for a
// history: whatever it holds of ours beyond that is resolved, whatever it lacks is sent, at each delivery for what the delivery
// is about, and at each refresh for everything. So it does not matter which of us was restarted, or what was lost.
//
// The labels of an alert say what it is. Where they change within an episode, by an escalation or a new owner, Alertmanager
// takes that for another alert: the old labels are resolved then.
type Alertmanager struct {
	Config AlertmanagerConfig
	URL    string // one of those of the configuration
	Link   string
	Log    interface {
		Noted
		// Standing returns what people were told of and that is not over.
		Standing(ctx context.Context) ([]alert.Transition, error)
	}
	Clock  func() time.Time // time.Now where nil: also where the log's own clock is simulated
	Logger *slog.Logger     // slog.Default() where nil

	notes
	caller    *caller
	standing  map[string]alert.Transition // by fingerprint
	refreshed time.Time
}

const (
	alertBatch   = 500
	alertBytes   = 512 << 10
	ackSilence   = 24 * time.Hour // renewed while somebody looks after the alert
	labelSource  = "source"
	labelPrint   = "fingerprint"
	labelEpisode = "episode"
)

// gettable is an alert as Alertmanager tells and takes it.
type gettable struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// silence is one as Alertmanager tells and takes it.
type silence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	Status    *struct {
		State string `json:"state"`
	} `json:"status,omitempty"`
}

type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

// Name is alertmanager and its address.
func (a *Alertmanager) Name() string { return "alertmanager " + strings.TrimRight(a.URL, "/") }

// Recover reads the log; everything is told again with the next Mend.
func (a *Alertmanager) Recover(ctx context.Context, _ []string) (err error) {
	if err := a.Open(); err != nil {
		return err
	}
	if a.notes, err = read(ctx, a.Log, a.Name()); err != nil {
		return err
	}
	standing, err := a.Log.Standing(ctx)
	if err != nil {
		return err
	}
	a.standing = map[string]alert.Transition{}
	for _, t := range standing {
		a.standing[t.Fingerprint] = t
	}
	a.refreshed = time.Time{}
	return nil
}

// Open reads the files that the configuration names. The other methods do it where it was not done.
func (a *Alertmanager) Open() (err error) {
	if a.caller != nil {
		return nil
	}
	if a.Clock == nil {
		a.Clock = time.Now
	}
	if a.Logger == nil {
		a.Logger = slog.Default()
	}
	c, err := newCaller(a.Config.Timeout, a.Config.CAFile)
	if err != nil {
		return err
	}
	c.header.Set("Content-Type", "application/json")
	if a.Config.Username != "" {
		password, err := dial.ReadSecret("the password of Alertmanager", a.Config.Password, a.Config.PasswordFile)
		if err != nil {
			return err
		}
		c.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(a.Config.Username+":"+password)))
	}
	a.caller = c
	return nil
}

// Check asks Alertmanager whether it is there.
func (a *Alertmanager) Check(ctx context.Context) error {
	if err := a.Open(); err != nil {
		return err
	}
	return a.get(ctx, "/api/v2/status", nil, nil)
}

// Deliver brings Alertmanager to where the transitions lead.
func (a *Alertmanager) Deliver(ctx context.Context, transitions []alert.Transition) (settled []alert.Delivery, err error) {
	touched, ended := map[string]bool{}, map[string]alert.Transition{}
	for _, t := range transitions {
		if a.Has(t) {
			continue
		}
		touched[t.Fingerprint] = true
		if at, open := a.standing[t.Fingerprint]; open && t.Order().Compare(at.Order()) < 0 {
			continue // what stands is later: it was read from the log
		}
		delete(a.standing, t.Fingerprint)
		delete(ended, t.Fingerprint)
		if t.State == alert.Resolved {
			ended[t.Fingerprint] = t
		} else {
			a.standing[t.Fingerprint] = t
		}
	}
	if len(touched) == 0 {
		return nil, nil
	}
	refused, err := a.align(ctx, ended, func(fingerprint string) bool { return touched[fingerprint] })
	if err != nil {
		return nil, err
	}
	for _, t := range transitions {
		if a.Has(t) {
			continue
		}
		d := alert.Delivery{Transition: t, Outcome: alert.DeliveryAccepted}
		if why, is := refused[t.Fingerprint]; is {
			d.Outcome, d.Detail = alert.DeliveryRefused, why
		}
		settled = append(settled, d)
	}
	for _, d := range settled {
		a.put(d.Transition)
	}
	return settled, nil
}

// Mend tells everything again when it is time. Nothing is counted as mended: that it is told is the rule.
func (a *Alertmanager) Mend(ctx context.Context) (mended int, again bool, err error) {
	now := a.Clock()
	if !a.refreshed.IsZero() && now.Sub(a.refreshed) < a.Config.RefreshEvery {
		return 0, false, nil
	}
	refused, err := a.align(ctx, nil, func(string) bool { return true })
	if err != nil {
		return 0, false, err
	}
	for fingerprint, why := range refused {
		a.Logger.Warn("Alertmanager refuses an alert", "fingerprint", fingerprint, "answer", why)
	}
	a.refreshed = now
	return 0, false, nil
}

// Tombstone has nothing to do: Alertmanager forgets what is resolved.
func (a *Alertmanager) Tombstone(_ context.Context, ended []alert.Transition) ([]alert.Transition, error) {
	return ended, nil
}

// align makes Alertmanager show of the fingerprints in scope what stands, and no more. It returns those that it refuses.
func (a *Alertmanager) align(ctx context.Context, ended map[string]alert.Transition, scope func(fingerprint string) bool) (refused map[string]string, err error) {
	held, err := a.held(ctx, scope)
	if err != nil {
		return nil, err
	}
	now := a.Clock()
	var alerts []gettable
	shown := map[string]bool{} // fingerprints whose end is told by what is there
	for _, h := range held {
		fingerprint := h.Labels[labelPrint]
		t, open := a.standing[fingerprint]
		if open && maps.Equal(a.labels(t), h.Labels) {
			continue
		}
		if t, over := ended[fingerprint]; over && h.Labels[labelEpisode] == strconv.Itoa(t.Episode) {
			h.Annotations, shown[fingerprint] = a.annotations(t), true
		}
		h.EndsAt = churn.Later(now, h.StartsAt)
		alerts = append(alerts, h)
	}
	// Also the end of an alert that is not there: one that was restarted still knows whom it has notified.
	for _, fingerprint := range slices.Sorted(maps.Keys(ended)) {
		if !shown[fingerprint] {
			alerts = append(alerts, a.alert(ended[fingerprint], now, now))
		}
	}
	var open []alert.Transition
	for _, fingerprint := range slices.Sorted(maps.Keys(a.standing)) {
		if scope(fingerprint) {
			open = append(open, a.standing[fingerprint])
			alerts = append(alerts, a.alert(a.standing[fingerprint], now, now.Add(a.Config.HoldFor)))
		}
	}
	// Silences first: a silenced alert sends no resolve, and one that is to be silent sends nothing before it is.
	refused = map[string]string{}
	if err := a.silence(ctx, now, open, scope, refused); err != nil {
		return nil, err
	}
	return refused, a.post(ctx, alerts, refused)
}

// held lists what Alertmanager shows of ours in scope, silenced and inhibited or not.
func (a *Alertmanager) held(ctx context.Context, scope func(fingerprint string) bool) (held []gettable, err error) {
	filter := url.Values{"filter": {fmt.Sprintf("%s=%q", labelSource, a.Config.Source)}}
	err = a.get(ctx, "/api/v2/alerts", filter, eachOf(func(g gettable) {
		if scope(g.Labels[labelPrint]) {
			held = append(held, g)
		}
	}))
	return held, err
}

// post sends alerts, in requests of a size that most proxies take.
func (a *Alertmanager) post(ctx context.Context, alerts []gettable, refused map[string]string) error {
	size, begin := 0, 0
	for i := range alerts {
		written, err := json.Marshal(alerts[i])
		if err != nil {
			return err
		}
		if i > begin && (size+len(written) > alertBytes || i-begin == alertBatch) {
			if err := a.postHalves(ctx, alerts[begin:i], refused); err != nil {
				return err
			}
			size, begin = 0, i
		}
		size += len(written)
	}
	if begin == len(alerts) {
		return nil
	}
	return a.postHalves(ctx, alerts[begin:], refused)
}

// postHalves sends alerts in one request. Where their body is refused, each half is sent alone, down to the alert that is at fault.
func (a *Alertmanager) postHalves(ctx context.Context, alerts []gettable, refused map[string]string) error {
	err := a.send(ctx, http.MethodPost, "/api/v2/alerts", alerts)
	var answer *answerError
	switch {
	case err == nil || !errors.As(err, &answer) || !answer.bodyRefused():
		return err
	case len(alerts) == 1:
		refused[alerts[0].Labels[labelPrint]] = answer.Error()
		return nil
	}
	half := len(alerts) / 2
	if err := a.postHalves(ctx, alerts[:half], refused); err != nil {
		return err
	}
	return a.postHalves(ctx, alerts[half:], refused)
}

func (a *Alertmanager) alert(t alert.Transition, now, end time.Time) gettable {
	starts := t.StartsAt
	if starts.After(now) { // by a clock that is ahead, or simulated
		starts = now
	}
	g := gettable{Labels: a.labels(t), Annotations: a.annotations(t), StartsAt: starts, EndsAt: end}
	if a.Link != "" {
		g.GeneratorURL = linkTo(a.Link, t)
	}
	return g
}

func linkTo(link string, t alert.Transition) string {
	return strings.NewReplacer("{fingerprint}", url.QueryEscape(t.Fingerprint), "{account}", url.QueryEscape(t.AccountID)).Replace(link)
}

// bodyOf is what was published of a transition. We wrote it; where it cannot be read, the destination goes without.
func bodyOf(t alert.Transition) alert.Alert {
	body, _ := alert.Decode(t.Value)
	return body
}

var noLabel = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// labels say what an alert is: the rule's own, and over them ours.
func (a *Alertmanager) labels(t alert.Transition) map[string]string {
	labels := map[string]string{}
	set := func(name, value string) {
		if value = strings.ToValidUTF8(value, "\uFFFD"); value != "" { // Alertmanager drops empty ones
			labels[name] = text.Fit(value, alert.MaxLabel, "…") // an older build stored longer ones
		}
	}
	if account := bodyOf(t).Account; account != nil {
		set("owner", account.Owner)
		set("team", account.Team)
	}
	for name, value := range t.Labels {
		name = noLabel.ReplaceAllString(name, "_")
		if name != "" && name[0] >= '0' && name[0] <= '9' {
			name = "_" + name
		}
		set(name, value)
	}
	for name, value := range map[string]string{
		"alertname": t.Rule, "severity": t.Severity, "kind": t.Kind, "account": t.AccountID, "contract": t.ContractID,
		labelPrint: t.Fingerprint, labelEpisode: strconv.Itoa(t.Episode), labelSource: a.Config.Source,
	} {
		delete(labels, name)
		set(name, value)
	}
	return labels
}

// annotations say how it stands with an alert; they may change at any time.
func (a *Alertmanager) annotations(t alert.Transition) map[string]string {
	notes := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			notes[name] = text.Fit(strings.ToValidUTF8(value, "\uFFFD"), alert.MaxAnnotation, "…")
		}
	}
	for name, value := range t.Annotations {
		set(name, value)
	}
	body := bodyOf(t)
	if body.Account != nil {
		set("account_name", body.Account.AccountName)
	}
	if body.Brief != nil {
		set("brief", body.Brief.Text)
	}
	if t.ValueAtRisk.Known {
		set("value_at_risk", strings.TrimSpace(t.ValueAtRisk.Amount.Trim(0).String()+" "+t.Currency))
	}
	set("status", string(t.State))
	set("reason", t.Reason)
	if t.By != "" {
		set("by", t.By)
		set("by_because", t.Why)
		set("disposition", string(t.Disposition))
	}
	if t.State == alert.Snoozed {
		set("snoozed_until", t.SnoozedUntil.UTC().Format(time.RFC3339))
	}
	return notes
}

// silence makes our silences those of the acknowledged and snoozed alerts among the open ones.
func (a *Alertmanager) silence(ctx context.Context, now time.Time, open []alert.Transition, scope func(fingerprint string) bool, refused map[string]string) error {
	type episode struct{ fingerprint, episode string }
	ours := map[episode][]silence{}
	filter := url.Values{"filter": {fmt.Sprintf("%s=%q", labelSource, a.Config.Source)}}
	err := a.get(ctx, "/api/v2/silences", filter, eachOf(func(s silence) {
		e := episode{s.matching(labelPrint), s.matching(labelEpisode)}
		if s.CreatedBy == a.author() && s.Status != nil && s.Status.State != "expired" && scope(e.fingerprint) {
			ours[e] = append(ours[e], s)
		}
	}))
	if err != nil {
		return err
	}
	for _, t := range open {
		e := episode{t.Fingerprint, strconv.Itoa(t.Episode)}
		wanted, comment := a.quiet(t, now)
		if wanted.IsZero() {
			continue
		}
		kept := slices.IndexFunc(ours[e], func(s silence) bool { return a.suffices(s, t, now, wanted) })
		if kept >= 0 {
			ours[e] = slices.Delete(ours[e], kept, kept+1)
			continue
		}
		s := silence{StartsAt: now, EndsAt: wanted, CreatedBy: a.author(), Comment: comment, Matchers: []matcher{
			{Name: labelPrint, Value: t.Fingerprint, IsEqual: true}, {Name: labelEpisode, Value: e.episode, IsEqual: true},
			{Name: labelSource, Value: a.Config.Source, IsEqual: true},
		}}
		err := a.send(ctx, http.MethodPost, "/api/v2/silences", s)
		var answer *answerError
		if errors.As(err, &answer) && answer.bodyRefused() { // of one alert, which holds up no other
			refused[t.Fingerprint] = "the silence: " + answer.Error()
		} else if err != nil {
			return err
		}
	}
	for _, left := range ours {
		for _, s := range left {
			err := a.send(ctx, http.MethodDelete, "/api/v2/silence/"+url.PathEscape(s.ID), nil)
			var answer *answerError
			if err != nil && !(errors.As(err, &answer) && answer.status == http.StatusNotFound) {
				return err
			}
		}
	}
	return nil
}

func (a *Alertmanager) author() string { return "aftershock (" + a.Config.Source + ")" }

// quiet says until when people are not to hear of an open alert, and why; zero where they are.
func (a *Alertmanager) quiet(t alert.Transition, now time.Time) (until time.Time, comment string) {
	because := ""
	if t.Why != "" {
		because = ": " + t.Why
	}
	switch {
	case t.State == alert.Snoozed && t.SnoozedUntil.After(now):
		return t.SnoozedUntil, strings.ToValidUTF8("snoozed by "+t.By+because, "\uFFFD")
	case t.State == alert.Acknowledged:
		return now.Add(ackSilence), strings.ToValidUTF8("acknowledged by "+t.By+because, "\uFFFD")
	}
	return time.Time{}, ""
}

// suffices reports whether a silence that is there will do.
func (a *Alertmanager) suffices(s silence, t alert.Transition, now, wanted time.Time) bool {
	if t.State == alert.Acknowledged {
		return s.EndsAt.Sub(now) > ackSilence/2
	}
	return s.EndsAt.Sub(wanted).Abs() < time.Second
}

func (s silence) matching(name string) string {
	for _, m := range s.Matchers {
		if m.Name == name && m.IsEqual && !m.IsRegex {
			return m.Value
		}
	}
	return ""
}

func (a *Alertmanager) get(ctx context.Context, path string, query url.Values, read func(io.Reader) error) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	if err := a.caller.call(ctx, http.MethodGet, strings.TrimRight(a.URL, "/")+path, nil, nil, read); err != nil {
		return fmt.Errorf("asking Alertmanager at %s: %w", a.URL, err)
	}
	return nil
}

func (a *Alertmanager) send(ctx context.Context, method, path string, what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	if err := a.caller.call(ctx, method, strings.TrimRight(a.URL, "/")+path, body, nil, nil); err != nil {
		return fmt.Errorf("telling Alertmanager at %s: %w", a.URL, err)
	}
	return nil
}
