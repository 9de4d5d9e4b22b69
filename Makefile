# The two commands of a newcomer are `go run . demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export CGO_ENABLED := 0

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
LIBCHDB := e2e/npm/node_modules/.package-lock.json

# How long each fuzz target runs in `make test`; `make fuzz FUZZTIME=10m` for more.
FUZZTIME := 10s

.PHONY: build deps lint test fuzz soak bench

build:
	go build -trimpath -o tallygate .

# What the tests need beside Go: a ClickHouse out of npm, and the seed's curl
# and python3.
deps: $(LIBCHDB)
	@missing=""; \
	for command in curl:curl python3:python3 git:git; do \
		command -v "$${command%%:*}" >/dev/null || missing="$$missing $${command##*:}"; \
	done; \
	if [ -n "$$missing" ]; then apt-get update -q && apt-get install -qy --no-install-recommends $$missing; fi

$(LIBCHDB): e2e/npm/package-lock.json
	command -v npm >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends nodejs npm; }
	npm ci --prefix e2e/npm --ignore-scripts --no-audit --no-fund
	touch $@

lint:
	go run $(GOLANGCI_LINT) run --allow-parallel-runners
	go run . fmt --diff Caddyfile >/dev/null

test: deps lint
	go test -count=1 -timeout 15m ./...
	$(MAKE) --no-print-directory fuzz

fuzz:
	for target in FuzzRead FuzzScanJSON FuzzScanSSE FuzzTexts; do \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x ./mcp; \
	done
	go test -run '^$$' -fuzz '^FuzzTables$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 1x ./mcp/sqltables

# What takes too long for every change: an hour of silence on a stream, a
# thousand kills of the journal, ten minutes of fuzzing each.
soak: deps
	QUIET=1h go test -timeout 2h -count=1 -run TestQuietStream ./e2e
	TALLYGATE_TEST_KILLS=1000 go test -timeout 1h -count=1 -run TestKill ./usage
	$(MAKE) --no-print-directory fuzz FUZZTIME=10m

bench:
	go test -run '^$$' -bench . -benchmem ./...
