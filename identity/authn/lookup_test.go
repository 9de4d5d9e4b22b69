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

// TestFlood: a client may have a number of keys that do not exist looked up, and
// then has to wait. Keys that exist, and other clients, are not affected.
func TestFlood(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		present := func(from string, times int) (throttled int) {
			t.Helper()
			for range times {
				unknown, _, _ := identity.KeyFormat{}.NewKey()
				p, _, err := w.Authenticate(t.Context(), unknown, netip.MustParseAddr(from))
				ok := p != nil
				if limit, is := errors.AsType[*authn.Throttled](err); is && limit.RetryAfter > 0 && limit.RetryAfter <= time.Second {
					throttled++
				} else if ok || err != nil {
					t.Errorf("Authenticate = %t, %v", ok, err)
				}
			}
			return throttled
		}
		w.want(w.key, true)
		for _, step := range []struct {
			from             string
			times, throttled int
		}{
			{"192.0.2.1", 30, 0}, {"192.0.2.1", 1000, 1000}, {"::ffff:192.0.2.1", 1, 1}, {"192.0.2.2", 30, 0},
			{"2001:db8::1", 20, 0}, {"2001:db8::ffff:1", 20, 10}, {"2001:db8:0:1::1", 30, 0},
		} {
			if got := present(step.from, step.times); got != step.throttled {
				t.Errorf("%d of %d from %s were refused, want %d", got, step.times, step.from, step.throttled)
			}
		}
		w.wantLookups(1 + 30 + 30 + 30 + 30)
		w.want(w.key, true)
		time.Sleep(5 * time.Second)
		w.want(w.key, true)
		if got := present("192.0.2.1", 10); got != 5 {
			t.Errorf("5 s later, %d of 10 were refused", got)
		}
		time.Sleep(time.Hour)
		if got := present("192.0.2.1", 40); got != 10 {
			t.Errorf("an hour later, %d of 40 were refused", got)
		}
	})
}

// TestFloodConcurrent: concurrent calls may have no more keys looked up than
// sequential ones, apart from the few lookups in flight.
func TestFloodConcurrent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.store.before = func(context.Context) { time.Sleep(time.Millisecond) }
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() {
				unknown, _, _ := identity.KeyFormat{}.NewKey()
				if p, _, err := w.Authenticate(t.Context(), unknown, client); p != nil || err != nil && !errors.As(err, new(*authn.Throttled)) {
					t.Errorf("Authenticate = %t, %v", p != nil, err)
				}
			})
		}
		callers.Wait()
		if got := w.store.lookupCount(); got < 30 || got > 30+8 {
			t.Errorf("%d lookups, want 30 to 38", got)
		}
	})
}

// TestFloodOfClients: the number of clients that are remembered is bounded.
func TestFloodOfClients(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for n := range 25_000 {
			unknown, _, _ := identity.KeyFormat{}.NewKey()
			from := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
			if _, _, err := w.Authenticate(t.Context(), unknown, from); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.FloodClients(); got > 10_000 {
			t.Errorf("%d clients are remembered", got)
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
