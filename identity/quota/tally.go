package identity

import (
	"context"
	"time"
)

// TallyStore is the part of a Store that holds what the replicas have taken of
// the limits of keys.
type TallyStore interface {
	// UpdateTallies lets a function change the tallies of some keys, each named
	// once, in the order of their IDs. Nobody else reads or changes them
	// meanwhile. A key that has none yet gets a zero Tally. now is the store's
	// time, which is the same for all replicas.
	UpdateTallies(ctx context.Context, keyIDs []string, update func(now time.Time, tallies []Tally)) error
}

// Tally is what all replicas together have taken of the limits of a key.
type Tally struct {
	// NextAt is when, at the rate of the limit, the next call of a key that
	// never paused would be due (the theoretical arrival time of GCRA), in
	// nanoseconds since 1970. It runs ahead of the clock by what is taken of
	// the burst.
	NextAt int64 `json:"next_at,omitempty"`
	// Day is the day that Calls and Records are of, in days since 1970 UTC.
	Day     int64 `json:"day,omitempty"`
	Calls   int64 `json:"calls,omitempty"`
	Records int64 `json:"records,omitempty"`
	// Slots are the concurrent calls that each replica may have under way.
	Slots map[string]Slots `json:"slots,omitempty"`
}

// Slots are what a replica holds of a limit of concurrent calls, until it says
// so again or, in case it died, for a while.
type Slots struct {
	Held  int64 `json:"held"`
	Until int64 `json:"until"` // microseconds since 1970
}

// ask is what a replica wants of a key's limits.
type ask struct {
	limits Limits
	// minute and day are how many calls it wants to be able to let in, as many
	// as there are; negative is what it gives back.
	minute, day int64
	// owed is what it let in without asking, when the store was away.
	owedMinute, owedDay int64
	records             int64 // returned since it last asked
	today               int64 // the day that day, owedDay and records are of
	slots               int64 // how many slots it wants to hold
}

// grant is the answer.
type grant struct {
	minute, day int64
	minuteWait  time.Duration // until another call can be had, when less was granted than wanted
	today       int64         // the day that the following are of
	records     int64         // of all replicas
	slots       int64         // how many it holds now
}

// slotLease is how long a replica that died keeps its slots.
const slotLease = 15 * time.Second

const (
	dayLength = 24 * time.Hour
	dayMicros = int64(dayLength / time.Microsecond)
)

// dayOf is the day of a time, in days since 1970 UTC.
func dayOf(now time.Time) int64 { return now.UnixMicro() / dayMicros }

// untilTomorrow is how long a day has still to go.
func untilTomorrow(now time.Time) time.Duration {
	return time.Duration(dayMicros-now.UnixMicro()%dayMicros) * time.Microsecond
}

// settle takes what a replica asks for, as far as there is any.
func (t *Tally) settle(replica string, a ask, now time.Time) grant {
	var g grant
	if a.limits.CallsPerMinute > 0 {
		g.minute, g.minuteWait = t.settleMinute(a, now)
	}
	t.settleDay(a, now, &g)
	t.settleSlots(replica, a, now, &g)
	return g
}

// settleMinute is a token bucket (GCRA): each call that is taken moves NextAt on by the
// time that the rate allows a call in, up to the burst ahead of the clock.
func (t *Tally) settleMinute(a ask, now time.Time) (granted int64, wait time.Duration) {
	each := int64(time.Minute) / a.limits.CallsPerMinute
	full := now.UnixNano() // NextAt of a full bucket
	empty := full + each*a.limits.burst()
	// What is owed takes no more than the burst: it is in the past.
	next := max(t.NextAt, full)
	next = max(next, min(next+each*a.owedMinute, empty))
	if a.minute < 0 {
		next = max(full, next+each*a.minute)
	} else {
		granted = max(0, min(a.minute, (empty-next)/each))
		next += each * granted
		if granted < a.minute {
			wait = time.Duration(max(0, next+each-empty))
		}
	}
	t.NextAt = next
	return granted, wait
}

func (t *Tally) settleDay(a ask, now time.Time, g *grant) {
	g.today = dayOf(now)
	if t.Day != g.today {
		t.Day, t.Calls, t.Records = g.today, 0, 0
	}
	// What is of another day does not count any more.
	if a.today == g.today {
		t.Calls += a.owedDay
		t.Records += a.records
		if a.day < 0 {
			t.Calls = max(0, t.Calls+a.day)
		}
	}
	if a.limits.CallsPerDay > 0 && a.day > 0 {
		g.day = max(0, min(a.day, a.limits.CallsPerDay-t.Calls))
		t.Calls += g.day
	}
	g.records = t.Records
}

func (t *Tally) settleSlots(replica string, a ask, now time.Time, g *grant) {
	free := a.limits.ConcurrentCalls
	for name, s := range t.Slots {
		switch {
		case s.Until <= now.UnixMicro() || name == replica:
			delete(t.Slots, name)
		default:
			free -= s.Held
		}
	}
	// What is under way stays so, even when the limit has become lower.
	g.slots = max(0, min(a.slots, free))
	if g.slots == 0 {
		return
	}
	if t.Slots == nil {
		t.Slots = make(map[string]Slots)
	}
	t.Slots[replica] = Slots{Held: g.slots, Until: now.Add(slotLease).UnixMicro()}
}
