package authn_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
)

// fakeStore counts its lookups, and can be made to fail or to wait.
type fakeStore struct {
	identity.Store // nil: these tests need the methods below only

	mu      sync.Mutex
	keys    map[identity.Digest]identity.Key
	user    identity.User // of every key
	fault   error         // of everything
	changes error         // of changes, which are made all the same
	lookups int
	closed  int
	touched map[string]time.Time // when each key was last used
	// called before and after a lookup reads, unless nil
	before, after func(context.Context)
}

// client is the address of calls for which it does not matter.
var client = netip.MustParseAddr("192.0.2.1")

var errDown = errors.New("the store is down")

func (s *fakeStore) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *fakeStore) lookupCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookups
}

func (s *fakeStore) lastUse(keyID string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.touched[keyID]
}

func (s *fakeStore) KeyByDigest(ctx context.Context, d identity.Digest) (identity.Key, identity.User, error) {
	s.mu.Lock()
	s.lookups++
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		before(ctx)
	}
	if after != nil {
		defer after(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[d]
	switch {
	case s.fault != nil:
		return identity.Key{}, identity.User{}, s.fault
	case ctx.Err() != nil:
		return identity.Key{}, identity.User{}, ctx.Err()
	case !ok:
		return identity.Key{}, identity.User{}, identity.ErrNotFound
	}
	return k, s.user, nil
}

func (s *fakeStore) CreateKey(_ context.Context, k identity.Key) error {
	s.set(func() { s.keys[k.Digest] = k })
	return s.changes
}

func (s *fakeStore) RevokeKey(_ context.Context, userID, keyID string, at time.Time, _ string) (identity.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d, k := range s.keys {
		if k.ID == keyID && (userID == "" || userID == k.UserID) {
			k.RevokedAt = at
			s.keys[d] = k
			return k, s.changes
		}
	}
	return identity.Key{}, identity.ErrNotFound
}

func (s *fakeStore) SetDisabled(_ context.Context, userID string, disabled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if userID != s.user.ID {
		return identity.ErrNotFound
	}
	s.user.Disabled = disabled
	return s.changes
}

func (s *fakeStore) TouchKeys(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return s.fault
	}
	if s.touched == nil {
		s.touched = map[string]time.Time{}
	}
	maps.Copy(s.touched, used)
	return nil
}

func (s *fakeStore) Close() error {
	s.set(func() { s.closed++ })
	return nil
}

// world is an Authority over a fake store with one key.
type world struct {
	*authn.Authority
	t      *testing.T
	store  *fakeStore
	key    string
	record identity.Key
}

// bubble runs a test with a world of its own in a synctest bubble, where time
// passes only when everything waits. The test must use the bubble's t.
func bubble(t *testing.T, test func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		test(t, w)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
}

func newWorld(t *testing.T) *world {
	store := &fakeStore{
		keys: map[identity.Digest]identity.Key{},
		user: identity.User{ID: "user", Email: "ann@example.com", Role: identity.Member},
	}
	w := &world{Authority: authn.New(store, authn.Options{}), t: t, store: store}
	w.record, w.key = w.issue(time.Time{})
	return w
}

func (w *world) issue(expiresAt time.Time) (identity.Key, string) {
	w.t.Helper()
	record, key, err := identity.IssueKey("user", "my key", expiresAt)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store.set(func() { w.store.keys[record.Digest] = record })
	return record, key
}

func (w *world) revokeElsewhere() {
	_, err := w.store.RevokeKey(w.t.Context(), "", w.record.ID, time.Now(), "a reason")
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) want(key string, want bool) *authn.Principal {
	w.t.Helper()
	p, _, err := w.Authenticate(w.t.Context(), key, client)
	ok := p != nil
	if err != nil || ok != want || (p != nil) != want {
		w.t.Errorf("Authenticate = %+v, %t, %v, want %t", p, ok, err, want)
	}
	return p
}

func (w *world) wantFault(key string) {
	w.t.Helper()
	p, _, err := w.Authenticate(w.t.Context(), key, client)
	ok := p != nil
	if !errors.Is(err, errDown) || ok || p != nil {
		w.t.Errorf("Authenticate = %+v, %t, %v, want a fault", p, ok, err)
	}
}

func (w *world) wantLookups(want int) {
	w.t.Helper()
	if got := w.store.lookupCount(); got != want {
		w.t.Errorf("%d lookups, want %d", got, want)
	}
}

