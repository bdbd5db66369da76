package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/aftershock/aftershock/churn/alert"
)

// OwnerLabel names the person or team that an alert is for.
const OwnerLabel = "owner"

// Notifies reports whether people would be told of a transition: not of an episode that never fired, nor of what happens
// between the telling of a firing and of its end.
func Notifies(t alert.Transition) bool {
	switch t.Reason {
	case alert.ReasonHolding, alert.ReasonReturned, alert.ReasonLeft, alert.ReasonJudged:
		return false
	}
	return t.State.Published() && !t.StartsAt.IsZero()
}

// published reports whether a transition leaves the house.
func published(t alert.Transition) bool { return Notifies(t) && t.Suppressed == "" }

// notify decides which changes of a tick people are told of, and of what they were not told before.
func (l lifecycle) notify(before prior, changes []alert.Transition, held map[string]bool) []alert.Transition {
	changed := make(prior, len(changes))
	for _, t := range changes {
		changed[t.Fingerprint] = t
	}
	var waiting []*alert.Transition // to be told for the first time in their episode
	for i := range changes {
		t := &changes[i]
		was := before[t.Fingerprint]
		switch {
		case !Notifies(*t):
			if t.Episode == was.Episode {
				t.Suppressed = stillOwed(was)
			}
		case l.unattended:
			t.Suppressed = alert.SuppressedCatchUp
		case t.State == alert.Resolved && t.Notified.Episode != t.Episode && was.Suppressed == alert.SuppressedMaximum:
			t.Suppressed = alert.SuppressedMaximum // its owner need not hear of the end alone
		case t.State == alert.Resolved || t.Notified.Episode == t.Episode:
			l.notified(t)
		default:
			waiting = append(waiting, t)
		}
	}
	if l.unattended {
		return changes
	}
	var late []alert.Transition
	for _, fingerprint := range before.those(func(was alert.Transition) bool {
		return owed(was) && !changed.has(was.Fingerprint) && !held[was.Fingerprint]
	}) {
		t := next(before[fingerprint])
		t.Reason = alert.ReasonNotifiedLater
		late = append(late, l.made(t))
	}
	for i := range late {
		if late[i].State == alert.Resolved {
			l.notified(&late[i])
		} else {
			waiting = append(waiting, &late[i])
		}
	}
	l.ration(before, changed, waiting)
	// Who was not told before and is not told now stays as it was: that is no change.
	late = slices.DeleteFunc(late, func(t alert.Transition) bool { return t.Suppressed == alert.SuppressedMaximum })
	return append(changes, late...)
}

// stillOwed is why people were not told of a transition, where that outlasts one of the same episode of which nobody is told.
func stillOwed(was alert.Transition) alert.Suppressed {
	if was.Suppressed == alert.SuppressedHoldout {
		return ""
	}
	return was.Suppressed
}

// owed reports whether people are to be told of an alert that did not change.
func owed(was alert.Transition) bool {
	if was.StartsAt.IsZero() || was.Arm == alert.Holdout || !was.HeldSince.IsZero() {
		return false
	}
	switch was.State {
	case alert.Firing, alert.Reminder:
		return was.Notified.Episode != was.Episode
	case alert.Resolved: // in a catch-up: the end, or beginning and end at once
		return was.Suppressed == alert.SuppressedCatchUp && (was.Notified.Episode != was.Episode || was.Notified.State != alert.Resolved)
	}
	return false
}

// notified notes that people are told of a transition. In the holdout arm they are not, and it is noted all the same: both arms
// are to differ in nothing else.
func (l lifecycle) notified(t *alert.Transition) {
	if t.Arm == alert.Holdout {
		t.Suppressed = alert.SuppressedHoldout
	}
	if t.Notified.Episode != t.Episode {
		if !Week(t.Notified.First, l.zone).Equal(Week(l.at, l.zone)) {
			t.Notified.ThisWeek = 0
		}
		t.Notified.Episode, t.Notified.First = t.Episode, l.at
		t.Notified.ThisWeek++
	}
	t.Notified.State, t.Notified.Last = t.State, l.at
}

// ration tells each owner of the alerts with most value at risk, up to the maximum of the week.
func (l lifecycle) ration(before, changed prior, waiting []*alert.Transition) {
	room := map[string]int{}
	count := func(t alert.Transition) {
		if t.Arm != alert.Holdout && t.Notified.ThisWeek > 0 && Week(t.Notified.First, l.zone).Equal(Week(l.at, l.zone)) {
			room[t.Labels[OwnerLabel]] -= t.Notified.ThisWeek
		}
	}
	if l.maximum > 0 {
		for fingerprint, was := range before {
			if !changed.has(fingerprint) {
				count(was)
			}
		}
		for _, t := range changed {
			count(t)
		}
	}
	slices.SortStableFunc(waiting, func(a, b *alert.Transition) int {
		return cmp.Or(-compareValue(a, b), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	for _, t := range waiting {
		owner := t.Labels[OwnerLabel]
		if l.maximum > 0 && t.Arm != alert.Holdout {
			if room[owner]+l.maximum <= 0 {
				t.Suppressed = alert.SuppressedMaximum
				continue
			}
			room[owner]--
		}
		l.notified(t)
	}
}

// compareValue orders by value at risk; an unknown value comes below every known one.
func compareValue(a, b *alert.Transition) int {
	switch {
	case a.ValueAtRisk.Known && b.ValueAtRisk.Known:
		return a.ValueAtRisk.Amount.Cmp(b.ValueAtRisk.Amount)
	case a.ValueAtRisk.Known:
		return 1
	case b.ValueAtRisk.Known:
		return -1
	}
	return 0
}

// Week is the Monday that begins the week of an instant, in a zone; nil is UTC.
func Week(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		zone = time.UTC
	}
	local := t.In(zone)
	return time.Date(local.Year(), local.Month(), local.Day()-(int(local.Weekday())+6)%7, 0, 0, 0, 0, zone)
}
