package identitytest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/identity"
)

func testUpdateKey(t *testing.T, open func() identity.Store) {
	s := open()
	ann, bob := newUser(1), newUser(2)
	must(t, s.CreateUser(t.Context(), ann))
	must(t, s.CreateUser(t.Context(), bob))
	k, other := newKey(ann, 1), newKey(ann, 2)
	k.Note, k.Scopes = "a note\nof two lines", []string{"a", "!b*"}
	k.Limits = identity.Limits{CallsPerMinute: 1, Burst: 2, CallsPerDay: 3, RecordsPerDay: 4, ConcurrentCalls: 5}
	must(t, s.CreateKey(t.Context(), k))
	must(t, s.CreateKey(t.Context(), other))
	wantKey(t, s, k, ann)

	name, note, scopes, limits, never := "another", "", []string{}, identity.Limits{}, time.Time{}
	later := epoch.Add(1000 * time.Hour)
	for _, change := range []identity.KeyChange{
		{}, {Name: &name}, {Note: &note}, {Scopes: &scopes}, {Limits: &limits}, {ExpiresAt: &never}, {ExpiresAt: &later},
		{Name: &name, Note: &name, Scopes: &[]string{"*"}, Limits: &identity.Limits{CallsPerDay: 9}},
	} {
		change.Apply(&k)
		if len(k.Scopes) == 0 {
			k.Scopes = nil
		}
		got, err := s.UpdateKey(t.Context(), ann.ID, k.ID, change)
		must(t, err)
		if len(got.Scopes) == 0 {
			got.Scopes = nil
		}
		if diff := cmp.Diff(k, got); diff != "" {
			t.Errorf("UpdateKey (-want +got):\n%s", diff)
		}
	}
	wantKeys(t, s, "", other, k)
	_, err := s.UpdateKey(t.Context(), bob.ID, k.ID, identity.KeyChange{Name: &note})
	wantError(t, "UpdateKey by someone else", err, identity.ErrNotFound)
	_, err = s.UpdateKey(t.Context(), "", newKey(ann, 3).ID, identity.KeyChange{Name: &note})
	wantError(t, "UpdateKey of no key", err, identity.ErrNotFound)
	wantKeys(t, s, "", other, k)
}

func testRotateKey(t *testing.T, open func() identity.Store) {
	s := open()
	ann, bob := newUser(1), newUser(2)
	must(t, s.CreateUser(t.Context(), ann))
	must(t, s.CreateUser(t.Context(), bob))
	k := newKey(ann, 1000)
	k.Note, k.Scopes, k.Limits = "note", []string{"query_*"}, identity.Limits{CallsPerDay: 7}
	must(t, s.CreateKey(t.Context(), k))
	must(t, s.TouchKeys(t.Context(), map[string]time.Time{k.ID: epoch}))
	k.LastUsedAt = epoch

	next := func(old identity.Key, at time.Time) identity.Key {
		fresh, _ := identity.KeyFormat{}.Replacement(old)
		fresh.CreatedAt, fresh.ExpiresAt = at, at.Add(1000*time.Hour)
		return fresh
	}
	at, until := epoch.Add(time.Hour), epoch.Add(25*time.Hour)
	fresh := next(k, at)
	for name, userID := range map[string]string{"someone else": bob.ID, "nobody": newUser(3).ID} {
		_, _, err := s.RotateKey(t.Context(), userID, k.ID, fresh, until)
		wantError(t, "RotateKey by "+name, err, identity.ErrNotFound)
	}
	wantKeys(t, s, "", k)

	old, got, err := s.RotateKey(t.Context(), ann.ID, k.ID, fresh, until)
	must(t, err)
	k.ExpiresAt, k.ReplacedBy = until, fresh.ID
	fresh.Name, fresh.Note, fresh.Scopes, fresh.Limits, fresh.Replaces = k.Name, k.Note, k.Scopes, k.Limits, k.ID
	if diff := cmp.Diff([]identity.Key{k, fresh}, []identity.Key{old, got}); diff != "" {
		t.Errorf("RotateKey (-want +got):\n%s", diff)
	}
	wantKeys(t, s, ann.ID, fresh, k)
	wantKey(t, s, k, ann)
	wantKey(t, s, fresh, ann)
	if k.Status(until.Add(-1)) != identity.Active || k.Status(until) != identity.Rotated {
		t.Error("the old key does not end with the overlap")
	}

	_, _, err = s.RotateKey(t.Context(), "", k.ID, next(k, at), until)
	wantError(t, "RotateKey, again", err, identity.ErrNotActive)
	// A key that expires sooner than the overlap ends keeps its expiry.
	newest := next(fresh, at.Add(time.Minute))
	old, _, err = s.RotateKey(t.Context(), "", fresh.ID, newest, fresh.ExpiresAt.Add(time.Hour))
	must(t, err)
	if !old.ExpiresAt.Equal(fresh.ExpiresAt) {
		t.Errorf("a rotation moved the expiry from %v to %v", fresh.ExpiresAt, old.ExpiresAt)
	}
	_, _, err = s.RotateKey(t.Context(), "", newest.ID, next(newest, newest.ExpiresAt), until)
	wantError(t, "RotateKey of an expired key", err, identity.ErrNotActive)
	_, err = s.RevokeKey(t.Context(), "", newest.ID, at, "")
	must(t, err)
	_, _, err = s.RotateKey(t.Context(), "", newest.ID, next(newest, at), until)
	wantError(t, "RotateKey of a revoked key", err, identity.ErrNotActive)
	keys, err := s.Keys(t.Context(), "")
	must(t, err)
	if len(keys) != 3 {
		t.Errorf("%d keys, want 3", len(keys))
	}
}

