package identitytest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

func testSetRole(t *testing.T, open func() identity.Store) {
	s := open()
	root, u := newUser(1), newUser(2)
	root.Role = identity.Admin
	must(t, s.CreateUser(t.Context(), root))
	must(t, s.CreateUser(t.Context(), u))
	for _, role := range []identity.Role{identity.Admin, identity.Admin, identity.Member, identity.Admin} {
		must(t, s.SetRole(t.Context(), u.ID, role))
		u.Role = role
		wantUsers(t, s, root, u)
	}
	wantError(t, "SetRole of nobody", s.SetRole(t.Context(), newUser(3).ID, identity.Admin), identity.ErrNotFound)
}

// testLastAdmin: there is always an admin who can log in, once there was one.
func testLastAdmin(t *testing.T, open func() identity.Store) {
	s := open()
	one, other, member := newUser(1), newUser(2), newUser(3)
	one.Role, other.Role = identity.Admin, identity.Admin
	for _, u := range []identity.User{one, other, member} {
		must(t, s.CreateUser(t.Context(), u))
	}
	must(t, s.SetDisabled(t.Context(), member.ID, true))
	must(t, s.SetDisabled(t.Context(), one.ID, true))
	wantError(t, "SetDisabled of the last admin", s.SetDisabled(t.Context(), other.ID, true), identity.ErrLastAdmin)
	wantError(t, "SetRole of the last admin", s.SetRole(t.Context(), other.ID, identity.Member), identity.ErrLastAdmin)
	wantUser(t, s, other)
	must(t, s.SetRole(t.Context(), one.ID, identity.Member)) // who is disabled
	must(t, s.SetRole(t.Context(), member.ID, identity.Admin))
	wantError(t, "SetDisabled beside a disabled admin", s.SetDisabled(t.Context(), other.ID, true), identity.ErrLastAdmin)
	must(t, s.SetDisabled(t.Context(), member.ID, false))
	must(t, s.SetDisabled(t.Context(), other.ID, true))
}

func testUserLimits(t *testing.T, open func() identity.Store) {
	s := open()
	u := newUser(1)
	u.Limits = identity.Limits{CallsPerMinute: 1, Burst: 2, CallsPerDay: 3, RecordsPerDay: 4, ConcurrentCalls: 5}
	k := newKey(u, 1)
	must(t, s.CreateUser(t.Context(), u))
	must(t, s.CreateKey(t.Context(), k))
	wantUser(t, s, u)
	for _, l := range []identity.Limits{{}, {RecordsPerDay: 1_000_000_000}, {}} {
		must(t, s.SetUserLimits(t.Context(), u.ID, l))
		u.Limits = l
		wantUser(t, s, u)
		wantKey(t, s, k, u)
	}
	wantError(t, "SetUserLimits of nobody", s.SetUserLimits(t.Context(), newUser(3).ID, identity.Limits{}), identity.ErrNotFound)
}

func wantInvites(t *testing.T, s identity.Store, want ...identity.Invite) {
	t.Helper()
	got, err := s.Invites(t.Context())
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Invites (-want +got):\n%s", diff)
	}
}

func testInvites(t *testing.T, open func() identity.Store) {
	s := open()
	wantInvites(t, s)
	ann := newUser(1)
	must(t, s.CreateUser(t.Context(), ann))
	one, two := newInvite(1), newInvite(2)
	two.Role, two.Limits = identity.Admin, identity.Limits{}
	must(t, s.CreateInvite(t.Context(), one))
	must(t, s.CreateInvite(t.Context(), two))
	wantInvites(t, s, two, one)

	again := newInvite(3)
	again.Email = one.Email
	must(t, s.CreateInvite(t.Context(), again))
	wantInvites(t, s, again, two)
	_, err := s.InviteByDigest(t.Context(), one.Digest)
	wantError(t, "InviteByDigest of one that was replaced", err, identity.ErrNotFound)
	got, err := s.InviteByDigest(t.Context(), again.Digest)
	must(t, err)
	if diff := cmp.Diff(again, got); diff != "" {
		t.Errorf("InviteByDigest (-want +got):\n%s", diff)
	}

	taken := newInvite(4)
	taken.Email = ann.Email
	wantError(t, "CreateInvite for a user", s.CreateInvite(t.Context(), taken), identity.ErrEmailTaken)
	must(t, s.WithdrawInvite(t.Context(), again.ID))
	wantError(t, "WithdrawInvite, again", s.WithdrawInvite(t.Context(), again.ID), identity.ErrNotFound)
	wantInvites(t, s, two)
}

