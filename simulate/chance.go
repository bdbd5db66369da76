package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// Streams of chance. Each fact and each purpose has its own, so that one may change without moving the others.
const (
	streamAccount = iota + 1
	streamTerm
	streamAttempts
	streamTickets
	streamNegotiation
	streamText
	streamTravel
	streamComments
)

// stream returns the chance for one purpose of one thing.
func stream(seed uint64, purpose int, ids ...int) *rand.Rand {
	h := mix(uint64(purpose))
	for _, id := range ids {
		h = mix(h ^ uint64(id))
	}
	return rand.New(rand.NewPCG(mix(seed^h), h))
}

// mix spreads neighbouring numbers apart (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func happens(r *rand.Rand, share float64) bool { return r.Float64() < share }

func between(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// weighted draws an index with the given weights.
func weighted(r *rand.Rand, weights ...float64) int {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	at := r.Float64() * sum
	for i, w := range weights {
		if at -= w; at < 0 {
			return i
		}
	}
	return len(weights) - 1
}

const (
	day  = 24 * time.Hour
	year = 365.25 * 24 * time.Hour
)

// days draws a span of so many days, to the millisecond.
func days(r *rand.Rand, low, high float64) time.Duration {
	return inDays(between(r, low, high))
}

func inDays(d float64) time.Duration {
	return time.Duration(d * float64(day)).Truncate(time.Millisecond)
}

// exponential draws the wait for something with a constant rate a year. With rate 0 it never comes.
func exponential(r *rand.Rand, perYear float64) time.Duration {
	return wait(r.ExpFloat64(), perYear)
}

// wait turns a standard exponential draw into the time after which a constant rate a year has added up to it.
func wait(draw, perYear float64) time.Duration {
	const never = 200 * year
	if perYear <= 0 || draw/perYear >= never.Hours()/year.Hours() {
		return never
	}
	return time.Duration(draw / perYear * float64(year)).Truncate(time.Millisecond)
}

// normalShare is the share of a standard normal distribution below z.
func normalShare(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }
