package quota

import (
	"sync"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// account is one replica's side of the limits of one key or user.
type account struct {
	limiter *Limiter
	id      string // of the key or user

	mu         sync.Mutex
	limits     identity.Limits
	lastCallAt time.Time
	waiting    int64         // calls that wait for the pending request
	pending    bool          // a request is queued
	granted    chan struct{} // closed when the pending request is answered
	inFlight   int64         // calls that count as concurrent

	minute, day lease
	today       int64 // the day of day, debtDay and the records
	// The calls that were let in without the store.
	debtMinute, debtDay int64
	records             int64 // of all replicas, as the store last said
	recordsReadAt       time.Time
	unreportedRecords   int64 // of this replica, which the store does not know yet

	// tally is what the store last said. While it is down, this replica goes on
	// from there.
	tally identity.Tally
}

// lease is how many calls a replica may still let in without asking the store.
type lease struct {
	left    int64
	retryAt time.Time // the store has no more before
}

// roundTrip is one request of an account and its answer.
type roundTrip struct {
	request
	done  chan struct{} // what account.granted was
	grant grant
	tally identity.Tally
}

// acquire lets a call in. When the store has to be asked first, it returns a
// channel that is closed when the store has answered: then the caller stops
// waiting and tries again.
func (a *account) acquire(l identity.Limits, now time.Time) (granted <-chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits != l {
		a.limits = l
		a.minute.retryAt, a.day.retryAt = time.Time{}, time.Time{}
	}
	a.lastCallAt = now
	a.startDay(now)
	if l.ConcurrentCalls > 0 && a.inFlight >= l.ConcurrentCalls {
		return nil, &Exceeded{Limit: identity.LimitConcurrentCalls, Value: l.ConcurrentCalls, RetryAfter: concurrentRetry}
	}
	missing := false
	if l.RecordsPerDay > 0 {
		if a.records+a.unreportedRecords >= l.RecordsPerDay {
			return nil, &Exceeded{Limit: identity.LimitRecordsPerDay, Value: l.RecordsPerDay, RetryAfter: untilTomorrow(now)}
		}
		missing = now.Sub(a.recordsReadAt) > recordsTrusted
	}
	if l.CallsPerDay > 0 && a.day.left <= 0 {
		if now.Before(a.day.retryAt) {
			return nil, &Exceeded{Limit: identity.LimitCallsPerDay, Value: l.CallsPerDay, RetryAfter: untilTomorrow(now)}
		}
		missing = true
	}
	if l.CallsPerMinute > 0 && a.minute.left <= 0 {
		if now.Before(a.minute.retryAt) {
			return nil, &Exceeded{Limit: identity.LimitCallsPerMinute, Value: l.CallsPerMinute, RetryAfter: a.minute.retryAt.Sub(now)}
		}
		missing = true
	}
	if missing {
		a.waiting++
		return a.requestLocked(), nil
	}
	if l.ConcurrentCalls > 0 {
		a.inFlight++
	}
	if l.CallsPerDay > 0 {
		a.day.left--
		a.renewLocked(a.day, dayLease(l), now)
	}
	if l.CallsPerMinute > 0 {
		a.minute.left--
		a.renewLocked(a.minute, minuteLease(l), now)
	}
	return nil, nil
}

// minuteLease returns how many calls are leased from the store at once.
func minuteLease(l identity.Limits) int64 {
	return max(1, min(l.CallsPerMinute/200, l.EffectiveBurst()/4))
}

func dayLease(l identity.Limits) int64 { return max(1, l.CallsPerDay/200) }

// requestLocked queues a request unless one is pending, and returns the channel
// that is closed with its answer.
func (a *account) requestLocked() <-chan struct{} {
	if !a.pending {
		a.pending, a.granted = true, make(chan struct{})
		a.limiter.enqueue(a)
	}
	return a.granted
}

// renewLocked requests the next lease of a size when half of one is used.
func (a *account) renewLocked(l lease, size int64, now time.Time) {
	if l.left <= size/2 && !now.Before(l.retryAt) {
		a.requestLocked()
	}
}

func (a *account) stopWaiting() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting--
}

func (a *account) addRecords(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startDay(a.limiter.now())
	a.unreportedRecords += n
	if a.unreportedRecords > a.limits.RecordsPerDay/200 && a.limits.RecordsPerDay > 0 {
		a.requestLocked()
	}
}

func (a *account) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inFlight--
}

