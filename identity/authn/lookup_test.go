package authn_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
)

// TestStoreDown: while the store cannot be read, keys that are not cached are an
// error, and cached live keys work for StaleOK.
func TestStoreDown(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		disabledSoon, disabledKey := w.issue(time.Time{})
		_, expiring := w.issue(time.Now().Add(time.Minute))
		began := time.Now()
		w.want(w.key, true)
		w.want(expiring, true)
		w.store.set(func() {
			k := w.store.keys[disabledSoon.Digest]
			k.RevokedAt = time.Now()
			w.store.keys[disabledSoon.Digest] = k
		})
		w.want(disabledKey, false)
		unknown, _, _ := identity.KeyFormat{}.NewKey()
		w.store.set(func() { w.store.fault = errDown })
		w.wantFault(unknown)
		w.want("malformed", false)
		for time.Since(began) < authn.DefaultStaleOK {
			w.want(w.key, true)
			if time.Since(began) < time.Minute {
				w.want(expiring, true)
			} else {
				w.wantFault(expiring) // its expiry may have been moved
			}
			if time.Since(began) > authn.MaxAge {
				w.wantFault(disabledKey) // its user may have been enabled again
			}
			w.wantFault(unknown)
			time.Sleep(7 * time.Second)
		}
		w.wantFault(w.key)
		w.store.set(func() { w.store.fault = nil })
		w.want(w.key, true)
		w.want(unknown, false)
		w.want(disabledKey, false)
	})
}

// TestStaleRevoked: a key that was revoked while the store was down is refused once
// the store is back.
func TestStaleRevoked(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		w.want(w.key, true)
		w.store.set(func() { w.store.fault = errDown })
		time.Sleep(2 * authn.MaxAge)
		w.want(w.key, true)
		w.revokeElsewhere()
		w.store.set(func() { w.store.fault = nil })
		w.want(w.key, true) // and finds out that it is back
		synctest.Wait()
		w.want(w.key, false)
	})
}

// TestStaleOK: a negative StaleOK is none, and a change made through the Authority
// takes effect although the store is down.
func TestStaleOK(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		strict := authn.New(w.store, authn.Options{StaleOK: -1})
		defer func() {
			if err := strict.Close(); err != nil {
				t.Error(err)
			}
		}()
		for _, a := range []*authn.Authority{strict, w.Authority} {
			if p, _, err := a.Authenticate(t.Context(), w.key, client); p == nil || err != nil {
				t.Fatal(p != nil, err)
			}
		}
		w.store.set(func() { w.store.fault, w.store.changes = errDown, errDown })
		time.Sleep(authn.MaxAge)
		w.want(w.key, true)
		if p, _, err := strict.Authenticate(t.Context(), w.key, client); p != nil || !errors.Is(err, errDown) {
			t.Errorf("with no StaleOK: %t, %v", p != nil, err)
		}
		// It may have been made all the same.
		if err := w.SetDisabled(t.Context(), "user", true); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		w.wantFault(w.key)
	})
}

// TestStaleHanging: a store that never answers makes calls with cached keys wait
// for MaxAge, and only once.
func TestStaleHanging(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		w.want(w.key, true)
		w.store.set(func() { w.store.before = func(ctx context.Context) { <-ctx.Done() } })
		time.Sleep(authn.MaxAge)
		for _, wait := range []time.Duration{authn.MaxAge, 0, 0} {
			began := time.Now()
			w.want(w.key, true)
			if waited := time.Since(began); waited != wait {
				t.Errorf("waited %v, want %v", waited, wait)
			}
		}
	})
}

// TestUnknownKeyAgain: an unknown key that comes again is looked up again only when
// a cached key would be, and works at once when it has been created.
func TestUnknownKeyAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		record, key, err := identity.KeyFormat{}.Issue("user", identity.KeySpec{Name: "created later"})
		if err != nil {
			t.Fatal(err)
		}
		for range 10_000 {
			w.want(key, false)
		}
		w.wantLookups(1)
		time.Sleep(authn.MaxAge)
		for range 10_000 {
			w.want(key, false)
		}
		w.wantLookups(2)
		if err := w.CreateKey(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		w.want(key, true)
	})
}