// testInvitesEndWithTheirMaker: open invitations end when the admin who made them is
// disabled or is no admin any more, and no others do.
func testInvitesEndWithTheirMaker(t *testing.T, open func() identity.Store) {
	for name, end := range map[string]func(s identity.Store, id string) error{
		"disabled": func(s identity.Store, id string) error { return s.SetDisabled(t.Context(), id, true) },
		"demoted":  func(s identity.Store, id string) error { return s.SetRole(t.Context(), id, identity.Member) },
	} {
		s := open()
		base := map[string]int{"disabled": 100, "demoted": 200}[name]
		maker, other := newUser(base+1), newUser(base+2)
		maker.Role, other.Role = identity.Admin, identity.Admin
		must(t, s.CreateUser(t.Context(), maker))
		must(t, s.CreateUser(t.Context(), other))
		invite := func(n int, by identity.User) identity.Invite {
			i := newInvite(base + n)
			i.Role = identity.Admin
			must(t, s.CreateInvite(identity.WithActor(t.Context(), identity.Actor{ActorID: by.ID, ActorEmail: by.Email}), i))
			return i
		}
		accepted, first, kept, second := invite(1, maker), invite(2, maker), invite(3, other), invite(4, maker)
		_, err := s.AcceptInvite(t.Context(), accepted.Digest, identity.User{ID: uuid.NewString(), PasswordHash: "hash", CreatedAt: epoch})
		must(t, err)
		must(t, end(s, maker.ID))
		for _, gone := range []identity.Invite{first, second} {
			_, err := s.AcceptInvite(t.Context(), gone.Digest, identity.User{ID: uuid.NewString(), PasswordHash: "hash", CreatedAt: epoch})
			wantError(t, name+": AcceptInvite", err, identity.ErrNotFound)
		}
		log, err := s.AuditLog(t.Context(), identity.AuditQuery{Action: identity.InviteDropped, TargetID: first.ID})
		must(t, err)
		if len(log) != 1 {
			t.Errorf("%s: %d rows say that the invitation was withdrawn", name, len(log))
		}
		_, err = s.AcceptInvite(t.Context(), kept.Digest, identity.User{ID: uuid.NewString(), PasswordHash: "hash", CreatedAt: epoch})
		must(t, err)
	}
}

func testAcceptInvite(t *testing.T, open func() identity.Store) {
	s := open()
	i := newInvite(1)
	i.Role = identity.Admin
	must(t, s.CreateInvite(t.Context(), i))
	_, err := s.AcceptInvite(t.Context(), newInvite(2).Digest, newUser(1))
	wantError(t, "AcceptInvite of none", err, identity.ErrNotFound)
	late := newUser(1)
	late.CreatedAt = i.ExpiresAt
	_, err = s.AcceptInvite(t.Context(), i.Digest, late)
	wantError(t, "AcceptInvite when it has expired", err, identity.ErrNotFound)
	wantUsers(t, s)

	u := newUser(1)
	u.CreatedAt = i.ExpiresAt.Add(-time.Microsecond)
	u.Disabled, u.TokenEpoch = true, 7 // what is not the invited one's to say
	got, err := s.AcceptInvite(t.Context(), i.Digest, u)
	must(t, err)
	want := identity.User{ID: u.ID, Email: i.Email, PasswordHash: u.PasswordHash, Role: i.Role, Limits: i.Limits, CreatedAt: u.CreatedAt}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("AcceptInvite (-want +got):\n%s", diff)
	}
	wantUsers(t, s, want)
	wantInvites(t, s)
	_, err = s.AcceptInvite(t.Context(), i.Digest, newUser(2))
	wantError(t, "AcceptInvite, again", err, identity.ErrNotFound)
	wantError(t, "WithdrawInvite of an accepted one", s.WithdrawInvite(t.Context(), i.ID), identity.ErrNotFound)
	accepted, err := s.InviteByDigest(t.Context(), i.Digest)
	must(t, err)
	if !accepted.AcceptedAt.Equal(u.CreatedAt) || accepted.Open(epoch) {
		t.Errorf("the accepted invitation is %+v", accepted)
	}

	// Someone else made the user meanwhile.
	other := newInvite(3)
	must(t, s.CreateInvite(t.Context(), other))
	made := newUser(3)
	made.Email = other.Email
	must(t, s.CreateUser(t.Context(), made))
	_, err = s.AcceptInvite(t.Context(), other.Digest, newUser(4))
	wantError(t, "AcceptInvite for a taken address", err, identity.ErrEmailTaken)
}

