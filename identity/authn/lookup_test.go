package identity_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// TestFaults: while the store cannot be read, nothing is known of keys that
// were not read before, and what was read is good for StaleOK.
func TestFaults(t *testing.T) {
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
		for time.Since(began) < identity.DefaultStaleOK {
			w.want(w.key, true)
			if time.Since(began) < time.Minute {
				w.want(expiring, true)
			} else {
				w.wantFault(expiring) // someone may have given it more time
			}
			if time.Since(began) > identity.MaxAge {
				w.wantFault(disabledKey) // someone may have enabled its user again
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

// TestStaleRevoked: once the store is back, it is asked again.
func TestStaleRevoked(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		w.want(w.key, true)
		w.store.set(func() { w.store.fault = errDown })
		time.Sleep(2 * identity.MaxAge)
		w.want(w.key, true)
		w.revokeElsewhere()
		w.store.set(func() { w.store.fault = nil })
		w.want(w.key, true) // and finds out that it is back
		synctest.Wait()
		w.want(w.key, false)
	})
}

// TestStaleOK: none is none; changes made here are not forgotten.
func TestStaleOK(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		strict := identity.NewAuthority(w.store, identity.Options{StaleOK: -1})
		defer func() {
			if err := strict.Close(); err != nil {
				t.Error(err)
			}
		}()
		for _, a := range []*identity.Authority{strict, w.Authority} {
			if _, ok, err := a.Authenticate(t.Context(), w.key, client); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		w.store.set(func() { w.store.fault, w.store.changes = errDown, errDown })
		time.Sleep(identity.MaxAge)
		w.want(w.key, true)
		if _, ok, err := strict.Authenticate(t.Context(), w.key, client); ok || !errors.Is(err, errDown) {
			t.Errorf("with no StaleOK: %t, %v", ok, err)
		}
		// It may have been made all the same.
		if err := w.SetDisabled(t.Context(), "user", true); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		w.wantFault(w.key)
	})
}

// TestStaleHanging: a store that never answers keeps known keys waiting for
// MaxAge, and only once.
func TestStaleHanging(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		w.want(w.key, true)
		w.store.set(func() { w.store.before = func(ctx context.Context) { <-ctx.Done() } })
		time.Sleep(identity.MaxAge)
		for _, wait := range []time.Duration{identity.MaxAge, 0, 0} {
			began := time.Now()
			w.want(w.key, true)
			if waited := time.Since(began); waited != wait {
				t.Errorf("waited %v, want %v", waited, wait)
			}
		}
	})
}

// TestFlood: a client may have so many keys looked up that there are none of,
// and then has to wait; keys that exist, and other clients, are not concerned.
func TestFlood(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		present := func(from string, times int) (throttled int) {
			t.Helper()
			for range times {
				unknown, _, _ := identity.KeyFormat{}.NewKey()
				_, ok, err := w.Authenticate(t.Context(), unknown, netip.MustParseAddr(from))
				if limit, is := errors.AsType[*identity.Throttled](err); is && limit.RetryAfter > 0 && limit.RetryAfter <= time.Second {
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
		w.wantLookUps(1 + 30 + 30 + 30 + 30)
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

// TestFloodAtOnce: many at a time have no more looked up than one after the
// other, but for the few that are under way.
func TestFloodAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.store.before = func(context.Context) { time.Sleep(time.Millisecond) }
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() {
				unknown, _, _ := identity.KeyFormat{}.NewKey()
				if _, ok, err := w.Authenticate(t.Context(), unknown, client); ok || err != nil && !errors.As(err, new(*identity.Throttled)) {
					t.Errorf("Authenticate = %t, %v", ok, err)
				}
			})
		}
		callers.Wait()
		if got := w.store.lookedUp(); got < 30 || got > 30+8 {
			t.Errorf("%d look-ups, want 30 to 38", got)
		}
	})
}

// TestFloodOfClients: however many clients there are, few are remembered.
func TestFloodOfClients(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for n := range 25_000 {
			unknown, _, _ := identity.KeyFormat{}.NewKey()
			from := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
			if _, _, err := w.Authenticate(t.Context(), unknown, from); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.Clients(); got > 10_000 {
			t.Errorf("%d clients are remembered", got)
		}
	})
}

