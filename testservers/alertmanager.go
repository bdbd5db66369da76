package testservers

import (
	"context"
	"errors"
	"testing"

	"github.com/aftershock/aftershock/testservers/alertmanager"
)

// Alertmanager starts a real one for this test. The first time on a machine it is built.
func Alertmanager(t testing.TB, options alertmanager.Options) *alertmanager.Alertmanager {
	t.Helper()
	a, err := alertmanager.Start(t.Context(), options)
	switch {
	case errors.Is(err, alertmanager.ErrCannotBuild):
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
