package testservers

import (
	"context"
	"errors"
	"testing"

	"github.com/aftershock/aftershock/embedded/realalertmanager"
)

// Alertmanager starts a real one for this test. The first time on a machine it is built.
func Alertmanager(t testing.TB, options realalertmanager.Options) *realalertmanager.Alertmanager {
	t.Helper()
	a, err := realalertmanager.Start(t.Context(), options)
	switch {
	case errors.Is(err, realalertmanager.ErrCannotBuild):
		missing(t, err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), bound)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return a
}
