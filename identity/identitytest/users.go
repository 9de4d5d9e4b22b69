package identitytest

import (
	"testing"

	"github.com/tallygate/tallygate/identity"
)

func testUsers(t *testing.T, open func() identity.Store) {
	s := open()
	wantUsers(t, s)
	middle, oldest, newest := newUser(2), newUser(1), newUser(3)
	oldest.Role = identity.Admin
	newest.Disabled = true
	for _, u := range []identity.User{middle, oldest, newest} {
		must(t, s.CreateUser(t.Context(), u))
		wantUser(t, s, u)
	}
	wantUsers(t, s, oldest, middle, newest)
}

func testEmailTaken(t *testing.T, open func() identity.Store) {
	s := open()
	first, second, third := newUser(1), newUser(2), newUser(3)
	second.Email = first.Email
	must(t, s.CreateUser(t.Context(), first))
	wantError(t, "CreateUser with a taken address", s.CreateUser(t.Context(), second), identity.ErrEmailTaken)
	wantUsers(t, s, first)

	third.ID = first.ID
	wantFault(t, "CreateUser with a taken ID", s.CreateUser(t.Context(), third))
	wantUsers(t, s, first)
}

func testFirstUser(t *testing.T, open func() identity.Store) {
	s := open()
	first, second := newUser(1), newUser(2)
	first.Role = identity.Admin
	for _, step := range []struct {
		user identity.User
		want bool
	}{{first, true}, {second, false}, {first, false}} {
		created, err := s.CreateFirstUser(t.Context(), step.user)
		must(t, err)
		if created != step.want {
			t.Errorf("CreateFirstUser(%s) = %t, want %t", step.user.Email, created, step.want)
		}
		wantUsers(t, s, first)
	}
}

func testSetPassword(t *testing.T, open func() identity.Store) {
	s := open()
	u, other := newUser(1), newUser(2)
	must(t, s.CreateUser(t.Context(), u))
	must(t, s.CreateUser(t.Context(), other))
	u.PasswordHash = "$argon2id$another"
	for range 2 { // the second ends sessions, too
		must(t, s.SetPassword(t.Context(), u.ID, u.PasswordHash))
		u.TokenEpoch++
		wantUsers(t, s, u, other)
	}
	wantError(t, "SetPassword of nobody", s.SetPassword(t.Context(), newUser(3).ID, "hash"), identity.ErrNotFound)
	wantUsers(t, s, u, other)
}

func testSetDisabled(t *testing.T, open func() identity.Store) {
	s := open()
	u, other := newUser(1), newUser(2)
	k := newKey(u, 1)
	must(t, s.CreateUser(t.Context(), u))
	must(t, s.CreateUser(t.Context(), other))
	must(t, s.CreateKey(t.Context(), k))
	for _, disabled := range []bool{true, true, false, false, true} {
		must(t, s.SetDisabled(t.Context(), u.ID, disabled))
		if disabled && !u.Disabled {
			u.TokenEpoch++
		}
		u.Disabled = disabled
		wantUsers(t, s, u, other)
		wantKey(t, s, k, u)
	}
	wantError(t, "SetDisabled of nobody", s.SetDisabled(t.Context(), newUser(3).ID, true), identity.ErrNotFound)
	wantUsers(t, s, u, other)
}
