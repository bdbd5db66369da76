package dial_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/aftershock/aftershock/dial"
)

var errAway = errors.New("it is away")

// Whatever the bounds, a pause lies between half and the whole of what doubling gives, and never above the longest.
func TestPausesDoubleWithinTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "first"))
		longest := time.Duration(rapid.Int64Range(int64(first), int64(time.Hour)).Draw(t, "longest"))
		pause := dial.Pause{First: first, Longest: longest}
		for range 2 {
			whole := first
			for range 20 {
				if atLongest := pause.AtLongest(); atLongest != (whole == longest) {
					t.Fatalf("at the longest: %v, with a pause of %s out of %s to %s", atLongest, whole, first, longest)
				}
				if got := pause.Next(); got < whole/2 || got > whole {
					t.Fatalf("a pause of %s, where %s to %s was due", got, whole/2, whole)
				}
				whole = min(2*whole, longest)
			}
			pause.Reset()
		}
	})
}

func TestAPauseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		pause := dial.Pause{First: time.Minute, Longest: time.Hour}
		if err := pause.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 30*time.Second || took > time.Minute {
			t.Errorf("the first pause took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := pause.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestRetryGoesOnUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var attempts []int
		var longest []bool
		var pauses time.Duration
		n := 0
		err := dial.Retry(t.Context(), dial.Pause{First: time.Second, Longest: 4 * time.Second}, func() error {
			if n++; n < 6 {
				return errAway
			}
			return nil
		}, func(f dial.Failure) bool {
			attempts, longest, pauses = append(attempts, f.Attempt), append(longest, f.AtLongest), pauses+f.Wait
			return errors.Is(f.Err, errAway)
		})
		if err != nil || !slices.Equal(attempts, []int{1, 2, 3, 4, 5}) || !slices.Equal(longest, []bool{false, false, true, true, true}) {
			t.Errorf("%v after the failures %v, at the longest %v", err, attempts, longest)
		}
		if took := time.Since(began); took != pauses || took < 7*time.Second || took > 15*time.Second {
			t.Errorf("it took %s with pauses of %s", took, pauses)
		}
	})
}

func TestRetryEndsWhereAnErrorIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		final := errors.New("the rows are at fault")
		n := 0
		err := dial.Retry(t.Context(), dial.Pause{First: time.Second, Longest: time.Second}, func() error {
			if n++; n == 3 {
				return final
			}
			return errAway
		}, func(f dial.Failure) bool { return f.Err != final })
		if err != final || n != 3 {
			t.Errorf("%v after %d attempts", err, n)
		}
	})
}

// The attempt under way when the context ends is the last one, and may still succeed.
func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		err := dial.Retry(ctx, dial.Pause{First: time.Minute, Longest: time.Minute}, func() error {
			n++
			cancel()
			return errAway
		}, func(dial.Failure) bool { t.Error("it asks whether to go on"); return true })
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errAway) || n != 1 {
			t.Errorf("%v after %d attempts", err, n)
		}
		if err := dial.Retry(ctx, dial.Pause{}, func() error { return nil }, nil); err != nil {
			t.Errorf("a success at the end gives %v", err)
		}

		pausing, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		began := time.Now()
		err = dial.Retry(pausing, dial.Pause{First: time.Hour, Longest: time.Hour}, func() error { return errAway }, func(dial.Failure) bool { return true })
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errAway) || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
