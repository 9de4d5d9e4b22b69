package gate

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

// Counters count calls. The zero value is ready, and safe for concurrent use.
type Counters struct {
	calls    [5]atomic.Int64                // by the outcome's index in usage.Outcomes
	unknown  [len(aspects)][16]atomic.Int64 // by the reason's index in unknownReasons
	lines    [64]atomic.Int64               // by the line's index in scan.LineNames
	refusals refusalCounter
}

// refusalCounter counts refused requests by server and reason.
type refusalCounter struct {
	mu     sync.Mutex
	counts map[string]map[string]int64
}

// aspect is what a call can leave unknown.
type aspect uint8

const (
	aspectTables aspect = iota
	aspectRecords
)

var aspects = [...]string{aspectTables: "tables", aspectRecords: "records"}

// Reasons of the gate's own for which tables or records are unknown, beside
// scan.Reasons.
const (
	ReasonNoResult   = "no_result"  // the call ended without a result
	ReasonUnreadable = "unreadable" // its result came in a coding or of a type that is not read
)

var unknownReasons = func() (all []string) {
	for _, r := range scan.Reasons() {
		all = append(all, r.String())
	}
	return append(all, ReasonNoResult, ReasonUnreadable)
}()

func (c *Counters) countCall(o usage.Outcome) {
	c.calls[slices.Index(usage.Outcomes, o)].Add(1)
}

// countRefusal counts a refused request. With the first one of a server, every
// reason of that server has a count.
func (c *Counters) countRefusal(server, reason string) {
	r := &c.refusals
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[string]map[string]int64{}
	}
	of := r.counts[server]
	if of == nil {
		of = map[string]int64{}
		for _, each := range Reasons {
			of[each] = 0
		}
		r.counts[server] = of
	}
	of[reason]++
}

// all returns a copy of the counts.
func (r *refusalCounter) all() map[string]map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]map[string]int64, len(r.counts))
	for server, counts := range r.counts {
		all[server] = maps.Clone(counts)
	}
	return all
}

// countUnknown counts a call whose tables or records are unknown. Without a
// reason they are known, and nothing is counted.
func (c *Counters) countUnknown(a aspect, reason string) {
	if i := slices.Index(unknownReasons, reason); i >= 0 {
		c.unknown[a][i].Add(1)
	}
}

// countLine counts a record count that a line of the default rule has found.
func (c *Counters) countLine(name string) {
	if i := slices.Index(scan.LineNames, name); i >= 0 && i < len(c.lines) {
		c.lines[i].Add(1)
	}
}

// Counts are the values of Counters at one time. They have a value, 0 if nothing
// was counted, for everything that can be counted.
type Counts struct {
	Calls    map[usage.Outcome]int64
	Refusals map[string]map[string]int64 // refused requests by server, of those that have refused any, and reason
	Lines    map[string]int64            // calls by the line of the default rule that found their record count
	Unknown  map[string]map[string]int64 // calls by what is unknown, "tables" or "records", and the reason
}

// Counts returns the present values.
func (c *Counters) Counts() Counts {
	n := Counts{Calls: map[usage.Outcome]int64{}, Refusals: c.refusals.all(), Unknown: map[string]map[string]int64{}, Lines: map[string]int64{}}
	for i, name := range scan.LineNames {
		n.Lines[name] = c.lines[i].Load()
	}
	for i, o := range usage.Outcomes {
		n.Calls[o] = c.calls[i].Load()
	}
	for a, name := range aspects {
		n.Unknown[name] = map[string]int64{}
		for i, reason := range unknownReasons {
			n.Unknown[name][reason] = c.unknown[a][i].Load()
		}
	}
	return n
}
