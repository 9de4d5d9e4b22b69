package identitytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/identity"
)

// testTimes: whatever a time's zone and precision, it comes back in UTC, cut
// to the microsecond; the zero time comes back as zero.
func testTimes(t *testing.T, open func() identity.Store) {
	s := open()
	zone := time.FixedZone("", 5*3600+45*60)
	utc := func(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }
	for i, at := range []time.Time{
		time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, zone),
		time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(1969, 7, 20, 20, 17, 40, 1_500, time.UTC),
		time.Now(), // with a monotonic reading
	} {
		u := newUser(i)
		u.CreatedAt = at
		k := newKey(u, i)
		k.CreatedAt, k.ExpiresAt = at, at
		must(t, s.CreateUser(t.Context(), u))
		must(t, s.CreateKey(t.Context(), k))

		u.CreatedAt, k.CreatedAt, k.ExpiresAt = utc(at), utc(at), utc(at)
		wantUser(t, s, u)
		wantKey(t, s, k, u)
		revoked, err := s.RevokeKey(t.Context(), u.ID, k.ID, at, "reason")
		must(t, err)
		k.RevokedAt, k.RevokeReason = utc(at), "reason"
		wantKey(t, s, k, u)
		// Times that are equal may differ by their zone.
		if !reflect.DeepEqual(revoked, k) {
			t.Errorf("RevokeKey = %+v, want %+v", revoked, k)
		}
	}
}

func testNotFound(t *testing.T, open func() identity.Store) {
	s := open()
	u := newUser(1)
	must(t, s.CreateUser(t.Context(), u))
	k := newKey(u, 1)
	must(t, s.CreateKey(t.Context(), k))

	for _, id := range []string{newKey(u, 2).ID, "", "nonsense", "\x00", "\xff"} {
		_, err := s.Key(t.Context(), id)
		wantError(t, fmt.Sprintf("Key of the ID %q", id), err, identity.ErrNotFound)
	}
	_, _, err := s.KeyByDigest(t.Context(), newKey(u, 2).Digest)
	wantError(t, "KeyByDigest", err, identity.ErrNotFound)
	_, _, err = s.KeyByDigest(t.Context(), identity.Digest{})
	wantError(t, "KeyByDigest of zeros", err, identity.ErrNotFound)
	// What people send as an ID or address, whatever the column's type.
	for _, id := range []string{
		"", " ", "1", "nobody", newUser(2).ID, u.ID + " ", u.ID[1:], "%", "' OR ''='", "a\x00b", "\xff\xfe",
		strings.Repeat("x", 1<<16),
	} {
		_, err := s.User(t.Context(), id)
		wantError(t, fmt.Sprintf("User(%.40q)", id), err, identity.ErrNotFound)
		_, err = s.UserByEmail(t.Context(), id)
		wantError(t, fmt.Sprintf("UserByEmail(%.40q)", id), err, identity.ErrNotFound)
		wantError(t, fmt.Sprintf("SetDisabled(%.40q)", id), s.SetDisabled(t.Context(), id, true), identity.ErrNotFound)
		wantError(t, fmt.Sprintf("SetPassword(%.40q)", id), s.SetPassword(t.Context(), id, "hash"), identity.ErrNotFound)
		_, err = s.RevokeKey(t.Context(), u.ID, id, epoch, "")
		wantError(t, fmt.Sprintf("RevokeKey(key %.40q)", id), err, identity.ErrNotFound)
		if id != "" { // which stands for everyone
			_, err = s.RevokeKey(t.Context(), id, k.ID, epoch, "")
			wantError(t, fmt.Sprintf("RevokeKey(user %.40q)", id), err, identity.ErrNotFound)
			wantKeys(t, s, id)
		}
	}
	wantUsers(t, s, u)
	wantKeys(t, s, "", k)
}

// testHostileStrings: what can be entered comes back as it was, and is never
// read as SQL, a pattern or a format.
func testHostileStrings(t *testing.T, open func() identity.Store) {
	s := open()
	owner := newUser(0)
	must(t, s.CreateUser(t.Context(), owner))
	for i, text := range []string{
		`'; DROP TABLE users; --`, `" OR ""="`, `\'\"\\`, `%`, `_`, `$1 ?1 :a @b`, "?", "{}", "NULL", "true", "007", "1e3",
		"línea", "日本語", "👩‍👩‍👧‍👦", "e\u0301", "\u00e9", "\u202egnp", "a\tb\nc\r\nd", "  spaces  ", strings.Repeat("é", 5000),
	} {
		u := newUser(i + 1)
		u.Email, u.PasswordHash = text, text
		must(t, s.CreateUser(t.Context(), u))
		k := newKey(u, i)
		k.Name, k.Prefix = text, text
		must(t, s.CreateKey(t.Context(), k))
		wantUser(t, s, u)
		wantKey(t, s, k, u)
		wantKeys(t, s, u.ID, k)

		secret, err := s.Secret(t.Context(), text, []byte(text))
		must(t, err)
		if string(secret) != text {
			t.Errorf("Secret(%q) = %q, want its fresh one", text, secret)
		}
	}
	wantUser(t, s, owner)
}

func testSecret(t *testing.T, open func() identity.Store) {
	s := open()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, step := range []struct {
		name        string
		fresh, want []byte
	}{
		{"jwt", every, every},
		{"jwt", []byte("another"), every},
		{"other", []byte("another"), []byte("another")},
		{"JWT", []byte("upper case"), []byte("upper case")},
		{"jwt", nil, every},
	} {
		got, err := s.Secret(t.Context(), step.name, step.fresh)
		must(t, err)
		if !bytes.Equal(got, step.want) {
			t.Errorf("Secret(%q, %q) = %q, want %q", step.name, step.fresh, got, step.want)
		}
		clear(got) // the caller's own
	}
}

