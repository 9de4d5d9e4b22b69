package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
)

func TestCreateKeyRefuses(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ body, words string }{
		{``, "the body is empty"},
		{`{`, "ends too early"},
		{`[]`, "must be a JSON object"},
		{`{}`, "key_name is missing"},
		{`{"expires_days":90}`, "key_name is missing"},
		{`{"key_name":""}`, "key_name is empty"},
		{`{"key_name":"  "}`, "key_name: the key's name is empty"},
		{`{"key_name":null}`, "key_name must be a string"},
		{`{"key_name":7}`, "key_name must be a string"},
		{`{"key_name":"` + strings.Repeat("n", 101) + `"}`, "key_name: the key's name is longer than 100 characters"},
		{`{"key_name":"a\u0000b"}`, "key_name: the key's name has characters"},
		{`{"key_name":"a\u202eb"}`, "key_name: the key's name has characters"},
		{`{"key_name":"a","expires_days":0}`, "expires_days must be a whole number from 1 to 3650"},
		{`{"key_name":"a","expires_days":-1}`, "expires_days must be a whole number"},
		{`{"key_name":"a","expires_days":0.5}`, "expires_days must be a whole number"},
		{`{"key_name":"a","expires_days":3651}`, "expires_days must be a whole number"},
		{`{"key_name":"a","expires_days":1000000}`, "expires_days must be a whole number"},
		{`{"key_name":"a","expires_days":"90"}`, "expires_days must be a whole number"},
		{`{"key_name":"a","days":90}`, `unknown field "days"`},
		{`{"key_name":"a","user_id":"` + w.ben.ID + `"}`, `unknown field "user_id"`},
		{`{"key_name":"a","key_name":"b"}`, "key_name is given twice"},
		{`{"key_name":"a"}{"key_name":"b"}`, "more after its JSON object"},
	} {
		refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", c.body), 400, "invalid_request", c.words)
	}
}

func TestCreateKeyAccepts(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		body, name string
		days       int
	}{
		{`{"key_name":"plain"}`, "plain", 0},
		{`{"key_name":"null","expires_days":null}`, "null", 0},
		{`{"key_name":"one day","expires_days":1}`, "one day", 1},
		{`{"expires_days":3650,"key_name":" ten years "}`, "ten years", 3650},
		{`{"key_name":"\u76e4 <b>&\""}`, `盤 <b>&"`, 0},
	} {
		before := time.Now()
		k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", c.body), 201)
		if k.Name != c.name {
			t.Errorf("%s names the key %q", c.body, k.Name)
		}
		if (k.ExpiresAt == nil) != (c.days == 0) {
			t.Errorf("%s: expires_at is %v", c.body, k.ExpiresAt)
		}
		if k.ExpiresAt != nil && k.ExpiresAt.Sub(before).Round(time.Hour) != time.Duration(c.days)*24*time.Hour {
			t.Errorf("%s: expires_at is %v", c.body, k.ExpiresAt)
		}
	}
	if n := len(into[items[keyItem]](t, w.as(t, w.ana, "GET", "/api/mcp-keys/list", ""), 200).Items); n != 5 {
		t.Errorf("list has %d keys", n)
	}
}

