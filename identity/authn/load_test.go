package authn_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
)

// TestCacheIsBounded: the cache holds a bounded number of keys, and none that do not
// exist. Evicted keys still work.
func TestCacheIsBounded(t *testing.T) {
	w := newWorld(t)
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	// All in one shard, which has room for 4096.
	var keys []string
	for len(keys) < 4200 {
		key, digest, _ := identity.KeyFormat{}.NewKey()
		if digest[0] == 0 {
			keys = append(keys, key)
			w.store.keys[digest] = identity.Key{ID: fmt.Sprint(len(keys)), UserID: "user", Digest: digest}
		}
	}
	for _, key := range keys {
		w.want(key, true)
	}
	w.wantLookups(len(keys))
	if got := w.Cached(); got != 4096 {
		t.Errorf("%d keys are cached, want 4096", got)
	}
	for n := range 5000 {
		unknown, _, _ := identity.KeyFormat{}.NewKey()
		from := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		if p, _, err := w.Authenticate(t.Context(), unknown, from); p != nil || err != nil {
			t.Errorf("Authenticate = %t, %v", p != nil, err)
		}
	}
	if got := w.Cached(); got != 4096 {
		t.Errorf("after unknown ones, %d keys are cached, want 4096", got)
	}
}

// TestRevokedUnderLoad: with many concurrent callers, no call that begins after a
// key was revoked is let in.
func TestRevokedUnderLoad(t *testing.T) {
	w := newWorld(t)
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	var revoked, done atomic.Bool
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for !done.Load() {
				before := revoked.Load()
				p, _, err := w.Authenticate(t.Context(), w.key, client)
				ok := p != nil
				if err != nil || ok && before {
					t.Errorf("Authenticate = %t, %v after the key was revoked", ok, err)
					return
				}
			}
		})
	}
	for range 200 {
		if err := w.SetDisabled(t.Context(), "user", true); err != nil {
			t.Error(err)
		}
		w.want(w.key, false)
		if err := w.SetDisabled(t.Context(), "user", false); err != nil {
			t.Error(err)
		}
		w.want(w.key, true)
	}
	if _, err := w.RevokeKey(t.Context(), "", w.record.ID, time.Now(), "a reason"); err != nil {
		t.Error(err)
	}
	revoked.Store(true)
	for range 1000 {
		w.want(w.key, false)
	}
	done.Store(true)
	callers.Wait()
}

// quietNotifier is a store that sends heartbeats and no changes.
type quietNotifier struct{ *fakeStore }

func (quietNotifier) Listen(ctx context.Context, heartbeat func(from, to time.Time), _ func(userID string, key identity.Digest)) {
	from := time.Now()
	for ctx.Err() == nil {
		heartbeat(from, time.Now())
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// BenchmarkAuthenticate authenticates with cached keys, 1 and 100,000 of them, on
// all cores. They are looked up again once a second, unless the store sends
// notifications.
func BenchmarkAuthenticate(b *testing.B) {
	store := &fakeStore{keys: map[identity.Digest]identity.Key{}, user: identity.User{ID: "user"}}
	keys := make([]string, 100_000)
	for i := range keys {
		key, digest, _ := identity.KeyFormat{}.NewKey()
		keys[i], store.keys[digest] = key, identity.Key{ID: fmt.Sprint(i), UserID: "user", Digest: digest}
	}
	for _, kind := range []struct {
		name  string
		store identity.Store
	}{{"silent", store}, {"quietNotifier", quietNotifier{store}}} {
		a := authn.New(kind.store, authn.Options{})
		for _, n := range []int{1, len(keys)} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				for _, key := range keys[:n] {
					if p, _, err := a.Authenticate(b.Context(), key, client); p == nil || err != nil {
						b.Fatal(p != nil, err)
					}
				}
				before := store.lookupCount()
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i = (i + 7919) % n {
						if p, _, err := a.Authenticate(b.Context(), keys[i], client); p == nil || err != nil {
							b.Fatal(p != nil, err)
						}
					}
				})
				b.ReportMetric(float64(store.lookupCount()-before)/float64(b.N), "lookups/op")
			})
		}
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkRevoke is what a change costs beside the store's part, with 100,000
// keys known.
func BenchmarkRevoke(b *testing.B) {
	store := &fakeStore{keys: map[identity.Digest]identity.Key{}, user: identity.User{ID: "user"}}
	a := authn.New(store, authn.Options{})
	for i := range 100_000 {
		key, digest, _ := identity.KeyFormat{}.NewKey()
		store.keys[digest] = identity.Key{ID: fmt.Sprint(i), UserID: "user", Digest: digest}
		if p, _, err := a.Authenticate(b.Context(), key, client); p == nil || err != nil {
			b.Fatal(p != nil, err)
		}
	}
	_, digest, _ := identity.KeyFormat{}.NewKey()
	store.keys = map[identity.Digest]identity.Key{digest: {ID: "one", Digest: digest}}
	for b.Loop() {
		if _, err := a.RevokeKey(b.Context(), "", "one", time.Now(), "a reason"); err != nil {
			b.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		b.Error(err)
	}
}
