package caddymodule

import "testing"

// TestHeapRoom goes through loads and has the room follow: at once where more
// is allocated, after a second collection where less is.
func TestHeapRoom(t *testing.T) {
	r := &heapRoom{percent: 100}
	const live = 8 << 20
	for _, step := range []struct {
		what    string
		rate    float64 // bytes a second
		percent int
		changes bool
	}{
		{"idle", 1 << 10, 100, false},
		{"many calls", 160 << 20, 200, true},
		{"as many, but for a little", 165 << 20, 200, false},
		{"more than there is room for", 1 << 30, mostRoom * 100 / live, true},
		{"a pause", 1 << 10, mostRoom * 100 / live, false},
		{"still", 1 << 10, 100, true},
		{"few calls", 10 << 20, 100, false},
	} {
		if changes := r.adjust(step.rate, live); changes != step.changes || r.percent != step.percent {
			t.Errorf("%s: %d percent, changed: %v; want %d, %v", step.what, r.percent, changes, step.percent, step.changes)
		}
	}
}