func testSessions(t *testing.T, open func() identity.Store) {
	s := open()
	u := newUser(1)
	must(t, s.CreateUser(t.Context(), u))
	session := func(tokenID string, epoch int64, want error) {
		t.Helper()
		got, err := s.Session(t.Context(), u.ID, tokenID, epoch)
		wantError(t, "Session of "+tokenID, err, want)
		if want == nil && got.ID != u.ID {
			t.Errorf("Session of %s is of %+v", tokenID, got)
		}
	}
	session("a", 0, nil)
	session("a", 1, identity.ErrNotFound)
	later := time.Now().Add(time.Hour)
	for range 2 {
		must(t, s.RevokeToken(t.Context(), u.ID, "a", later))
	}
	wantError(t, "RevokeToken of nobody", s.RevokeToken(t.Context(), newUser(2).ID, "b", later), identity.ErrNotFound)
	session("a", 0, identity.ErrNotFound)
	session("b", 0, nil)

	epoch := int64(0)
	for name, end := range map[string]func() error{
		"EndSessions": func() error { return s.EndSessions(t.Context(), u.ID) },
		"SetPassword": func() error { return s.SetPassword(t.Context(), u.ID, "another") },
		"SetDisabled": func() error {
			err := s.SetDisabled(t.Context(), u.ID, true)
			session("b", epoch, identity.ErrNotFound)
			session("b", epoch+1, identity.ErrNotFound) // nobody who is disabled has one
			return errors.Join(err, s.SetDisabled(t.Context(), u.ID, false))
		},
	} {
		session("b", epoch, nil)
		must(t, end())
		session("b", epoch, identity.ErrNotFound)
		epoch++
		session("b", epoch, nil)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	wantError(t, "EndSessions of nobody", s.EndSessions(t.Context(), newUser(2).ID), identity.ErrNotFound)
	_, err := s.Session(t.Context(), newUser(2).ID, "b", 0)
	wantError(t, "Session of nobody", err, identity.ErrNotFound)
}

func testSigningKeys(t *testing.T, open func() identity.Store) {
	s := open()
	want := func(want ...identity.SigningKey) {
		t.Helper()
		got, err := s.SigningKeys(t.Context())
		must(t, err)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("SigningKeys (-want +got):\n%s", diff)
		}
	}
	add := func(k identity.SigningKey, newest time.Time, want bool) {
		t.Helper()
		added, err := s.AddSigningKey(t.Context(), k, newest)
		must(t, err)
		if added != want {
			t.Errorf("AddSigningKey = %t, want %t", added, want)
		}
	}
	want()
	first, second, third, fourth := newSigningKey(0), newSigningKey(10), newSigningKey(20), newSigningKey(60)
	add(first, epoch, true)
	add(second, first.CreatedAt, false)
	want(first)
	add(second, first.CreatedAt.Add(time.Microsecond), true)
	want(second, first)
	must(t, s.RetireSigningKeys(t.Context(), first.CreatedAt))
	want(second, first)
	must(t, s.RetireSigningKeys(t.Context(), second.CreatedAt))
	want(second)
	add(third, third.CreatedAt, true)
	add(fourth, fourth.CreatedAt, true)
	want(fourth, third, second)
	last := newSigningKey(70)
	add(last, last.CreatedAt, true) // when the second has expired
	want(last, fourth, third)
}

// testKeyring: processes that share a store sign with the same key, and trust
// each other's.
func testKeyring(t *testing.T, open func() identity.Store) {
	one, other := identity.NewKeyring(open(), time.Hour, time.Hour), identity.NewKeyring(open(), time.Hour, time.Hour)
	current := func(r *identity.Keyring) identity.SigningKey {
		t.Helper()
		k, err := r.Current(t.Context())
		must(t, err)
		return k
	}
	var keys [8]identity.SigningKey
	var functions []func()
	for i := range keys {
		functions = append(functions, func() {
			k, err := []*identity.Keyring{one, other}[i%2].Current(t.Context())
			if err != nil {
				t.Errorf("Current: %v", err)
			}
			keys[i] = k
		})
	}
	race(functions...)
	first := keys[0]
	for _, k := range keys {
		if k.ID != first.ID || !bytes.Equal(k.Secret, first.Secret) || len(k.Secret) != 32 {
			t.Fatalf("two keyrings began with different keys: %s and %s", k.ID, first.ID)
		}
	}
	must(t, one.Rotate(t.Context(), false))
	second := current(one)
	if second.ID == first.ID {
		t.Error("Rotate made no new key")
	}
	trusted := func(r *identity.Keyring, id string, want bool) {
		t.Helper()
		// A key that is not known yet is looked for once a second.
		deadline := time.Now().Add(time.Minute)
		for {
			k, ok, err := r.ByID(t.Context(), id)
			must(t, err)
			if ok == want && (!ok || k.ID == id) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("ByID(%s) = %t, want %t", id, ok, want)
			}
			<-time.After(50 * time.Millisecond)
		}
	}
	for _, r := range []*identity.Keyring{one, other} {
		trusted(r, first.ID, true)
		trusted(r, second.ID, true)
		trusted(r, "another", false)
	}
	must(t, other.Rotate(t.Context(), true))
	trusted(other, second.ID, false)
	third := current(other)
	trusted(one, third.ID, true)
	trusted(one, second.ID, false)
}
