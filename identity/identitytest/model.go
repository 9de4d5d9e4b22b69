package identitytest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/identity"
)

// testModel compares a store with a model, slices in memory, over random sequences
// of calls.
func testModel(t *testing.T, storage Storage) {
	rapid.Check(t, func(rt *rapid.T) {
		s := storage(t)()
		defer func() {
			if err := s.Close(); err != nil {
				rt.Errorf("Close: %v", err)
			}
		}()
		m := &model{Store: s, secrets: map[string]string{}}
		rt.Repeat(map[string]func(*rapid.T){
			"":                m.check,
			"CreateUser":      m.createUser,
			"CreateFirstUser": m.createFirstUser,
			"SetPassword":     m.setPassword,
			"SetDisabled":     m.setDisabled,
			"SetRole":         m.setRole,
			"CreateKey":       m.createKey,
			"RevokeKey":       m.revokeKey,
			"UpdateKey":       m.updateKey,
			"RotateKey":       m.rotateKey,
			"Secret":          m.secret,
		})
	})
}

type model struct {
	identity.Store
	users   []identity.User // as they were created
	keys    []identity.Key
	secrets map[string]string
}

// newUser draws a user with one of a few addresses, so that they collide. Two users
// or keys never have the same time, which would leave their order undefined.
func (m *model) newUser(t *rapid.T) identity.User {
	u := newUser(rapid.IntRange(0, 5).Draw(t, "address"))
	u.CreatedAt = m.freeTime(t)
	u.Disabled = rapid.Bool().Draw(t, "disabled")
	u.Role = rapid.SampledFrom([]identity.Role{identity.Admin, identity.Member}).Draw(t, "role")
	return u
}

func (m *model) freeTime(t *rapid.T) time.Time {
	return rapid.Custom(func(t *rapid.T) time.Time {
		return epoch.Add(time.Duration(rapid.Int64Range(-1e12, 1e12).Draw(t, "µs")) * time.Microsecond)
	}).Filter(func(at time.Time) bool {
		return !slices.ContainsFunc(m.users, func(u identity.User) bool { return u.CreatedAt.Equal(at) }) &&
			!slices.ContainsFunc(m.keys, func(k identity.Key) bool { return k.CreatedAt.Equal(at) })
	}).Draw(t, "time")
}

// anyUser draws a user that exists or, as -1, one that does not.
func (m *model) anyUser(t *rapid.T) (i int, id string) {
	i = rapid.IntRange(-1, len(m.users)-1).Draw(t, "user")
	if i < 0 {
		return i, newUser(0).ID
	}
	return i, m.users[i].ID
}

func (m *model) createUser(t *rapid.T) {
	u := m.newUser(t)
	var want error
	if slices.ContainsFunc(m.users, func(v identity.User) bool { return v.Email == u.Email }) {
		want = identity.ErrEmailTaken
	} else {
		m.users = append(m.users, u)
	}
	expect(t, m.CreateUser(t.Context(), u), want)
}

func (m *model) createFirstUser(t *rapid.T) {
	u := m.newUser(t)
	want := len(m.users) == 0
	if want {
		m.users = append(m.users, u)
	}
	got, err := m.CreateFirstUser(t.Context(), u)
	expect(t, err, nil)
	if got != want {
		t.Fatalf("CreateFirstUser = %t, want %t", got, want)
	}
}

func (m *model) setPassword(t *rapid.T) {
	i, id := m.anyUser(t)
	hash := rapid.StringMatching(`[a-z]{1,9}`).Draw(t, "hash")
	want := identity.ErrNotFound
	if i >= 0 {
		m.users[i].PasswordHash, want = hash, nil
		m.users[i].TokenEpoch++
	}
	expect(t, m.SetPassword(t.Context(), id, hash), want)
}

// lastAdmin reports whether a user is the only admin who can log in.
func (m *model) lastAdmin(i int) bool {
	able := func(u identity.User) bool { return u.Role == identity.Admin && !u.Disabled }
	return able(m.users[i]) && !slices.ContainsFunc(m.users, func(u identity.User) bool { return able(u) && u.ID != m.users[i].ID })
}

