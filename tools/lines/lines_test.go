package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCount(t *testing.T) {
	got, err := count("testdata/small", 5)
	if err != nil {
		t.Fatal(err)
	}
	want := Count{
		Code: 17, All: 30, Functions: 3, Over: 5,
		Folders: []Folder{{".", 2, 3}, {"store", 15, 27}},
		Longest: []Function{{"store/store.go", 16, "Store.Put", 8}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheLongestIsListedAnyhow(t *testing.T) {
	got, err := count("testdata/small", 70)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Longest) != 1 || got.Longest[0].String() != "store/store.go:16: Store.Put" {
		t.Errorf("the longest are %v", got.Longest)
	}
	if got, err = count("testdata/small", 2); err != nil || len(got.Longest) != 2 || got.Longest[1].Lines != 3 {
		t.Errorf("of more than 2 lines are %v, %v: a literal outside functions is one", got.Longest, err)
	}
}

func TestNoModule(t *testing.T) {
	if _, err := count("testdata", 70); err == nil {
		t.Error("a folder that is no module was counted")
	}
}

func TestCodeThatDoesNotParse(t *testing.T) {
	if err := (&Count{}).add("x.go", []byte("package x\nfunc {")); err == nil {
		t.Error("no error")
	}
}

func TestLeftOut(t *testing.T) {
	for folder, out := range map[string]bool{
		".": false, "churn": false, "embedded": false, "embedded/child": false, "store/tools": false,
		"tools": true, "bench": true, "embedded/testservers": true, "churn/testdata": true, "embedded/engine/node_modules": true, ".git": true,
	} {
		if leftOut(folder) != out {
			t.Errorf("%s is left out: %v", folder, !out)
		}
	}
}
