package identity

import (
	"maps"
	"sync"
	"time"
)

// account is what a replica has in hand of one key's limits.
type account struct {
	limiter *Limiter
	keyID   string

	mu       sync.Mutex
	limits   Limits
	usedAt   time.Time     // the last call
	waiting  int64         // calls that wait for an answer
	queued   bool          // there is a question
	answered chan struct{} // closed with the answer to it

	minute, day lease
	today       int64 // the day that what follows is of
	owedMinute  int64 // let in without the store
	owedDay     int64
	records     int64     // of all replicas, that the store knows
	unsettled   int64     // of this one, that it does not
	recordsAt   time.Time // when the store said so

	inUse, held int64     // slots
	noSlots     time.Time // until then the store has none
	heldAt      time.Time // when the store last heard of those held

	// tally is what the store last said, and while it is away what this replica
	// goes by.
	tally Tally
}

// lease is what a replica may let in of a limit without asking.
type lease struct {
	left int64
	none time.Time // until then the store has no more
}

// question is what an account asks, and what it is answered.
type question struct {
	ask
	answered chan struct{}
	grant    grant
	tally    Tally
}

// acquire lets a call in. When the store has to be asked first, it returns what
// is closed with the answer: then the call is to try again.
func (a *account) acquire(l Limits, now time.Time) (answered <-chan struct{}, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits != l {
		a.limits = l
		a.minute.none, a.day.none, a.noSlots = time.Time{}, time.Time{}, time.Time{}
	}
	a.usedAt = now
	a.newDay(now)
	missing := false
	if l.ConcurrentCalls > 0 && a.inUse >= a.held {
		if now.Before(a.noSlots) {
			return nil, &Exceeded{"concurrent_calls", l.ConcurrentCalls, time.Second}
		}
		missing = true
	}
	if l.RecordsPerDay > 0 {
		if a.records+a.unsettled >= l.RecordsPerDay {
			return nil, &Exceeded{"records_per_day", l.RecordsPerDay, untilTomorrow(now)}
		}
		missing = missing || now.Sub(a.recordsAt) > recordsTrusted
	}
	if l.CallsPerDay > 0 && a.day.left <= 0 {
		if now.Before(a.day.none) {
			return nil, &Exceeded{"calls_per_day", l.CallsPerDay, untilTomorrow(now)}
		}
		missing = true
	}
	if l.CallsPerMinute > 0 && a.minute.left <= 0 {
		if now.Before(a.minute.none) {
			return nil, &Exceeded{"calls_per_minute", l.CallsPerMinute, a.minute.none.Sub(now)}
		}
		missing = true
	}
	if missing {
		a.waiting++
		return a.askLocked(), nil
	}
	if l.ConcurrentCalls > 0 {
		a.inUse++
	}
	if l.CallsPerDay > 0 {
		a.day.left--
		a.fetchLocked(a.day, l.dayTranche(), now)
	}
	if l.CallsPerMinute > 0 {
		a.minute.left--
		a.fetchLocked(a.minute, l.minuteTranche(), now)
	}
	return nil, nil
}

// minuteTranche is how many calls are taken from the store at once.
func (l Limits) minuteTranche() int64 { return max(1, min(l.CallsPerMinute/200, l.burst()/4)) }

func (l Limits) dayTranche() int64 { return max(1, l.CallsPerDay/200) }

// askLocked has the store asked, and returns what is closed with the answer.
func (a *account) askLocked() <-chan struct{} {
	if !a.queued {
		a.queued, a.answered = true, make(chan struct{})
		a.limiter.ask(a)
	}
	return a.answered
}

// fetchLocked has the next tranche fetched when half of one is used.
func (a *account) fetchLocked(l lease, tranche int64, now time.Time) {
	if l.left <= tranche/2 && !now.Before(l.none) {
		a.askLocked()
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
	a.newDay(a.limiter.now())
	a.unsettled += n
	if a.unsettled > a.limits.RecordsPerDay/200 && a.limits.RecordsPerDay > 0 {
		a.askLocked()
	}
}

func (a *account) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inUse--
}

// newDay forgets what was of another day.
func (a *account) newDay(now time.Time) {
	if today := dayOf(now); today != a.today {
		a.today, a.day, a.owedDay, a.records, a.unsettled = today, lease{}, 0, 0, 0
	}
}

