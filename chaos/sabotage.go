package main

import (
	"context"
	"errors"
	"os"
)

type sabotage struct {
	name  string
	edits []edit
}

var sabotages []sabotage

func (o options) runSabotages(ctx context.Context, out *os.File) error { return errors.New("not yet") }
