package warehouse

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
)

func TestTheOutboxTellsWhatIsStillToBeProven(t *testing.T) {
	w := open(t)
	id := func(name string) string { return alert.Fingerprint(name, nil) }
	resolved := func(t alert.Transition) alert.Transition {
		t.State, t.ResolvedAt = alert.Resolved, now()
		return t
	}
	handoff, quiet := firing(id("h"), 1, 1, alert.Firing), firing(id("q"), 1, 1, alert.Pending)
	handoff.Topic, quiet.Topic = "churn.handoffs", ""
	never := resolved(firing(id("a"), 2, 1, alert.Resolved)) // an episode that never fired
	never.Topic = ""
	entries := []alert.Entry{
		entry("g", 1, "me", firing(id("a"), 1, 1, alert.Firing), handoff, quiet),
		entry("g", 2, "me", resolved(firing(id("a"), 1, 2, alert.Resolved)), firing(id("b"), 1, 1, alert.Firing)),
		entry("g", 3, "me", never),
		entry("other", 1, "me", firing(id("c"), 1, 1, alert.Firing)),
	}
	for _, e := range entries {
		if won, err := w.Append(t.Context(), e); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	if topics, err := w.Topics(t.Context()); err != nil || !slices.Equal(topics, []string{"churn.alerts", "churn.handoffs"}) {
		t.Error(topics, err)
	}
	names := map[string]string{id("a"): "a", id("b"): "b", id("c"): "c", id("h"): "h"}
	collect := func(into *[]string) func(string, int64, alert.Transition) error {
		return func(group string, n int64, x alert.Transition) error {
			if x.ID != alert.TransitionID(x.Fingerprint, x.Episode, x.Sequence) || x.Key != x.Fingerprint {
				t.Errorf("%+v", x)
			}
			*into = append(*into, fmt.Sprintf("%s/%d %s %s-%d-%d", group, n, x.Topic, names[x.Fingerprint], x.Episode, x.Sequence))
			slices.Sort(*into)
			return nil
		}
	}
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %q\nwant %q", what, got, want)
		}
	}
	var latest, unnoted, rest []string
	if err := w.Latest(t.Context(), collect(&latest)); err != nil {
		t.Fatal(err)
	}
	expect("latest", latest, "g/1 churn.handoffs h-1-1", "g/2 churn.alerts a-1-2", "g/2 churn.alerts b-1-1", "other/1 churn.alerts c-1-1")
	if err := w.Delivered(t.Context(), "kafka", now(), accepted(append(entries[0].Transitions[:2:2], entries[3].Transitions...)...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Unnoted(t.Context(), "kafka", collect(&unnoted)); err != nil {
		t.Fatal(err)
	}
	expect("unnoted", unnoted, "g/2 churn.alerts a-1-2", "g/2 churn.alerts b-1-1")
	if err := w.Unnoted(t.Context(), "elsewhere", collect(&rest)); err != nil || len(rest) != 5 {
		t.Errorf("of another destination nothing is noted: %q, %v", rest, err)
	}

	var noted []string
	note := func(x alert.Transition) error {
		noted = append(noted, fmt.Sprintf("%s-%d-%d", names[x.Fingerprint], x.Episode, x.Sequence))
		slices.Sort(noted)
		return nil
	}
	if err := w.Noted(t.Context(), "kafka", note); err != nil {
		t.Fatal(err)
	}
	expect("noted", noted, "a-1-1", "c-1-1", "h-1-1")

	ended := func(before time.Time, after string) (all []string) {
		t.Helper()
		page, err := w.Ended(t.Context(), "tombstones", before, after, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page {
			all = append(all, fmt.Sprintf("%s %s-%d-%d", x.Topic, names[x.Fingerprint], x.Episode, x.Sequence))
		}
		return all
	}
	expect("ended: what was told last, though an episode that nobody heard of came after", ended(now().Add(time.Hour), ""), "churn.alerts a-1-2")
	expect("ended before the last tick of it", ended(entries[2].At, ""))
	expect("ended, after it", ended(now().Add(time.Hour), id("a")))
	if err := w.Delivered(t.Context(), "tombstones", now(), accepted(entries[1].Transitions[:1]...)); err != nil {
		t.Fatal(err)
	}
	expect("ended, its tombstone noted", ended(now().Add(time.Hour), ""))
}

// A page of the log is bounded by its transitions, but for an entry that is larger alone.
func TestAPageOfTheLogIsBounded(t *testing.T) {
	w := open(t)
	for n, size := range []int{3, 1, 1, 7, 1} {
		var transitions []alert.Transition
		for i := range size {
			transitions = append(transitions, firing(fmt.Sprintf("f%d-%d", n, i), 1, 1, alert.Firing))
		}
		if won, err := w.Append(t.Context(), entry("g", int64(n+1), "me", transitions...)); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	var pages []string
	for after := int64(0); ; {
		page, err := w.Published(t.Context(), map[string]int64{"g": after}, 4)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		all := ""
		for _, e := range page {
			all += fmt.Sprintf("%d:%d ", e.N, len(e.Transitions))
			after = e.N
		}
		pages = append(pages, all)
	}
	if want := []string{"1:3 2:1 ", "3:1 4:7 ", "5:1 "}; !slices.Equal(pages, want) {
		t.Errorf("%q, want %q", pages, want)
	}
}

func accepted(transitions ...alert.Transition) (deliveries []alert.Delivery) {
	for _, t := range transitions {
		deliveries = append(deliveries, alert.Delivery{Transition: t, Outcome: alert.DeliveryAccepted})
	}
	return deliveries
}

// A destination that is new is not told what was published before it was there, and begins once.
func TestADestinationBegins(t *testing.T) {
	w := open(t)
	if won, err := w.Append(t.Context(), entry("g", 1, "me", firing("a", 1, 1, alert.Firing))); err != nil || !won {
		t.Fatal(won, err)
	}
	unnoted := func(destination string) (n int) {
		t.Helper()
		if err := w.Unnoted(t.Context(), destination, func(string, int64, alert.Transition) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		destination string
		at, want    time.Time
		unnoted     int
	}{
		{"born before the entry", now(), now(), 1},
		{"born after it", now().Add(time.Millisecond), now().Add(time.Millisecond), 0},
		{"born after it", now().Add(time.Hour), now().Add(time.Millisecond), 0},
	} {
		if since, err := w.Begin(t.Context(), c.destination, c.at); err != nil || !since.Equal(c.want) {
			t.Errorf("%s: it begins at %v, %v", c.destination, since, err)
		}
		if n := unnoted(c.destination); n != c.unnoted {
			t.Errorf("%s: %d transitions are to be delivered, want %d", c.destination, n, c.unnoted)
		}
	}
	if err := w.Noted(t.Context(), "born before the entry", func(x alert.Transition) error {
		t.Errorf("the marker is taken for a delivery: %+v", x)
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// What stands is what people were last told of each alert, where that is not its end.
func TestStandingIsWhatPeopleWereTold(t *testing.T) {
	w := open(t)
	untold := func(x alert.Transition) alert.Transition {
		x.Topic = ""
		return x
	}
	for n, transitions := range [][]alert.Transition{
		{firing("open", 1, 1, alert.Firing), firing("over", 1, 1, alert.Firing), untold(firing("holdout", 1, 1, alert.Firing)), firing("acked", 1, 1, alert.Firing)},
		{firing("over", 1, 2, alert.Resolved), firing("acked", 1, 2, alert.Acknowledged), untold(firing("open", 1, 2, alert.Firing))},
	} {
		if won, err := w.Append(t.Context(), entry("g", int64(n+1), "me", transitions...)); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	standing, err := w.Standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range standing {
		got = append(got, fmt.Sprintf("%s-%d-%d %s", x.Fingerprint, x.Episode, x.Sequence, x.State))
	}
	if want := []string{"acked-1-2 acknowledged", "open-1-1 firing"}; !slices.Equal(got, want) {
		t.Errorf("%q stand, want %q", got, want)
	}
}

// A week's digest is made of what stood open at its end or ended within it, without the holdout and without what came later.
func TestAWeekIsWhatStoodOrEnded(t *testing.T) {
	w := open(t)
	about := func(x alert.Transition) alert.Transition {
		x.Identity = map[string]string{"account_id": "A"}
		if x.State == alert.Resolved {
			x.ResolvedAt = now()
		}
		return x
	}
	held := about(firing("holdout", 1, 1, alert.Firing))
	held.Arm = alert.Holdout
	ofRule := firing("rule", 1, 1, alert.NoData)
	ofRule.Identity = nil
	first := entry("g", 1, "me", about(firing("open", 1, 1, alert.Firing)), about(firing("over", 1, 1, alert.Resolved)), about(firing("waits", 1, 1, alert.Pending)), held, ofRule)
	second := entry("g", 2, "me", about(firing("open", 1, 2, alert.Resolved)), about(firing("later", 1, 1, alert.Firing)))
	first.At, second.At = now(), now().Add(48*time.Hour)
	for _, e := range []alert.Entry{first, second} {
		if won, err := w.Append(t.Context(), e); err != nil || !won {
			t.Fatal(won, err)
		}
	}
	for _, c := range []struct {
		from, to time.Time
		want     []string
	}{
		{now().Add(-time.Hour), now().Add(time.Hour), []string{"open-1 firing", "over-1 resolved"}},
		{now().Add(time.Hour), now().Add(2 * time.Hour), []string{"open-1 firing"}},
		{now().Add(-time.Hour), now(), nil},
		{now().Add(-time.Hour), now().Add(72 * time.Hour), []string{"later-1 firing", "open-2 resolved", "over-1 resolved"}},
	} {
		week, err := w.Week(t.Context(), c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range week {
			got = append(got, fmt.Sprintf("%s-%d %s", x.Fingerprint, x.Sequence, x.State))
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("from %v to %v: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

// What was refused is not tried again until somebody asks for it, and then until there is an answer.
func TestWhatWasRefusedIsTriedAgainOnRequest(t *testing.T) {
	w := open(t)
	var all []alert.Transition
	for i := range 3 {
		x := firing(fmt.Sprint("f", i), 1, 1, alert.Firing)
		all = append(all, x)
	}
	if mine, err := w.Append(t.Context(), entry("g", 1, "me", all...)); err != nil || !mine {
		t.Fatal(mine, err)
	}
	const to = "kafka"
	at := now()
	deliver := func(outcome alert.DeliveryOutcome, transitions ...alert.Transition) {
		t.Helper()
		at = at.Add(time.Second)
		var deliveries []alert.Delivery
		for _, x := range transitions {
			deliveries = append(deliveries, alert.Delivery{Transition: x, Outcome: outcome, Detail: "too large"})
		}
		if err := w.Delivered(t.Context(), to, at, deliveries); err != nil {
			t.Fatal(err)
		}
	}
	state := func() string {
		t.Helper()
		var said []string
		ids := func(what string, read func(do func(alert.Transition) error) error) {
			var found []string
			if err := read(func(x alert.Transition) error {
				found = append(found, x.Fingerprint)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			slices.Sort(found)
			said = append(said, what+" "+strings.Join(found, " "))
		}
		ids("unnoted", func(do func(alert.Transition) error) error {
			return w.Unnoted(t.Context(), to, func(_ string, _ int64, x alert.Transition) error { return do(x) })
		})
		ids("noted", func(do func(alert.Transition) error) error { return w.Noted(t.Context(), to, do) })
		ids("refused", func(do func(alert.Transition) error) error { return w.Refused(t.Context(), to, do) })
		n, err := w.Again(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s; again %d", strings.Join(said, "; "), n)
	}
	is := func(when, want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", when, got, want)
		}
	}
	deliver(alert.DeliveryAccepted, all[0])
	deliver(alert.DeliveryRefused, all[1])
	is("refused", "unnoted f2; noted f0 f1; refused f1; again 0")
	found, err := w.Deliveries(t.Context(), DeliveryFilter{Refused: true})
	if err != nil || len(found) != 1 || found[0].ID != all[1].ID || found[0].Detail != "too large" || found[0].Rule != all[1].Rule || found[0].Superseded {
		t.Fatalf("%+v, %v", found, err)
	}
	if others, err := w.Deliveries(t.Context(), DeliveryFilter{Destination: "webhook chat"}); err != nil || len(others) > 0 {
		t.Errorf("%+v, %v", others, err)
	}
	if err := w.SendAgain(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	is("asked for", "unnoted f1 f2; noted f0; refused ; again 1")
	deliver(alert.DeliveryRefused, all[1])
	is("refused again", "unnoted f2; noted f0 f1; refused f1; again 0")
	if found, err = w.Deliveries(t.Context(), DeliveryFilter{Refused: true, IDs: []string{all[1].ID}}); err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if err := w.SendAgain(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	deliver(alert.DeliveryAccepted, all[1])
	is("accepted", "unnoted f2; noted f0 f1; refused ; again 0")
	if all, err := w.Deliveries(t.Context(), DeliveryFilter{}); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}
