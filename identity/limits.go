package identity

import (
	"fmt"
	"slices"
)

// Limits bound what may be done with one key, or with all keys of a user together. A
// zero is no limit.
type Limits struct {
	// CallsPerMinute is how many calls may be made in a minute on average, and
	// Burst how many at once: in any span of m minutes, Burst plus m times
	// CallsPerMinute. A zero Burst is a second's worth, and at least 5.
	CallsPerMinute int64 `json:"calls_per_minute,omitempty"`
	Burst          int64 `json:"burst,omitempty"`
	// CallsPerDay and RecordsPerDay hold from midnight to midnight UTC. A call
	// is let in while there are records left, and may return more than are left.
	CallsPerDay   int64 `json:"calls_per_day,omitempty"`
	RecordsPerDay int64 `json:"records_per_day,omitempty"`
	// ConcurrentCalls is how many calls may be in flight at once, on each
	// replica.
	ConcurrentCalls int64 `json:"concurrent_calls,omitempty"`
}

// The names of the limits, as JSON, commands and metrics have them.
const (
	LimitCallsPerMinute  = "calls_per_minute"
	LimitBurst           = "burst"
	LimitCallsPerDay     = "calls_per_day"
	LimitRecordsPerDay   = "records_per_day"
	LimitConcurrentCalls = "concurrent_calls"
)

// The highest values of limits, so that arithmetic with them cannot overflow.
const (
	MaxLimit = 1_000_000_000
	MaxBurst = 1_000_000
)

// LimitField describes one field of Limits.
type LimitField struct {
	Name string // its name: one of the Limit constants
	Text string // what it counts, for a sentence: "10 calls a minute"
	Unit string // the same for a table: "10 calls/min"
	Max  int64  // its highest value
	// Of returns the field.
	Of func(*Limits) *int64
}

// LimitFields are the fields of Limits, in the order in which they are shown.
// Whatever handles limits one by one ranges over them.
var LimitFields = []LimitField{
	{LimitCallsPerMinute, "calls a minute", "calls/min", MaxLimit, func(l *Limits) *int64 { return &l.CallsPerMinute }},
	{LimitBurst, "calls at once (the burst)", "at once", MaxBurst, func(l *Limits) *int64 { return &l.Burst }},
	{LimitCallsPerDay, "calls a day", "calls/day", MaxLimit, func(l *Limits) *int64 { return &l.CallsPerDay }},
	{LimitRecordsPerDay, "records a day", "records/day", MaxLimit, func(l *Limits) *int64 { return &l.RecordsPerDay }},
	{LimitConcurrentCalls, "calls at the same time", "concurrent", MaxLimit, func(l *Limits) *int64 { return &l.ConcurrentCalls }},
}

// LimitFieldNamed returns the field of a name, which must be one of the Limit
// constants.
func LimitFieldNamed(name string) LimitField {
	return LimitFields[slices.IndexFunc(LimitFields, func(f LimitField) bool { return f.Name == name })]
}

// LimitNames returns the names of all limits, in the order of LimitFields.
func LimitNames() []string {
	names := make([]string, len(LimitFields))
	for i, f := range LimitFields {
		names[i] = f.Name
	}
	return names
}

// Check returns an Invalid that says what is wrong with the limits.
func (l Limits) Check() error {
	for _, f := range LimitFields {
		if value := *f.Of(&l); value < 0 || value > f.Max {
			return Invalid(fmt.Sprintf("the limit of %s is %d: it must be 0, for none, or up to %d", f.Text, value, f.Max))
		}
	}
	if l.Burst > 0 && l.CallsPerMinute == 0 {
		return Invalid("a burst is part of a limit of calls a minute: set that too")
	}
	return nil
}

// EffectiveBurst returns how many calls may be made at once under a limit of
// calls a minute.
func (l Limits) EffectiveBurst() int64 {
	if l.Burst > 0 {
		return l.Burst
	}
	return max(5, l.CallsPerMinute/60)
}
