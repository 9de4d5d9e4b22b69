# All that a newcomer needs are `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# One set of build flags for everything here, the same as xcaddy's, so that no
# package is compiled twice. The tags leave out databases that only Caddy's
# internal CA could use, and does not.
export CGO_ENABLED := 0
TAGS := nobadger,nomysql,nopgx
export GOFLAGS := $(strip $(filter-out -trimpath -tags=%,$(GOFLAGS)) -trimpath -tags=$(TAGS))

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
LIBCHDB := e2e/npm/node_modules/.package-lock.json

# Modules beside the product's own: tests of the whole, and benchmarks.
NESTED := e2e bench
# Packages whose tests run under the race detector.
RACE := $(patsubst %,./%,$(wildcard gate journal identity identity/authn identity/quota usage))

# What `make build` writes, and the version that it says: VERSION=v1.2.3.
BINARY := tallygate
VERSION :=
LDFLAGS := -s -w $(if $(VERSION),-X main.version=$(VERSION))

# How many inputs each fuzz target gets in `make test`; `make fuzz FUZZTIME=10m`
# for more. With a duration, Go at times reports its own deadline as a failure
# (golang.org/issue/48591).
FUZZTIME := 10000x

# Where the corpora of sql-judge are kept.
SQL_JUDGE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tallygate/sqljudge

.PHONY: build demo deps lint words test race fuzz cross soak sql-judge servers record conformance clients bench bench-quick bench-hot

build:
	go build -ldflags='$(LDFLAGS)' -o '$(BINARY)' .

demo:
	@echo "Compiling; the first time this takes about four minutes on two cores." >&2
	@go run -ldflags='$(LDFLAGS)' . demo

# Installs what the tests need beside Go: a ClickHouse out of npm, and from
# Debian's packages PostgreSQL, the commands of README's workflow (curl,
# python3 with venv), a C compiler for the race detector, and what makes an ext4
# on a loop device, for the test of a power failure. TestRealServers installs
# its servers and clients itself, from PyPI and npm, the first time it runs.
deps: $(LIBCHDB)
	@missing=""; \
	for command in curl:curl python3:python3 git:git mkfs.ext4:e2fsprogs mount:mount gcc:gcc,libc6-dev; do \
		PATH="$$PATH:/usr/sbin:/sbin" command -v "$${command%%:*}" >/dev/null || missing="$$missing $${command##*:}"; \
	done; \
	python3 -c "import venv, ensurepip" 2>/dev/null || missing="$$missing python3-venv"; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	if [ -n "$$missing" ]; then apt-get update -q && apt-get install -qy --no-install-recommends $${missing//,/ }; fi

$(LIBCHDB): e2e/npm/package-lock.json
	command -v npm >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends nodejs npm; }
	npm ci --prefix e2e/npm --ignore-scripts --no-audit --no-fund
	touch $@

lint: words
	for module in . $(NESTED); do \
		(cd $$module && go vet ./... && go run $(GOLANGCI_LINT) run --allow-parallel-runners); \
	done
	go run . fmt --diff Caddyfile >/dev/null

# Holds the language of code and docs: no pattern of .wordlist occurs.
words:
	@if git grep -nIiE -f <(sed 's/[[:space:]]*#.*//; /^$$/d' .wordlist) -- ':!.wordlist' ':!.golangci.yml' ':!*/package-lock.json' ':!*/testdata/*'; then \
		echo "words: .wordlist says what to write instead" >&2; exit 1; fi

test: deps lint race
	go test -count=1 -timeout 20m $$(go list ./... | grep -vxF "$$(go list $(RACE))")
	go test -count=1 -tags=purego,$(TAGS) ./mcp $(wildcard ./mcp/scan ./internal/jsonskip)
	cd e2e && go test -count=1 -timeout 20m ./...
	$(MAKE) --no-print-directory fuzz

# The race detector allocates, so tests of allocations run without it.
race:
	CGO_ENABLED=1 go test -race -count=1 -timeout 20m $(RACE)
	go test -count=1 -run Allocations $(RACE)

