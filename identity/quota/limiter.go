// Package quota holds keys and users to their limits.
package quota

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// Limiter holds keys and users to their limits. Calls and records are counted over
// all processes whose Limiters share a store; concurrent calls are counted by each
// Limiter for itself.
//
// The store keeps a Tally for each key and user with shared limits, and each Limiter
// takes leases on it in advance: a 200th of a limit, and at least 1 call. A call
// is let in from the lease, without asking the store; when half of the lease is
// used, the next one is requested in the background. Only a call that finds the
// lease used up waits for that, together with all others that wait: there is one
// request for all calls of a key or user, and one transaction for all of them that
// have a request at the time. When the store has nothing left, calls are refused
// without asking, until there may be something again.
//
// Calls are taken from the store before they are let in. So over all replicas
//
//   - calls a minute and calls a day are never more than the limit, and fewer
//     by at most a lease for each replica: with three, 1.5 % of limits of 200
//     and more, 3 calls of lower ones. A replica gives back what it has not used
//     for 10 s.
//   - records a day are counted when a call has ended, and exchanged four times
//     a second by a replica that is called, and every 2 s by one that was called
//     within a minute. Calls are let in until the limit is known to be reached.
//     The calls in flight then, and those let in before the exchange, exceed it.
//
// While the store cannot be reached, each replica goes on by itself from what
// the store last said: a limit then holds for each replica alone. The calls of
// that time are a debt, which is charged to the day's calls when the store is
// back.
type Limiter struct {
	store identity.TallyStore

	mu       sync.RWMutex
	accounts map[string]*account // by the ID of a key or user

	queueMu sync.Mutex
	queue   []*account // those that have a request
	wake    chan struct{}

	clockSkew    atomic.Int64 // how much the store's clock is ahead of this one, in nanoseconds
	backoffUntil time.Time    // the store is not asked before
	start        sync.Once
	closing      chan struct{} // closed by Close
	closed       chan struct{} // closed when the last request was made
}

const (
	syncInterval  = 250 * time.Millisecond // how often records and unused calls are exchanged
	storeTimeout  = time.Second            // then the store counts as down
	storeBackoff  = time.Second            // how long a store that is down is not asked again
	giveBackAfter = 10 * time.Second       // unused calls go back
	forgetAfter   = 10 * time.Minute
	// How long the number of records is trusted that the store last said, and for
	// how long after the last call a replica keeps asking for it.
	recordsTrusted = 4 * time.Second
	recordsPolled  = time.Minute
	dayRetry       = 5 * time.Second // how soon calls of a day are requested again, which another replica may have given back
	// How soon a call that was refused for the calls in flight may be tried again.
	// It cannot be known when one of them ends.
	concurrentRetry = time.Second
)

// Subject is who has limits: a key, or a user, whose limits are over all of the
// user's keys together. IDs are unique among both.
type Subject struct {
	ID     string
	Limits identity.Limits
}

// Exceeded says that a call would exceed a limit.
type Exceeded struct {
	Limit      string        // its name: one of identity's Limit constants, but never the burst
	Value      int64         // the limit
	RetryAfter time.Duration // when there may be room again
	OfUser     bool          // the limit is the user's, not the key's
}

func (e *Exceeded) Error() string {
	whose := "key"
	if e.OfUser {
		whose = "key's user"
	}
	return fmt.Sprintf("the limit %s of this %s is %d: try again in %v", e.Limit, whose, e.Value, e.RetryAfter.Round(time.Second))
}

// Permit is a call that was let in. The zero Permit is that of a key and a user
// without limits.
type Permit struct {
	key, user share
}

// share is what one account has of a call. The zero share is that of a subject
// without limits.
type share struct {
	account    *account
	concurrent bool // it counts as in flight
}

// NewLimiter returns a Limiter over a store. It asks the store for nothing
// before the first call that has shared limits.
func NewLimiter(s identity.TallyStore) *Limiter {
	return &Limiter{
		store: s, accounts: make(map[string]*account), wake: make(chan struct{}, 1),
		closing: make(chan struct{}), closed: make(chan struct{}),
	}
}

// Acquire lets in a call of a key, which counts for its user, too, or returns an
// *Exceeded and counts for neither. Any other error is the context's, or says that
// the Limiter is closed. The permit must be released when the call has ended.
func (l *Limiter) Acquire(ctx context.Context, key, user Subject) (p Permit, err error) {
	began := l.now()
	if p.user, err = l.acquire(ctx, user); err != nil {
		if exceeded, ok := errors.AsType[*Exceeded](err); ok {
			exceeded.OfUser = true
		}
		return Permit{}, err
	}
	if p.key, err = l.acquire(ctx, key); err != nil {
		if p.user.account != nil {
			p.user.account.undo(user.Limits, dayOf(began))
		}
		return Permit{}, err
	}
	return p, nil
}

