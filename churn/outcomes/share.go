package outcomes

import (
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// level of every interval.
const level = 0.95

// Share is how many of some cases are such, with the exact interval of Clopper and Pearson. Share, Low and High are null
// where there are fewer than 10 cases.
type Share struct {
	Hits  int      `json:"hits"`
	Of    int      `json:"of"`
	Share *float64 `json:"share"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
}

func newShare(hits, of int) Share {
	s := Share{Hits: hits, Of: of}
	if of < minimum {
		return s
	}
	k, n := float64(hits), float64(of)
	share, low, high := k/n, 0.0, 1.0
	if hits > 0 {
		low = distuv.Beta{Alpha: k, Beta: n - k + 1}.Quantile((1 - level) / 2)
	}
	if hits < of {
		high = distuv.Beta{Alpha: k + 1, Beta: n - k}.Quantile((1 + level) / 2)
	}
	s.Share, s.Low, s.High = &share, &low, &high
	return s
}

// Median is the middle of some numbers, with the interval that their order gives: of n numbers, so many lie below the middle of
// what they are drawn from as heads fall in n throws. Median, Low and High are null where there are fewer than 10.
type Median struct {
	Of     int      `json:"of"`
	Median *float64 `json:"median"`
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
}

func newMedian(x []float64) Median {
	m := Median{Of: len(x)}
	if len(x) < minimum {
		return m
	}
	x = slices.Sorted(slices.Values(x))
	middle := (x[(len(x)-1)/2] + x[len(x)/2]) / 2
	throws, k := distuv.Binomial{N: float64(len(x)), P: 0.5}, 0
	for 2*throws.CDF(float64(k)) <= 1-level {
		k++
	}
	m.Median, m.Low, m.High = &middle, &x[k-1], &x[len(x)-k]
	return m
}
