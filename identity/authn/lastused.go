package authn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// When a key was last used is written in batches. The stored time is at most a
// minute old, and a call pays next to nothing for it.
const (
	useFlushInterval = 20 * time.Second
	useResolution    = time.Second      // uses closer together than this are one
	useBatch         = 10_000           // keys in a transaction
	useTimeout       = 10 * time.Second // for one batch
	lastFlushTimeout = 2 * time.Second  // for the flush at Close
)

// use is when a key was last used.
type use struct {
	keyID  string
	at     atomic.Int64 // microseconds since 1970
	queued atomic.Bool
}

// useQueue holds the uses that are to be written.
type useQueue struct {
	mu      sync.Mutex
	queue   []*use
	started bool // a goroutine writes them
}

// recordUse records that a key is used now.
func (a *Authority) recordUse(u *use, now time.Time) {
	at := now.UnixMicro()
	if at-u.at.Load() < useResolution.Microseconds() {
		return
	}
	u.at.Store(at)
	if u.queued.CompareAndSwap(false, true) && a.uses.add(u) {
		a.background.start(a.flushUsesRegularly)
	}
}

// add reports whether the caller is to start the goroutine that writes.
func (q *useQueue) add(queued ...*use) (start bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, queued...)
	start = !q.started
	q.started = true
	return start
}

// take removes a batch from the queue and returns it.
func (q *useQueue) take() []*use {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.queue), useBatch)
	batch := q.queue[:n:n]
	if q.queue = q.queue[n:]; len(q.queue) == 0 {
		q.queue = nil
	}
	return batch
}

// flushUsesRegularly writes uses until the Authority is closed.
func (a *Authority) flushUsesRegularly() {
	ticker := time.NewTicker(useFlushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-a.open.Done():
			return
		case <-ticker.C:
			a.flushUses(a.open, useTimeout)
		}
	}
}

// flushLastUses writes the uses that are left, unless the store is down.
func (a *Authority) flushLastUses() {
	ctx, cancel := context.WithTimeout(context.Background(), lastFlushTimeout)
	defer cancel()
	a.flushUses(ctx, lastFlushTimeout)
}

// flushUses writes what is queued. A batch that cannot be written is queued
// again for the next flush.
func (a *Authority) flushUses(ctx context.Context, timeout time.Duration) {
	for batch := a.uses.take(); len(batch) > 0; batch = a.uses.take() {
		used := make(map[string]time.Time, len(batch))
		for _, u := range batch {
			u.queued.Store(false) // a later use is queued again
			if at := time.UnixMicro(u.at.Load()); at.After(used[u.keyID]) {
				used[u.keyID] = at
			}
		}
		batchCtx, cancel := context.WithTimeout(ctx, timeout)
		err := a.store.TouchKeys(batchCtx, used)
		cancel()
		if err == nil {
			continue
		}
		for _, u := range batch {
			if u.queued.CompareAndSwap(false, true) {
				a.uses.add(u)
			}
		}
		return
	}
}
