//go:build !race

package caddymodule

import (
	"net/http"
	"testing"
)

// maxExtraAllocs is how many allocations the gate may add to a call, whatever
// its result's size and format.
const maxExtraAllocs = 22

// TestAllocations checks what the gate allocates for a call with everything on.
// It is the one property of BenchmarkGate that does not depend on the machine.
// The race detector allocates, too, so this test is not built with it.
func TestAllocations(t *testing.T) {
	w := newBenchWorld(t)
	gate := w.gate(t)
	for _, c := range append(benchCalls(), queryCalls()...) {
		t.Run(c.name, func(t *testing.T) {
			proxy := &answering{answer: c.answer}
			gated := c.through(t, w, func(rw http.ResponseWriter, r *http.Request) error { return gate.ServeHTTP(rw, r, proxy) })
			bare := c.through(t, w, proxy.ServeHTTP)
			if extra := mallocs(gated) - mallocs(bare); extra > maxExtraAllocs {
				t.Errorf("the gate allocates %d times more than the handler behind it, want at most %d", extra, maxExtraAllocs)
			}
			w.drain(t)
		})
	}
}
