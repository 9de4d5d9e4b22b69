package identity

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Watched keys are looked up twice in MaxAge, so that a round may take as long
// as the pause between two and a dead key is still found within MaxAge.
const (
	recheckEvery   = MaxAge / 2
	recheckAtATime = 8 // look-ups; more would keep calls waiting for the store
)

// Watch is what an Authority keeps of one watch, in its caller's memory. It is
// used once.
type Watch struct {
	principal *Principal
	dead      func()
}

// Watch calls dead when a principal's key stops being live: at once when it is
// revoked or its user disabled through the Authority, or elsewhere and the store
// tells; within MaxAge when the store does not tell, or the key expires. It is for what outlasts the call that
// Authenticate let in, such as an open stream. A store that cannot tell ends
// nothing. dead is called once at most, must not block, and may still be
// running when Unwatch returns.
func (a *Authority) Watch(w *Watch, p *Principal, dead func()) {
	w.principal, w.dead = p, dead
	if a.watches.add(w) {
		a.background.start(a.recheckWatched)
	}
}

// Unwatch ends a watch, if it has begun and not ended.
func (a *Authority) Unwatch(w *Watch) { a.watches.remove(w) }

// recheckWatched ends when nothing is watched any more.
func (a *Authority) recheckWatched() {
	ticker := time.NewTicker(recheckEvery)
	defer ticker.Stop()
	for {
		select {
		case <-a.open.Done():
			return
		case <-ticker.C:
			if !a.recheckOnce() {
				return
			}
		}
	}
}

func (a *Authority) recheckOnce() (watching bool) {
	now := time.Now()
	a.watches.end(func(p *Principal) bool { return p.expired(now) })
	keys := a.watches.keysOrStop()
	if keys == nil {
		return false
	}
	a.recheck(keys, now)
	return true
}

// recheck ends the watches of those keys that are not live any more.
func (a *Authority) recheck(keys map[Digest]struct{}, now time.Time) {
	// What a slow store has not answered by then is asked in the next round.
	ctx, cancel := context.WithTimeout(a.open, recheckEvery)
	defer cancel()
	var lookUps errgroup.Group
	lookUps.SetLimit(recheckAtATime)
	for d := range keys {
		lookUps.Go(func() error {
			var err error
			e := a.known[d[0]].get(d)
			if e == nil || !a.vouched(e, now) {
				e, err = a.lookUp(ctx, d)
			}
			if err == nil && !e.live(time.Now()) {
				a.watches.end(func(p *Principal) bool { return p.digest == d })
			}
			return nil
		})
	}
	_ = lookUps.Wait() // no look-up of these returns an error
}

// watches is what is watched now.
type watches struct {
	mu        sync.Mutex
	set       map[*Watch]struct{}
	rechecked bool // a goroutine rechecks them
}

// add tells whether the caller is to start rechecking.
func (ws *watches) add(w *Watch) (start bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.set == nil {
		ws.set = make(map[*Watch]struct{})
	}
	ws.set[w] = struct{}{}
	start = !ws.rechecked
	ws.rechecked = true
	return start
}

func (ws *watches) remove(w *Watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.set, w)
}

// end calls dead for the watches whose principals match.
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
		w.dead()
	}
}

// keys returns the digests of the watched keys whose principals match.
func (ws *watches) keys(match func(*Principal) bool) map[Digest]struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	keys := make(map[Digest]struct{})
	for w := range ws.set {
		if match(w.principal) {
			keys[w.principal.digest] = struct{}{}
		}
	}
	return keys
}

// keysOrStop returns the digests of all watched keys. When there are none it
// returns nil, and the caller has to stop rechecking.
func (ws *watches) keysOrStop() map[Digest]struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.set) == 0 {
		ws.rechecked = false
		return nil
	}
	keys := make(map[Digest]struct{}, len(ws.set))
	for w := range ws.set {
		keys[w.principal.digest] = struct{}{}
	}
	return keys
}