// TestLastUsed: the store learns within a minute when keys were used, in
// batches, and when the Authority is closed.
func TestLastUsed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		other, otherKey := w.issue(time.Time{})
		lastUse := map[string]time.Time{}
		check := func(within time.Duration) {
			t.Helper()
			for id, at := range lastUse {
				if got := w.store.touched[id]; at.Sub(got).Abs() > within {
					t.Errorf("last used at %v, was told %v", at, got)
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

// TestHangingStore: a store that never answers is a fault after a while, and
// nothing is left waiting.
func TestHangingStore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.store.before = func(ctx context.Context) { <-ctx.Done() }
		began := time.Now()
		_, ok, err := w.Authenticate(t.Context(), w.key, client)
		if ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Authenticate = %t, %v", ok, err)
		}
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestCloseEndsLookUps(t *testing.T) {
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

// speaker is a store that tells of changes when a test says so.
type speaker struct {
	*fakeStore
	heard   func(from, to time.Time)
	changed func(userID string, key identity.Digest)
}

func (s *speaker) Listen(ctx context.Context, heard func(from, to time.Time), changed func(userID string, key identity.Digest)) {
	s.heard, s.changed = heard, changed
	<-ctx.Done()
}

// TestTold: while the store tells of changes, what was read is trusted;
// what it tells of is read again at once; when it falls silent, what was
// read is trusted for MaxAge again.
func TestTold(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		store := &speaker{fakeStore: w.store}
		told := &world{Authority: identity.NewAuthority(store, identity.Options{}), t: t, store: w.store, key: w.key, record: w.record}
		defer func() {
			if err := told.Close(); err != nil {
				t.Error(err)
			}
		}()
		told.want(w.key, true)
		synctest.Wait()
		from := time.Now()
		hear := func(lasting time.Duration) {
			for began := time.Now(); time.Since(began) < lasting; time.Sleep(identity.MaxAge / 4) {
				store.heard(from, time.Now())
				told.want(w.key, true)
			}
		}
		var watch identity.Watch
		told.Watch(&watch, told.want(w.key, true), func() { t.Error("a watch ended") })
		hear(10 * time.Minute)
		told.wantLookUps(1) // and none for the watch
		if !told.Hears() {
			t.Error("it does not hear")
		}
		told.Unwatch(&watch)

		// A change that it is told of.
		_, otherKey := w.issue(time.Time{})
		other := told.watch(told.want(otherKey, true))
		got := told.watch(told.want(w.key, true))
		before := w.store.lookedUp()
		w.revokeElsewhere()
		told.want(w.key, true) // it cannot know
		store.changed("", w.record.Digest)
		told.want(w.key, false)
		told.wantDead(got, 1)
		told.wantDead(other, 0)
		told.wantLookUps(before + 1)
		if err := w.store.SetDisabled(t.Context(), "user", true); err != nil {
			t.Fatal(err)
		}
		store.changed("someone else", identity.Digest{})
		told.want(otherKey, true)
		store.changed("user", identity.Digest{})
		told.want(otherKey, false)
		told.wantDead(other, 1)
		if err := w.store.SetDisabled(t.Context(), "user", false); err != nil {
			t.Fatal(err)
		}
		store.changed("user", identity.Digest{})
		told.want(otherKey, true)

		// A change while the connection is broken, and a new connection, which
		// tells nothing of it.
		third, thirdKey := w.issue(time.Time{})
		store.heard(from, time.Now())
		told.want(thirdKey, true)
		if _, err := w.store.RevokeKey(t.Context(), "", third.ID, time.Now(), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(identity.MaxAge / 2)
		store.heard(time.Now(), time.Now())
		told.want(thirdKey, true)
		time.Sleep(identity.MaxAge / 2)
		store.heard(time.Now(), time.Now())
		told.want(thirdKey, false)

		// And one after which nothing is heard at all.
		store.heard(time.Now(), time.Now())
		told.want(otherKey, true)
		time.Sleep(identity.MaxAge)
		if told.Hears() {
			t.Error("it hears")
		}
		if err := w.store.SetDisabled(t.Context(), "user", true); err != nil {
			t.Fatal(err)
		}
		told.want(otherKey, false)
	})
}
