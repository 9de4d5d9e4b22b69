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
	calls    serverCounter                  // by outcome
	unknown  [len(aspects)][16]atomic.Int64 // by the reason's index in unknownReasons
	lines    [64]atomic.Int64               // by the line's index in scan.LineNames
	refusals serverCounter                  // by reason
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

// outcomes are usage.Outcomes as labels.
var outcomes = func() (all []string) {
	for _, o := range usage.Outcomes {
		all = append(all, string(o))
	}
	return all
}()

func (c *Counters) countCall(server string, o usage.Outcome) {
	c.calls.add(server, string(o), 1, outcomes)
}

// countRefusal counts a refused request.
func (c *Counters) countRefusal(server, reason string) {
	c.refusals.add(server, reason, 1, Reasons)
}

// serverCounter counts by server and by a label: an outcome or a reason.
type serverCounter struct {
	mu     sync.Mutex
	counts map[string]map[string]int64
}

// add adds n to a server's count under a label. From a server's first one on,
// there is a count for all labels.
func (s *serverCounter) add(server, label string, n int64, labels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[string]map[string]int64{}
	}
	of := s.counts[server]
	if of == nil {
		of = make(map[string]int64, len(labels))
		for _, each := range labels {
			of[each] = 0
		}
		s.counts[server] = of
	}
	of[label] += n
}

// all returns a copy of the counts.
func (s *serverCounter) all() map[string]map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]map[string]int64, len(s.counts))
	for server, counts := range s.counts {
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
	Calls    map[string]map[string]int64 // by server and outcome
	Refusals map[string]map[string]int64 // refused requests by server and reason
	Lines    map[string]int64            // calls by the line of the default rule that found their record count
	Unknown  map[string]map[string]int64 // calls by what is unknown, "tables" or "records", and the reason
}

// Counts returns the present values: those of the given servers, and of all others
// that something was counted for.
func (c *Counters) Counts(servers ...string) Counts {
	for _, server := range servers {
		c.calls.add(server, outcomes[0], 0, outcomes)
		c.refusals.add(server, Reasons[0], 0, Reasons)
	}
	n := Counts{Calls: c.calls.all(), Refusals: c.refusals.all(), Unknown: map[string]map[string]int64{}, Lines: map[string]int64{}}
	for i, name := range scan.LineNames {
		n.Lines[name] = c.lines[i].Load()
	}
	for a, name := range aspects {
		n.Unknown[name] = map[string]int64{}
		for i, reason := range unknownReasons {
			n.Unknown[name][reason] = c.unknown[a][i].Load()
		}
	}
	return n
}