func TestAuthenticate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		expiresAt := time.Now().Add(time.Hour).UTC()
		record, key := w.issue(expiresAt)
		want := &authn.Principal{
			UserID: "user", UserEmail: "ann@example.com", KeyID: record.ID, KeyName: "my key", ExpiresAt: expiresAt,
		}
		for range 3 {
			if diff := cmp.Diff(want, w.want(key, true), cmpopts.IgnoreUnexported(authn.Principal{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
		w.wantLookups(1)
		w.want(w.key, true)
		w.wantLookups(2)

		for _, malformed := range []string{"", "sk-", w.key[1:], w.key + "0", w.key[:20] + "!" + w.key[21:]} {
			w.want(malformed, false)
		}
		w.wantLookups(2)
		unknown, _, _ := identity.KeyFormat{}.NewKey()
		w.want(unknown, false)
		w.wantLookups(3)
	})
}

// TestPrincipal: a principal has the key's limits, and the user's beside them. Scopes that cannot be read are a fault: the key is not taken for one without
// scopes.
func TestPrincipal(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		w.store.user.Limits = identity.Limits{CallsPerMinute: 1, CallsPerDay: 2}
		k := w.record
		k.Scopes, k.Limits = []string{"query_*"}, identity.Limits{CallsPerDay: 3}
		w.store.keys[k.Digest] = k
		p := w.want(w.key, true)
		if p.Limits != k.Limits || p.UserLimits != w.store.user.Limits {
			t.Errorf("limits %+v and the user's %+v", p.Limits, p.UserLimits)
		}
		if !p.Scope.AllowsTool("default", "query_a") || p.Scope.AllowsTool("default", "run_sql") {
			t.Error("the scope is not the key's")
		}
		other, otherKey := w.issue(time.Time{})
		if p := w.want(otherKey, true); !p.Scope.AllowsTool("default", "run_sql") {
			t.Error("a key without scopes may not call everything")
		}
		other.Scopes = []string{"!"}
		w.store.set(func() { w.store.keys[other.Digest] = other })
		w.EvictAll()
		if p, _, err := w.Authenticate(w.t.Context(), otherKey, client); p != nil || err == nil {
			t.Errorf("with scopes that cannot be read: %t, %v", p != nil, err)
		}
	})
}

// TestMaxAge: a cached entry is trusted for MaxAge and not an instant longer.
func TestMaxAge(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		w.want(w.key, true)
		w.revokeElsewhere()
		time.Sleep(authn.MaxAge - time.Nanosecond)
		w.want(w.key, true)
		w.wantLookups(1)
		time.Sleep(time.Nanosecond)
		w.want(w.key, false)
		w.want(w.key, false)
		w.wantLookups(2)
	})
}

// TestMaxAgeBeginsWithTheLookup: the age of an entry counts from the beginning of
// its lookup.
func TestMaxAgeBeginsWithTheLookup(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		w.store.after = func(context.Context) { time.Sleep(authn.MaxAge * 3 / 4) }
		w.want(w.key, true)
		w.revokeElsewhere()
		time.Sleep(authn.MaxAge / 4)
		w.want(w.key, false)
	})
}

func TestExpiry(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		_, key := w.issue(time.Now().Add(authn.MaxAge / 2))
		w.want(key, true)
		time.Sleep(authn.MaxAge/2 - time.Nanosecond)
		w.want(key, true)
		time.Sleep(time.Nanosecond)
		w.want(key, false)
		w.wantLookups(1)

		// A key that expires while it is looked up has expired.
		_, key = w.issue(time.Now().Add(time.Second))
		w.store.set(func() { w.store.after = func(context.Context) { time.Sleep(time.Second) } })
		w.want(key, false)
	})
}

func TestRevokedHere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, otherKey := w.issue(time.Time{})
		w.want(w.key, true)
		w.want(otherKey, true)
		_, err := w.RevokeKey(t.Context(), "someone else", w.record.ID, time.Now(), "a reason")
		if !errors.Is(err, identity.ErrNotFound) {
			t.Errorf("revoked by someone else: %v", err)
		}
		w.want(w.key, true)
		w.wantLookups(2)

		got, err := w.RevokeKey(t.Context(), "user", w.record.ID, time.Now(), "a reason")
		if err != nil || got.ID != w.record.ID {
			t.Errorf("RevokeKey = %+v, %v", got, err)
		}
		w.want(w.key, false)
		w.wantLookups(3)
		w.want(otherKey, true) // and is still cached
		w.wantLookups(3)
	})
}