func (m *model) setDisabled(t *rapid.T) {
	i, id := m.anyUser(t)
	disabled := rapid.Bool().Draw(t, "disabled")
	want := identity.ErrNotFound
	switch {
	case i < 0:
	case disabled && m.lastAdmin(i):
		want = identity.ErrLastAdmin
	default:
		if disabled && !m.users[i].Disabled {
			m.users[i].TokenEpoch++
		}
		m.users[i].Disabled, want = disabled, nil
	}
	expect(t, m.SetDisabled(t.Context(), id, disabled), want)
}

func (m *model) setRole(t *rapid.T) {
	i, id := m.anyUser(t)
	role := rapid.SampledFrom([]identity.Role{identity.Admin, identity.Member}).Draw(t, "role")
	want := identity.ErrNotFound
	switch {
	case i < 0:
	case role == identity.Member && m.lastAdmin(i):
		want = identity.ErrLastAdmin
	default:
		m.users[i].Role, want = role, nil
	}
	expect(t, m.SetRole(t.Context(), id, role), want)
}

func (m *model) createKey(t *rapid.T) {
	i, id := m.anyUser(t)
	k := newKey(identity.User{ID: id}, rapid.IntRange(0, 9).Draw(t, "expiry"))
	k.CreatedAt = m.freeTime(t)
	if rapid.Bool().Draw(t, "never expires") {
		k.ExpiresAt = time.Time{}
	}
	want := identity.ErrNotFound
	if i >= 0 {
		m.keys, want = append(m.keys, k), nil
	}
	expect(t, m.CreateKey(t.Context(), k), want)
}

// anyKey draws a key that exists or, as -1, one that does not, and the user who asks
// for it. allowed reports whether they may have it.
func (m *model) anyKey(t *rapid.T) (i int, userID, keyID string, allowed bool) {
	if rapid.Bool().Draw(t, "by a user") {
		_, userID = m.anyUser(t)
	}
	keyID = newKey(identity.User{}, 0).ID
	i = rapid.IntRange(-1, len(m.keys)-1).Draw(t, "key")
	if i >= 0 {
		keyID = m.keys[i].ID
	}
	return i, userID, keyID, i >= 0 && (userID == "" || userID == m.keys[i].UserID)
}

func anyHour(t *rapid.T) time.Time {
	return epoch.Add(time.Duration(rapid.IntRange(-9, 9).Draw(t, "hour")) * time.Hour)
}

func (m *model) revokeKey(t *rapid.T) {
	i, userID, keyID, allowed := m.anyKey(t)
	at := anyHour(t)
	want := identity.ErrNotFound
	var wantKey identity.Key
	if allowed {
		if m.keys[i].RevokedAt.IsZero() {
			m.keys[i].RevokedAt, m.keys[i].RevokeReason = at, at.String()
		}
		wantKey, want = m.keys[i], nil
	}
	got, err := m.RevokeKey(t.Context(), userID, keyID, at, at.String())
	expect(t, err, want)
	same(t, "RevokeKey", got, wantKey)
}

func (m *model) updateKey(t *rapid.T) {
	i, userID, keyID, allowed := m.anyKey(t)
	var c identity.KeyChange
	if rapid.Bool().Draw(t, "name") {
		name := rapid.StringMatching(`[a-z]{1,9}`).Draw(t, "new name")
		c.Name, c.Note = &name, &name
	}
	if rapid.Bool().Draw(t, "scopes") {
		c.Scopes = &[]string{"query_*", "!run_sql"}
	}
	if rapid.Bool().Draw(t, "limits") {
		c.Limits = &identity.Limits{CallsPerMinute: rapid.Int64Range(0, 3).Draw(t, "calls a minute")}
	}
	if rapid.Bool().Draw(t, "expiry") {
		at := anyHour(t)
		c.ExpiresAt = &at
	}
	want := identity.ErrNotFound
	var wantKey identity.Key
	if allowed {
		c.Apply(&m.keys[i])
		wantKey, want = m.keys[i], nil
	}
	got, err := m.UpdateKey(t.Context(), userID, keyID, c)
	expect(t, err, want)
	same(t, "UpdateKey", got, wantKey)
}

