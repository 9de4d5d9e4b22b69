package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report is all that a run has measured.
type report struct {
	Machine      string        `json:"machine"`
	When         string        `json:"when"`
	Versions     []string      `json:"versions"`
	Notes        []string      `json:"notes"` // what a reader must know of a gateway
	Missing      []string      `json:"missing"`
	Plan         string        `json:"plan"`
	Measurements []measurement `json:"measurements"`
	Curves       []curve       `json:"curves"`
}

// write leaves the report in a folder, unless that is "": results.json,
// results.md and pictures.
func (r *report) write(folder string) error {
	if folder == "" {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "results.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "results.md"), []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	return r.draw(folder)
}

// readReport reads one that was written.
func readReport(folder string) (*report, error) {
	text, err := os.ReadFile(filepath.Join(folder, "results.json"))
	if err != nil {
		return nil, err
	}
	r := new(report)
	return r, json.Unmarshal(text, r)
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results of `make bench`\n\nWritten by the benchmark; [performance.md](../performance.md) tells how to read it.\n\n%s, %s. %s\n", r.Machine, r.When, r.Plan)
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n\n- %s\n", title, strings.Join(lines, "\n- "))
		}
	}
	list("What was measured:", r.Versions)
	list("To be known of the others:", r.Notes)
	list("Not measured:", r.Missing)
	b.WriteString("\n## What it must reach\n\n" + r.goals())
	for _, k := range r.kinds() {
		of := slices.DeleteFunc(slices.Clone(r.Measurements), func(m measurement) bool { return m.kind() != k })
		fmt.Fprintf(&b, "\n## %s\n", k)
		for _, callers := range callersOf(of) {
			fmt.Fprintf(&b, "\n%s\n\n", plural(callers, "caller"))
			table(&b, slices.DeleteFunc(slices.Clone(of), func(m measurement) bool { return m.Callers != callers }))
		}
	}
	b.WriteString(r.growth())
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// kinds are those of the results, as they were measured.
func (r *report) kinds() (kinds []kind) {
	for _, m := range r.Measurements {
		place(&kinds, m.kind())
	}
	return kinds
}

func callersOf(ms []measurement) (callers []int) {
	for _, m := range ms {
		place(&callers, m.Callers)
	}
	return callers
}

// table is that of one scenario.
func table(b *strings.Builder, ms []measurement) {
	b.WriteString("| | calls/s | ratio | p50 ms | p99 | p99.9 | first byte p50 | CPU µs/call | memory MiB | calls |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range ms {
		if !m.known() {
			fmt.Fprintf(b, "| %s | not measured: %s |\n", m.Gateway, oneLine(m.Error))
			continue
		}
		failed := ""
		if m.Failed > 0 {
			failed = fmt.Sprintf(", %d failed", m.Failed)
		}
		fmt.Fprintf(b, "| %s | %.*f (%.*f–%.*f) | %s | %s | %s | %s | %s | %.0f | %.0f (idle %.0f) | %d%s |\n", m.Gateway,
			digits(m.Rate.Median), m.Rate.Median, digits(m.Rate.Median), m.Rate.Low, digits(m.Rate.Median), m.Rate.High, m.Ratio,
			short(m.P50), short(m.P99), short(m.P999), short(m.FirstP50), m.CPU, m.Peak, m.Idle, m.Calls, failed)
	}
}

func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.ReplaceAll(s, "|", "/")
}

// digits are those behind the point that a rate is told with.
func digits(rate float64) int {
	if rate < 100 {
		return 1
	}
	return 0
}

// short is a number with three digits that count.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// String is an estimate as the tables have it.
func (e estimate) String() string {
	return fmt.Sprintf("%.3f (%.3f–%.3f)", e.Value, e.Low, e.High)
}

// find is the measurement of a gateway in a scenario; a zero one for none.
func (r *report) find(result, upstream string, callers int, gateway string) (m measurement) {
	for _, m := range r.Measurements {
		if m.Result == result && m.Upstream == upstream && m.Callers == callers && m.Gateway == gateway {
			return m
		}
	}
	return m
}

// draw makes the pictures.
func (r *report) draw(folder string) error {
	ours := chart{title: "Tallygate up to the journal (ledger away), beside bare Caddy", y: "calls a second, ratio to bare Caddy", line: 1}
	for _, callers := range []int{1, 16, 64, 256} {
		s := series{name: plural(callers, "caller")}
		for _, k := range r.kinds() {
			place(&ours.x, k.String())
			s.points = append(s.points, r.find(k.result, k.upstream, callers, awayName).Ratio)
		}
		ours.series = append(ours.series, s)
	}
	others := chart{title: "16 callers", y: "calls a second, ratio to bare Caddy (logarithmic)", log: true, line: 1}
	tail := chart{title: "16 callers", y: "p99 of a call's time, ms (logarithmic)", log: true}
	var names []string
	for _, m := range r.Measurements {
		if m.Gateway != bareCaddy.name && m.Gateway != control.name {
			place(&names, m.Gateway)
		}
	}
	for _, k := range r.kinds() {
		if k.upstream == "fixed" && r.find(k.result, k.upstream, 16, bareCaddy.name).known() {
			place(&others.x, k.result)
		}
	}
	tail.x = others.x
	for _, name := range append([]string{bareCaddy.name}, names...) {
		speed, slow := series{name: name}, series{name: name}
		for _, result := range others.x {
			m := r.find(result, "fixed", 16, name)
			speed.points = append(speed.points, m.Ratio)
			slow.points = append(slow.points, estimate{m.P99, m.P99, m.P99})
		}
		if name != bareCaddy.name {
			others.series = append(others.series, speed)
		}
		tail.series = append(tail.series, slow)
	}
	for name, c := range map[string]chart{"caddy": ours, "gateways": others, "p99": tail} {
		if len(c.x) == 0 {
			continue
		}
		if err := c.draw(folder, name); err != nil {
			return err
		}
	}
	return r.drawGrowth(folder)
}