func TestDisabledHere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, otherKey := w.issue(time.Time{})
		for _, disabled := range []bool{false, true, false, true} {
			if err := w.SetDisabled(t.Context(), "user", disabled); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				w.want(w.key, !disabled)
				w.want(otherKey, !disabled)
			}
		}
		w.wantLookups(8)
		if err := w.SetDisabled(t.Context(), "someone else", false); !errors.Is(err, identity.ErrNotFound) {
			t.Errorf("SetDisabled of someone else: %v", err)
		}
		w.want(w.key, false)
		w.wantLookups(8)
	})
}

func TestCreatedHere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		record, key, err := identity.IssueKey("user", "another", time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		w.want(key, false)
		if err := w.CreateKey(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		w.want(key, true)
	})
}

// TestFailedChange: a store that returns an error may have made the change.
func TestFailedChange(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.store.changes = errDown
		w.want(w.key, true)
		if err := w.SetDisabled(t.Context(), "user", true); !errors.Is(err, errDown) {
			t.Errorf("SetDisabled: %v", err)
		}
		w.want(w.key, false)
		if err := w.SetDisabled(t.Context(), "user", false); !errors.Is(err, errDown) {
			t.Errorf("SetDisabled: %v", err)
		}
		w.want(w.key, true)
		if _, err := w.RevokeKey(t.Context(), "user", w.record.ID, time.Now(), "a reason"); !errors.Is(err, errDown) {
			t.Errorf("RevokeKey: %v", err)
		}
		w.want(w.key, false)
	})
}

// TestLookupDuringChange: a lookup that read before a change and answers after it
// does not decide a call that begins after the change.
func TestLookupDuringChange(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world) error
		old    bool // whether the key was live before
	}{
		"revoke": {func(w *world) error {
			_, err := w.RevokeKey(w.t.Context(), "", w.record.ID, time.Now(), "a reason")
			return err
		}, true},
		"disable": {func(w *world) error { return w.SetDisabled(w.t.Context(), "user", true) }, true},
		"create":  {func(w *world) error { return w.CreateKey(w.t.Context(), w.record) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				if !test.old {
					w.store.set(func() { delete(w.store.keys, w.record.Digest) })
				}
				release := make(chan struct{})
				w.store.set(func() { w.store.after = func(context.Context) { <-release } })
				answered := make(chan struct{})
				go func() {
					w.want(w.key, test.old) // began before the change
					close(answered)
				}()
				synctest.Wait()
				w.store.set(func() { w.store.after = nil })

				if err := test.change(w); err != nil {
					t.Fatal(err)
				}
				w.want(w.key, !test.old)
				close(release)
				<-answered
				w.want(w.key, !test.old)
			})
		})
	}
}

func TestConcurrentLookupsAreShared(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		release := make(chan struct{})
		w.store.before = func(context.Context) { <-release }
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() { w.want(w.key, true) })
		}
		synctest.Wait()
		close(release)
		callers.Wait()
		w.wantLookups(1)
	})
}

// TestCallerGivesUp: a caller that gives up returns at once, and the others that
// share its lookup still get the answer.
func TestCallerGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		release := make(chan struct{})
		w.store.before = func(context.Context) { <-release }
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, _, err := w.Authenticate(ctx, w.key, client)
			left <- err
		}()
		synctest.Wait()
		var other sync.WaitGroup
		other.Go(func() { w.want(w.key, true) })
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that gave up: %v", err)
		}
		close(release)
		other.Wait()
		w.wantLookups(1)
	})
}

// TestSharedLookupTooOld: a caller does not use the answer of a lookup that began
// more than MaxAge before the call.
func TestSharedLookupTooOld(t *testing.T) {
	bubble(t, func(_ *testing.T, w *world) {
		release := make(chan struct{})
		w.store.after = func(context.Context) { <-release }
		var callers sync.WaitGroup
		callers.Go(func() { w.want(w.key, true) })
		synctest.Wait()
		w.store.set(func() { w.store.after = nil })
		w.revokeElsewhere()
		time.Sleep(authn.MaxAge)
		callers.Go(func() { w.want(w.key, false) })
		synctest.Wait()
		close(release)
		callers.Wait()
		w.wantLookups(2)
	})
}
