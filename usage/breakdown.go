package usage

import (
	"math"
	"math/big"
)

// Dimension is what a breakdown groups events by.
type Dimension string

// The dimensions. A call on several tables counts under each; one on none that
// is known, under none.
const (
	ByTotal  Dimension = "total" // all in one group, whose name is empty
	ByDay    Dimension = "day"   // UTC, as 2006-01-02
	ByTool   Dimension = "tool"
	ByTable  Dimension = "table"
	ByKey    Dimension = "key"    // by its ID
	ByClient Dimension = "client" // by the name it gave itself; empty when unknown
)

// Dimensions lists every dimension, in the order above.
var Dimensions = []Dimension{ByTotal, ByDay, ByTool, ByTable, ByKey, ByClient}

// BreakdownQuery asks for the events of a StatsQuery by a dimension: the Limit
// groups that have most calls, then by name; days, the oldest first.
type BreakdownQuery struct {
	StatsQuery
	By    Dimension
	Limit int
}

// Group is what the events of one group have in common. Sums that no int64
// holds end at its limits.
type Group struct {
	Name          string
	KeyName       string // of a group ByKey: the name at the key's latest call
	Calls         int64
	Errors        int64 // calls that did not end OK
	Records       int64 // sum of the known record counts
	RequestBytes  int64
	ResponseBytes int64
	Latency       Latency
}

// Clamp is the int64 nearest to a sum.
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

// Latency tells how long calls took, in microseconds: half of them, 95 and 99
// in a hundred took no longer than this. Ledgers may be off by one call, and by
// one in a hundred of the time.
type Latency struct {
	P50, P95, P99 int64
}