// TestGuessing: while 10,000 addresses guess keys, each without a pause, 100 live
// keys that this process has not seen yet are looked up within a second, from
// addresses of their own and from an address that guesses, too.
func TestGuessing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const took = time.Millisecond // for a lookup
		w.store.before = func(context.Context) { time.Sleep(took) }
		address := func(network, n int) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(network), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		ctx, cancel := context.WithCancel(t.Context())
		var guessers sync.WaitGroup
		for n := range 10_000 {
			guessers.Go(func() {
				for ctx.Err() == nil {
					guess, _, _ := identity.KeyFormat{}.NewKey()
					if p, _, _ := w.Authenticate(ctx, guess, address(10, n)); p != nil {
						t.Error("a guess is a live key")
					}
				}
			})
		}
		time.Sleep(2 * time.Second) // until all are suspected
		var callers sync.WaitGroup
		for n := range 100 {
			_, key := w.issue(time.Time{})
			callers.Go(func() {
				began := time.Now()
				if p, _, err := w.Authenticate(t.Context(), key, address(11, n)); p == nil || err != nil || time.Since(began) > time.Second {
					t.Errorf("a live key is answered %t, %v after %v", p != nil, err, time.Since(began))
				}
			})
		}
		callers.Wait()
		_, key := w.issue(time.Time{})
		began := time.Now()
		// A guess of this address is before it, and one of each other is before either.
		if p, _, err := w.Authenticate(t.Context(), key, address(10, 1)); p == nil || err != nil || time.Since(began) > 2*10_000/8*took+took {
			t.Errorf("a live key from where keys are guessed is answered %t, %v after %v", p != nil, err, time.Since(began))
		}
		cancel()
		guessers.Wait()
		time.Sleep(time.Second) // for the lookups in flight
	})
}

// TestGuessesRemembered: the number of networks and of unknown keys that are
// remembered is bounded.
func TestGuessesRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for n := range 25_000 {
			guess, _, _ := identity.KeyFormat{}.NewKey()
			from := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
			if _, _, err := w.Authenticate(t.Context(), guess, from); err != nil {
				t.Fatal(err)
			}
		}
		if networks, keys := w.Remembered(); networks != 10_000 || keys != 16_384 {
			t.Errorf("%d networks and %d keys are remembered", networks, keys)
		}
	})
}

// TestLastUsed: the time of a key's last use is written within a minute, and when
// the Authority is closed.
func TestLastUsed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		other, otherKey := w.issue(time.Time{})
		lastUse := map[string]time.Time{}
		check := func(within time.Duration) {
			t.Helper()
			for id, at := range lastUse {
				if got := w.store.lastUse(id); at.Sub(got).Abs() > within {
					t.Errorf("last used at %v, the store has %v", at, got)
				}
			}
		}
		for n := range 600 {
			w.want(w.key, true)
			lastUse[w.record.ID] = time.Now()
			if n%40 == 0 {
				w.want(otherKey, true)
				lastUse[other.ID] = time.Now()
			}
			time.Sleep(500 * time.Millisecond)
			if n > 60 {
				synctest.Wait()
				check(time.Minute)
			}
		}
		w.store.set(func() { w.store.fault = errDown })
		time.Sleep(time.Minute)
		w.want(w.key, true)
		lastUse[w.record.ID] = time.Now()
		w.store.set(func() { w.store.fault = nil })
		time.Sleep(time.Minute)
		check(time.Second)
		w.want(otherKey, true)
		lastUse[other.ID] = time.Now()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		check(time.Second)
	})
}

