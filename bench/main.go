// Command bench measures what the gate costs beside Caddy's bare reverse proxy
// and beside other gateways, and how that grows. docs/performance.md tells the
// method.
//
//	bench [-quick] [-out FOLDER] [-scenario REGEXP] [-gateway REGEXP] [-growth NAMES]
//	bench -render FOLDER
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
	quick := flag.Bool("quick", false, "measure a part of it, in about three minutes")
	out := flag.String("out", "", "leave results.json, results.md and pictures in this `folder`, too")
	render := flag.String("render", "", "measure nothing: write results.md and the pictures of a `folder` anew")
	only := flag.String("scenario", "", "only those whose names, as in \"64KB SSE, 16 callers, from fixed\", a `regexp` matches")
	which := flag.String("gateway", "", "beside bare Caddy, only gateways whose names a `regexp` matches")
	cycles := flag.Int("cycles", 0, "of windows, at most (default: enough for an interval of about 2 %)")
	growth := flag.String("growth", "", "measure, too, how cost grows with these: keys,rules,streams,startup,rows")
	flag.Parse()
	if *render != "" {
		r, err := readReport(*render)
		if err != nil {
			return err
		}
		return r.write(*render)
	}
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
	r := &report{
		Machine: machine(), When: time.Now().UTC().Format(time.DateOnly),
		Plan: fmt.Sprintf("Measured by `bench %s`. MCP gateways of others are measured where the answers to all callers are %d MiB at most.",
			strings.Join(os.Args[1:], " "), mostOfPeers>>20),
	}
	gateways = append([]gateway{bareCaddy}, gateways...)
	gateways = slices.DeleteFunc(gateways, func(g gateway) bool {
		fmt.Fprintln(os.Stderr, "prepare", g.name)
		if g.prepare != nil {
			if err := g.prepare(e.cache); err != nil {
				r.Missing = append(r.Missing, fmt.Sprintf("%s: %v", g.name, err))
				return true
			}
		}
		r.Versions = append(r.Versions, g.name)
		if g.note != "" {
			r.Notes = append(r.Notes, g.name+": "+g.note)
		}
		return false
	})
	for _, g := range notMeasured {
		r.Missing = append(r.Missing, g.name+": "+g.why)
	}
	if len(gateways) == 0 || gateways[0].name != bareCaddy.name {
		return fmt.Errorf("bare Caddy cannot be built: %s", strings.Join(r.Missing, "; "))
	}
	if err := pinSelf(); err != nil {
		return err
	}
	for i, s := range scenarios {
		p := s.plan(*quick)
		if *cycles > 0 {
			p.cycles = min(p.cycles, *cycles)
		}
		fmt.Fprintf(os.Stderr, "%s  %d of %d: %s\n", time.Now().Format(time.TimeOnly), i+1, len(scenarios), s)
		samples, err := compare(s, gateways, p, e)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		ms := measurements(s, samples)
		r.Measurements = append(r.Measurements, ms...)
		var b strings.Builder
		fmt.Fprintf(&b, "\n%s\n\n", s)
		table(&b, ms)
		fmt.Println(b.String())
		if err := r.write(*out); err != nil { // as far as it is: a run takes long
			return err
		}
	}
	fmt.Println(r.goals())
	if *growth != "" {
		if r.Curves, err = grow(e, strings.Split(*growth, ","), *quick); err != nil {
			return err
		}
		fmt.Println(r.growth())
	}
	return r.write(*out)
}

// serve is what this program does as the upstream of a run.
func serve(args []string) error {
	switch {
	case args[0] == "fixed" && len(args) == 2:
		return serveFixed(args[1], results())
	case args[0] == "streams" && len(args) == 2:
		return serveStreaming(args[1], results())
	case args[0] == "mcp-go" && len(args) == 2:
		return serveMCPGo(args[1], results())
	case args[0] == "stdio":
		return serveStdio(results())
	}
	return fmt.Errorf("%q is not fixed PORT, streams PORT, mcp-go PORT or stdio", strings.Join(args, " "))
}

// matching are those whose names a regular expression matches.
func matching[T any](all []T, expression string, name func(T) string) ([]T, error) {
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t T) bool { return !re.MatchString(name(t)) }), nil
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

// machine says what the benchmark ran on.
func machine() string {
	model := "an unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name"); ok {
			model, _, _ = strings.Cut(strings.TrimLeft(rest, "\t :"), "\n")
		}
	}
	text := fmt.Sprintf("%s, %d cores, %s/%s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	// What is a virtual machine's own doing. With guest_halt_poll_ns 0, whatever
	// waits for the other core is mostly waiting for the hypervisor to wake it;
	// where free memory is reported, the hypervisor takes it, and a page that is
	// used again costs some 20 µs.
	for _, parameter := range []string{"haltpoll/parameters/guest_halt_poll_ns", "page_reporting/parameters/page_reporting_order"} {
		if value, err := os.ReadFile("/sys/module/" + parameter); err == nil {
			text += ", " + path.Base(parameter) + " " + strings.TrimSpace(string(value))
		}
	}
	return text
}