func testTouchKeys(t *testing.T, open func() identity.Store) {
	s := open()
	u := newUser(1)
	must(t, s.CreateUser(t.Context(), u))
	k1, k2 := newKey(u, 1), newKey(u, 2)
	must(t, s.CreateKey(t.Context(), k1))
	must(t, s.CreateKey(t.Context(), k2))
	touch := func(used map[string]time.Time) {
		t.Helper()
		must(t, s.TouchKeys(t.Context(), used))
		wantKeys(t, s, "", k2, k1)
	}
	touch(nil)
	k1.LastUsedAt = epoch
	touch(map[string]time.Time{k1.ID: epoch, newKey(u, 3).ID: epoch, "'; --": epoch})
	k1.LastUsedAt, k2.LastUsedAt = epoch.Add(time.Microsecond), epoch.Add(time.Hour)
	touch(map[string]time.Time{k1.ID: k1.LastUsedAt, k2.ID: k2.LastUsedAt})
	touch(map[string]time.Time{k1.ID: epoch, k2.ID: k2.LastUsedAt}) // another process was later
}

func testCreateKeyOnce(t *testing.T, open func() identity.Store) {
	s := open()
	ann, bob := newUser(1), newUser(2)
	must(t, s.CreateUser(t.Context(), ann))
	must(t, s.CreateUser(t.Context(), bob))
	receipt := func(userID string) (*identity.Idempotency, identity.Receipt) {
		i, err := identity.NewIdempotency(userID, "0123456789abcdef", []byte("request"))
		must(t, err)
		return i, i.Seal([]byte("the answer of "+userID), epoch)
	}
	once, r := receipt(ann.ID)
	_, err := s.Receipt(t.Context(), ann.ID, once.ID(), epoch)
	wantError(t, "Receipt before", err, identity.ErrNotFound)
	k := newKey(ann, 1)
	must(t, s.CreateKeyOnce(t.Context(), k, r))
	wantKeys(t, s, "", k)

	again, r2 := receipt(ann.ID)
	wantError(t, "CreateKeyOnce, again", s.CreateKeyOnce(t.Context(), newKey(ann, 2), r2), identity.ErrReceiptTaken)
	wantKeys(t, s, "", k)
	kept, err := s.Receipt(t.Context(), ann.ID, again.ID(), epoch)
	must(t, err)
	if diff := cmp.Diff(r, kept); diff != "" {
		t.Errorf("Receipt (-want +got):\n%s", diff)
	}
	answer, err := again.Open(kept)
	must(t, err)
	if string(answer) != "the answer of "+ann.ID {
		t.Errorf("the answer is %q", answer)
	}

	// The same idempotency key of another user is a different one, and so is one
	// whose receipt has expired.
	_, r3 := receipt(bob.ID)
	must(t, s.CreateKeyOnce(t.Context(), newKey(bob, 3), r3))
	_, err = s.Receipt(t.Context(), ann.ID, once.ID(), r.ExpiresAt)
	wantError(t, "Receipt that has expired", err, identity.ErrNotFound)
	late := newKey(ann, 4)
	late.CreatedAt = r.ExpiresAt
	must(t, s.CreateKeyOnce(t.Context(), late, r2))

	// A failure stores neither the key nor the receipt.
	nobody, r4 := receipt(newUser(3).ID)
	wantError(t, "CreateKeyOnce for nobody", s.CreateKeyOnce(t.Context(), newKey(newUser(3), 5), r4), identity.ErrNotFound)
	_, err = s.Receipt(t.Context(), r4.UserID, nobody.ID(), epoch)
	wantError(t, "Receipt of nobody", err, identity.ErrNotFound)
}

