package gate

import (
	"slices"
	"sync/atomic"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

// Counters count calls. The zero value is ready, and safe for concurrent use.
type Counters struct {
	calls     [5]atomic.Int64 // by the outcome's index in usage.Outcomes
	denied    [5]atomic.Int64 // by the reason's index in denials
	throttled atomic.Int64
	unknown   [len(aspects)][16]atomic.Int64 // by the reason's index in unknownReasons
	lines     [64]atomic.Int64               // by the line's index in scan.LineNames
}

// denials are the reasons for which calls are denied to a key: its scopes, or one
// of its limits, as quota.Exceeded names them.
var denials = []string{reasonScope, identity.LimitCallsPerMinute, identity.LimitCallsPerDay, identity.LimitRecordsPerDay, identity.LimitConcurrentCalls}

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

func (c *Counters) countDenied(reason string) {
	c.denied[slices.Index(denials, reason)].Add(1)
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
	Calls     map[usage.Outcome]int64
	Denied    map[string]int64            // calls denied to keys, by scope or limit
	Throttled int64                       // requests whose keys were not looked up any more
	Lines     map[string]int64            // calls by the line of the default rule that found their record count
	Unknown   map[string]map[string]int64 // calls by what is unknown, "tables" or "records", and the reason
}

// Counts returns the present values.
func (c *Counters) Counts() Counts {
	n := Counts{Calls: map[usage.Outcome]int64{}, Denied: map[string]int64{}, Throttled: c.throttled.Load(), Unknown: map[string]map[string]int64{}, Lines: map[string]int64{}}
	for i, name := range scan.LineNames {
		n.Lines[name] = c.lines[i].Load()
	}
	for i, o := range usage.Outcomes {
		n.Calls[o] = c.calls[i].Load()
	}
	for i, reason := range denials {
		n.Denied[reason] = c.denied[i].Load()
	}
	for a, name := range aspects {
		n.Unknown[name] = map[string]int64{}
		for i, reason := range unknownReasons {
			n.Unknown[name][reason] = c.unknown[a][i].Load()
		}
	}
	return n
}
