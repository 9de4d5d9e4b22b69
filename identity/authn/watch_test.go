package authn_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/identity/authn"
)

// watched counts the calls of a watch's onDead.
type watched struct {
	dead atomic.Int32
	stop func()
}

func (w *world) watch(p *authn.Principal) *watched {
	w.t.Helper()
	got := &watched{}
	var watch authn.Watch
	w.Watch(&watch, p, func() { got.dead.Add(1) })
	got.stop = func() { w.Unwatch(&watch) }
	return got
}

// wantDead waits until all goroutines are blocked, and checks how often onDead was
// called.
func (w *world) wantDead(got *watched, want int32) {
	w.t.Helper()
	synctest.Wait()
	if dead := got.dead.Load(); dead != want {
		w.t.Errorf("dead was called %d times, want %d", dead, want)
	}
}

func TestWatchRevokedHere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, otherKey := w.issue(time.Time{})
		p := w.want(w.key, true)
		one, two := w.watch(p), w.watch(p)
		other, stopped := w.watch(w.want(otherKey, true)), w.watch(p)
		stopped.stop()
		if _, err := w.RevokeKey(t.Context(), "user", w.record.ID, time.Now(), "a reason"); err != nil {
			t.Fatal(err)
		}
		if one.dead.Load() != 1 || two.dead.Load() != 1 || other.dead.Load() != 0 || stopped.dead.Load() != 0 {
			t.Errorf("dead when RevokeKey returned: %d, %d, of another key %d, stopped %d", one.dead.Load(), two.dead.Load(), other.dead.Load(), stopped.dead.Load())
		}
		time.Sleep(10 * time.Second)
		w.wantDead(one, 1)
		w.wantDead(other, 0)
		w.wantDead(stopped, 0)
		one.stop()
		one.stop()
		other.stop()
	})
}

func TestWatchDisabledHere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, otherKey := w.issue(time.Time{})
		one, other := w.watch(w.want(w.key, true)), w.watch(w.want(otherKey, true))
		if err := w.SetDisabled(t.Context(), "user", false); err != nil {
			t.Fatal(err)
		}
		w.wantDead(one, 0)
		if err := w.SetDisabled(t.Context(), "user", true); err != nil {
			t.Fatal(err)
		}
		if one.dead.Load() != 1 || other.dead.Load() != 1 {
			t.Errorf("dead when SetDisabled returned: %d, %d", one.dead.Load(), other.dead.Load())
		}
	})
}

// TestWatchElsewhere: a change elsewhere and an expiry end a watch within MaxAge,
// at whatever time between two rounds.
func TestWatchElsewhere(t *testing.T) {
	for wait := time.Duration(0); wait <= authn.MaxAge; wait += authn.MaxAge / 10 {
		for name, kill := range map[string]func(*world){
			"revoke": func(w *world) { w.revokeElsewhere() },
			"disable": func(w *world) {
				if err := w.store.SetDisabled(w.t.Context(), "user", true); err != nil {
					w.t.Error(err)
				}
			},
			"delete": func(w *world) { w.store.set(func() { delete(w.store.keys, w.record.Digest) }) },
		} {
			bubble(t, func(t *testing.T, w *world) {
				got := w.watch(w.want(w.key, true))
				time.Sleep(3*time.Second + wait)
				w.wantDead(got, 0)
				kill(w)
				time.Sleep(authn.MaxAge)
				w.wantDead(got, 1)
				time.Sleep(time.Minute)
				w.wantDead(got, 1)
				if t.Failed() {
					t.Fatalf("%s after %v", name, wait)
				}
			})
		}
		bubble(t, func(_ *testing.T, w *world) {
			_, key := w.issue(time.Now().Add(3*time.Second + wait))
			got := w.watch(w.want(key, true))
			time.Sleep(3*time.Second + wait - 1)
			w.wantDead(got, 0)
			time.Sleep(authn.MaxAge)
			w.wantDead(got, 1)
		})
	}
}

