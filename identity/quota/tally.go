package quota

import (
	"time"

	"github.com/tallygate/tallygate/identity"
)

// request is what a replica asks of the tally of a key.
type request struct {
	limits identity.Limits
	// minute and day are how many more calls it wants to lease; negative is what
	// it gives back.
	minute, day int64
	// debtMinute and debtDay are the calls that it let in without asking, while
	// the store was down.
	debtMinute, debtDay int64
	records             int64 // returned since the last request
	today               int64 // the day of day, debtDay and records
}

// grant is the answer to a request.
type grant struct {
	minute, day int64
	minuteWait  time.Duration // until another call can be had, when less was granted than requested
	today       int64         // the day of day and records
	records     int64         // of all replicas
}

const (
	dayLength = 24 * time.Hour
	dayMicros = int64(dayLength / time.Microsecond)
)

// dayOf returns the day of a time, in days since 1970 UTC.
func dayOf(now time.Time) int64 { return now.UnixMicro() / dayMicros }

// untilTomorrow returns how long the day of a time still lasts.
func untilTomorrow(now time.Time) time.Duration {
	return time.Duration(dayMicros-now.UnixMicro()%dayMicros) * time.Microsecond
}

// settle charges a request to a tally, and grants as much of it as there is.
func settle(t *identity.Tally, r request, now time.Time) grant {
	var g grant
	if r.limits.CallsPerMinute > 0 {
		g.minute, g.minuteWait = settleMinute(t, r, now)
	}
	settleDay(t, r, now, &g)
	return g
}

// settleMinute is a token bucket (GCRA): each call that is granted moves NextAt
// on by the time that the rate allows a call in, up to the burst ahead of the
// clock.
func settleMinute(t *identity.Tally, r request, now time.Time) (granted int64, wait time.Duration) {
	perCall := int64(time.Minute) / r.limits.CallsPerMinute
	full := now.UnixNano() // NextAt of a full bucket
	empty := full + perCall*r.limits.EffectiveBurst()
	// A debt takes no more than the burst: its calls are in the past.
	next := max(t.NextAt, full)
	next = max(next, min(next+perCall*r.debtMinute, empty))
	if r.minute < 0 {
		next = max(full, next+perCall*r.minute)
	} else {
		granted = max(0, min(r.minute, (empty-next)/perCall))
		next += perCall * granted
		if granted < r.minute {
			wait = time.Duration(max(0, next+perCall-empty))
		}
	}
	t.NextAt = next
	return granted, wait
}

func settleDay(t *identity.Tally, r request, now time.Time, g *grant) {
	g.today = dayOf(now)
	if t.Day != g.today {
		t.Day, t.Calls, t.Records = g.today, 0, 0
	}
	// What happened on another day does not count any more.
	if r.today == g.today {
		t.Calls += r.debtDay
		t.Records += r.records
		if r.day < 0 {
			t.Calls = max(0, t.Calls+r.day)
		}
	}
	if r.limits.CallsPerDay > 0 && r.day > 0 {
		g.day = max(0, min(r.day, r.limits.CallsPerDay-t.Calls))
		t.Calls += g.day
	}
	g.records = t.Records
}