// TestHangingStore: a lookup in a store that never answers times out, and nothing is
// left waiting.
func TestHangingStore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.store.before = func(ctx context.Context) { <-ctx.Done() }
		began := time.Now()
		p, _, err := w.Authenticate(t.Context(), w.key, client)
		ok := p != nil
		if ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Authenticate = %t, %v", ok, err)
		}
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestCloseCancelsLookups(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.store.before = func(ctx context.Context) { <-ctx.Done() }
		answered := make(chan error)
		go func() {
			_, _, err := w.Authenticate(t.Context(), w.key, client)
			answered <- err
		}()
		synctest.Wait()
		if err := w.Close(); err != nil || w.store.closed != 1 {
			t.Errorf("Close: %v, and of the store %d times", err, w.store.closed)
		}
		if err := <-answered; !errors.Is(err, context.Canceled) {
			t.Errorf("Authenticate while closing: %v", err)
		}
	})
}

// fakeNotifier is a store whose notifications a test sends.
type fakeNotifier struct {
	*fakeStore
	heartbeat func(from, to time.Time)
	changed   func(userID string, key identity.Digest)
}

func (s *fakeNotifier) Listen(ctx context.Context, heartbeat func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	s.heartbeat, s.changed = heartbeat, changed
	<-ctx.Done()
}

// TestNotifications: while the store sends heartbeats, cached entries are trusted.
// A change that it reports is read at once. When the heartbeats stop, entries are
// trusted for MaxAge again.
func TestNotifications(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		store := &fakeNotifier{fakeStore: w.store}
		notified := &world{Authority: authn.New(store, authn.Options{}), t: t, store: w.store, key: w.key, record: w.record}
		defer func() {
			if err := notified.Close(); err != nil {
				t.Error(err)
			}
		}()
		notified.want(w.key, true)
		synctest.Wait()
		from := time.Now()
		beat := func(lasting time.Duration) {
			for began := time.Now(); time.Since(began) < lasting; time.Sleep(authn.MaxAge / 4) {
				store.heartbeat(from, time.Now())
				notified.want(w.key, true)
			}
		}
		var watch authn.Watch
		notified.Watch(&watch, notified.want(w.key, true), func() { t.Error("a watch ended") })
		beat(10 * time.Minute)
		notified.wantLookups(1) // and none for the watch
		if !notified.Connected() {
			t.Error("Connected = false")
		}
		notified.Unwatch(&watch)

		// A change that is reported.
		_, otherKey := w.issue(time.Time{})
		other := notified.watch(notified.want(otherKey, true))
		got := notified.watch(notified.want(w.key, true))
		before := w.store.lookupCount()
		w.revokeElsewhere()
		notified.want(w.key, true) // it cannot know
		store.changed("", w.record.Digest)
		notified.want(w.key, false)
		notified.wantDead(got, 1)
		notified.wantDead(other, 0)
		notified.wantLookups(before + 1)
		if err := w.store.SetDisabled(t.Context(), "user", true); err != nil {
			t.Fatal(err)
		}
		store.changed("someone else", identity.Digest{})
		notified.want(otherKey, true)
		store.changed("user", identity.Digest{})
		notified.want(otherKey, false)
		notified.wantDead(other, 1)
		if err := w.store.SetDisabled(t.Context(), "user", false); err != nil {
			t.Fatal(err)
		}
		store.changed("user", identity.Digest{})
		notified.want(otherKey, true)

		// A change while the connection is broken. The new connection does not report
		// it.
		third, thirdKey := w.issue(time.Time{})
		store.heartbeat(from, time.Now())
		notified.want(thirdKey, true)
		if _, err := w.store.RevokeKey(t.Context(), "", third.ID, time.Now(), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(authn.MaxAge / 2)
		store.heartbeat(time.Now(), time.Now())
		notified.want(thirdKey, true)
		time.Sleep(authn.MaxAge / 2)
		store.heartbeat(time.Now(), time.Now())
		notified.want(thirdKey, false)

		// And a change after the last heartbeat.
		store.heartbeat(time.Now(), time.Now())
		notified.want(otherKey, true)
		time.Sleep(authn.MaxAge)
		if notified.Connected() {
			t.Error("Connected = true")
		}
		if err := w.store.SetDisabled(t.Context(), "user", true); err != nil {
			t.Fatal(err)
		}
		notified.want(otherKey, false)
	})
}
