package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Limiter holds keys to their limits, over all processes whose Limiters share a
// store.
//
// The store keeps a Tally for each key that has limits, and each Limiter takes
// tranches out of it in advance: a 200th of a limit, and at least 1 call. A
// call is let in from the tranche, without asking anyone; when half of it is
// used, the next is fetched in the background. Only a call that finds the
// tranche used up waits for that, and so do those that come with it: one
// question for all of them, and for all keys that have one at the time. When
// the store has nothing more, calls are refused without asking, until there may
// be something again.
//
// What is let in was taken from the store first. So over all replicas
//
//   - calls a minute and calls a day are never more than the limit, and fewer
//     by at most a tranche for each replica: with three, 1.5 % of limits of 200
//     and more, 3 calls of lower ones. What a replica does not use for 10 s it
//     gives back.
//   - concurrent calls are never more than the limit. Each replica may keep a
//     50th of it, or one, unused for 2 s after its last call.
//   - records a day are counted when a call has ended, and exchanged four times
//     a second by a replica that is called, and every 2 s by one that was called
//     within a minute. Calls are let in until the limit is known to be reached,
//     so that those under way, and those let in before the exchange, exceed it.
//
// While the store cannot be reached, each replica goes on by itself from what
// the store last said: a limit is then each replica's own. The calls of that
// time are counted when it is back, in the calls of the day.
type Limiter struct {
	store   TallyStore
	replica string

	mu       sync.RWMutex
	accounts map[string]*account // by key ID

	queueMu sync.Mutex
	queue   []*account // those that have a question
	wake    chan struct{}

	// ahead is how much the store's clock is ahead of this one.
	ahead     atomic.Int64 // nanoseconds
	awayUntil time.Time    // the store is not asked before
	start     sync.Once
	closing   chan struct{} // closed by Close
	closed    chan struct{} // closed when the last question was asked
}

const (
	settleEvery   = 250 * time.Millisecond // how often records and unused calls are exchanged
	settleTimeout = time.Second            // then the store counts as away
	awayFor       = time.Second            // how long it is not asked again
	giveBackAfter = 10 * time.Second       // unused calls go back
	forgetAfter   = 10 * time.Minute
	// How long it is trusted how many records there were, and for how long after
	// the last call a replica keeps asking.
	recordsTrusted = 4 * time.Second
	recordsPolled  = time.Minute
	slotsKept      = 2 * time.Second // how long unused slots are kept
	slotsRenewed   = slotLease / 3
	slotsAgain     = 100 * time.Millisecond // how soon a slot is asked for again when there was none
	dayAgain       = 5 * time.Second        // how soon calls of a day are, which another replica may have given back
)

// Exceeded is that a call would exceed a limit.
type Exceeded struct {
	Limit      string        // which: "calls_per_minute", "calls_per_day", "records_per_day" or "concurrent_calls"
	Value      int64         // what it is
	RetryAfter time.Duration // when there may be room again
}

func (e *Exceeded) Error() string {
	return fmt.Sprintf("the limit %s of this key is %d: try again in %v", e.Limit, e.Value, e.RetryAfter.Round(time.Second))
}

// Permit is a call that was let in. The zero Permit is of a key without limits.
type Permit struct {
	a    *account
	slot bool
}

// NewLimiter returns a Limiter over a store. It asks nothing before the first
// call of a key with limits.
func NewLimiter(s TallyStore) *Limiter {
	return &Limiter{
		store: s, replica: uuid.NewString(), accounts: make(map[string]*account), wake: make(chan struct{}, 1),
		closing: make(chan struct{}), closed: make(chan struct{}),
	}
}

// Acquire lets a call in, or returns an *Exceeded. Another error is the
// context's. The permit must be released when the call has ended.
func (l *Limiter) Acquire(ctx context.Context, p *Principal) (Permit, error) {
	if p.Limits == (Limits{}) {
		return Permit{}, nil
	}
	a := l.account(p.KeyID)
	for {
		answered, err := a.acquire(p.Limits, l.now())
		if err != nil {
			return Permit{}, err
		}
		if answered == nil {
			return Permit{a, p.Limits.ConcurrentCalls > 0}, nil
		}
		l.start.Do(func() { go l.run() })
		select {
		case <-answered:
			a.stopWaiting()
		case <-ctx.Done():
			a.stopWaiting()
			return Permit{}, fmt.Errorf("waiting for the limits of a key: %w", context.Cause(ctx))
		case <-l.closing:
			a.stopWaiting()
			return Permit{}, errors.New("the limiter is closed")
		}
	}
}

// Records counts the records that the call returned. It may have waited for
// them until after its key's account was forgotten.
func (p Permit) Records(n int64) {
	if p.a != nil && n > 0 {
		p.a.limiter.account(p.a.keyID).addRecords(n)
	}
}

// Release ends the call.
func (p Permit) Release() {
	if p.slot {
		p.a.release()
	}
}

// Close gives back what was not used. The store stays open.
func (l *Limiter) Close() {
	l.start.Do(func() { close(l.closed) }) // there is nothing to give back
	close(l.closing)
	<-l.closed
}

// now is the store's time, as well as it is known.
func (l *Limiter) now() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

func (l *Limiter) account(keyID string) *account {
	l.mu.RLock()
	a := l.accounts[keyID]
	l.mu.RUnlock()
	if a != nil {
		return a
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if a = l.accounts[keyID]; a == nil {
		a = &account{limiter: l, keyID: keyID}
		l.accounts[keyID] = a
	}
	return a
}

// ask queues an account's question.
func (l *Limiter) ask(a *account) {
	l.queueMu.Lock()
	l.queue = append(l.queue, a)
	l.queueMu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it will see this one too
	}
}

// run asks the questions, until the Limiter is closed.
func (l *Limiter) run() {
	defer close(l.closed)
	ticker := time.NewTicker(settleEvery)
	defer ticker.Stop()
	for {
		select {
		case <-l.closing:
			l.tick(func(a *account, _ time.Time) bool { return a.end() })
			l.settleAll()
			return
		case <-ticker.C:
			l.tick((*account).tick)
		case <-l.wake:
		}
		l.settleAll()
	}
}

// tick goes round all accounts, and forgets those that f says it may.
func (l *Limiter) tick(f func(*account, time.Time) (forget bool)) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, a := range l.accounts {
		if f(a, now) {
			delete(l.accounts, id)
		}
	}
}

// settleAll asks what is queued, all at once.
func (l *Limiter) settleAll() {
	l.queueMu.Lock()
	batch := l.queue
	l.queue = nil
	l.queueMu.Unlock()
	if len(batch) == 0 {
		return
	}
	questions := make([]question, len(batch))
	ids := make([]string, len(batch))
	for i, a := range batch {
		ids[i], questions[i] = a.keyID, a.question(l.now())
	}
	if !l.settle(ids, questions) {
		for i, a := range batch {
			a.answerAlone(questions[i], l.now())
		}
		return
	}
	for i, a := range batch {
		a.answer(questions[i], l.now())
	}
}

// settle lets the store answer, and tells whether it did.
func (l *Limiter) settle(ids []string, questions []question) bool {
	if time.Now().Before(l.awayUntil) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	err := l.store.UpdateTallies(ctx, ids, func(now time.Time, tallies []Tally) {
		l.ahead.Store(int64(time.Until(now)))
		for i := range tallies {
			questions[i].grant = tallies[i].settle(l.replica, questions[i].ask, now)
			questions[i].tally = tallies[i]
		}
	})
	if err != nil {
		l.awayUntil = time.Now().Add(awayFor)
	}
	return err == nil
}
