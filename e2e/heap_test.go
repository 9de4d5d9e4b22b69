package e2e

import (
	"strings"
	"testing"
)

// TestHeapHasRoom holds that the heap of a gate under load may grow to a size
// that is seldom collected, unless the operator says otherwise or memory is
// scarce.
func TestHeapHasRoom(t *testing.T) {
	u := startFlowUpstream(t)
	for _, c := range []struct {
		env   string
		roomy bool
	}{{"GOGC=", true}, {"GOGC=100", false}, {"GOMEMLIMIT=64MiB", false}, {"GOMEMLIMIT=1GiB", true}} {
		t.Run(c.env, func(t *testing.T) {
			s := startSiteAt(t, u.Listener.Addr().String(), c.env)
			metrics := s.serveMetrics(t)
			key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
			load := func() (percent int) {
				// Of few bytes each it would take thousands a second.
				body := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"long":"` + strings.Repeat("x", 2<<20) + `"}}`
				for range 100 {
					if a := do(t, "POST", s.gate, body, "Authorization: Bearer "+key); a.status != 202 { // the upstream knows no lists
						t.Fatalf("%d %s", a.status, a.body)
					}
				}
				return metric(t, metrics, "go_gc_gogc_percent")
			}
			if c.roomy {
				s.await(t, "the heap has more room", func() bool { return load() > 120 })
			} else if percent := load(); percent != 100 {
				t.Errorf("the heap's room is %d percent of what is in use, want 100", percent)
			}
		})
	}
}
