package identitytest

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

func testAuditLog(t *testing.T, open func() identity.Store) {
	s := open()
	var all []identity.AuditEntry // oldest first
	for n := range 25 {
		e := identity.AuditEntry{
			ID: uuid.Must(uuid.NewV7()).String(), At: epoch.Add(time.Duration(n) * time.Hour), Action: identity.LoggedIn,
			Actor:  identity.Actor{ActorID: []string{"ann", "bob"}[n%2], ActorEmail: "ann@example.com", IP: "2001:db8::1"},
			UserID: []string{"", "u1", "u2"}[n%3], TargetID: []string{"t1", "t2", "t3", "t4"}[n%4], Target: "'; --",
			Details: map[string]string{"a": "b", "日": "本"},
		}
		if n%5 == 0 {
			e.Action, e.Details = identity.KeyRevoked, nil
		}
		must(t, s.Audit(t.Context(), e))
		all = append(all, e)
	}
	for name, test := range map[string]struct {
		query  identity.AuditQuery
		chosen func(identity.AuditEntry) bool
	}{
		"all":    {identity.AuditQuery{}, func(identity.AuditEntry) bool { return true }},
		"actor":  {identity.AuditQuery{ActorID: "ann"}, func(e identity.AuditEntry) bool { return e.ActorID == "ann" }},
		"user":   {identity.AuditQuery{UserID: "u1"}, func(e identity.AuditEntry) bool { return e.UserID == "u1" }},
		"target": {identity.AuditQuery{TargetID: "t3"}, func(e identity.AuditEntry) bool { return e.TargetID == "t3" }},
		"action": {identity.AuditQuery{Action: identity.KeyRevoked}, func(e identity.AuditEntry) bool { return e.Action == identity.KeyRevoked }},
		"span": {identity.AuditQuery{From: all[3].At, To: all[9].At}, func(e identity.AuditEntry) bool {
			return !e.At.Before(all[3].At) && e.At.Before(all[9].At)
		}},
		"much": {identity.AuditQuery{ActorID: "bob", UserID: "u2", From: all[5].At}, func(e identity.AuditEntry) bool {
			return e.ActorID == "bob" && e.UserID == "u2" && !e.At.Before(all[5].At)
		}},
		"none": {identity.AuditQuery{ActorID: "'; --"}, func(identity.AuditEntry) bool { return false }},
	} {
		var want []identity.AuditEntry
		for _, e := range slices.Backward(all) {
			if test.chosen(e) {
				want = append(want, e)
			}
		}
		for _, limit := range []int{0, 1, 4, 1 << 30} {
			var got []identity.AuditEntry
			for q := test.query; ; {
				q.Limit = limit
				page, err := s.AuditLog(t.Context(), q)
				must(t, err)
				if len(page) > q.PageSize() {
					t.Fatalf("%s: a page of %d rows, at most %d", name, len(page), q.PageSize())
				}
				got = append(got, page...)
				if len(page) < q.PageSize() {
					break
				}
				q.Before = page[len(page)-1].ID
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s by %d (-want +got):\n%s", name, limit, diff)
			}
		}
	}

	// What a caller leaves open is filled in.
	ctx := identity.WithActor(t.Context(), identity.Actor{ActorID: "eve", IP: "192.0.2.7"})
	must(t, s.Audit(ctx, identity.AuditEntry{Action: identity.LoginFailed}))
	page, err := s.AuditLog(t.Context(), identity.AuditQuery{ActorID: "eve"})
	must(t, err)
	if len(page) != 1 || page[0].IP != "192.0.2.7" || time.Since(page[0].At).Abs() > time.Minute || page[0].ID <= all[len(all)-1].ID {
		t.Errorf("a row that was left open: %+v", page)
	}
}

