# Everything that this project asks of a person or of a build machine. Start with: make help
#
# Standard output belongs to the programs: what building and fetching have to say goes to standard error, so that
# `make demo FLAGS='--once --json' | tail -1` is JSON.

SHELL      := /bin/bash
.SHELLFLAGS := -o pipefail -c
MAKEFLAGS  += --no-print-directory
.DEFAULT_GOAL := help

FLAGS    ?=
SUBJECT  ?=
PKG      ?= $(SLOW) ./...
FUZZTIME ?= 10s
ENGINE   := embedded/engine
STAMP    := $(ENGINE)/node_modules/.fetched

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build bin/aftershock
	@go build -trimpath -o bin/aftershock ./cmd/aftershock >&2

.PHONY: engine
engine: $(STAMP) ## Fetch the embedded ClickHouse (npm), once for each version
	@:

# npm leaves out an optional package that it cannot fetch and calls that a success: hence the look for the library.
$(STAMP): $(ENGINE)/package.json $(ENGINE)/package-lock.json
	@command -v npm >/dev/null || { echo "make engine: npm is missing: install Node.js with npm, or set AFTERSHOCK_ENGINE to the path of libchdb.so" >&2; exit 1; }
	@echo "fetching the embedded ClickHouse" >&2
	@npm ci --prefix $(ENGINE) --no-audit --no-fund --no-update-notifier --loglevel=error >&2
	@ls $(ENGINE)/node_modules/@chdb/lib-*/libchdb.so >/dev/null 2>&1 || { echo "make engine: npm fetched no library for this machine: try again, and see 'npm ci --prefix $(ENGINE) --loglevel=verbose'" >&2; exit 1; }
	@touch $@

.PHONY: demo
demo: build engine ## Run everything on embedded servers with simulated clients: FLAGS='--once --json'
	@bin/aftershock demo $(FLAGS)

# The packages whose tests take longest, so that they begin first.
SLOW := ./cmd/aftershock ./tools/chaos ./warehouse

# Servers of tests keep their files in memory where there is enough of it: on a disk, files are a third of the work. Tests start programs
# that they build there, so it must not be mounted noexec.
MEMORY := $(shell grep -qs ' /dev/shm .*noexec' /proc/mounts || df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 6000000 { print "/dev/shm" }')

# Tests that need a server or a tool that is not here are left out, and the last lines say which; where CI=true, leaving
# out is a failure, but for the tests over data sets that cannot be part of this repository.
.PHONY: test
test: engine-if-possible check ## Check formatting, vet, go.mod, run all tests: PKG=./rules TESTFLAGS='-run Lifecycle'
	@TMPDIR=$${TMPDIR:-$(MEMORY)} go test -json -vet=off -p 2 -timeout 15m $(TESTFLAGS) $(PKG) | go run ./tools/testsummary -may-skip AFTERSHOCK_TESTDATA

.PHONY: engine-if-possible
engine-if-possible:
	@if command -v npm >/dev/null; then $(MAKE) engine; else echo "npm is missing: tests that need ClickHouse are left out unless AFTERSHOCK_ENGINE is set" >&2; fi

.PHONY: check
check: ## Check formatting, go vet, and that go.mod is tidy
	@unformatted=$$(gofmt -l .) && \
		{ [ -z "$$unformatted" ] || { printf 'not formatted; try gofmt -w on:\n%s\n' "$$unformatted" >&2; exit 1; }; }
	@go vet ./...
	@go mod tidy -diff || { echo 'go.mod or go.sum is not tidy; try go mod tidy' >&2; exit 1; }

.PHONY: lint
lint: ## Run golangci-lint, with .golangci.yaml
	@command -v golangci-lint >/dev/null || { echo "make lint: golangci-lint is missing: see https://golangci-lint.run/docs/welcome/install/" >&2; exit 1; }
	@golangci-lint run ./...

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities that the program can reach: GOVULNDB=file:///path for a copy of the database
	@tools/vulncheck/run.sh ./cmd/...

.PHONY: licences
licences: ## Write docs/licences.md; fails where a licence may not be used
	@list=$$(go run ./tools/licences ./cmd/aftershock) && printf '%s\n' "$$list" > docs/licences.md

.PHONY: licences-check
licences-check: ## Check that docs/licences.md is up to date and that every licence may be used
	@go run ./tools/licences -check docs/licences.md ./cmd/aftershock

.PHONY: fuzz
fuzz: ## Fuzz every target for a short while: FUZZTIME=10s
	@set -e; for file in $$(grep -rlE '^func Fuzz' --include='*_test.go' .); do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/p' "$$file"); do \
			echo "$$(dirname "$$file") $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "./$$(dirname "$$file")"; \
		done; \
	done

.PHONY: bench
bench: engine ## Measure the pipeline on this machine; prints machine and versions
	@go run ./tools/bench $(FLAGS)

.PHONY: chaos
chaos: engine ## Kill, pause, cut and slow everything, then compare with the truth: FLAGS='-records 1000000 -faults 200 -for 35m'
	@go run ./tools/chaos $(FLAGS)

.PHONY: prove
prove: $(if $(SUBJECT),engine-if-possible) ## List what can be shown again, or show it beside its bar: SUBJECT=road FLAGS=-json
	@go run ./tools/prove $(FLAGS) $(SUBJECT)

.PHONY: docs
docs: build engine ## Write the docs that are generated from the code
	@bin/aftershock config reference | tools/insert docs/config.md
	@go test ./deploy -run '^TestExampleHasEveryKey$$' -update >&2
	@go test ./warehouse -run '^TestDocs$$' -update >&2

.PHONY: compose-check
compose-check: ## Check docker-compose.yml and the example configuration against the code
	@go test ./deploy

.PHONY: clean
clean: ## Remove what was built; keeps the embedded ClickHouse
	@rm -rf bin
