package identity

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// When a key was last used is written in batches, so that it is true within a
// minute and costs a call next to nothing.
const (
	useFlush   = 20 * time.Second // how often uses are written
	useGrain   = time.Second      // what a use is true within here
	useBatch   = 10_000           // keys in a transaction
	useTimeout = 10 * time.Second // for one batch
	lastFlush  = 2 * time.Second  // for the last of all
)

// use is when a key was last used.
type use struct {
	keyID  string
	at     atomic.Int64 // microseconds since 1970
	queued atomic.Bool  // it is to be written
}

// uses are those that are to be written.
type uses struct {
	mu      sync.Mutex
	queue   []*use
	started bool // a goroutine writes them
}

// note notes that a key is used.
func (a *Authority) note(u *use, now time.Time) {
	at := now.UnixMicro()
	if at-u.at.Load() < useGrain.Microseconds() {
		return
	}
	u.at.Store(at)
	if u.queued.CompareAndSwap(false, true) && a.uses.add(u) {
		a.background.start(a.flushUses)
	}
}

// add tells whether the caller is to start writing.
func (us *uses) add(queued ...*use) (start bool) {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.queue = append(us.queue, queued...)
	start = !us.started
	us.started = true
	return start
}

// take takes a batch from the queue.
func (us *uses) take() []*use {
	us.mu.Lock()
	defer us.mu.Unlock()
	n := min(len(us.queue), useBatch)
	batch := us.queue[:n:n]
	if us.queue = us.queue[n:]; len(us.queue) == 0 {
		us.queue = nil
	}
	return batch
}

// flushUses writes uses until the Authority is closed.
func (a *Authority) flushUses() {
	ticker := time.NewTicker(useFlush)
	defer ticker.Stop()
	for {
		select {
		case <-a.open.Done():
			return
		case <-ticker.C:
			a.flush(a.open, useTimeout)
		}
	}
}

// flushLast writes what is left, unless the store is away.
func (a *Authority) flushLast() {
	ctx, cancel := context.WithTimeout(context.Background(), lastFlush)
	defer cancel()
	a.flush(ctx, lastFlush)
}

// flush writes what is queued. What cannot be written is written the next time.
func (a *Authority) flush(ctx context.Context, timeout time.Duration) {
	for batch := a.uses.take(); len(batch) > 0; batch = a.uses.take() {
		used := make(map[string]time.Time, len(batch))
		for _, u := range batch {
			u.queued.Store(false) // what is noted from now on is queued anew
			if at := time.UnixMicro(u.at.Load()); at.After(used[u.keyID]) {
				used[u.keyID] = at
			}
		}
		batchCtx, cancel := context.WithTimeout(ctx, timeout)
		err := a.TouchKeys(batchCtx, used)
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
