package authn

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallygate/tallygate/identity"
)

// Watched keys are looked up twice in MaxAge, so that a round may take as long
// as the pause between two and a dead key is still found within MaxAge.
const (
	recheckInterval   = MaxAge / 2
	recheckConcurrent = 8 // lookups; more would keep calls waiting for the store
)

// Watch is the memory that an Authority needs for one watch; its caller provides
// it. It is used once.
type Watch struct {
	principal *Principal
	onDead    func()
}

// Watch calls onDead when a principal's key stops being live. It does so at once
// when the key is revoked or its user disabled through the Authority, or
// elsewhere where the store reports it; and within MaxAge when the store does
// not report changes, or the key expires. Watch is for what outlasts the call
// that Authenticate let in, such as an open stream. While the store cannot be
// read, nothing is ended. onDead is called once at most, must not block, and may
// still be running when Unwatch returns.
func (a *Authority) Watch(w *Watch, p *Principal, onDead func()) {
	w.principal, w.onDead = p, onDead
	a.watches.add(w)
}

// Unwatch ends a watch. It does nothing when the watch never began or has ended.
func (a *Authority) Unwatch(w *Watch) { a.watches.remove(w) }

// recheckWatched looks up the watched keys regularly until the Authority is closed.
func (a *Authority) recheckWatched() {
	ticker := time.NewTicker(recheckInterval)
	defer ticker.Stop()
	for {
		select {
		case <-a.open.Done():
			return
		case <-ticker.C:
			now := time.Now()
			a.watches.end(func(p *Principal) bool { return p.expired(now) })
			if keys := a.watches.keys(func(*Principal) bool { return true }); len(keys) > 0 {
				a.recheck(keys, now)
			}
		}
	}
}

// recheck ends the watches of the keys that are not live any more.
func (a *Authority) recheck(keys map[identity.Digest]struct{}, now time.Time) {
	// What a slow store has not answered by then is looked up in the next round.
	ctx, cancel := context.WithTimeout(a.open, recheckInterval)
	defer cancel()
	var lookups errgroup.Group
	lookups.SetLimit(recheckConcurrent)
	for d := range keys {
		lookups.Go(func() error {
			var err error
			e := a.shard(d).get(d)
			if e == nil || !a.coveredByNotifications(e.readAt, now) {
				e, err = a.lookup(ctx, d)
			}
			if err == nil && !e.live(time.Now()) {
				a.watches.end(func(p *Principal) bool { return p.digest == d })
			}
			return nil
		})
	}
	_ = lookups.Wait() // none of them returns an error
}

// watches is the set of the watches that are open.
type watches struct {
	mu  sync.Mutex
	set map[*Watch]struct{}
}

func (ws *watches) add(w *Watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.set == nil {
		ws.set = make(map[*Watch]struct{})
	}
	ws.set[w] = struct{}{}
}

func (ws *watches) remove(w *Watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.set, w)
}

// end removes the watches whose principals match, and calls their onDead.
func (ws *watches) end(match func(*Principal) bool) {
	var ended []*Watch
	ws.mu.Lock()
	for w := range ws.set {
		if match(w.principal) {
			ended = append(ended, w)
			delete(ws.set, w)
		}
	}
	ws.mu.Unlock()
	for _, w := range ended {
		w.onDead()
	}
}

// keys returns the digests of the watched keys whose principals match.
func (ws *watches) keys(match func(*Principal) bool) map[identity.Digest]struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	keys := make(map[identity.Digest]struct{})
	for w := range ws.set {
		if match(w.principal) {
			keys[w.principal.digest] = struct{}{}
		}
	}
	return keys
}
