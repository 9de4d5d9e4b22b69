package identity

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIssue(t *testing.T) {
	f, err := NewKeyFormat("acme_")
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Now().Add(time.Hour)
	spec := KeySpec{
		Name: " name ", Note: " a note\nof two lines ", Scopes: []string{"query_*", "!run_sql"}, Limits: Limits{CallsPerDay: 3}, ExpiresAt: expires,
	}
	record, key, err := f.Issue("user", spec)
	if err != nil {
		t.Fatal(err)
	}
	want := Key{
		ID: record.ID, UserID: "user", Name: "name", Note: "a note\nof two lines", Prefix: key[:13] + "…", Digest: DigestOf(key),
		Scopes: spec.Scopes, Limits: spec.Limits, CreatedAt: record.CreatedAt, ExpiresAt: storable(expires),
	}
	if diff := cmp.Diff(want, record); diff != "" || !strings.HasPrefix(key, "acme_") {
		t.Errorf("Issue, %s (-want +got):\n%s", key[:5], diff)
	}
	for _, wrong := range []KeySpec{
		{}, {Name: "n", Note: strings.Repeat("é", 1001)}, {Name: "n", Note: "a\x00"}, {Name: "n", Note: "\xff"}, {Name: "n", Note: "\u202e"},
		{Name: "n", Scopes: []string{"a?"}}, {Name: "n", Limits: Limits{CallsPerDay: -1}}, {Name: "n", ExpiresAt: time.Now()},
	} {
		var invalid Invalid
		if _, key, err := f.Issue("user", wrong); !errors.As(err, &invalid) || key != "" {
			t.Errorf("Issue(%+v): %v", wrong, err)
		}
	}
}

// TestReplacement: the key that replaces another is made to live as long, and
// is of the format that is in force now.
func TestReplacement(t *testing.T) {
	record, oldKey, err := IssueKey("user", "name", time.Now().Add(90*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	f := KeyFormat{"acme_"}
	fresh, key := f.Replacement(record)
	if fresh.UserID != "user" || fresh.ID == record.ID || key == oldKey || !strings.HasPrefix(key, "acme_") || fresh.Digest != DigestOf(key) {
		t.Errorf("Replacement = %+v", fresh)
	}
	if got, want := fresh.ExpiresAt.Sub(fresh.CreatedAt), record.ExpiresAt.Sub(record.CreatedAt); got != want {
		t.Errorf("it lives for %v, want %v", got, want)
	}
	record.ExpiresAt = time.Time{}
	if fresh, _ := f.Replacement(record); !fresh.ExpiresAt.IsZero() {
		t.Errorf("it expires at %v", fresh.ExpiresAt)
	}
}

func TestApply(t *testing.T) {
	k := Key{Name: "name", Note: "note", Scopes: []string{"a"}, Limits: Limits{CallsPerDay: 1}}
	same := KeyChange{Name: &k.Name, Note: &k.Note, Scopes: &[]string{"a"}, Limits: &Limits{CallsPerDay: 1}, ExpiresAt: &time.Time{}}
	if changed := same.Apply(&k); changed != nil {
		t.Errorf("what is the same changes %v", changed)
	}
	name, note, at := "n", "", time.Now()
	all := KeyChange{Name: &name, Note: &note, Scopes: &[]string{}, Limits: &Limits{}, ExpiresAt: &at}
	want := []string{"name", "note", "scopes", "limits", "expires_at"}
	if diff := cmp.Diff(want, all.Apply(&k)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
}

func TestExpiresWithin(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		key  Key
		want bool
	}{
		{Key{}, false},
		{Key{ExpiresAt: now.Add(time.Hour)}, true},
		{Key{ExpiresAt: now.Add(time.Hour + 1)}, false},
		{Key{ExpiresAt: now}, false},
		{Key{ExpiresAt: now.Add(1), RevokedAt: now}, false},
	} {
		if got := test.key.ExpiresWithin(time.Hour, now); got != test.want {
			t.Errorf("%+v: %t", test.key, got)
		}
	}
}

func TestNewInvite(t *testing.T) {
	i, token, err := NewInvite(" Ann@Example.com", Admin, Limits{CallsPerDay: 1}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	want := Invite{
		ID: i.ID, Email: "ann@example.com", Role: Admin, Limits: Limits{CallsPerDay: 1}, Digest: InviteDigest(token),
		CreatedAt: i.CreatedAt, ExpiresAt: i.CreatedAt.Add(time.Hour),
	}
	if diff := cmp.Diff(want, i); diff != "" || len(token) != 43 {
		t.Errorf("NewInvite, a token of %d characters (-want +got):\n%s", len(token), diff)
	}
	if !i.Open(i.CreatedAt) || !i.Open(i.ExpiresAt.Add(-1)) || i.Open(i.ExpiresAt) {
		t.Error("it is not open for an hour")
	}
	if _, other, _ := NewInvite("ann@example.com", Admin, Limits{}, time.Hour); other == token {
		t.Error("two invitations have one token")
	}
	for _, test := range []struct {
		email string
		role  Role
		l     Limits
		d     time.Duration
	}{
		{"ann", Admin, Limits{}, 1}, {"ann@example.com", "root", Limits{}, 1}, {"ann@example.com", Admin, Limits{Burst: 1}, 1}, {"ann@example.com", Admin, Limits{}, 0},
	} {
		var invalid Invalid
		if _, token, err := NewInvite(test.email, test.role, test.l, test.d); !errors.As(err, &invalid) || token != "" {
			t.Errorf("NewInvite(%+v): %v", test, err)
		}
	}
}
