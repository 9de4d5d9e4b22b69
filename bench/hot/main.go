// Command hot measures the benchmarks of the hot path against those of the last
// commit, and fails when one allocates more or is slower by far. The last commit
// is HEAD where the tree has changes that are not committed, else the one before
// it.
//
//	go run ./bench/hot [flags] [PACKAGE=PATTERN …]
//
// A pattern is one of `go test -bench`. Without any, the hot path's own are
// measured. Both sides run by turns, and of each the best counts; what seems
// slower is measured again before it counts. A commit that means to cost more
// says so in its message, with the name of a benchmark or of what it stands
// under:
//
//	Bench-allows: BenchmarkGate/2KB/JSON
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// hotPath are the benchmarks that every commit is measured by: few, and steady.
var hotPath = []target{
	{"./caddymodule", "BenchmarkGate/^2KB$/./rows/session|BenchmarkGate/^64KB$/JSON/text/plain|BenchmarkPermit/plain"},
	{"./mcp", "BenchmarkScan/default/^(rows|text|both)$/^(2048B|65536B)$/JSON|BenchmarkRead/^text$/^2KB$|BenchmarkRead/ping"},
	{"./usage", "BenchmarkAppendEvent"},
	{"./identity", "BenchmarkAuthenticate/silent/^1$"},
}

// target is what to measure of a package.
type target struct{ pkg, pattern string }

// options are how to measure.
type options struct {
	dir       string // in a git repository, at the module's root
	targets   []target
	benchtime string
	rounds    int     // how often both sides are measured
	again     int     // how often what seems worse is measured again
	allowance float64 // how many times slower is not slower yet
}

func main() {
	o := options{targets: hotPath}
	flag.StringVar(&o.dir, "dir", ".", "the root of the module")
	flag.StringVar(&o.benchtime, "benchtime", "20ms", "how long one measurement takes, as in go test")
	flag.IntVar(&o.rounds, "rounds", 3, "how often both sides are measured")
	flag.IntVar(&o.again, "again", 2, "how often what seems worse is measured again")
	flag.Float64Var(&o.allowance, "allowance", 2, "how many times slower a benchmark may be")
	flag.Parse()
	for i, arg := range flag.Args() {
		pkg, pattern, ok := strings.Cut(arg, "=")
		if !ok {
			fmt.Fprintf(os.Stderr, "hot: %q is not PACKAGE=PATTERN\n", arg)
			os.Exit(2)
		}
		if i == 0 {
			o.targets = nil
		}
		o.targets = append(o.targets, target{pkg, pattern})
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := check(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hot:", err)
		os.Exit(1)
	}
}

// check measures, prints what it finds, and returns an error when something is
// worse.
func check(ctx context.Context, o options, out io.Writer) error {
	base, message, err := lastCommit(ctx, o.dir)
	if err != nil {
		return err
	}
	if base == "" {
		fmt.Fprintln(out, "This is the first commit: there is nothing to compare with.")
		return nil
	}
	scratch, err := os.MkdirTemp("", "bench-hot-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	tree := filepath.Join(scratch, "tree")
	if _, err := git(ctx, o.dir, "worktree", "add", "--detach", "--quiet", tree, base); err != nil {
		return err
	}
	defer func() {
		// Also when ctx is done.
		_, _ = git(context.WithoutCancel(ctx), o.dir, "worktree", "remove", "--force", tree)
	}()
	prefix, err := git(ctx, o.dir, "rev-parse", "--show-prefix")
	if err != nil {
		return err
	}

	before := &side{name: "before", dir: filepath.Join(tree, prefix), scratch: scratch, best: map[string]measured{}}
	now := &side{name: "now", dir: o.dir, scratch: scratch, best: map[string]measured{}}
	for _, t := range o.targets {
		if err := now.build(ctx, t.pkg); err != nil {
			return err
		}
		if err := before.build(ctx, t.pkg); err != nil {
			fmt.Fprintf(out, "%s of the last commit does not build, and is not compared: %v\n", t.pkg, err)
		}
	}
	for round := range o.rounds {
		if err := measure(ctx, before, now, o.targets, o.benchtime, round); err != nil {
			return err
		}
	}
	worse := compare(before, now, o.allowance)
	for again := 0; again < o.again && len(worse) > 0; again++ {
		fmt.Fprintf(out, "%d seem worse, and are measured again\n", len(worse))
		for round := range o.rounds {
			if err := measure(ctx, before, now, exactly(worse), o.benchtime, round); err != nil {
				return err
			}
		}
		worse = compare(before, now, o.allowance)
	}
	report(out, before, now)
	worse = slices.DeleteFunc(worse, func(w verdict) bool {
		allowed := allows(message, w.name)
		if allowed {
			fmt.Fprintf(out, "allowed by the commit's message: %v\n", w)
		}
		return allowed
	})
	var failures []error
	for _, w := range worse {
		failures = append(failures, errors.New(w.String()))
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("worse than in %s:\n%w\nA commit that means to says so in its message: Bench-allows: %s", base, err, worse[0].name)
	}
	return nil
}

// lastCommit is what the tree is compared with, "" where there is none, and the
// message of what the tree has beyond it, where that is committed.
func lastCommit(ctx context.Context, dir string) (commit, message string, err error) {
	head, err := git(ctx, dir, "rev-parse", "HEAD")
	if err != nil {
		return "", "", err
	}
	changes, err := git(ctx, dir, "status", "--porcelain")
	if err != nil {
		return "", "", err
	}
	if changes != "" {
		return head, "", nil
	}
	if message, err = git(ctx, dir, "log", "-1", "--format=%B"); err != nil {
		return "", "", err
	}
	if commit, err = git(ctx, dir, "rev-parse", "--verify", "--quiet", "HEAD^"); err == nil {
		return commit, message, nil
	}
	shallow, err := git(ctx, dir, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return "", "", err
	}
	if shallow == "true" {
		return "", "", errors.New("this clone is shallow and lacks the last commit: run git fetch --deepen=1")
	}
	return "", "", nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// allows tells whether a commit's message allows a benchmark to be worse.
func allows(message, name string) bool {
	for line := range strings.Lines(message) {
		allowed, ok := strings.CutPrefix(strings.TrimSpace(line), "Bench-allows:")
		if allowed = strings.TrimSpace(allowed); ok && (name == allowed || strings.HasPrefix(name, allowed+"/")) {
			return true
		}
	}
	return false
}
