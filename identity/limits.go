package identity

import "fmt"

// Limits are what may be done with one key. A zero is no limit.
type Limits struct {
	// CallsPerMinute is how many calls may be made in a minute on average, and
	// Burst how many at once: in any span of m minutes, Burst plus m times
	// CallsPerMinute. A zero Burst is a second's worth, and at least 5.
	CallsPerMinute int64 `json:"calls_per_minute,omitempty"`
	Burst          int64 `json:"burst,omitempty"`
	// CallsPerDay and RecordsPerDay hold from midnight to midnight UTC. A call
	// is let in while there are records left, and may take more than are.
	CallsPerDay   int64 `json:"calls_per_day,omitempty"`
	RecordsPerDay int64 `json:"records_per_day,omitempty"`
	// ConcurrentCalls is how many calls may be under way at once.
	ConcurrentCalls int64 `json:"concurrent_calls,omitempty"`
}

// The bounds of limits, so that what is reckoned with them cannot overflow.
const (
	maxLimit = 1_000_000_000
	maxBurst = 1_000_000
)

// Check returns an Invalid that tells what is wrong with the limits.
func (l Limits) Check() error {
	for _, limit := range []struct {
		name       string
		value, max int64
	}{
		{"calls a minute", l.CallsPerMinute, maxLimit}, {"calls at once (the burst)", l.Burst, maxBurst},
		{"calls a day", l.CallsPerDay, maxLimit}, {"records a day", l.RecordsPerDay, maxLimit},
		{"concurrent calls", l.ConcurrentCalls, maxLimit},
	} {
		if limit.value < 0 || limit.value > limit.max {
			return Invalid(fmt.Sprintf("the limit of %s is %d: it must be 0, for none, or up to %d", limit.name, limit.value, limit.max))
		}
	}
	if l.Burst > 0 && l.CallsPerMinute == 0 {
		return Invalid("a burst is part of a limit of calls a minute: set that too")
	}
	return nil
}

// Or returns l with each limit that it lacks taken from other.
func (l Limits) Or(other Limits) Limits {
	if l.CallsPerMinute == 0 {
		l.CallsPerMinute, l.Burst = other.CallsPerMinute, other.Burst
	}
	if l.CallsPerDay == 0 {
		l.CallsPerDay = other.CallsPerDay
	}
	if l.RecordsPerDay == 0 {
		l.RecordsPerDay = other.RecordsPerDay
	}
	if l.ConcurrentCalls == 0 {
		l.ConcurrentCalls = other.ConcurrentCalls
	}
	return l
}

// burst is how many calls may be made at once under a limit of calls a minute.
func (l Limits) burst() int64 {
	if l.Burst > 0 {
		return l.Burst
	}
	return max(5, l.CallsPerMinute/60)
}
