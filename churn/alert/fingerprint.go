package alert

import (
	"sort"
	"strconv"

	"github.com/aftershock/aftershock/churn"
)

// Fingerprint is what makes two alerts the same alert: the rule's name and its identity columns.
func Fingerprint(rule string, identity map[string]string) string {
	names := make([]string, 0, len(identity))
	for name := range identity {
		names = append(names, name)
	}
	sort.Strings(names)
	parts := []string{rule}
	for _, name := range names {
		parts = append(parts, name, identity[name])
	}
	return churn.Hash(parts...)
}

// TransitionID names one change of one alert's state, the same on every machine and at every repeat.
func TransitionID(fingerprint string, episode, sequence int) string {
	return churn.Hash(fingerprint, strconv.Itoa(episode), strconv.Itoa(sequence))
}