// tick asks what is due without a call, and tells whether the account may be
// forgotten.
func (a *account) tick(now time.Time) (forget bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newDay(now)
	idle := now.Sub(a.usedAt)
	spare := a.held - a.inUse
	switch {
	case a.unsettled > 0 || a.owedDay > 0,
		a.limits.RecordsPerDay > 0 && idle < recordsPolled && // what others return counts, too
			(idle < 2*settleEvery || now.Sub(a.recordsAt) >= recordsTrusted/2),
		max(a.held, a.inUse) > 0 && now.Sub(a.heldAt) >= slotsRenewed,
		spare > 0 && idle >= slotsKept,
		(a.minute.left > 0 || a.day.left > 0) && idle >= giveBackAfter:
		a.askLocked()
	case idle >= forgetAfter && !a.queued && a.waiting == 0 && a.inUse == 0:
		return true
	}
	return false
}

// end gives everything back.
func (a *account) end() (forget bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usedAt, a.inUse, a.waiting = time.Time{}, 0, 0
	if a.held > 0 || a.minute.left > 0 || a.day.left > 0 || a.unsettled > 0 || a.owedDay > 0 {
		a.askLocked()
	}
	return false
}

// question is what there is to ask now.
func (a *account) question(now time.Time) question {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newDay(now)
	q := question{
		ask: ask{
			limits: a.limits, today: a.today, records: a.unsettled, owedMinute: a.owedMinute, owedDay: a.owedDay,
			minute: -a.minute.left, day: -a.day.left, slots: a.inUse + a.waiting,
		},
		answered: a.answered,
	}
	a.queued, a.answered = false, nil
	idle := now.Sub(a.usedAt)
	if idle < giveBackAfter && a.limits.CallsPerMinute > 0 {
		q.minute = max(0, max(a.limits.minuteTranche(), a.waiting)-a.minute.left)
	}
	if idle < giveBackAfter && a.limits.CallsPerDay > 0 {
		q.day = max(0, max(a.limits.dayTranche(), a.waiting)-a.day.left)
	}
	if idle < slotsKept {
		q.slots = max(q.slots, min(a.held, a.inUse+max(1, a.limits.ConcurrentCalls/50)))
	}
	if a.limits.ConcurrentCalls == 0 {
		q.slots = 0
	}
	// What is given back cannot be used any more.
	if q.minute < 0 {
		a.minute.left = 0
	}
	if q.day < 0 {
		a.day.left = 0
	}
	a.held = min(a.held, q.slots)
	return q
}

// answer takes what the store granted.
func (a *account) answer(q question, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newDay(now)
	a.tally = q.tally
	a.tally.Slots = maps.Clone(q.tally.Slots) // the store's own
	a.owedMinute -= q.owedMinute
	if a.today == q.today {
		a.owedDay -= q.owedDay
		a.unsettled -= q.records
	}
	if a.today == q.grant.today {
		a.records, a.recordsAt = q.grant.records, now
	}
	a.take(q, now)
}

// answerAlone grants what the store cannot be asked for.
func (a *account) answerAlone(q question, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newDay(now)
	// What the store does not know yet stays to be told.
	alone := q.ask
	alone.records, alone.owedMinute, alone.owedDay = 0, 0, 0
	q.grant = a.tally.settle(a.limiter.replica, alone, now)
	if q.grant.today == a.today {
		a.owedDay += q.grant.day + min(0, q.day)
	}
	a.owedMinute += q.grant.minute + min(0, q.minute)
	a.recordsAt = now
	a.take(q, now)
}

// take takes a grant, and closes the question.
func (a *account) take(q question, now time.Time) {
	defer close(q.answered)
	a.minute.left += q.grant.minute
	if q.grant.minute < q.minute {
		// A little later there is enough to be worth asking.
		each := time.Minute / time.Duration(q.limits.CallsPerMinute)
		a.minute.none = now.Add(max(q.grant.minuteWait, each*time.Duration(q.limits.minuteTranche()/2)))
	}
	if a.today == q.grant.today {
		a.day.left += q.grant.day
		if q.limits.CallsPerDay > 0 && q.grant.day < q.day {
			a.day.none = now.Add(dayAgain)
		}
	}
	a.held, a.heldAt = q.grant.slots, now
	if q.grant.slots < q.slots {
		a.noSlots = now.Add(slotsAgain)
	}
}