func testTallies(t *testing.T, open func() identity.Store) {
	one, other := open(), open()
	ids := []string{"b", "a", "c"}
	before := time.Now().Add(-time.Minute) // the store's clock may be another
	update := func(s identity.Store, ids []string, change func(now time.Time, tallies []identity.Tally)) {
		t.Helper()
		must(t, s.UpdateTallies(t.Context(), ids, change))
	}
	update(one, nil, nil)
	update(one, ids, func(now time.Time, tallies []identity.Tally) {
		if now.Before(before) || now.After(time.Now().Add(time.Minute)) {
			t.Errorf("the store's time is %v", now)
		}
		for i := range tallies {
			if diff := cmp.Diff(identity.Tally{}, tallies[i]); diff != "" {
				t.Errorf("a fresh tally (-want +got):\n%s", diff)
			}
			tallies[i] = identity.Tally{NextAt: 1 << 62, Day: 20000, Calls: int64(i), Records: 1 << 60}
		}
	})
	update(other, []string{"c", "d"}, func(_ time.Time, tallies []identity.Tally) {
		want := []identity.Tally{{NextAt: 1 << 62, Day: 20000, Calls: 2, Records: 1 << 60}, {}}
		if diff := cmp.Diff(want, tallies); diff != "" {
			t.Errorf("tallies (-want +got):\n%s", diff)
		}
	})

	// No change is lost and nothing deadlocks, from the first change on: in each
	// round the tallies do not exist yet.
	stores := []identity.Store{one, other}
	const callers, rounds, changes = 8, 10, 3
	for round := range rounds {
		names := []string{fmt.Sprint(round, "p"), fmt.Sprint(round, "q"), fmt.Sprint(round, "r")}
		var functions []func()
		want := map[string]int64{}
		for n := range callers {
			mine := []string{names[n%3], names[(n+1)%3]}
			want[mine[0]] += changes * 1000
			want[mine[1]] += changes
			functions = append(functions, func() {
				for range changes {
					err := stores[n%2].UpdateTallies(t.Context(), mine, func(_ time.Time, tallies []identity.Tally) {
						tallies[0].Calls++
						tallies[1].Records++
					})
					if err != nil {
						t.Errorf("UpdateTallies: %v", err)
					}
				}
			})
		}
		race(functions...)
		sum := map[string]int64{}
		update(one, names, func(_ time.Time, tallies []identity.Tally) {
			for i, tally := range tallies {
				sum[names[i]] = tally.Calls*1000 + tally.Records
			}
		})
		if diff := cmp.Diff(want, sum); diff != "" {
			t.Errorf("tallies of round %d (-want +got):\n%s", round, diff)
		}
	}
}