// undo undoes acquire for a call that another limit refused on the same day.
func (a *account) undo(l identity.Limits, day int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l.ConcurrentCalls > 0 {
		a.inFlight--
	}
	if l.CallsPerMinute > 0 {
		a.minute.left++
	}
	if l.CallsPerDay > 0 && a.today == day {
		a.day.left++
	}
}

// startDay drops what belongs to another day.
func (a *account) startDay(now time.Time) {
	if today := dayOf(now); today != a.today {
		a.today, a.day, a.debtDay, a.records, a.unreportedRecords = today, lease{}, 0, 0, 0
	}
}

// tick makes the requests that are due without a call, and reports whether the
// account may be forgotten.
func (a *account) tick(now time.Time) (forget bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startDay(now)
	idle := now.Sub(a.lastCallAt)
	switch {
	case a.unreportedRecords > 0 || a.debtDay > 0,
		a.limits.RecordsPerDay > 0 && idle < recordsPolled && // other replicas' records count, too
			(idle < 2*syncInterval || now.Sub(a.recordsReadAt) >= recordsTrusted/2),
		a.holdsLease() && idle >= giveBackAfter:
		a.requestLocked()
	case idle >= forgetAfter && !a.pending && a.waiting == 0 && a.inFlight == 0:
		return true
	}
	return false
}

func (a *account) holdsLease() bool { return a.minute.left > 0 || a.day.left > 0 }

// giveBack requests that everything unused go back to the store.
func (a *account) giveBack() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastCallAt, a.waiting = time.Time{}, 0
	if a.holdsLease() || a.unreportedRecords > 0 || a.debtDay > 0 {
		a.requestLocked()
	}
}

// beginRoundTrip returns what there is to request now. From here on, what it
// gives back cannot be used any more.
func (a *account) beginRoundTrip(now time.Time) roundTrip {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startDay(now)
	rt := roundTrip{
		request: request{
			limits: a.limits, today: a.today, records: a.unreportedRecords, debtMinute: a.debtMinute, debtDay: a.debtDay,
			minute: -a.minute.left, day: -a.day.left,
		},
		done: a.granted,
	}
	a.pending, a.granted = false, nil
	idle := now.Sub(a.lastCallAt)
	if idle < giveBackAfter && a.limits.CallsPerMinute > 0 {
		rt.minute = max(0, max(minuteLease(a.limits), a.waiting)-a.minute.left)
	}
	if idle < giveBackAfter && a.limits.CallsPerDay > 0 {
		rt.day = max(0, max(dayLease(a.limits), a.waiting)-a.day.left)
	}
	if rt.minute < 0 {
		a.minute.left = 0
	}
	if rt.day < 0 {
		a.day.left = 0
	}
	return rt
}

// finishRoundTrip takes over what the store answered.
func (a *account) finishRoundTrip(rt roundTrip, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startDay(now)
	a.tally = rt.tally
	a.debtMinute -= rt.debtMinute
	if a.today == rt.today {
		a.debtDay -= rt.debtDay
		a.unreportedRecords -= rt.records
	}
	if a.today == rt.grant.today {
		a.records, a.recordsReadAt = rt.grant.records, now
	}
	a.takeGrantLocked(rt, now)
}

// grantOffline answers a request from the last known tally while the store is
// down.
func (a *account) grantOffline(rt roundTrip, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startDay(now)
	// Records and debts stay here, to be reported when the store is back.
	offline := rt.request
	offline.records, offline.debtMinute, offline.debtDay = 0, 0, 0
	rt.grant = settle(&a.tally, offline, now)
	if rt.grant.today == a.today {
		a.debtDay += rt.grant.day + min(0, rt.day)
	}
	a.debtMinute += rt.grant.minute + min(0, rt.minute)
	a.recordsReadAt = now
	a.takeGrantLocked(rt, now)
}

// takeGrantLocked adds a grant to the leases, and lets the waiting calls go on.
func (a *account) takeGrantLocked(rt roundTrip, now time.Time) {
	defer close(rt.done)
	a.minute.left += rt.grant.minute
	if rt.grant.minute < rt.minute {
		// Wait until there is enough to be worth a request.
		perCall := time.Minute / time.Duration(rt.limits.CallsPerMinute)
		a.minute.retryAt = now.Add(max(rt.grant.minuteWait, perCall*time.Duration(minuteLease(rt.limits)/2)))
	}
	if a.today == rt.grant.today {
		a.day.left += rt.grant.day
		if rt.limits.CallsPerDay > 0 && rt.grant.day < rt.day {
			a.day.retryAt = now.Add(dayRetry)
		}
	}
}
