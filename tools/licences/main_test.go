package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const gpl = "This program is free software: you can redistribute it and/or modify it " +
	"under the terms of the GNU General Public License as published by the Free Software Foundation, " +
	"either version 3 of the License, or (at your option) any later version."

func TestRecognise(t *testing.T) {
	ours, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := recognise(ours); err != nil || len(ids) != 1 || ids[0] != "Apache-2.0" {
		t.Errorf("our own licence is %v, %v", ids, err)
	}
	for text, want := range map[string]string{
		"All rights reserved. Ask us.":            "read it",
		"Our rules: every use is to be paid for.": "read it",
		gpl: "GPL",
	} {
		if ids, err := recognise([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, %v; want %s", text, ids, err, want)
		}
	}
}

func TestAModuleWithoutALicence(t *testing.T) {
	dir := t.TempDir()
	m := &module{Dir: dir, packages: []string{filepath.Join(dir, "inner")}}
	if err := os.Mkdir(filepath.Join(dir, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := m.licences(); err == nil || !strings.Contains(err.Error(), "no licence") {
		t.Errorf("it gives %v", err)
	}
	// Code of somebody else inside.
	if err := os.WriteFile(filepath.Join(dir, "inner", "COPYING"), []byte(gpl), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := m.licences(); err == nil || !strings.Contains(err.Error(), "GPL") {
		t.Errorf("it gives %v", err)
	}
}
