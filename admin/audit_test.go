package admin

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

// auditLog reads the rows that match a query, newest first.
func (w *world) auditLog(t testing.TB, query string) []auditItem {
	t.Helper()
	return into[auditAnswer](t, w.as(t, w.root, "GET", "/api/audit"+query, ""), 200).Items
}

// TestEveryChangeIsAudited makes every kind of change, and checks the author in
// the audit log.
func TestEveryChangeIsAudited(t *testing.T) {
	w := newWorld(t)
	w.serveAs(t, Config{Store: w.store, Ledger: w.ledger, Registration: true})
	w.as(t, w.root, "GET", "/api/users/list", "") // makes the first signing key
	made := into[newInvite](t, w.as(t, w.root, "POST", "/api/users/invite", `{"email":"cleo@example.com"}`), 201)
	dropped := into[newInvite](t, w.as(t, w.root, "POST", "/api/users/invite", `{"email":"dana@example.com"}`), 201)
	k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	id := `{"key_id":"` + k.ID + `"`
	user := `{"user_id":"` + w.ben.ID + `"`

	type row struct{ Action, Actor, Target string }
	for _, c := range []struct {
		as   identity.User
		path string
		body string
		want []row // newest first
	}{
		{identity.User{}, "auth/login", `{"email":"ana@example.com","password":"wrong"}`, []row{{"login.failed", "", "ana@example.com"}}},
		{identity.User{}, "auth/login", `{"email":"Nobody@example.com","password":"wrong"}`, []row{{"login.failed", "", "nobody@example.com"}}},
		{identity.User{}, "auth/login", `{"email":"ana@example.com","password":"` + password + `"}`, []row{{"login", "ana@example.com", "ana@example.com"}}},
		{identity.User{}, "auth/register", `{"email":"new@example.com","password":"` + password + `"}`, []row{{"user.created", "new@example.com", "new@example.com"}}},
		{identity.User{}, "auth/accept-invite", `{"token":"` + made.Token + `","password":"` + password + `"}`, []row{{"invite.accepted", "cleo@example.com", "cleo@example.com"}, {"user.created", "cleo@example.com", "cleo@example.com"}}},
		{w.ana, "mcp-keys/update", id + `,"key_name":"b"}`, []row{{"key.updated", "ana@example.com", "b"}}},
		{w.root, "mcp-keys/update", id + `,"note":"seen"}`, []row{{"key.updated", "root@example.com", "b"}}},
		{w.root, "mcp-keys/update", id + `,"note":"seen"}`, nil}, // changes nothing
		{w.ana, "mcp-keys/rotate", id + `}`, []row{{"key.rotated", "ana@example.com", "b"}}},
		{w.ana, "mcp-keys/revoke", id + `,"reason":"lost"}`, []row{{"key.revoked", "ana@example.com", "b"}}},
		{w.ana, "mcp-keys/revoke", id + `,"reason":"lost"}`, nil},
		{w.root, "users/invites/withdraw", `{"invite_id":"` + dropped.ID + `"}`, []row{{"invite.withdrawn", "root@example.com", "dana@example.com"}}},
		{w.root, "users/create", `{"email":"eve@example.com","password":"` + password + `"}`, []row{{"user.created", "root@example.com", "eve@example.com"}}},
		{w.root, "users/role", user + `,"role":"admin"}`, []row{{"user.role", "root@example.com", "ben@example.com"}}},
		{w.root, "users/limits", user + `,"limits":{"calls_per_day":1}}`, []row{{"user.limits", "root@example.com", "ben@example.com"}}},
		{w.root, "users/disable", user + `}`, []row{{"user.disabled", "root@example.com", "ben@example.com"}}},
		{w.root, "users/disable", user + `}`, nil},
		{w.root, "users/enable", user + `}`, []row{{"user.enabled", "root@example.com", "ben@example.com"}}},
		{w.root, "users/sessions/end", user + `}`, []row{{"sessions.ended", "root@example.com", "ben@example.com"}}},
		{w.ana, "auth/password", `{"current_password":"` + password + `","new_password":"` + otherPassword + `"}`, []row{{"user.password", "ana@example.com", "ana@example.com"}}},
		{w.ana, "auth/logout", "", []row{{"logout", "ana@example.com", "ana@example.com"}}},
		{w.ana, "auth/sessions/end", "", []row{{"sessions.ended", "ana@example.com", "ana@example.com"}}},
		{w.root, "auth/signing-key/rotate", `{}`, []row{{"signing_key.created", "root@example.com", ""}}},
	} {
		before := len(w.auditLog(t, "?page_size=200"))
		if c.as.ID == "" {
			w.do(t, "POST", "/api/"+c.path, nil, c.body)
		} else {
			w.as(t, c.as, "POST", "/api/"+c.path, c.body)
		}
		after := w.auditLog(t, "?page_size=200")
		var got []row
		for _, e := range after[:len(after)-before] {
			r := row{Action: string(e.Action)}
			if e.ActorEmail != nil {
				r.Actor = *e.ActorEmail
			}
			if e.Target != nil && c.path != "auth/signing-key/rotate" {
				r.Target = *e.Target
			}
			got = append(got, r)
			if e.IP == nil || *e.IP != "127.0.0.1" || time.Since(e.At) > time.Minute {
				t.Errorf("%s: the row is from %v, at %v", c.path, e.IP, e.At)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s %s leaves other rows:\n%s", c.path, c.body, diff)
		}
	}
	for _, e := range w.auditLog(t, "?page_size=200") {
		for _, secret := range []string{password, otherPassword, made.Token, k.Key} {
			for _, detail := range e.Details {
				if strings.Contains(detail, secret) {
					t.Errorf("the row %+v has a secret in it", e)
				}
			}
		}
	}
	if got := w.auditLog(t, "?action=key.revoked"); len(got) != 1 || got[0].Details["reason"] != "lost" {
		t.Errorf("the revocation is %+v", got)
	}
}

func TestAuditFilters(t *testing.T) {
	w := newWorld(t)
	k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	between := time.Now().UTC().Format(time.RFC3339Nano)
	into[listedKey](t, w.as(t, w.root, "POST", "/api/mcp-keys/revoke", `{"key_id":"`+k.ID+`"}`), 200)
	for query, want := range map[string][]identity.Action{
		"?user=ana@example.com":                         {identity.KeyRevoked, identity.KeyCreated, identity.UserCreated},
		"?actor=ana@example.com":                        {identity.KeyCreated},
		"?actor=ROOT@example.com":                       {identity.KeyRevoked},
		"?actor=ben@example.com":                        {},
		"?target_id=" + k.ID:                            {identity.KeyRevoked, identity.KeyCreated},
		"?target_id=" + uuid.NewString():                {},
		"?action=key.created":                           {identity.KeyCreated},
		"?action=user.created&user=ben@example.com":     {identity.UserCreated},
		"?from=" + between:                              {identity.KeyRevoked},
		"?user=ana@example.com&to=" + between:           {identity.KeyCreated, identity.UserCreated},
		"?to=1971-01-01T00:00:00Z":                      {},
		"?user=ana@example.com&page_size=1":             {identity.KeyRevoked},
		"?user=ana@example.com&actor=ana@example.com":   {identity.KeyCreated},
		"?action=login.failed&user=" + w.ben.Email + "": {},
	} {
		got := []identity.Action{}
		for _, e := range w.auditLog(t, query) {
			got = append(got, e.Action)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s differs:\n%s", query, diff)
		}
	}
}

// TestAuditPages reads all pages while rows are added: each row that existed at
// the start appears once.
func TestAuditPages(t *testing.T) {
	w := newWorld(t)
	for range 7 {
		into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	}
	want := w.auditLog(t, "?page_size=200")
	for _, size := range []string{"1", "3", "10", "200"} {
		var got []auditItem
		for cursor := ""; ; {
			page := into[auditAnswer](t, w.as(t, w.root, "GET", "/api/audit?page_size="+size+cursor, ""), 200)
			got = append(got, page.Items...)
			if page.NextCursor == nil {
				break
			}
			cursor = "&cursor=" + url.QueryEscape(*page.NextCursor)
			into[createdKey](t, w.as(t, w.ben, "POST", "/api/mcp-keys/create", `{"key_name":"b"}`), 201)
		}
		got = slices.DeleteFunc(got, func(e auditItem) bool { return *e.Target == "b" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %s differ:\n%s", size, diff)
		}
	}
}

func TestAuditRefuses(t *testing.T) {
	w := newWorld(t)
	for query, words := range map[string]string{
		"page_size=0":         "page_size must be a whole number from 1 to 200",
		"page_size=201":       "page_size must be",
		"page=2":              `unknown query parameter "page"`,
		"cursor=2":            "cursor must be the next_cursor of an answer",
		"cursor=":             "cursor is empty",
		"target_id=a":         "target_id must be the ID of a user, a key",
		"action=delete":       "action must be one of [login login.failed",
		"user=ana":            "user must be a user's email address",
		"actor=all":           "actor must be a user's email address",
		"from=yesterday":      "from must be a day or a time in RFC 3339",
		"action=login&action": "action is given 2 times",
		"from=2026-11-24T12:00:00Z&to=2026-11-23T12:00:00Z": "from must be before to",
	} {
		refused(t, w.as(t, w.root, "GET", "/api/audit?"+query, ""), 400, "invalid_request", words)
	}
	refused(t, w.as(t, w.root, "GET", "/api/audit?user=nobody@example.com", ""), 404, "not_found", "no user with the address")
}