func TestExpiredKeyIsListed(t *testing.T) {
	w := newWorld(t)
	_, digest, prefix := identity.KeyFormat{}.NewKey()
	now := time.Now().UTC().Truncate(time.Microsecond)
	err := w.store.CreateKey(t.Context(), identity.Key{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: w.ana.ID, Name: "old", Prefix: prefix, Digest: digest,
		CreatedAt: now.AddDate(0, 0, -2), ExpiresAt: now.AddDate(0, 0, -1),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := into[items[keyItem]](t, w.as(t, w.ana, "GET", "/api/mcp-keys/list", ""), 200)
	if len(got.Items) != 1 || got.Items[0].Status != identity.Expired {
		t.Errorf("list is %+v", got)
	}
}

func TestRevokeKeyRefuses(t *testing.T) {
	w := newWorld(t)
	k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	for _, c := range []struct{ body, words string }{
		{``, "the body is empty"},
		{`{}`, "key_id is missing"},
		{`{"key_id":""}`, "key_id is empty"},
		{`{"key_id":null}`, "key_id must be a string"},
		{`{"key_id":["` + k.ID + `"]}`, "key_id must be a string, not an array"},
		{`{"key_id":"` + k.ID + `","why":"lost"}`, `unknown field "why"`},
		{`{"key_id":"` + k.ID + `","reason":"` + strings.Repeat("x", 1001) + `"}`, "reason is longer than 1000 characters"},
		{`{"key_id":"` + k.ID + `","reason":"a\u0000b"}`, "reason has characters that cannot be printed"},
	} {
		refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/revoke", c.body), 400, "invalid_request", c.words)
	}
	for _, id := range []string{
		"nonsense", k.Prefix, "{" + k.ID + "}", "urn:uuid:" + k.ID, strings.ReplaceAll(k.ID, "-", ""), k.ID + " ",
		uuid.Must(uuid.NewV7()).String(), uuid.Nil.String(), w.ana.ID, "%", "' OR ''='",
	} {
		refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/revoke", `{"key_id":"`+id+`"}`), 404, "not_found", "no key with the key_id")
		refused(t, w.as(t, w.root, "POST", "/api/mcp-keys/revoke", `{"key_id":"`+id+`"}`), 404, "not_found", "no key with the key_id")
	}
}

// TestKeyForItsID: the key itself is taken where its ID is, and is not repeated in a
// message, nor is another one.
func TestKeyForItsID(t *testing.T) {
	w := newWorld(t)
	made := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"one"}`), 201)
	for _, route := range []string{"update", "rotate", "revoke"} {
		body := `{"key_id":"` + made.Key + `"}`
		if route == "update" {
			body = `{"key_id":"` + made.Key + `","note":"n"}`
		}
		refused(t, w.as(t, w.ben, "POST", "/api/mcp-keys/"+route, body), 404, "not_found", "there is no key with the key_id")
		if got := w.as(t, w.ana, "POST", "/api/mcp-keys/"+route, body); got.status > 201 {
			t.Errorf("%s answers %d %s", route, got.status, got.body)
		}
	}
	unknown, _, _ := identity.KeyFormat{}.NewKey()
	for _, sent := range []string{unknown, made.Key[:50], made.Key + "x"} {
		for _, route := range []string{"update", "rotate", "revoke"} {
			got := w.as(t, w.root, "POST", "/api/mcp-keys/"+route, `{"key_id":"`+sent+`","note":"`+sent+`"}`)
			if got.status < 400 || strings.Contains(string(got.body), sent[:20]) {
				t.Errorf("%s of %s answers %d %s", route, sent, got.status, got.body)
			}
		}
		for _, path := range []string{"/api/mcp-usage/history?key_id=", "/api/mcp-usage/history?" + sent + "=", "/api/mcp-keys/list?user=", "/api/audit?target_id=", "/api/mcp-usage/stats?by="} {
			if got := w.as(t, w.root, "GET", path+sent, ""); got.status < 400 || strings.Contains(string(got.body), sent[:20]) {
				t.Errorf("%s answers %d %s", path, got.status, got.body)
			}
		}
	}
}

// TestKeysOfDisabledUser: an admin sees that the keys of a disabled user are not
// active.
func TestKeysOfDisabledUser(t *testing.T) {
	w := newWorld(t)
	into[createdKey](t, w.as(t, w.ben, "POST", "/api/mcp-keys/create", `{"key_name":"one","expires_days":3}`), 201)
	statuses := func() (got string) {
		for _, k := range into[items[keyItem]](t, w.as(t, w.root, "GET", "/api/mcp-keys/list?user=ben@example.com", ""), 200).Items {
			got += fmt.Sprint(k.Status, " ", k.ExpiringSoon)
		}
		return got
	}
	if got := statuses(); got != "active true" {
		t.Errorf("the keys are %q", got)
	}
	w.as(t, w.root, "POST", "/api/users/disable", `{"user_id":"`+w.ben.ID+`"}`)
	if got := statuses(); got != "user_disabled false" {
		t.Errorf("the keys of a disabled user are %q", got)
	}
}
