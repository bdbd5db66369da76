// Package store is called in every way in which one function can be.
package store

import "slices"

// Record is what goes along.
type Record struct{ Key int }

// Records is an iterator, whose loop stays with the caller.
func Records() func(yield func(*Record) bool) {
	return func(yield func(*Record) bool) {
		for key := range 2 {
			if !yield(&Record{key}) {
				return
			}
		}
	}
}

// Each calls back.
func Each(all []Record, do func(*Record)) {
	for i := range all {
		do(&all[i])
	}
}

// Batch holds events of any kind.
type Batch[E any] struct{ all []E }

// Add keeps one.
func (b *Batch[E]) Add(event E) int { b.all = append(b.all, event); return len(b.all) }

// Sorted calls the library, which calls back.
func Sorted(all []Record) []Record {
	slices.SortFunc(all, func(a, b Record) int { return a.Key - b.Key })
	return all
}
