// Package identitytest is the contract of identity.Store, as tests: every
// implementation passes Run.
package identitytest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

// Storage makes a new, empty storage that lasts as long as the test. What it
// returns opens a store on it; opened twice, it gives two stores that share
// what they keep as two processes would. Run closes each store, some twice.
type Storage func(t testing.TB) (open func() identity.Store)

// Run tests a Store against its contract.
func Run(t *testing.T, storage Storage) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, func() identity.Store)
	}{
		{"Users", testUsers},
		{"EmailTaken", testEmailTaken},
		{"FirstUser", testFirstUser},
		{"SetPassword", testSetPassword},
		{"SetDisabled", testSetDisabled},
		{"SetRole", testSetRole},
		{"LastAdmin", testLastAdmin},
		{"UserLimits", testUserLimits},
		{"Invites", testInvites},
		{"InvitesEndWithTheirMaker", testInvitesEndWithTheirMaker},
		{"AcceptInvite", testAcceptInvite},
		{"Sessions", testSessions},
		{"SigningKeys", testSigningKeys},
		{"Keyring", testKeyring},
		{"Keys", testKeys},
		{"KeyOfNobody", testKeyOfNobody},
		{"KeyTwice", testKeyTwice},
		{"RevokeKey", testRevokeKey},
		{"UpdateKey", testUpdateKey},
		{"RotateKey", testRotateKey},
		{"TouchKeys", testTouchKeys},
		{"CreateKeyOnce", testCreateKeyOnce},
		{"AuditLog", testAuditLog},
		{"AuditOfChanges", testAuditOfChanges},
		{"Tallies", testTallies},
		{"Times", testTimes},
		{"NotFound", testNotFound},
		{"HostileStrings", testHostileStrings},
		{"Secret", testSecret},
		{"TwoStores", testTwoStores},
		{"Races", testRaces},
		{"MoreRaces", testMoreRaces},
		{"Cancelled", testCancelled},
		{"Close", testClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			open := storage(t)
			test.run(t, func() identity.Store {
				s := open()
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
				})
				return s
			})
		})
	}
	t.Run("Model", func(t *testing.T) { testModel(t, storage) })
}

// epoch is when the users and keys of these tests were created, or later.
var epoch = time.Date(2026, 5, 17, 9, 30, 0, 123456000, time.UTC)

func newUser(n int) identity.User {
	return identity.User{
		ID:           uuid.Must(uuid.NewV7()).String(),
		Email:        fmt.Sprintf("user%d@example.com", n),
		PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U",
		Role:         identity.Member,
		CreatedAt:    epoch.Add(time.Duration(n) * time.Microsecond),
	}
}

func newKey(u identity.User, n int) identity.Key {
	key, digest, prefix := identity.KeyFormat{}.NewKey()
	return identity.Key{
		ID:        uuid.Must(uuid.NewV7()).String(),
		UserID:    u.ID,
		Name:      "name of " + key[3:7],
		Prefix:    prefix,
		Digest:    digest,
		CreatedAt: epoch.Add(time.Duration(n) * time.Microsecond),
		ExpiresAt: epoch.Add(time.Duration(n) * time.Hour),
	}
}

func newInvite(n int) identity.Invite {
	token := uuid.NewString()
	return identity.Invite{
		ID:        uuid.Must(uuid.NewV7()).String(),
		Email:     fmt.Sprintf("invited%d@example.com", n),
		Role:      identity.Member,
		Limits:    identity.Limits{CallsPerDay: 100},
		Digest:    identity.InviteDigest(token),
		CreatedAt: epoch.Add(time.Duration(n) * time.Microsecond),
		ExpiresAt: epoch.Add(time.Hour),
	}
}

func newSigningKey(n int) identity.SigningKey {
	return identity.SigningKey{
		ID:        uuid.Must(uuid.NewV7()).String(),
		Secret:    []byte(uuid.NewString()),
		CreatedAt: epoch.Add(time.Duration(n) * time.Minute),
		ExpiresAt: epoch.Add(time.Duration(n) * time.Minute).Add(time.Hour),
	}
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError says so when a call did not end with the error it should.
func wantError(t *testing.T, call string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", call, got, want)
	}
}

// wantFault says so when a call did not end with a technical fault.
func wantFault(t *testing.T, call string, err error) {
	t.Helper()
	for _, known := range []error{
		nil, identity.ErrNotFound, identity.ErrEmailTaken, identity.ErrLastAdmin, identity.ErrNotActive, identity.ErrReceiptTaken,
	} {
		if errors.Is(err, known) {
			t.Errorf("%s: error %v, want a technical fault", call, err)
		}
	}
}

func wantUser(t *testing.T, s identity.Store, want identity.User) {
	t.Helper()
	byID, err := s.User(t.Context(), want.ID)
	must(t, err)
	byEmail, err := s.UserByEmail(t.Context(), want.Email)
	must(t, err)
	for call, got := range map[string]identity.User{"User": byID, "UserByEmail": byEmail} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", call, diff)
		}
	}
}

func wantUsers(t *testing.T, s identity.Store, want ...identity.User) {
	t.Helper()
	got, err := s.Users(t.Context())
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Users (-want +got):\n%s", diff)
	}
}

