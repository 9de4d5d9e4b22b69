package main

import (
	"fmt"
	"time"
)

// results are what the upstream's tools return.
func results() (all []*result) {
	for _, size := range []int{2 << 10, 64 << 10, 1 << 20, 16 << 20} {
		all = append(all, newResult(size, 0, false), newResult(size, 1, false))
	}
	all = append(all, newResult(64<<10, 1000, false))
	for _, size := range []int{2 << 10, 64 << 10, 1 << 20} {
		all = append(all, newResult(size, 0, true))
	}
	return all
}

// scenariosOf are what is measured.
func scenariosOf(quick bool) (all []scenario) {
	for _, r := range results() {
		for _, callers := range []int{1, 16, 64, 256} {
			switch {
			case quick && (callers != 16 && (callers != 1 || r.size > 2<<10) || r.text || r.size > 1<<20 || r.events == 1):
			case r.text && callers != 16:
			default:
				all = append(all, scenario{r, "fixed", callers})
			}
		}
	}
	if quick {
		return all
	}
	for _, r := range results() {
		for _, callers := range []int{1, 16, 64, 256} {
			if r.text && r.size <= 64<<10 { // as mcp-go's tools mostly answer
				all = append(all, scenario{r, "mcp-go", callers})
			}
		}
	}
	return all
}

// String names a scenario.
func (s scenario) String() string {
	return fmt.Sprintf("%s, %s, from %s", s.result, plural(s.callers, "caller"), s.upstream)
}

// plan is for windows that hold enough calls of a size.
func (s scenario) plan(quick bool) plan {
	// A batch goes to the ledger each second, whether a gateway stood still
	// meanwhile or not: shorter windows would have too many of them.
	p := plan{cycles: 30, window: 500 * time.Millisecond, peers: 5, processes: 4}
	if quick {
		p.cycles, p.window, p.peers, p.processes = 20, 200*time.Millisecond, 4, 2
	}
	// Where the answers to all callers take longer than a window, it lasts until
	// they are there.
	if whole := s.result.size * s.callers; whole > 256<<20 {
		p.cycles = max(6, p.cycles*(256<<20)/whole)
	}
	return p
}

// gatewaysOf are what is measured beside bare Caddy.
func gatewaysOf(quick bool) []gateway {
	all := []gateway{gate(gateName, "", sqliteLedger), gate(awayName, "", awayLedger), gate(portableName, "purego", awayLedger), control, roomyCaddy}
	for _, p := range peers() {
		if !quick || !p.mcp {
			all = append(all, p)
		}
	}
	return all
}

// control is bare Caddy once more: its ratio tells how exact the others are.
var control = func() gateway {
	g := bareCaddy
	g.name = "bare Caddy again"
	return g
}()
