package usage

import (
	"math"
	"math/big"
)

// Dimension is what a breakdown groups events by.
type Dimension string

// The dimensions. A call on several tables counts under each of them, a call whose
// tables are unknown under none.
const (
	ByTotal  Dimension = "total" // all events in one group with an empty name
	ByDay    Dimension = "day"   // UTC, as 2006-01-02
	ByServer Dimension = "server"
	ByTool   Dimension = "tool"
	ByTable  Dimension = "table"
	ByUser   Dimension = "user"   // by the user's ID
	ByKey    Dimension = "key"    // by the key's ID
	ByClient Dimension = "client" // by the name that the client gave itself; empty when unknown
)

// Dimensions lists every dimension, in the order above.
var Dimensions = []Dimension{ByTotal, ByDay, ByServer, ByTool, ByTable, ByUser, ByKey, ByClient}

// BreakdownQuery asks for the events of a StatsQuery, grouped by a dimension: the
// Limit groups with most calls, ordered by calls and then by name. Days are
// ordered by date, the oldest first.
type BreakdownQuery struct {
	StatsQuery
	By    Dimension
	Limit int
}

// Group is the summary of one group of events. A sum that does not fit an int64 is
// the nearest int64.
type Group struct {
	Name          string
	Label         string // what the key was named (ByKey), or the user's address (ByUser), at the latest call; else ""
	Calls         int64
	Errors        int64 // calls whose outcome is not OK
	Records       int64 // sum of the known record counts
	RequestBytes  int64
	ResponseBytes int64
	Latency       Latency
}

// Clamp returns the int64 nearest to a sum.
func Clamp(sum *big.Int) int64 {
	switch {
	case sum.IsInt64():
		return sum.Int64()
	case sum.Sign() < 0:
		return math.MinInt64
	default:
		return math.MaxInt64
	}
}

// Latency has percentiles of the duration of calls, in microseconds. A ledger may
// be off by one call in rank, and by 1 % in time.
type Latency struct {
	P50, P95, P99 int64
}
