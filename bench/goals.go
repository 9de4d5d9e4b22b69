package main

import (
	"fmt"
	"math"
	"strings"
)

// goal is what the gate must reach beside bare Caddy in the same run.
type goal struct {
	results []string
	gateway string
	rate    float64 // at least
	p99     float64 // at most, and so on
	first   float64
	memory  float64
}

const (
	portableName = "Tallygate, portable"
	awayName     = "Tallygate, ledger away"
)

// goals are of calls up to the journal; what a ledger costs depends on which it
// is, and comes beside.
var goals = []goal{
	{[]string{"2KB", "2KB SSE", "2KB as a text"}, awayName, 0.95, 1.10, 0, 0},
	{[]string{"64KB", "64KB SSE", "64KB as a text"}, awayName, 0.90, 1.15, 0, 0},
	{[]string{"64KB", "64KB SSE", "64KB as a text"}, portableName, 0.75, 1.15, 0, 0},
	{[]string{"1MB", "1MB SSE", "1MB as a text"}, awayName, 0.80, 1.3, 0, 1.2},
	{[]string{"1MB", "1MB SSE", "1MB as a text"}, portableName, 0.55, 1.3, 0, 1.2},
	{[]string{"16MB", "16MB SSE", "64KB SSE, 1000 events"}, awayName, 0.75, 1.3, 1.05, 1.2},
}

// goals is the table of what was to be reached, and whether it was.
func (r *report) goals() string {
	var b strings.Builder
	b.WriteString("Ratios to bare Caddy; the least and the most of all numbers of callers. **Bold**: not reached.\n\n" +
		"| result | | calls/s | p99 | first byte | memory at the peak |\n|---|---|---|---|---|---|\n")
	for _, g := range goals {
		for _, result := range g.results {
			g.row(&b, r, result)
			if g.gateway == awayName {
				shipping := g
				shipping.gateway = gateName
				shipping.row(&b, r, result)
			}
		}
	}
	for _, result := range []string{"2KB", "64KB", "1MB"} {
		ours := r.find(result, "fixed", 16, gateName)
		for _, m := range r.Measurements {
			if m.MCP && m.known() && m.Result == result && m.Upstream == "fixed" && m.Callers == 16 {
				factor, want := over(ours.Rate.Median, m.Rate.Median), 2.0
				if result == "1MB" {
					want = 1
				}
				fmt.Fprintf(&b, "| %s, 16 callers | %s over %s | %s | | | |\n", result, gateName, m.Gateway, mark(factor, want, math.Inf(1)))
			}
		}
	}
	return b.String()
}

func (g goal) row(b *strings.Builder, r *report, result string) {
	rate, p99, first, memory := [2]float64{math.Inf(1), 0}, [2]float64{math.Inf(1), 0}, [2]float64{math.Inf(1), 0}, [2]float64{math.Inf(1), 0}
	widen := func(span *[2]float64, v float64) { span[0], span[1] = min(span[0], v), max(span[1], v) }
	for _, m := range r.Measurements {
		if m.Result != result || m.Upstream != "fixed" || m.Gateway != g.gateway || !m.known() {
			continue
		}
		bare := r.find(result, "fixed", m.Callers, bareCaddy.name)
		widen(&rate, m.Ratio.Value)
		widen(&p99, over(m.P99, bare.P99))
		widen(&first, over(m.FirstP50, bare.FirstP50))
		widen(&memory, over(m.Peak, bare.Peak))
	}
	if rate[1] == 0 {
		return
	}
	cell := func(span [2]float64, least, most float64) string {
		if least == 0 && most == 0 {
			return fmt.Sprintf("%.2f–%.2f", span[0], span[1])
		}
		if most == 0 {
			return mark(span[0], least, math.Inf(1)) + fmt.Sprintf("–%.2f, want ≥ %.2f", span[1], least)
		}
		return fmt.Sprintf("%.2f–", span[0]) + mark(span[1], 0, most) + fmt.Sprintf(", want ≤ %.2f", most)
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", result, g.gateway,
		cell(rate, g.rate, 0), cell(p99, 0, g.p99), cell(first, 0, g.first), cell(memory, 0, g.memory))
}

// mark is a number, in bold if it is not within its bounds.
func mark(v, least, most float64) string {
	if v < least || v > most {
		return fmt.Sprintf("**%.2f**", v)
	}
	return fmt.Sprintf("%.2f", v)
}
