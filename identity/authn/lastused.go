package authn

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// When a key was last used is written for all keys together. The stored time is at
// most a minute old, and a call pays next to nothing for it.
const (
	useFlushInterval = 20 * time.Second
	useResolution    = time.Second // uses closer together than this are one
	useTimeout       = 10 * time.Second
	lastFlushTimeout = 2 * time.Second // for the flush at Close
)

// use is when a key was last used.
type use struct {
	keyID string
	at    atomic.Int64 // microseconds since 1970
}

// lastUses has the uses that are to be written, by the IDs of the keys.
type lastUses struct {
	mu sync.Mutex
	at map[string]time.Time
}

// recordUse records that a key is used now.
func (a *Authority) recordUse(u *use, now time.Time) {
	at := now.UnixMicro()
	if at-u.at.Load() >= useResolution.Microseconds() {
		u.at.Store(at)
		a.uses.add(u.keyID, now)
	}
}

// add adds a use, unless there is a later one of the same key.
func (l *lastUses) add(keyID string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = make(map[string]time.Time)
	}
	if at.After(l.at[keyID]) {
		l.at[keyID] = at
	}
}

func (l *lastUses) takeAll() map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	uses := l.at
	l.at = nil
	return uses
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

// flushUses writes the uses. If they cannot be written, the next flush tries again.
func (a *Authority) flushUses(ctx context.Context, timeout time.Duration) {
	uses := a.uses.takeAll()
	if len(uses) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if a.store.TouchKeys(ctx, uses) != nil {
		for keyID, at := range uses {
			a.uses.add(keyID, at)
		}
	}
}