// testAuditOfChanges: each change leaves one row, of the context's actor; what
// fails or changes nothing leaves none; none holds a secret.
func testAuditOfChanges(t *testing.T, open func() identity.Store) {
	s := open()
	actor := identity.Actor{ActorID: "root", ActorEmail: "root@example.com", IP: "192.0.2.1"}
	ctx := identity.WithActor(t.Context(), actor)
	u, root := newUser(1), newUser(2)
	root.Role = identity.Admin
	k, i := newKey(u, 100), newInvite(1)
	other := newInvite(2)
	fresh := newKey(u, 2)
	fresh.CreatedAt = epoch
	name, secret := "another", "hash of the new password"
	invited := newUser(3)
	_, receipt := identity.Key{}, identity.Receipt{UserID: u.ID, Answer: []byte("answer"), ExpiresAt: epoch.Add(time.Hour)}
	once := newKey(u, 4)
	signing := newSigningKey(1)
	for _, step := range []struct {
		want   []identity.Action
		target string
		change func() error
	}{
		{[]identity.Action{identity.UserCreated}, root.ID, func() error { _, err := s.CreateFirstUser(ctx, root); return err }},
		{nil, "", func() error { _, err := s.CreateFirstUser(ctx, u); return err }},
		{[]identity.Action{identity.UserCreated}, u.ID, func() error { return s.CreateUser(ctx, u) }},
		{nil, "", func() error { return s.CreateUser(ctx, u) }},
		{[]identity.Action{identity.PasswordSet}, u.ID, func() error { return s.SetPassword(ctx, u.ID, secret) }},
		{[]identity.Action{identity.UserDisabled}, u.ID, func() error { return s.SetDisabled(ctx, u.ID, true) }},
		{nil, "", func() error { return s.SetDisabled(ctx, u.ID, true) }},
		{[]identity.Action{identity.UserEnabled}, u.ID, func() error { return s.SetDisabled(ctx, u.ID, false) }},
		{[]identity.Action{identity.RoleSet}, u.ID, func() error { return s.SetRole(ctx, u.ID, identity.Admin) }},
		{nil, "", func() error { return s.SetRole(ctx, u.ID, identity.Admin) }},
		{[]identity.Action{identity.UserLimitsSet}, u.ID, func() error { return s.SetUserLimits(ctx, u.ID, identity.Limits{Burst: 1}) }},
		{[]identity.Action{identity.UserInvited}, i.ID, func() error { return s.CreateInvite(ctx, i) }},
		{[]identity.Action{identity.UserInvited}, other.ID, func() error { return s.CreateInvite(ctx, other) }},
		{[]identity.Action{identity.InviteDropped}, other.ID, func() error { return s.WithdrawInvite(ctx, other.ID) }},
		{[]identity.Action{identity.InviteAccepted, identity.UserCreated}, i.ID, func() error { _, err := s.AcceptInvite(ctx, i.Digest, invited); return err }},
		{nil, "", func() error { _, err := s.AcceptInvite(ctx, i.Digest, invited); return err }},
		{[]identity.Action{identity.KeyCreated}, k.ID, func() error { return s.CreateKey(ctx, k) }},
		{nil, "", func() error { return s.CreateKey(ctx, k) }},
		{[]identity.Action{identity.KeyCreated}, once.ID, func() error { return s.CreateKeyOnce(ctx, once, receipt) }},
		{nil, "", func() error { return s.CreateKeyOnce(ctx, newKey(u, 5), receipt) }},
		{[]identity.Action{identity.KeyUpdated}, k.ID, func() error { _, err := s.UpdateKey(ctx, "", k.ID, identity.KeyChange{Name: &name}); return err }},
		{nil, "", func() error { _, err := s.UpdateKey(ctx, "", k.ID, identity.KeyChange{Name: &name}); return err }},
		{[]identity.Action{identity.KeyRotated}, k.ID, func() error { _, _, err := s.RotateKey(ctx, "", k.ID, fresh, epoch); return err }},
		{nil, "", func() error { _, _, err := s.RotateKey(ctx, "", k.ID, newKey(u, 6), epoch); return err }},
		{[]identity.Action{identity.KeyRevoked}, k.ID, func() error { _, err := s.RevokeKey(ctx, "", k.ID, epoch, "lost"); return err }},
		{nil, "", func() error { _, err := s.RevokeKey(ctx, "", k.ID, epoch, "lost"); return err }},
		{nil, "", func() error { return s.TouchKeys(ctx, map[string]time.Time{k.ID: epoch}) }},
		{[]identity.Action{identity.LoggedOut}, u.ID, func() error { return s.RevokeToken(ctx, u.ID, "token", time.Now().Add(time.Hour)) }},
		{nil, "", func() error { return s.RevokeToken(ctx, u.ID, "token", time.Now().Add(time.Hour)) }},
		{[]identity.Action{identity.SessionsEnded}, u.ID, func() error { return s.EndSessions(ctx, u.ID) }},
		{[]identity.Action{identity.SigningKeyMade}, signing.ID, func() error { _, err := s.AddSigningKey(ctx, signing, epoch); return err }},
		{nil, "", func() error { return s.RetireSigningKeys(ctx, epoch) }},
		{[]identity.Action{identity.SigningKeyDrop}, "", func() error { return s.RetireSigningKeys(ctx, epoch.Add(time.Hour)) }},
	} {
		before, err := s.AuditLog(t.Context(), identity.AuditQuery{})
		must(t, err)
		_ = step.change() // that it fails where it should is tested elsewhere
		after, err := s.AuditLog(t.Context(), identity.AuditQuery{})
		must(t, err)
		rows := after[:len(after)-len(before)]
		var got []identity.Action
		for _, row := range rows {
			got = append(got, row.Action)
			if row.Actor != actor {
				t.Errorf("%s is %+v's", row.Action, row.Actor)
			}
			for name, value := range row.Details {
				if strings.Contains(value, secret) || name == "" || value == "" {
					t.Errorf("%s has details %v", row.Action, row.Details)
				}
			}
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		} else if len(rows) > 0 && rows[0].TargetID != step.target {
			t.Errorf("%s is about %s, want %s", rows[0].Action, rows[0].TargetID, step.target)
		}
	}
}

