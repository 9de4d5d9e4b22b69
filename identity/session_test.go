package identity

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// keyStore is a SessionStore of signing keys in memory.
type keyStore struct {
	SessionStore // nil: a Keyring calls no more than the methods below

	keys  []SigningKey // newest first
	reads int
	fault error
}

func (s *keyStore) SigningKeys(context.Context) ([]SigningKey, error) {
	s.reads++
	return slices.Clone(s.keys), s.fault
}

func (s *keyStore) AddSigningKey(_ context.Context, k SigningKey, newest time.Time) (bool, error) {
	if s.fault != nil || len(s.keys) > 0 && !s.keys[0].CreatedAt.Before(newest) {
		return false, s.fault
	}
	s.keys = append([]SigningKey{k}, slices.DeleteFunc(s.keys, func(old SigningKey) bool { return !k.CreatedAt.Before(old.ExpiresAt) })...)
	return true, nil
}

func (s *keyStore) RetireSigningKeys(_ context.Context, before time.Time) error {
	s.keys = slices.DeleteFunc(s.keys, func(k SigningKey) bool { return k.CreatedAt.Before(before) })
	return s.fault
}

// TestKeyring: a key signs for a period, and is trusted until no token of it
// can be good.
func TestKeyring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period, lifetime = 24 * time.Hour, time.Hour
		store := &keyStore{}
		one, other := NewKeyring(store, period, lifetime), NewKeyring(store, period, lifetime)
		current := func(r *Keyring) SigningKey {
			t.Helper()
			k, err := r.Current(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		trusted := func(r *Keyring, id string, want bool) {
			t.Helper()
			if _, ok, err := r.ByID(t.Context(), id); ok != want || err != nil {
				t.Errorf("ByID = %t, %v, want %t", ok, err, want)
			}
		}
		lastSigned := map[string]time.Time{}
		for range 200 {
			for _, r := range []*Keyring{one, other} {
				k := current(r)
				if age := time.Since(k.CreatedAt); age > period {
					t.Fatalf("signed with a key that is %v old", age)
				}
				lastSigned[k.ID] = time.Now()
			}
			for id, at := range lastSigned {
				if time.Since(at) < lifetime {
					trusted(one, id, true)
					trusted(other, id, true)
				} else if time.Since(at) > 2*lifetime {
					trusted(one, id, false)
				}
			}
			time.Sleep(29 * time.Minute)
		}
		if len(lastSigned) < 4 || len(store.keys) > 3 {
			t.Errorf("%d keys have signed, and %d are kept", len(lastSigned), len(store.keys))
		}

		// A key made elsewhere a moment ago is found.
		time.Sleep(time.Second)
		old := current(one)
		if err := other.Rotate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		trusted(one, current(other).ID, true)
		trusted(one, old.ID, true)
		if err := other.Rotate(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		trusted(other, old.ID, false)
		time.Sleep(5 * time.Second)
		trusted(one, old.ID, false)
		if current(one).ID != current(other).ID {
			t.Error("two keyrings sign with different keys")
		}

		// Tokens of keys that nobody knows do not flood the store.
		before := store.reads
		for range 1000 {
			trusted(one, "made up", false)
		}
		if store.reads-before > 1 {
			t.Errorf("the store was read %d times", store.reads-before)
		}
		store.fault = errors.New("down")
		time.Sleep(time.Minute)
		if _, err := one.Current(t.Context()); !errors.Is(err, store.fault) {
			t.Errorf("Current: %v", err)
		}
		if _, _, err := one.ByID(t.Context(), old.ID); !errors.Is(err, store.fault) {
			t.Errorf("ByID: %v", err)
		}
	})
}

func TestFixedKeyring(t *testing.T) {
	r := FixedKeyring([]byte("0123456789abcdef0123456789abcdef"))
	k, err := r.Current(t.Context())
	if err != nil || string(k.Secret) != "0123456789abcdef0123456789abcdef" || k.ID == "" {
		t.Errorf("Current = %+v, %v", k, err)
	}
	for id, want := range map[string]bool{k.ID: true, "": false, "another": false} {
		if got, ok, err := r.ByID(t.Context(), id); ok != want || err != nil || ok && string(got.Secret) != string(k.Secret) {
			t.Errorf("ByID(%q) = %t, %v", id, ok, err)
		}
	}
	if other, _ := FixedKeyring([]byte("another secret that is long enough")).Current(t.Context()); other.ID == k.ID {
		t.Error("two secrets have one ID")
	}
	var invalid Invalid
	if err := r.Rotate(t.Context(), false); !errors.As(err, &invalid) {
		t.Errorf("Rotate: %v", err)
	}
}
