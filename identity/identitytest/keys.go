package identitytest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/identity"
)

func testKeys(t *testing.T, open func() identity.Store) {
	s := open()
	ann, bob, eve := newUser(1), newUser(2), newUser(3)
	for _, u := range []identity.User{ann, bob, eve} {
		must(t, s.CreateUser(t.Context(), u))
	}
	wantKeys(t, s, "")
	a2, b3, a1, a4 := newKey(ann, 2), newKey(bob, 3), newKey(ann, 1), newKey(ann, 4)
	a1.ExpiresAt = time.Time{}
	a4.RevokedAt = epoch.Add(time.Minute)
	a4.Name = a2.Name // a name need not be unique
	for _, k := range []identity.Key{a2, b3, a1, a4} {
		must(t, s.CreateKey(t.Context(), k))
	}
	wantKeys(t, s, "", a4, b3, a2, a1)
	wantKeys(t, s, ann.ID, a4, a2, a1)
	wantKeys(t, s, bob.ID, b3)
	wantKeys(t, s, eve.ID)
	wantKeys(t, s, newUser(4).ID)
	for _, k := range []identity.Key{a1, a2, a4} {
		wantKey(t, s, k, ann)
	}
	wantKey(t, s, b3, bob)
}

func testKeyOfNobody(t *testing.T, open func() identity.Store) {
	s := open()
	wantError(t, "CreateKey for nobody", s.CreateKey(t.Context(), newKey(newUser(1), 1)), identity.ErrNotFound)
	wantKeys(t, s, "")
}

func testKeyTwice(t *testing.T, open func() identity.Store) {
	s := open()
	ann, bob := newUser(1), newUser(2)
	must(t, s.CreateUser(t.Context(), ann))
	must(t, s.CreateUser(t.Context(), bob))
	k := newKey(ann, 1)
	must(t, s.CreateKey(t.Context(), k))

	sameDigest, sameID := newKey(bob, 2), newKey(bob, 3)
	sameDigest.Digest = k.Digest
	sameID.ID = k.ID
	wantFault(t, "CreateKey with a taken digest", s.CreateKey(t.Context(), sameDigest))
	wantFault(t, "CreateKey with a taken ID", s.CreateKey(t.Context(), sameID))
	wantKeys(t, s, "", k)
	wantKey(t, s, k, ann)
}

func testRevokeKey(t *testing.T, open func() identity.Store) {
	s := open()
	ann, bob := newUser(1), newUser(2)
	must(t, s.CreateUser(t.Context(), ann))
	must(t, s.CreateUser(t.Context(), bob))
	k1, k2, bobs := newKey(ann, 1), newKey(ann, 2), newKey(bob, 3)
	for _, k := range []identity.Key{k1, k2, bobs} {
		must(t, s.CreateKey(t.Context(), k))
	}

	for name, userID := range map[string]string{"someone else": bob.ID, "nobody": newUser(4).ID} {
		got, err := s.RevokeKey(t.Context(), userID, k1.ID, epoch, "reason")
		wantError(t, "RevokeKey by "+name, err, identity.ErrNotFound)
		if diff := cmp.Diff(identity.Key{}, got); diff != "" {
			t.Errorf("RevokeKey by %s gives the key away (-want +got):\n%s", name, diff)
		}
	}
	_, err := s.RevokeKey(t.Context(), "", newKey(ann, 9).ID, epoch, "reason")
	wantError(t, "RevokeKey of no key", err, identity.ErrNotFound)
	wantKeys(t, s, "", bobs, k2, k1)

	revoke := func(userID string, k *identity.Key, at, want time.Time) {
		t.Helper()
		got, err := s.RevokeKey(t.Context(), userID, k.ID, at, at.String())
		must(t, err)
		k.RevokedAt, k.RevokeReason = want, want.String()
		if diff := cmp.Diff(*k, got); diff != "" {
			t.Errorf("RevokeKey (-want +got):\n%s", diff)
		}
	}
	first, later, earlier := epoch.Add(time.Hour), epoch.Add(2*time.Hour), epoch
	revoke(ann.ID, &k1, first, first)
	revoke(ann.ID, &k1, later, first)
	revoke("", &k1, earlier, first)
	revoke("", &bobs, later, later)
	wantKeys(t, s, "", bobs, k2, k1)
	wantKey(t, s, k1, ann)
	wantKey(t, s, k2, ann)
	wantKey(t, s, bobs, bob)
}
