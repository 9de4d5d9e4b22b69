package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchfmt"
)

// side is one of the two trees that are compared.
type side struct {
	name     string
	dir      string // the module's root
	scratch  string
	binaries map[string]string   // test binaries, by package
	best     map[string]measured // by benchmark
}

// measured is the best of a benchmark so far.
type measured struct {
	pkg    string
	ns     float64 // for one operation
	allocs float64 // likewise
}

// build makes the test binary of a package.
func (s *side) build(ctx context.Context, pkg string) error {
	if s.binaries == nil {
		s.binaries = map[string]string{}
	}
	if s.binaries[pkg] != "" {
		return nil
	}
	binary := filepath.Join(s.scratch, fmt.Sprintf("%s%d.test", s.name, len(s.binaries)))
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, pkg)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go test -c %s: %w\n%s", pkg, err, out)
	}
	if _, err := os.Stat(binary); err == nil { // a package without tests has none
		s.binaries[pkg] = binary
	}
	return nil
}

// measure runs the targets once on both sides, which take turns in going first.
func measure(ctx context.Context, before, now *side, targets []target, benchtime string, round int) error {
	sides := []*side{before, now}
	if round%2 == 1 {
		slices.Reverse(sides)
	}
	for _, t := range targets {
		for _, s := range sides {
			if s.binaries[t.pkg] == "" {
				continue
			}
			if err := s.run(ctx, t, benchtime); err != nil {
				return err
			}
		}
	}
	return nil
}

// run measures a target and keeps what is better than before.
func (s *side) run(ctx context.Context, t target, benchtime string) error {
	cmd := exec.CommandContext(ctx, s.binaries[t.pkg], "-test.run=^$", "-test.bench="+t.pattern, "-test.benchmem", "-test.benchtime="+benchtime)
	cmd.Dir = filepath.Join(s.dir, filepath.FromSlash(t.pkg))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the benchmarks of %s (%s): %w\n%s%s", t.pkg, s.name, err, out, stderr.Bytes())
	}
	r := benchfmt.NewReader(bytes.NewReader(out), t.pkg)
	for r.Scan() {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue // a line of another kind
		}
		took, ok := result.Value("sec/op")
		allocs, counted := result.Value("allocs/op")
		if !ok || !counted {
			return fmt.Errorf("the benchmark %s of %s has no time or no allocations", result.Name, t.pkg)
		}
		name := benchmark(result.Name)
		best, known := s.best[name]
		if !known {
			best = measured{t.pkg, math.Inf(1), math.Inf(1)}
		}
		best.ns = min(best.ns, took*1e9)
		best.allocs = min(best.allocs, allocs)
		s.best[name] = best
	}
	return r.Err()
}

// benchmark is the name of a benchmark in its package, without the number of
// processors.
func benchmark(n benchfmt.Name) string {
	base, parts := n.Parts()
	name := "Benchmark" + string(base)
	for _, part := range parts {
		if part[0] != '-' {
			name += string(part)
		}
	}
	return name
}

// verdict is how a benchmark is worse.
type verdict struct {
	name        string
	before, now measured
	slower      bool
}

func (v verdict) String() string {
	if v.slower {
		return fmt.Sprintf("%s takes %.4g ns, and took %.4g ns", v.name, v.now.ns, v.before.ns)
	}
	return fmt.Sprintf("%s allocates %v times, and did %v", v.name, v.now.allocs, v.before.allocs)
}

// compare returns what is worse now.
func compare(before, now *side, allowance float64) (worse []verdict) {
	for _, name := range slices.Sorted(maps.Keys(now.best)) {
		b, ok := before.best[name]
		n := now.best[name]
		switch {
		case !ok:
		case n.allocs > b.allocs:
			worse = append(worse, verdict{name: name, before: b, now: n})
		case n.ns > allowance*b.ns:
			worse = append(worse, verdict{name: name, before: b, now: n, slower: true})
		}
	}
	return worse
}

// exactly are targets of those benchmarks and no others.
func exactly(vs []verdict) (targets []target) {
	for _, v := range vs {
		parts := strings.Split(v.name, "/")
		for i, part := range parts {
			parts[i] = "^" + regexp.QuoteMeta(part) + "$"
		}
		targets = append(targets, target{v.now.pkg, strings.Join(parts, "/")})
	}
	return targets
}

// report prints what was measured, and what only one side has.
func report(out io.Writer, before, now *side) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "benchmark\tns before\tnow\tratio\tallocations\t")
	all := maps.Clone(before.best)
	maps.Copy(all, now.best)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b, was := before.best[name]
		n, is := now.best[name]
		switch {
		case !was:
			fmt.Fprintf(w, "%s\t\t%.4g\tnew\t%v\t\n", name, n.ns, n.allocs)
		case !is:
			fmt.Fprintf(w, "%s\t%.4g\t\tgone\t%v\t\n", name, b.ns, b.allocs)
		default:
			fmt.Fprintf(w, "%s\t%.4g\t%.4g\t%.2f\t%v → %v\t\n", name, b.ns, n.ns, n.ns/b.ns, b.allocs, n.allocs)
		}
	}
	_ = w.Flush()
}