func (m *model) rotateKey(t *rapid.T) {
	i, userID, keyID, allowed := m.anyKey(t)
	fresh := newKey(identity.User{ID: "the store sets the owner"}, 0)
	fresh.CreatedAt, fresh.ExpiresAt = m.freeTime(t), time.Time{}
	until := anyHour(t)
	want := identity.ErrNotFound
	var wantOld, wantFresh identity.Key
	switch {
	case !allowed:
	case m.keys[i].Status(fresh.CreatedAt) != identity.Active || m.keys[i].ReplacedBy != "":
		want = identity.ErrNotActive
	default:
		old := &m.keys[i]
		wantFresh, want = fresh, nil
		wantFresh.UserID, wantFresh.Name, wantFresh.Note = old.UserID, old.Name, old.Note
		wantFresh.Scopes, wantFresh.Limits, wantFresh.Replaces = old.Scopes, old.Limits, old.ID
		old.ReplacedBy = fresh.ID
		if old.ExpiresAt.IsZero() || until.Before(old.ExpiresAt) {
			old.ExpiresAt = until
		}
		wantOld = *old
		m.keys = append(m.keys, wantFresh)
	}
	gotOld, gotFresh, err := m.RotateKey(t.Context(), userID, keyID, fresh, until)
	expect(t, err, want)
	same(t, "RotateKey, old", gotOld, wantOld)
	same(t, "RotateKey, fresh", gotFresh, wantFresh)
}

func (m *model) secret(t *rapid.T) {
	name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
	fresh := rapid.StringMatching(`[a-z]{1,9}`).Draw(t, "fresh")
	if _, ok := m.secrets[name]; !ok {
		m.secrets[name] = fresh
	}
	got, err := m.Secret(t.Context(), name, []byte(fresh))
	expect(t, err, nil)
	same(t, "Secret", string(got), m.secrets[name])
}

// check reads everything by every method that reads.
func (m *model) check(t *rapid.T) {
	oldestFirst := slices.SortedFunc(slices.Values(m.users), func(a, b identity.User) int {
		return a.CreatedAt.Compare(b.CreatedAt)
	})
	users, err := m.Users(t.Context())
	expect(t, err, nil)
	same(t, "Users", users, oldestFirst)

	newestFirst := slices.SortedFunc(slices.Values(m.keys), func(a, b identity.Key) int {
		return cmp.Compare(b.CreatedAt.UnixMicro(), a.CreatedAt.UnixMicro())
	})
	keys, err := m.Keys(t.Context(), "")
	expect(t, err, nil)
	same(t, "Keys", keys, newestFirst)

	for _, u := range m.users {
		got, err := m.User(t.Context(), u.ID)
		expect(t, err, nil)
		same(t, "User", got, u)
		got, err = m.UserByEmail(t.Context(), u.Email)
		expect(t, err, nil)
		same(t, "UserByEmail", got, u)

		keys, err := m.Keys(t.Context(), u.ID)
		expect(t, err, nil)
		same(t, fmt.Sprintf("Keys of %s", u.Email), keys, slices.DeleteFunc(slices.Clone(newestFirst), func(k identity.Key) bool {
			return k.UserID != u.ID
		}))
	}
	for _, k := range m.keys {
		byID, err := m.Key(t.Context(), k.ID)
		expect(t, err, nil)
		same(t, "Key", byID, k)
		got, owner, err := m.KeyByDigest(t.Context(), k.Digest)
		expect(t, err, nil)
		same(t, "KeyByDigest", got, k)
		same(t, "KeyByDigest's user", owner, m.users[slices.IndexFunc(m.users, func(u identity.User) bool { return u.ID == k.UserID })])
	}
}

func expect(t *rapid.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error %v, want %v", got, want)
	}
}

func same[T any](t *rapid.T, what string, got, want T) {
	t.Helper()
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}