// testTwoStores: what one store was told, the other knows at once.
func testTwoStores(t *testing.T, open func() identity.Store) {
	one, other := open(), open()
	u := newUser(1)
	k := newKey(u, 1)
	must(t, one.CreateUser(t.Context(), u))
	wantUsers(t, other, u)
	must(t, other.CreateKey(t.Context(), k))
	wantKey(t, one, k, u)
	_, err := one.RevokeKey(t.Context(), u.ID, k.ID, epoch, "")
	must(t, err)
	k.RevokedAt = epoch
	wantKey(t, other, k, u)
	must(t, other.SetDisabled(t.Context(), u.ID, true))
	u.Disabled, u.TokenEpoch = true, 1
	wantUser(t, one, u)
	must(t, one.SetPassword(t.Context(), u.ID, "another"))
	u.PasswordHash, u.TokenEpoch = "another", 2
	wantUser(t, other, u)

	must(t, one.Close())
	wantKey(t, other, k, u)
	wantKey(t, open(), k, u)
}

// testRaces: of many callers in two stores, none of which was opened before,
// one wins what only one may win, and the others learn that they did not.
func testRaces(t *testing.T, open func() identity.Store) {
	stores := []identity.Store{open(), open()}
	const callers = 16
	raceCalls := func(call func(s identity.Store, n int)) {
		var functions []func()
		for n := range callers {
			functions = append(functions, func() { call(stores[n%len(stores)], n) })
		}
		race(functions...)
	}
	fault := func(call string, err error) {
		if err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}

	var firsts atomic.Int32
	raceCalls(func(s identity.Store, n int) {
		created, err := s.CreateFirstUser(t.Context(), newUser(n))
		fault("CreateFirstUser", err)
		if created {
			firsts.Add(1)
		}
	})
	users, err := stores[0].Users(t.Context())
	must(t, err)
	if firsts.Load() != 1 || len(users) != 1 {
		t.Fatalf("%d callers were told that theirs is the first user, and there are %d users, want 1 and 1", firsts.Load(), len(users))
	}

	var created atomic.Int32
	raceCalls(func(s identity.Store, n int) {
		u := newUser(n)
		u.Email = "one@example.com"
		switch err := s.CreateUser(t.Context(), u); {
		case err == nil:
			created.Add(1)
		case !errors.Is(err, identity.ErrEmailTaken):
			fault("CreateUser", err)
		}
	})
	if created.Load() != 1 {
		t.Errorf("%d callers created a user with one address, want 1", created.Load())
	}

	secrets := make([]string, callers)
	raceCalls(func(s identity.Store, n int) {
		secret, err := s.Secret(t.Context(), "name", []byte{byte(n)})
		fault("Secret", err)
		secrets[n] = string(secret)
	})
	for _, secret := range secrets {
		if secret == "" || secret != secrets[0] {
			t.Fatalf("callers got different secrets: %q", secrets)
		}
	}

	k := newKey(users[0], 1)
	must(t, stores[0].CreateKey(t.Context(), k))
	revokedAt := make([]time.Time, callers)
	raceCalls(func(s identity.Store, n int) {
		k, err := s.RevokeKey(t.Context(), "", k.ID, epoch.Add(time.Duration(n)*time.Second), "")
		fault("RevokeKey", err)
		revokedAt[n] = k.RevokedAt
	})
	for _, at := range revokedAt {
		if at.IsZero() || !at.Equal(revokedAt[0]) {
			t.Fatalf("a key was revoked at different times: %v", revokedAt)
		}
	}

	raceCalls(func(s identity.Store, n int) {
		k := newKey(users[0], 2+n)
		fault("CreateKey", s.CreateKey(t.Context(), k))
		got, _, err := s.KeyByDigest(t.Context(), k.Digest)
		fault("KeyByDigest", err)
		if diff := cmp.Diff(k, got); diff != "" {
			t.Errorf("KeyByDigest (-want +got):\n%s", diff)
		}
	})
	keys, err := stores[1].Keys(t.Context(), "")
	must(t, err)
	if len(keys) != 1+callers {
		t.Errorf("%d keys, want %d", len(keys), 1+callers)
	}
}

// testCancelled: a call whose context has ended says so and changes nothing,
// on a store that is open and on one that would have to open first.
func testCancelled(t *testing.T, open func() identity.Store) {
	used, fresh := open(), open()
	u := newUser(1)
	k := newKey(u, 1)
	must(t, used.CreateUser(t.Context(), u))
	must(t, used.CreateKey(t.Context(), k))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, s := range []identity.Store{used, fresh} {
		for name, call := range calls(s, newUser(2), newKey(u, 2)) {
			wantError(t, name, call(cancelled), context.Canceled)
		}
		for name, call := range calls(s, u, k) {
			wantError(t, name, call(cancelled), context.Canceled)
		}
	}
	wantUsers(t, fresh, u)
	wantKeys(t, fresh, "", k)
	secret, err := used.Secret(t.Context(), "name", []byte("kept"))
	must(t, err)
	if string(secret) != "kept" {
		t.Errorf("Secret = %q: a cancelled call kept its own", secret)
	}
}

// testClose: a store that was never used closes; one that is closed fails.
func testClose(t *testing.T, open func() identity.Store) {
	open() // and close it, which Run does
	s := open()
	u := newUser(1)
	k := newKey(u, 1)
	must(t, s.CreateUser(t.Context(), u))
	must(t, s.CreateKey(t.Context(), k))
	must(t, s.Close())
	for name, call := range calls(s, u, k) {
		wantFault(t, name+" after Close", call(t.Context()))
	}
	wantKey(t, open(), k, u)
}