func wantKey(t *testing.T, s identity.Store, wantKey identity.Key, wantUser identity.User) {
	t.Helper()
	byID, err := s.Key(t.Context(), wantKey.ID)
	must(t, err)
	if diff := cmp.Diff(wantKey, byID); diff != "" {
		t.Errorf("Key (-want +got):\n%s", diff)
	}
	k, u, err := s.KeyByDigest(t.Context(), wantKey.Digest)
	must(t, err)
	if diff := cmp.Diff(wantKey, k); diff != "" {
		t.Errorf("KeyByDigest, key (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantUser, u); diff != "" {
		t.Errorf("KeyByDigest, user (-want +got):\n%s", diff)
	}
}

func wantKeys(t *testing.T, s identity.Store, userID string, want ...identity.Key) {
	t.Helper()
	got, err := s.Keys(t.Context(), userID)
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Keys(%q) (-want +got):\n%s", userID, diff)
	}
}

// calls is every call of a Store but Close, on a user and a key that may be
// there or not.
func calls(s identity.Store, u identity.User, k identity.Key) map[string]func(context.Context) error {
	name := "name"
	invite := newInvite(9)
	return map[string]func(context.Context) error{
		"CreateUser":      func(ctx context.Context) error { return s.CreateUser(ctx, u) },
		"CreateFirstUser": func(ctx context.Context) error { _, err := s.CreateFirstUser(ctx, u); return err },
		"User":            func(ctx context.Context) error { _, err := s.User(ctx, u.ID); return err },
		"UserByEmail":     func(ctx context.Context) error { _, err := s.UserByEmail(ctx, u.Email); return err },
		"Users":           func(ctx context.Context) error { _, err := s.Users(ctx); return err },
		"SetPassword":     func(ctx context.Context) error { return s.SetPassword(ctx, u.ID, "") },
		"SetDisabled":     func(ctx context.Context) error { return s.SetDisabled(ctx, u.ID, true) },
		"SetRole":         func(ctx context.Context) error { return s.SetRole(ctx, u.ID, identity.Admin) },
		"SetUserLimits": func(ctx context.Context) error {
			return s.SetUserLimits(ctx, u.ID, identity.Limits{CallsPerDay: 1})
		},
		"CreateInvite":   func(ctx context.Context) error { return s.CreateInvite(ctx, invite) },
		"Invites":        func(ctx context.Context) error { _, err := s.Invites(ctx); return err },
		"InviteByDigest": func(ctx context.Context) error { _, err := s.InviteByDigest(ctx, invite.Digest); return err },
		"WithdrawInvite": func(ctx context.Context) error { return s.WithdrawInvite(ctx, invite.ID) },
		"AcceptInvite":   func(ctx context.Context) error { _, err := s.AcceptInvite(ctx, invite.Digest, u); return err },
		"CreateKey":      func(ctx context.Context) error { return s.CreateKey(ctx, k) },
		"CreateKeyOnce": func(ctx context.Context) error {
			return s.CreateKeyOnce(ctx, k, identity.Receipt{UserID: u.ID, Answer: []byte("answer"), ExpiresAt: epoch})
		},
		"Receipt":     func(ctx context.Context) error { _, err := s.Receipt(ctx, u.ID, k.Digest, epoch); return err },
		"Key":         func(ctx context.Context) error { _, err := s.Key(ctx, k.ID); return err },
		"KeyByDigest": func(ctx context.Context) error { _, _, err := s.KeyByDigest(ctx, k.Digest); return err },
		"Keys":        func(ctx context.Context) error { _, err := s.Keys(ctx, u.ID); return err },
		"UpdateKey": func(ctx context.Context) error {
			_, err := s.UpdateKey(ctx, u.ID, k.ID, identity.KeyChange{Name: &name})
			return err
		},
		"RevokeKey": func(ctx context.Context) error { _, err := s.RevokeKey(ctx, u.ID, k.ID, epoch, "reason"); return err },
		"RotateKey": func(ctx context.Context) error {
			_, _, err := s.RotateKey(ctx, u.ID, k.ID, newKey(u, 9), epoch)
			return err
		},
		"TouchKeys":         func(ctx context.Context) error { return s.TouchKeys(ctx, map[string]time.Time{k.ID: epoch}) },
		"Session":           func(ctx context.Context) error { _, err := s.Session(ctx, u.ID, "token", 0); return err },
		"RevokeToken":       func(ctx context.Context) error { return s.RevokeToken(ctx, u.ID, "token", epoch) },
		"EndSessions":       func(ctx context.Context) error { return s.EndSessions(ctx, u.ID) },
		"SigningKeys":       func(ctx context.Context) error { _, err := s.SigningKeys(ctx); return err },
		"AddSigningKey":     func(ctx context.Context) error { _, err := s.AddSigningKey(ctx, newSigningKey(1), epoch); return err },
		"RetireSigningKeys": func(ctx context.Context) error { return s.RetireSigningKeys(ctx, epoch) },
		"UpdateTallies": func(ctx context.Context) error {
			return s.UpdateTallies(ctx, []string{k.ID}, func(time.Time, []identity.Tally) {})
		},
		"Audit":    func(ctx context.Context) error { return s.Audit(ctx, identity.AuditEntry{Action: identity.LoggedIn}) },
		"AuditLog": func(ctx context.Context) error { _, err := s.AuditLog(ctx, identity.AuditQuery{}); return err },
		"Secret":   func(ctx context.Context) error { _, err := s.Secret(ctx, "name", []byte("fresh")); return err },
	}
}

// race runs each function in a goroutine of its own, all at once, and waits.
func race(functions ...func()) {
	var start, done sync.WaitGroup
	start.Add(1)
	for _, f := range functions {
		done.Go(func() {
			start.Wait()
			f()
		})
	}
	start.Done()
	done.Wait()
}