# Runs every fuzz target of the product's packages for FUZZTIME.
fuzz:
	grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' $(filter-out $(addsuffix /,$(NESTED)),$(wildcard */)) | while IFS=: read -r file target; do \
		go test -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "./$${file%/*}" </dev/null; \
	done

# Compiles the product for other systems: some four minutes each the first time.
cross:
	for system in windows/amd64 darwin/arm64 linux/arm64; do GOOS=$${system%/*} GOARCH=$${system#*/} go vet ./...; done

# What takes too long for every change: an hour of silence on a stream, a
# thousand kills of the gate and of the journal at each step, calls in their
# hundred thousands, every fault of a ClickHouse fifty times, ten minutes of
# fuzzing each.
soak: deps
	cd e2e && QUIET=1h go test -timeout 2h -count=1 -run TestQuietStream .
	cd e2e && LOAD=100 go test -timeout 1h -count=1 -v -run TestLoad .
	cd e2e && KILLS=1000 go test -timeout 2h -count=1 -run TestKillLosesNothing .
	FLOWS=200000 go test -timeout 2h -count=1 -run TestEveryCallIsOneRow ./gate
	TALLYGATE_TEST_KILLS=1000 go test -timeout 2h -count=1 -run Kill $(or $(wildcard ./journal),./usage)
	TALLYGATE_TEST_FAULTS=50 go test -timeout 4h -count=1 -run "TestPipeline|TestGateKilled" ./usage/clickhouse
	$(MAKE) --no-print-directory servers conformance clients
	$(MAKE) --no-print-directory fuzz FUZZTIME=10m

# Judges the reader of SQL (mcp/sql) by sqlglot, on the corpora of a dozen
# packages: prints how often it answers nothing, and how often another thing.
sql-judge:
	e2e/sqljudge/fetch.sh "$(SQL_JUDGE)"
	cd e2e && go run ./sqljudge "$(SQL_JUDGE)/corpus"
	cd e2e && go run ./sqljudge -mutate 1000000 "$(SQL_JUDGE)/corpus"

# Real MCP servers in front of real databases, through the built gate into the
# ledger: e2e/servers/README.md. The first time it installs them. SERVERS=NAME
# for some of them.
SERVERS :=

servers: deps build
	python3 e2e/servers/run.py --binary '$(BINARY)' $(SERVERS)

# Makes the recordings anew that `make test` replays.
record: deps build
	python3 e2e/servers/run.py --binary '$(BINARY)' --record $(SERVERS)

# What the gate costs beside bare Caddy and other gateways: docs/performance.md
# describes the method. Run it on a machine that does nothing else; all of it
# takes about an hour.
bench:
	cd bench && go test -count=1 . && go run .

# What has a goal, in about three minutes. It fails when a goal is not reached.
bench-quick:
	cd bench && go run . -quick

# The hot path alone, for benchstat. BENCH_HOT=pattern and
# BENCHFLAGS="-tags purego" for less or other.
BENCH_HOT := ^Benchmark(Gate|Proxied|Scan|Read|AppendEvent|Append|Authenticate|Authorize)$$
BENCHFLAGS :=

bench-hot:
	go test -run '^$$' -bench '$(BENCH_HOT)' -benchmem -benchtime 100ms -count 6 -timeout 2h $(BENCHFLAGS) ./caddymodule ./mcp/... ./identity/... ./usage $(addsuffix /...,$(wildcard ./gate ./journal ./internal/jsonskip))

# The official conformance suite, released and newest, straight and through the
# gate; and Claude Code's and Gemini CLI's `mcp list`. Half a minute each. They
# are installed from npm, Claude Code with 400 MB.
conformance: deps
	cd e2e && go test -count=1 -v -tags=$(TAGS),wild -run TestConformance .

clients: deps
	cd e2e && go test -count=1 -v -tags=$(TAGS),wild -run TestVendorsClients .
