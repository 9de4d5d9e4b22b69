package main

import (
	"fmt"
	"strings"
	"time"
)

// goal is what Tallygate must reach beside bare Caddy in the same run.
type goal struct {
	result  string
	callers int
	gateway string
	rate    float64 // of calls a second, at least; 0: no goal
	first   float64 // of the time until the first byte, at most; 0: no goal
}

// The goals are for calls up to the journal. What a ledger inside the process
// costs depends on which it is; it is printed beside.
var goals = []goal{
	{"2KB", 16, awayName, 0.90, 0},
	{"2KB", 1, awayName, 0.85, 0},
	{"64KB", 16, awayName, 0.90, 0},
	{"64KB", 1, awayName, 0.85, 0},
	{"1MB", 16, awayName, 0.75, 1.1},
	{"1MB", 16, portableName, 0.50, 0},
	{"64KB SSE, 1000 events", 16, awayName, 0, 1.1},
}

// check returns a table of the goals that the measurements are about, and
// reports whether all of them are reached.
func check(all []measurement) (text string, reached bool) {
	find := func(g goal, gateway string) (m measurement, ok bool) {
		for _, m := range all {
			if m.scenario.result.String() == g.result && m.scenario.callers == g.callers && m.gateway == gateway && m.calls > 0 {
				return m, true
			}
		}
		return m, false
	}
	var b strings.Builder
	b.WriteString("| beside bare Caddy | | goal | measured | |\n|---|---|---|---|---|\n")
	reached = true
	row := func(m measurement, what, want, got string, ok bool) {
		verdict := "pass"
		if !ok {
			verdict, reached = "FAIL", false
		}
		fmt.Fprintf(&b, "| %s, %s | %s | %s | %s | %s |\n", m.scenario, m.gateway, what, want, got, verdict)
	}
	for _, g := range goals {
		m, ok := find(g, g.gateway)
		bare, okBare := find(g, bareCaddy.name)
		if !ok || !okBare {
			continue // this run was about something else
		}
		if g.rate > 0 {
			row(m, "calls/s", fmt.Sprintf("≥ %.2f", g.rate), m.ratio.String(), m.ratio.value >= g.rate && m.failed == 0)
			if shipping, ok := find(g, gateName); ok && g.gateway == awayName {
				fmt.Fprintf(&b, "| %s, %s | calls/s | | %s | |\n", shipping.scenario, gateName, shipping.ratio)
			}
		}
		if g.first > 0 {
			got := ratioOf(m.firstP50, bare.firstP50)
			row(m, "first byte", fmt.Sprintf("≤ %.2f", g.first), fmt.Sprintf("%.2f", got), got <= g.first && m.failed == 0)
		}
	}
	return b.String(), reached
}

func ratioOf(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }
