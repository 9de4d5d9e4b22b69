// Command bench measures what the gate costs beside Caddy's bare reverse proxy
// and beside other gateways, and how that grows. docs/performance.md tells the
// method.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// results are what the upstream's tools return.
var results = func() (all []*result) {
	for _, size := range []int{2 << 10, 64 << 10, 1 << 20, 16 << 20} {
		all = append(all, newResult(size, 0, false), newResult(size, 1, false))
	}
	return append(all, newResult(64<<10, 1000, false), newResult(2<<10, 0, true), newResult(64<<10, 0, true), newResult(1<<20, 0, true))
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "fixed":
			return serveFixed(os.Args[2], results())
		case "streams":
			return serveStreaming(os.Args[2], results())
		case "mcp-go":
			return serveMCPGo(os.Args[2], results())
		case "stdio":
			return serveStdio(results())
		}
	}
	scenarioFlag := flag.String("scenario", "", "only this one, by its tool, as in query_2KB")
	conns := flag.Int("conns", 16, "callers")
	cycles := flag.Int("cycles", 20, "cycles")
	length := flag.Duration("window", 100*time.Millisecond, "length of a window")
	profile := flag.String("upstream", "fixed", "fixed or mcp-go")
	growth := flag.String("growth", "", "how cost grows with these: keys,rules,streams,startup,rows")
	quick := flag.Bool("quick", false, "smaller, and less exact")
	flag.Parse()

	cache := filepath.Join(os.TempDir(), "tallygate-bench")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	key, _, _ := identity.KeyFormat{}.NewKey()
	e := &environment{dir: dir, cache: cache, key: key, self: self}
	gateways := []gateway{bareCaddy, gate(gateName, false), gate("Tallygate, portable", true)}
	again := bareCaddy
	again.name = "bare Caddy again"
	gateways = append(gateways, again)
	for _, g := range gateways {
		if g.prepare != nil {
			if err := g.prepare(cache); err != nil {
				return err
			}
		}
	}
	if err := pinSelf(); err != nil {
		return err
	}
	if *growth != "" {
		curves, err := grow(e, strings.Split(*growth, ","), *quick)
		for _, c := range curves {
			c.print()
		}
		return err
	}
	all := results()
	i := slices.IndexFunc(all, func(r *result) bool { return r.tool == *scenarioFlag })
	if i < 0 {
		return fmt.Errorf("no tool %q", *scenarioFlag)
	}
	s := scenario{all[i], *profile, *conns}
	samples, err := compare(s, gateways, plan{*cycles, *length, 1}, e)
	if err != nil {
		return err
	}
	fmt.Println(s)
	bare := samples[0]
	for _, s := range samples {
		answered, failed := s.calls()
		l, f := s.latencies(last), s.latencies(first)
		r := s.ratio(bare)
		cpu := time.Duration(0)
		if answered > 0 {
			cpu = s.cpu / time.Duration(answered)
		}
		fmt.Printf("%-22s %8.0f/s  %.3f [%.3f %.3f] p50 %v p99 %v p99.9 %v  first %v cpu/call %v peak %d MiB  %d calls %d failed %v\n", s.gateway.name, median(s.rates()), r.median, r.low, r.high,
			quantile(l, .5), quantile(l, .99), quantile(l, .999), quantile(f, .5), cpu, s.peak>>20, answered, failed, s.err)
	}
	return nil
}