// testMoreRaces: of many callers in two stores, one wins what only one may win.
func testMoreRaces(t *testing.T, open func() identity.Store) {
	stores := []identity.Store{open(), open()}
	one, other, i := newUser(1), newUser(2), newInvite(1)
	one.Role, other.Role = identity.Admin, identity.Admin
	must(t, stores[0].CreateUser(t.Context(), one))
	must(t, stores[0].CreateUser(t.Context(), other))
	must(t, stores[0].CreateInvite(t.Context(), i))
	k := newKey(one, 1000)
	must(t, stores[0].CreateKey(t.Context(), k))
	const callers = 12
	won := func(what string, lost error, call func(s identity.Store, n int) error) {
		t.Helper()
		var winners atomic.Int32
		var functions []func()
		for n := range callers {
			functions = append(functions, func() {
				switch err := call(stores[n%2], n); {
				case err == nil:
					winners.Add(1)
				case !errors.Is(err, lost):
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		race(functions...)
		if winners.Load() != 1 {
			t.Errorf("%s: %d callers won, want 1", what, winners.Load())
		}
	}
	won("AcceptInvite", identity.ErrNotFound, func(s identity.Store, n int) error {
		_, err := s.AcceptInvite(t.Context(), i.Digest, newUser(n))
		return err
	})
	won("RotateKey", identity.ErrNotActive, func(s identity.Store, n int) error {
		fresh := newKey(one, n)
		_, _, err := s.RotateKey(t.Context(), "", k.ID, fresh, epoch.Add(time.Hour))
		return err
	})
	won("CreateKeyOnce", identity.ErrReceiptTaken, func(s identity.Store, n int) error {
		r := identity.Receipt{UserID: one.ID, Answer: []byte("answer"), ExpiresAt: epoch.Add(24 * time.Hour)}
		return s.CreateKeyOnce(t.Context(), newKey(one, 10+n), r)
	})
	signing := newSigningKey(1)
	won("AddSigningKey", identity.ErrNotFound, func(s identity.Store, _ int) error {
		k := newSigningKey(1)
		added, err := s.AddSigningKey(t.Context(), k, signing.CreatedAt)
		if err == nil && !added {
			return identity.ErrNotFound
		}
		return err
	})
	won("SetDisabled of two admins", identity.ErrLastAdmin, func(s identity.Store, n int) error {
		if n > 1 { // the others look on
			return identity.ErrLastAdmin
		}
		return s.SetDisabled(t.Context(), []string{one.ID, other.ID}[n], true)
	})
	must(t, stores[0].CreateInvite(t.Context(), newInvite(2)))
	var functions []func()
	for n := range callers {
		functions = append(functions, func() {
			again := newInvite(2)
			if err := stores[n%2].CreateInvite(t.Context(), again); err != nil {
				t.Errorf("CreateInvite: %v", err)
			}
		})
	}
	race(functions...)
	invites, err := stores[0].Invites(t.Context())
	must(t, err)
	if len(invites) != 1 {
		t.Errorf("%d invitations are open for one address, want 1", len(invites))
	}
}
