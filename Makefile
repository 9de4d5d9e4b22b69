# The two commands of a newcomer are `go run . demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export CGO_ENABLED := 0

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
LIBCHDB := e2e/npm/node_modules/.package-lock.json

# How long each fuzz target runs in `make test`; `make fuzz FUZZTIME=10m` for more.
FUZZTIME := 3s
FUZZ := mcp:FuzzRead mcp:FuzzScanJSON mcp:FuzzScanSSE mcp:FuzzParsePath mcp:FuzzText mcp:FuzzTexts mcp:FuzzVector mcp:FuzzToolFilter \
	mcp/sqltables:FuzzTables usage:FuzzScanner usage:FuzzReadEvent

# Where the corpora of sql-judge are kept.
SQL_JUDGE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tallygate/sqljudge

.PHONY: build deps lint test fuzz soak sql-judge bench bench-quick bench-hot bench-check

build:
	go build -trimpath -o tallygate .

# What the tests need beside Go: a ClickHouse out of npm, a PostgreSQL out of
# Debian's package, the seed's curl and python3, and for what a power failure
# does an ext4 on a loop device.
deps: $(LIBCHDB)
	@missing=""; \
	for command in curl:curl python3:python3 git:git mkfs.ext4:e2fsprogs mount:mount; do \
		PATH="$$PATH:/usr/sbin:/sbin" command -v "$${command%%:*}" >/dev/null || missing="$$missing $${command##*:}"; \
	done; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	if [ -n "$$missing" ]; then apt-get update -q && apt-get install -qy --no-install-recommends $$missing; fi

$(LIBCHDB): e2e/npm/package-lock.json
	command -v npm >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends nodejs npm; }
	npm ci --prefix e2e/npm --ignore-scripts --no-audit --no-fund
	touch $@

lint:
	go run $(GOLANGCI_LINT) run --allow-parallel-runners
	go run . fmt --diff Caddyfile >/dev/null

test: deps lint
	go test -count=1 -timeout 25m ./...
	go test -count=1 -tags purego ./mcp
	$(MAKE) --no-print-directory bench-check
	$(MAKE) --no-print-directory fuzz

fuzz:
	for target in $(FUZZ); do \
		go test -run '^$$' -fuzz "^$${target##*:}\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "./$${target%%:*}"; \
	done

# The reader of SQL against sqlglot's parser, on corpora that are downloaded:
# how many queries it leaves unknown and in how many it is wrong. Fails when a
# target is missed, or when one of a million mutated queries takes a second.
sql-judge:
	e2e/sqljudge/fetch.sh "$(SQL_JUDGE)"
	go run -C e2e -tags sqljudge ./sqljudge "$(SQL_JUDGE)/corpus"
	go run -C e2e -tags sqljudge ./sqljudge -mutate 1000000 "$(SQL_JUDGE)/corpus"

# What takes too long for every change: an hour of silence on a stream, a
# thousand kills of the gate and of the journal at each step, calls in their
# hundred thousands, every fault of a ClickHouse fifty times, ten minutes of
# fuzzing each.
soak: deps
	QUIET=1h go test -timeout 2h -count=1 -run TestQuietStream ./e2e
	KILLS=1000 go test -timeout 2h -count=1 -run TestKillLosesNothing ./e2e
	FLOWS=200000 go test -timeout 2h -count=1 -run TestEveryCallIsOneRow ./e2e
	TALLYGATE_TEST_KILLS=1000 go test -timeout 2h -count=1 -run Kill ./usage
	TALLYGATE_TEST_FAULTS=50 go test -timeout 4h -count=1 -run "TestPipeline|TestGateKilled" ./usage/clickhouse
	$(MAKE) --no-print-directory fuzz FUZZTIME=10m

# What the gate costs beside bare Caddy and other gateways, how that grows, and
# what its parts cost: about an hour and a half, on a machine that does nothing else.
# Tables and pictures go to docs/performance.
bench: deps
	go run ./bench -out docs/performance -growth keys,rules,streams,startup,rows
	go test -run '^$$' -bench . -benchmem -timeout 1h ./...

# A part of the comparison, in about three minutes.
bench-quick:
	go run ./bench -quick

# The hot path, for benchstat: what the gate adds to a call, and what it is made
# of. BENCH_HOT=pattern and BENCHFLAGS="-tags purego" for less or other.
BENCH_HOT := ^Benchmark(Gate|Proxied|Scan|Read|AppendEvent|Append|Authenticate|Permit)$$
BENCHFLAGS :=

bench-hot:
	go test -run '^$$' -bench '$(BENCH_HOT)' -benchmem -benchtime 100ms -count 6 -timeout 2h $(BENCHFLAGS) ./caddymodule ./mcp ./usage ./identity

# Fails when the hot path allocates more than in the last commit, or is slower
# by far.
bench-check:
	go run ./bench/hot
