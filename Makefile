# Bellhop. `make` shows what there is.

GO       ?= go
PKG      ?= ./...
TESTFLAGS ?=
FUZZTIME ?= 30s
KILLS    ?= 100
SEEDS    ?= 1000
SEED     ?= 1
BENCH    ?= .
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Two packages at a time: several of them start a database server of their own. Those that
# run the real processes go one after the other: each wants the machine for itself.
PARALLEL := -p 2

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## the demo: server, fake vendors, conversations; needs Go and nothing else
	$(GO) run ./cmd/bellhop demo

.PHONY: build
build: ## bin/bellhop as it is released
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/bellhop ./cmd/bellhop

.PHONY: deps
deps: ## install PostgreSQL, PgBouncer, Chromium and Deno where they are missing
	@scripts/install-test-deps.sh

.PHONY: test
test: deps ## every test, on SQLite and on PostgreSQL
	$(GO) test $(PARALLEL) $(TESTFLAGS) $(shell $(GO) list $(PKG) | grep -v /e2e)
	$(GO) test -p 1 $(TESTFLAGS) $(shell $(GO) list $(PKG) | grep /e2e)

.PHONY: check
check: ## everything that CI runs
	.ci/run

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

.PHONY: race
race: ## the packages that run things at the same time, under the race detector
	@scripts/install-test-deps.sh postgres pgbouncer cc
	CGO_ENABLED=1 $(GO) test $(PARALLEL) -race $(TESTFLAGS) ./internal/engine/... ./internal/intake/... ./internal/store/... ./internal/api/...

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (30s)
	FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

.PHONY: crash
crash: ## kill the real process KILLS (100) times under load, on each store
	@scripts/install-test-deps.sh postgres
	BELLHOP_CRASH_KILLS=$(KILLS) $(GO) test -count=1 -timeout 2h -v -run Crash ./e2e/...

.PHONY: chaos
chaos: ## break everything at once, SEEDS (1000) times over from seed SEED (1)
	@scripts/install-test-deps.sh postgres
	BELLHOP_CHAOS_SEEDS=$(SEEDS) BELLHOP_CHAOS_SEED=$(SEED) $(GO) test -count=1 -timeout 6h -v -run Chaos ./e2e/chaos

.PHONY: bench
bench: ## Bellhop beside hand-written floors, on each store; ARGS='-full' or '-work W1 -rounds 3'
	@scripts/install-test-deps.sh postgres
	$(GO) run ./bench -json bench.json $(ARGS)

.PHONY: microbench
microbench: ## benchmarks of single parts; BENCH=regexp picks
	@scripts/install-test-deps.sh postgres
	$(GO) test $(PARALLEL) -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin coverage.out bench.json
