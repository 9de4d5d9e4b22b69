package main

import (
	"fmt"
	"time"
)

// scenario is one kind of load, which every gateway is put under.
type scenario struct {
	result  *result
	callers int
}

// String returns the scenario's name, such as "64KB SSE, 16 callers".
func (s scenario) String() string {
	if s.callers == 1 {
		return s.result.String() + ", 1 caller"
	}
	return fmt.Sprintf("%s, %d callers", s.result, s.callers)
}

// results returns what the upstream's tools answer with.
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

// scenariosOf returns what is measured: all of it, or the quick part that the
// goals are about.
func scenariosOf(quick bool) (all []scenario) {
	for _, r := range results() {
		for _, callers := range []int{1, 16, 64, 256} {
			json := r.events == 0 && !r.text
			switch {
			case quick && r.events > 1 && callers == 16: // the first byte
			case quick && json && r.size <= 64<<10 && callers <= 16:
			case quick && json && r.size == 1<<20 && callers == 16:
			case quick, r.text && callers != 16:
				continue
			}
			all = append(all, scenario{r, callers})
		}
	}
	return all
}

// plan says how long a comparison takes.
type plan struct {
	cycles    int           // in each cycle bare Caddy and Tallygate are measured once
	window    time.Duration // of load on one gateway
	peers     int           // the other gateways are measured in every n-th cycle
	processes int           // of bare Caddy and Tallygate, in turn; the others have one
}

// planOf returns a plan whose windows hold enough calls of the scenario's size.
func planOf(s scenario, quick bool) plan {
	// The ledger gets a batch each second, whether its gateway was stopped
	// meanwhile or not: shorter windows would have more batches than there are.
	p := plan{cycles: 30, window: 500 * time.Millisecond, peers: 5, processes: 4}
	if quick {
		p.cycles, p.window, p.processes = 24, 250*time.Millisecond, 2
	}
	// Where the answers to all callers take longer than a window, the window
	// lasts until they have come.
	if whole := s.result.size * s.callers; whole > 256<<20 {
		p.cycles = max(6, p.cycles*(256<<20)/whole)
	}
	return p
}