// TestWatchRevokedBetween: a key that is revoked after Authenticate and before
// Watch ends the watch too.
func TestWatchRevokedBetween(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.want(w.key, true)
		if _, err := w.RevokeKey(t.Context(), "user", w.record.ID, time.Now(), "a reason"); err != nil {
			t.Fatal(err)
		}
		got := w.watch(p)
		time.Sleep(authn.MaxAge)
		w.wantDead(got, 1)
	})
}

// TestWatchLookups: a watched key is looked up once every half MaxAge, however many
// watches it has. Without watches, nothing is looked up.
func TestWatchLookups(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		p := w.want(w.key, true)
		_, otherKey := w.issue(time.Time{})
		var all []*watched
		for range 50 {
			all = append(all, w.watch(p), w.watch(w.want(otherKey, true)))
		}
		w.wantLookups(2)
		time.Sleep(10*authn.MaxAge + 1)
		w.wantLookups(2 + 2*20)
		for _, one := range all {
			w.wantDead(one, 0)
			one.stop()
		}
		time.Sleep(10 * authn.MaxAge)
		w.wantLookups(2 + 2*20)

		again := w.watch(p)
		time.Sleep(authn.MaxAge + 1)
		w.wantLookups(2 + 2*20 + 2)
		again.stop()
	})
}

// TestWatchFaults: while the store fails or hangs, no watch ends, except of a key
// that has expired.
func TestWatchFaults(t *testing.T) {
	for name, fail := range map[string]func(*fakeStore){
		"fails": func(s *fakeStore) { s.fault = errDown },
		"hangs": func(s *fakeStore) { s.before = func(ctx context.Context) { <-ctx.Done() } },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(_ *testing.T, w *world) {
				_, expiring := w.issue(time.Now().Add(57 * time.Second))
				got, expired := w.watch(w.want(w.key, true)), w.watch(w.want(expiring, true))
				w.store.set(func() { fail(w.store) })
				w.revokeElsewhere()
				time.Sleep(57*time.Second - 1)
				w.wantDead(got, 0)
				w.wantDead(expired, 0)
				time.Sleep(authn.MaxAge)
				w.wantDead(got, 0)
				w.wantDead(expired, 1)
				w.store.set(func() { w.store.fault, w.store.before = nil, nil })
				// A lookup that hangs is given up after 5 s.
				time.Sleep(5*time.Second + authn.MaxAge)
				w.wantDead(got, 1)
			})
		})
	}
}

// TestWatchSlowStore: a slow store does not delay the end of a watch beyond MaxAge,
// and a watch may be ended while its key is being looked up.
func TestWatchSlowStore(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		w.store.set(func() {
			w.store.before = func(context.Context) { time.Sleep(authn.MaxAge / 5) }
			w.store.after = w.store.before
		})
		got, stopped := w.watch(w.want(w.key, true)), w.watch(w.want(w.key, true))
		// The first round has read the key, and the store has not answered yet.
		time.Sleep(authn.MaxAge/2 + authn.MaxAge/5 + 1)
		w.revokeElsewhere()
		stopped.stop()
		time.Sleep(authn.MaxAge)
		w.wantDead(got, 1)
		w.wantDead(stopped, 0)
		time.Sleep(authn.MaxAge) // until the store has answered
	})
}

// TestWatchClose: after Close nothing is looked up and no watch ends. A goroutine
// that is left running fails the bubble.
func TestWatchClose(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := w.want(w.key, true)
		before := w.watch(p)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		after := w.watch(p)
		w.revokeElsewhere()
		time.Sleep(time.Minute)
		w.wantDead(before, 0)
		w.wantDead(after, 0)
		w.wantLookups(1)
		if _, _, err := w.Authenticate(t.Context(), w.key, client); !errors.Is(err, context.Canceled) {
			t.Errorf("Authenticate after Close: %v", err)
		}
	})
}
