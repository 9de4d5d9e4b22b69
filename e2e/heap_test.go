package e2e

import (
	"fmt"
	"testing"
)

// TestHeapHasRoom holds that a gate's heap may grow to a size that is seldom
// collected, unless the operator says otherwise or memory is scarce.
func TestHeapHasRoom(t *testing.T) {
	const roomy = 32 << 20
	for _, c := range []struct {
		env   string
		roomy bool
	}{{"GOGC=", true}, {"GOGC=100", false}, {"GOMEMLIMIT=64MiB", false}, {"GOMEMLIMIT=1GiB", true}} {
		t.Run(c.env, func(t *testing.T) {
			t.Parallel()
			s := startSite(t, c.env)
			metrics := s.serveMetrics(t)
			s.await(t, fmt.Sprintf("the heap may grow to 32 MiB: %v", c.roomy), func() bool { // told by the next collection
				return metric(t, metrics, "go_memstats_next_gc_bytes") >= roomy == c.roomy
			})
		})
	}
}
