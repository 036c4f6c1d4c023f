# `make test` is what a change must pass, on a machine with Go, git and the base system; it installs the rest. `make help` lists the targets.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# How long each fuzz target runs in `make fuzz`, and so in `make test`.
FUZZTIME ?= 20s
MODULES  := . test

.PHONY: help build test deps vet lint race modules fuzz generate bench bench-short soak microbench clean

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## Build bin/jotgate.
	CGO_ENABLED=0 go build -trimpath -o bin/jotgate ./cmd/jotgate

test: deps vet lint race modules bench-short fuzz ## Everything that a change must pass.
	@echo "all checks passed"

deps: ## Install what the tests need: nginx, HAProxy, Node.js, redis-server, npm packages for the foreign identity provider.
	@scripts/test-deps

vet: ## go vet and gofmt over all modules.
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@for m in $(MODULES) bench; do (cd $$m && go vet ./...) || exit 1; done

lint: ## golangci-lint, at the version that tools/go.mod pins.
	go tool -modfile=tools/go.mod golangci-lint run ./...

race: export GORACE = atexit_sleep_ms=0
race: ## The tests of the main module, with the race detector.
	go test -race -timeout 8m ./...

modules: ## The tests with heavy dependencies: public vectors, differential oracles, the foreign identity provider, attacks on the binary, what back ends read, h2spec.
	cd test && go test -count=1 -timeout 8m ./... # anew each time: go does not see that they depend on the program
	cd jose/internal/rsaverify/asm && go test ./... # the assembly is what its generator writes
	cd jose/internal/p256verify/asm && go test ./...

fuzz: ## Run every fuzz target for FUZZTIME.
	@scripts/fuzz $(FUZZTIME) $(MODULES)

generate: ## Write the generated reference pages anew.
	go generate ./...

bench: ## Measure jotgate beside HAProxy, nginx and Go's reverse proxy into docs/benchmarks; SHORT=1 only tries it, ARGS='-run rs256' are flags.
	@scripts/bench-deps
	cd bench && go run . $(if $(SHORT),-short,-out ../docs/benchmarks) $(ARGS)

bench-short: ## See that the benchmarks work, and that every proxy in them refuses bad tokens.
	@scripts/bench-deps
	cd bench && go test ./... && go run . -short >/dev/null

soak: ## A million requests with each engine, broken off at random on both sides; REQUESTS is another number.
	cd test && go test ./soak -run 'TestSoak$$' -count=1 -parallel 1 -timeout 2h -v -args -requests $(or $(REQUESTS),1000000)

microbench: ## Go benchmarks, fit for benchstat.
	go test -run '^$$' -bench . -benchmem -count 6 ./...

clean: ## Remove what was built.
	rm -rf bin dist .cache
