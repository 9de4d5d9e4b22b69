// Command bench measures what Tallygate costs beside Caddy's bare reverse proxy
// and beside other gateways, and prints a table for each scenario.
// docs/performance.md describes the method. It is run from this folder:
//
//	go run . [-quick] [-scenario REGEXP] [-gateway REGEXP] [-cycles N]
package main

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		return serve(os.Args[1:])
	}
	quick := flag.Bool("quick", false, "measure only what has a goal, in about three minutes")
	only := flag.String("scenario", "", "only scenarios whose names, such as \"64KB SSE, 16 callers\", match this `regexp`")
	which := flag.String("gateway", "", "beside bare Caddy, only gateways whose names match this `regexp`")
	cycles := flag.Int("cycles", 0, "at most this many cycles of windows (default: enough for an interval of about 2 %)")
	flag.Parse()
	scenarios, err := matching(scenariosOf(*quick), *only, scenario.String)
	if err != nil {
		return err
	}
	gateways, err := matching(gatewaysOf(*quick), *which, func(g gateway) string { return g.name })
	if err != nil {
		return err
	}
	e, err := newEnvironment()
	if err != nil {
		return err
	}
	defer e.close()
	fmt.Printf("%s, %s\n", machine(), time.Now().UTC().Format(time.DateOnly))
	if gateways, err = prepare(append([]gateway{bareCaddy}, gateways...), e.cache); err != nil {
		return err
	}
	if err := pinSelf(); err != nil {
		return err
	}
	var all []measurement
	for i, s := range scenarios {
		p := planOf(s, *quick)
		if *cycles > 0 {
			p.cycles = min(p.cycles, *cycles)
		}
		fmt.Fprintf(os.Stderr, "%s  %d of %d: %s\n", time.Now().Format(time.TimeOnly), i+1, len(scenarios), s)
		samples, err := compare(s, gateways, p, e)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		ms := measurements(s, samples)
		all = append(all, ms...)
		fmt.Printf("\n%s\n\n%s", s, table(ms))
	}
	text, reached := check(all)
	fmt.Printf("\n%s", text)
	if !reached {
		return fmt.Errorf("a goal was not reached")
	}
	return nil
}

// prepare builds or installs the gateways, and returns those for which that
// succeeded. It prints what a reader must know of each.
func prepare(gateways []gateway, cache string) ([]gateway, error) {
	var ready []gateway
	for _, g := range gateways {
		fmt.Fprintln(os.Stderr, "prepare", g.name)
		if err := g.prepare(cache); err != nil {
			if !g.peer {
				return nil, err
			}
			fmt.Printf("- %s is not measured: %v\n", g.name, err)
			continue
		}
		if g.note != "" {
			fmt.Printf("- %s %s\n", g.name, g.note)
		}
		ready = append(ready, g)
	}
	return ready, nil
}

// serve is what this program does as the upstream of a run.
func serve(args []string) error {
	switch {
	case args[0] == "http" && len(args) == 2:
		return serveHTTP(args[1], results())
	case args[0] == "stdio":
		return serveStdio(results())
	}
	return fmt.Errorf("%q is neither \"http PORT\" nor \"stdio\"", strings.Join(args, " "))
}

// matching returns those whose names match a regular expression.
func matching[T any](all []T, expression string, name func(T) string) ([]T, error) {
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t T) bool { return !re.MatchString(name(t)) }), nil
}

// environment is where the benchmark runs.
type environment struct {
	dir   string // its own, removed at the end
	cache string // kept
	key   string // the API key of all callers
	self  string // this program
	runs  int    // processes that were started
}

// newEnvironment makes the folders that a run needs.
func newEnvironment() (*environment, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	e := &environment{cache: filepath.Join(caches, "tallygate-bench")}
	e.key, _, _ = identity.KeyFormat{}.NewKey()
	if err := os.MkdirAll(e.cache, 0o700); err != nil {
		return nil, err
	}
	if e.self, err = os.Executable(); err != nil {
		return nil, err
	}
	e.dir, err = os.MkdirTemp("", "tallygate-bench-")
	return e, err
}

func (e *environment) close() { _ = os.RemoveAll(e.dir) }

// newDir makes a folder for a process.
func (e *environment) newDir(name string) (string, error) {
	e.runs++
	dir := filepath.Join(e.dir, fmt.Sprint(e.runs, "-", name))
	return dir, os.Mkdir(dir, 0o700)
}

// machine describes what the benchmark runs on.
func machine() string {
	model := "an unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name"); ok {
			model, _, _ = strings.Cut(strings.TrimLeft(rest, "\t :"), "\n")
		}
	}
	text := fmt.Sprintf("%s, %d cores, %s/%s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	// Two settings of virtual machines change the figures. With guest_halt_poll_ns
	// 0, waiting for the other core mostly means waiting for the hypervisor to wake
	// it. Where free memory is reported, the hypervisor takes it away, and a page
	// that is used again costs about 20 µs.
	for _, parameter := range []string{"haltpoll/parameters/guest_halt_poll_ns", "page_reporting/parameters/page_reporting_order"} {
		if value, err := os.ReadFile("/sys/module/" + parameter); err == nil {
			text += ", " + path.Base(parameter) + " " + strings.TrimSpace(string(value))
		}
	}
	return text
}