func (l *Limiter) acquire(ctx context.Context, s Subject) (share, error) {
	if s.Limits == (identity.Limits{}) {
		return share{}, nil
	}
	a := l.account(s.ID)
	for {
		granted, err := a.acquire(s.Limits, l.now())
		if err != nil {
			return share{}, err
		}
		if granted == nil {
			return share{a, s.Limits.ConcurrentCalls > 0}, nil
		}
		l.start.Do(func() { go l.run() })
		select {
		case <-granted:
			a.stopWaiting()
		case <-ctx.Done():
			a.stopWaiting()
			return share{}, fmt.Errorf("waiting for the limits of a key: %w", context.Cause(ctx))
		case <-l.closing:
			a.stopWaiting()
			return share{}, errors.New("the limiter is closed")
		}
	}
}

// Records counts the records that the call returned. A call may last until
// after an account was forgotten.
func (p Permit) Records(n int64) {
	for _, s := range []share{p.key, p.user} {
		if s.account != nil && n > 0 {
			s.account.limiter.account(s.account.id).addRecords(n)
		}
	}
}

// Release ends the call.
func (p Permit) Release() {
	for _, s := range []share{p.key, p.user} {
		if s.concurrent {
			s.account.release()
		}
	}
}

// Close gives back what was not used. The store stays open.
func (l *Limiter) Close() {
	l.start.Do(func() { close(l.closed) }) // there is nothing to give back
	close(l.closing)
	<-l.closed
}

// now returns the store's time, as well as it is known.
func (l *Limiter) now() time.Time { return time.Now().Add(time.Duration(l.clockSkew.Load())) }

func (l *Limiter) account(id string) *account {
	l.mu.RLock()
	a := l.accounts[id]
	l.mu.RUnlock()
	if a != nil {
		return a
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if a = l.accounts[id]; a == nil {
		a = &account{limiter: l, id: id}
		l.accounts[id] = a
	}
	return a
}

// enqueue has an account's request made.
func (l *Limiter) enqueue(a *account) {
	l.queueMu.Lock()
	l.queue = append(l.queue, a)
	l.queueMu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // a wake-up is pending, which will see this one too
	}
}

// run makes the requests, until the Limiter is closed.
func (l *Limiter) run() {
	defer close(l.closed)
	ticker := time.NewTicker(syncInterval)
	defer ticker.Stop()
	for {
		select {
		case <-l.closing:
			l.forEach(func(a *account, _ time.Time) bool { a.giveBack(); return false })
			l.syncQueue()
			return
		case <-ticker.C:
			l.forEach((*account).tick)
		case <-l.wake:
		}
		l.syncQueue()
	}
}

// forEach calls f for all accounts, and forgets those for which it returns true.
func (l *Limiter) forEach(f func(*account, time.Time) (forget bool)) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, a := range l.accounts {
		if f(a, now) {
			delete(l.accounts, id)
		}
	}
}

// syncQueue makes all requests that are queued, in one transaction.
func (l *Limiter) syncQueue() {
	l.queueMu.Lock()
	batch := l.queue
	l.queue = nil
	l.queueMu.Unlock()
	if len(batch) == 0 {
		return
	}
	trips := make([]roundTrip, len(batch))
	ids := make([]string, len(batch))
	for i, a := range batch {
		ids[i], trips[i] = a.id, a.beginRoundTrip(l.now())
	}
	answered := l.askStore(ids, trips)
	for i, a := range batch {
		if answered {
			a.finishRoundTrip(trips[i], l.now())
		} else {
			a.grantOffline(trips[i], l.now())
		}
	}
}

// askStore has the store grant the requests, and reports whether it did.
func (l *Limiter) askStore(ids []string, trips []roundTrip) bool {
	if time.Now().Before(l.backoffUntil) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := l.store.UpdateTallies(ctx, ids, func(now time.Time, tallies []identity.Tally) {
		l.clockSkew.Store(int64(time.Until(now)))
		for i := range tallies {
			trips[i].grant = settle(&tallies[i], trips[i].request, now)
			trips[i].tally = tallies[i]
		}
	})
	if err != nil {
		l.backoffUntil = time.Now().Add(storeBackoff)
	}
	return err == nil
}
