// Package store has comments, blank lines and a raw string.
package store

/* This one
takes two lines. */

const query = `
SELECT 1

FROM there -- part of the string
`

type Store[K comparable] struct{} // a comment behind code

// Put is eight lines long; its doc is not.
func (s *Store[K]) Put(key K) {
	later := func() {
		_ = key
	}
	// said on the way

	later()
}

var first = func() int {
	return 1
}
