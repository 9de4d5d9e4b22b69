package admin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

// TestKeyOfAllFields: the fields set by create and update are those that list
// shows, that the store has, and that the gate uses.
func TestKeyOfAllFields(t *testing.T) {
	w := newWorld(t)
	tomorrow := time.Now().UTC().AddDate(0, 0, 1)
	k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{
		"key_name":"report","note":" nightly\nreport ","scopes":["query_*","!query_secret_*"],
		"limits":{"calls_per_minute":600,"burst":20,"calls_per_day":null,"concurrent_calls":4},
		"expires_at":"`+tomorrow.Format(time.DateOnly)+`"}`), 201)
	wantLimits := showLimits(identity.Limits{CallsPerMinute: 600, Burst: 20, ConcurrentCalls: 4})
	y, m, d := tomorrow.Date()
	want := createdKey{
		ID: k.ID, Name: "report", Key: k.Key, Prefix: k.Prefix, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt,
		Note: "nightly\nreport", Scopes: []string{"query_*", "!query_secret_*"}, Limits: wantLimits,
	}
	if diff := cmp.Diff(want, k); diff != "" || !k.ExpiresAt.Equal(time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("create answers %v, and differs:\n%s", k.ExpiresAt, diff)
	}
	p, _, err := w.store.Authenticate(t.Context(), k.Key, clientAddr)
	live := p != nil
	if err != nil || !live || p.Limits != (identity.Limits{CallsPerMinute: 600, Burst: 20, ConcurrentCalls: 4}) || p.Scope.AllowsTool("default", "query_secret_x") || !p.Scope.AllowsTool("default", "query_x") {
		t.Errorf("the gate sees %+v, %t, %v", p, live, err)
	}
	shown := into[items[keyItem]](t, w.as(t, w.ana, "GET", "/api/mcp-keys/list", ""), 200).Items[0].listedKey
	if diff := cmp.Diff(listedKey{
		ID: k.ID, Name: "report", Note: "nightly\nreport", Prefix: k.Prefix, Status: identity.Active, ExpiringSoon: true,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, Scopes: k.Scopes, Limits: wantLimits,
	}, shown); diff != "" {
		t.Errorf("list differs:\n%s", diff)
	}

	for _, c := range []struct {
		fields string
		change func(*listedKey)
	}{
		{`"key_name":" other "`, func(k *listedKey) { k.Name = "other" }},
		{`"note":""`, func(k *listedKey) { k.Note = "" }},
		{`"scopes":["!run_sql"]`, func(k *listedKey) { k.Scopes = []string{"!run_sql"} }},
		{`"scopes":["stock-data/query_*","!*/resources","prompts"]`, func(k *listedKey) { k.Scopes = []string{"stock-data/query_*", "!*/resources", "prompts"} }},
		{`"scopes":null`, func(k *listedKey) { k.Scopes = []string{} }},
		{`"limits":{"records_per_day":5}`, func(k *listedKey) { k.Limits = showLimits(identity.Limits{RecordsPerDay: 5}) }},
		{`"limits":null`, func(k *listedKey) { k.Limits = showLimits(identity.Limits{}) }},
		{`"expires_at":"2199-12-31T23:59:59.5+00:00"`, func(k *listedKey) {
			at := time.Date(2199, 12, 31, 23, 59, 59, 5e8, time.UTC)
			k.ExpiresAt, k.ExpiringSoon = &at, false
		}},
		{`"note":null`, func(k *listedKey) { k.Note = "" }},
		{`"expires_days":null,"expires_at":null`, func(k *listedKey) { k.ExpiresAt = nil }},
		{`"expires_days":null`, func(k *listedKey) { k.ExpiresAt = nil }},
		{`"note":"a","scopes":["a"],"limits":{},"expires_at":null,"key_name":"b"`, func(k *listedKey) { k.Note, k.Scopes, k.Name = "a", []string{"a"}, "b" }},
	} {
		c.change(&shown)
		got := into[listedKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/update", `{"key_id":"`+k.ID+`",`+c.fields+`}`), 200)
		if diff := cmp.Diff(shown, got); diff != "" {
			t.Errorf("%s differs:\n%s", c.fields, diff)
		}
		p, _, err := w.store.Authenticate(t.Context(), k.Key, clientAddr)
		live := p != nil
		if err != nil || !live || p.KeyName != shown.Name || p.Scope.AllowsTool("default", "run_sql") != (len(shown.Scopes) == 0) {
			t.Errorf("%s: the gate sees %+v, %t, %v", c.fields, p, live, err)
		}
	}
	days := into[listedKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/update", `{"key_id":"`+k.ID+`","expires_days":30}`), 200)
	if life := time.Until(*days.ExpiresAt); life < 30*24*time.Hour-time.Minute || life > 30*24*time.Hour {
		t.Errorf("the key expires in %v", life)
	}
}

// TestKeyFieldsRefused checks invalid fields of create and of update.
func TestKeyFieldsRefused(t *testing.T) {
	w := newWorld(t)
	k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	hundred := `["a"` + strings.Repeat(`,"a"`, 100) + `]`
	for _, c := range []struct{ fields, words string }{
		{`"note":7`, "note must be a string, not a number"},
		{`"note":"` + strings.Repeat("n", 1001) + `"`, "note is longer than 1000 characters"},
		{`"note":"a\tb"`, "note has characters that cannot be printed"},
		{`"scopes":"query_*"`, "scopes must be an array of strings, not a string"},
		{`"scopes":{"0":"a"}`, "scopes must be an array of strings, not an object"},
		{`"scopes":["a",1]`, "scopes must be an array of strings, but number 2 in it is a number"},
		{`"scopes":["a",null]`, "number 2 in it is null"},
		{`"scopes":[""]`, `scopes: the scope "" is empty`},
		{`"scopes":["!"]`, `scopes: the scope "!" is empty`},
		{`"scopes":["a b"]`, "scopes: the scope"},
		{`"scopes":["stock-data/"]`, "write stock-data/* for every tool of the server"},
		{`"scopes":["/query_*"]`, "has no server's name before its slash"},
		{`"scopes":["a?"]`, "character that is not allowed"},
		{`"scopes":` + hundred, "scopes: there are 101 scopes"},
		{`"scopes":["` + strings.Repeat("a", 257) + `"]`, "scopes: a scope is longer than 256 bytes"},
		{`"limits":5`, "limits must be an object with calls_per_minute, burst"},
		{`"limits":[]`, "limits must be an object"},
		{`"limits":{"calls_per_hour":5}`, `limits: unknown field "calls_per_hour"`},
		{`"limits":{"calls_per_day":5,"calls_per_day":6}`, "limits: calls_per_day is given twice"},
		{`"limits":{"calls_per_day":0}`, `limits: calls_per_day must be a whole number from 1 to 1000000000, not "0"`},
		{`"limits":{"calls_per_day":-1}`, `not "-1"`},
		{`"limits":{"calls_per_day":1.5}`, `not "1.5"`},
		{`"limits":{"calls_per_day":"5"}`, "not a string"},
		{`"limits":{"calls_per_day":1000000001}`, "calls_per_day must be"},
		{`"limits":{"burst":5}`, "limits: a burst is part of a limit of calls a minute"},
		{`"expires_at":7`, "expires_at must be a string"},
		{`"expires_at":"tomorrow"`, "expires_at must be a day or a time in RFC 3339"},
		{`"expires_at":"2026-02-30"`, "expires_at must be a day"},
		{`"expires_at":"2200-01-01T00:00:00Z"`, "in the years 1970 to 2199"},
		{`"expires_at":"2199-12-31"`, "in the years 1970 to 2199"}, // its end is the next year
		{`"expires_at":"2001-01-01"`, "expires_at: a key must expire in the future"},
		{`"expires_at":"2001-01-01T00:00:00Z"`, "expires_at: a key must expire in the future"},
		{`"expires_days":30,"expires_at":"2099-01-01"`, "leave one of them out"},
		{`"api_key":"sk-x"`, `unknown field "api_key"`},
		{`"user_id":"` + w.ben.ID + `"`, `unknown field "user_id"`},
	} {
		refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"b",`+c.fields+`}`), 400, "invalid_request", c.words)
		refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/update", `{"key_id":"`+k.ID+`",`+c.fields+`}`), 400, "invalid_request", c.words)
	}
	for _, c := range []struct{ body, words string }{
		{`{"key_id":"` + k.ID + `"}`, "there is nothing to change: give key_name, note, scopes"},
		{`{"key_name":"b"}`, "key_id is missing"},
		{`{"key_id":7,"key_name":"b"}`, "key_id must be a string"},
		{`{"key_id":"` + k.ID + `","key_name":""}`, "key_name is empty"},
		{`{"key_id":"` + k.ID + `","key_name":null}`, "there is nothing to change"},
		{`{"key_id":"` + k.ID + `","key_name":"` + strings.Repeat("n", 101) + `"}`, "key_name: the key's name is longer"},
	} {
		refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/update", c.body), 400, "invalid_request", c.words)
	}
}

func TestRevokeReason(t *testing.T) {
	w := newWorld(t)
	k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	for _, reason := range []string{"the laptop was lost", "another reason"} { // the first one stays
		got := into[listedKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/revoke", `{"key_id":"`+k.ID+`","reason":"`+reason+`"}`), 200)
		if got.RevokeReason == nil || *got.RevokeReason != "the laptop was lost" {
			t.Errorf("the reason is %v", got.RevokeReason)
		}
	}
}

func TestRotateKey(t *testing.T) {
	w := newWorld(t)
	authority := w.store
	live := func(key string) bool {
		p, _, err := authority.Authenticate(t.Context(), key, clientAddr)
		live := p != nil
		if err != nil {
			t.Fatal(err)
		}
		return live
	}
	old := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create",
		`{"key_name":"a","note":"n","scopes":["query_*"],"limits":{"calls_per_day":7},"expires_days":90}`), 201)

	got := into[rotatedKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/rotate", `{"key_id":"`+old.ID+`"}`), 201)
	if got.ID == old.ID || got.Key == old.Key || got.Name != "a" || got.Note != "n" || got.Scopes[0] != "query_*" || *got.Limits["calls_per_day"] != 7 {
		t.Errorf("the new key is %+v", got)
	}
	if life := got.ExpiresAt.Sub(got.CreatedAt); life.Round(time.Hour) != 90*24*time.Hour {
		t.Errorf("the new key lives for %v", life)
	}
	if got.Old.ID != old.ID || *got.Old.ReplacedBy != got.ID || got.Old.Status != identity.Active || got.Old.ExpiringSoon {
		t.Errorf("the old key is %+v", got.Old)
	}
	if left := got.Old.ExpiresAt.Sub(got.CreatedAt); left != 24*time.Hour {
		t.Errorf("the overlap is %v", left)
	}
	if !live(old.Key) || !live(got.Key) {
		t.Error("both keys should work")
	}
	refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/rotate", `{"key_id":"`+old.ID+`"}`), 409, "key_not_active", "rotated already")

	again := into[rotatedKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/rotate", `{"key_id":"`+got.ID+`","overlap_hours":0}`), 201)
	if again.Old.Status != identity.Rotated || live(got.Key) || !live(again.Key) {
		t.Errorf("without an overlap the old key is %s, and works: %t", again.Old.Status, live(got.Key))
	}
	listed := into[items[keyItem]](t, w.as(t, w.ana, "GET", "/api/mcp-keys/list", ""), 200).Items
	if len(listed) != 3 || *listed[0].Replaces != got.ID || *listed[1].ReplacedBy != again.ID {
		t.Errorf("list is %+v", listed)
	}

	// An admin may rotate anyone's key; its owner stays the same.
	into[rotatedKey](t, w.as(t, w.root, "POST", "/api/mcp-keys/rotate", `{"key_id":"`+again.ID+`","overlap_hours":720}`), 201)
	if n := len(into[items[keyItem]](t, w.as(t, w.ana, "GET", "/api/mcp-keys/list", ""), 200).Items); n != 4 {
		t.Errorf("ana has %d keys", n)
	}
	for _, c := range []struct{ fields, words string }{
		{`"overlap_hours":-1`, `overlap_hours must be a whole number from 0 to 720, not "-1"`},
		{`"overlap_hours":721`, "overlap_hours must be"},
		{`"overlap_hours":0.5`, "overlap_hours must be"},
		{`"overlap_hours":-0`, "overlap_hours must be"},
		{`"overlap_hours":"24"`, "overlap_hours must be"},
		{`"overlap":24`, `unknown field "overlap"`},
	} {
		refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/rotate", `{"key_id":"`+old.ID+`",`+c.fields+`}`), 400, "invalid_request", c.words)
	}
	revoked := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"b"}`), 201)
	into[listedKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/revoke", `{"key_id":"`+revoked.ID+`"}`), 200)
	refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/rotate", `{"key_id":"`+revoked.ID+`"}`), 409, "key_not_active", "the key is not active")
}

// TestOthersKeys: other users' keys do not exist for a user.
func TestOthersKeys(t *testing.T) {
	w := newWorld(t)
	k := into[createdKey](t, w.as(t, w.ben, "POST", "/api/mcp-keys/create", `{"key_name":"ben's"}`), 201)
	for _, id := range []string{k.ID, uuid.NewString(), "nonsense", w.ana.ID} {
		for path, fields := range map[string]string{
			"/api/mcp-keys/update": `,"key_name":"mine"`,
			"/api/mcp-keys/revoke": `,"reason":"mine"`,
			"/api/mcp-keys/rotate": `,"overlap_hours":0`,
		} {
			refused(t, w.as(t, w.ana, "POST", path, `{"key_id":"`+id+`"`+fields+`}`), 404, "not_found", `there is no key with the key_id "`+id+`"`)
		}
	}
	into[listedKey](t, w.as(t, w.root, "POST", "/api/mcp-keys/update", `{"key_id":"`+k.ID+`","key_name":"the admin's word"}`), 200)
}

// TestCallsThisMonth counts the calls of each key since the month began.
func TestCallsThisMonth(t *testing.T) {
	w := newWorld(t)
	now := time.Now().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	var keys []listedKey
	for range 3 {
		k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
		keys = append(keys, listedKey{ID: k.ID})
	}
	w.record(t,
		event(w.ana, keys[0], "t", month, usage.NullInt64{}), event(w.ana, keys[0], "t", month.Add(time.Second), usage.NullInt64{}),
		event(w.ana, keys[0], "t", month.Add(-time.Second), usage.NullInt64{}), event(w.ana, keys[1], "t", now, usage.NullInt64{}),
	)
	for _, query := range []string{"", "?user=all", "?user=ana@example.com"} {
		as := w.ana
		if query != "" {
			as = w.root
		}
		got := into[items[keyItem]](t, w.as(t, as, "GET", "/api/mcp-keys/list"+query, ""), 200).Items
		for i, want := range []int64{0, 1, 2} { // newest first
			if n := got[i].CallsThisMonth; n == nil || *n != want {
				t.Errorf("%q: key %d has %v calls, want %d", query, i, n, want)
			}
		}
	}

	// Keys can be managed while the ledger is unavailable.
	w.serve(t, w.store, faultyLedger{w.ledger, errClient})
	got := into[items[keyItem]](t, w.as(t, w.ana, "GET", "/api/mcp-keys/list", ""), 200).Items
	if len(got) != 3 || got[0].CallsThisMonth != nil {
		t.Errorf("without the ledger the list is %+v", got)
	}
	if !strings.Contains(w.log.String(), "could not count the calls of keys") {
		t.Errorf("the log says %q", w.log.String())
	}
}

func TestLastUse(t *testing.T) {
	w := newWorld(t)
	k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	at := time.Now().UTC().Truncate(time.Microsecond)
	if err := w.users.TouchKeys(t.Context(), map[string]time.Time{k.ID: at}); err != nil {
		t.Fatal(err)
	}
	got := into[items[keyItem]](t, w.as(t, w.ana, "GET", "/api/mcp-keys/list", ""), 200).Items[0]
	if got.LastUsedAt == nil || !got.LastUsedAt.Equal(at) {
		t.Errorf("last used at %v, want %v", got.LastUsedAt, at)
	}
}

// TestKeyPrefix: the operator chooses the prefix of keys.
func TestKeyPrefix(t *testing.T) {
	w := newWorld(t)
	format, err := identity.NewKeyFormat("acme_live_")
	if err != nil {
		t.Fatal(err)
	}
	w.serveAs(t, Config{Store: w.store, Ledger: w.ledger, Secret: secret, KeyFormat: format})
	k := into[createdKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	r := into[rotatedKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/rotate", `{"key_id":"`+k.ID+`"}`), 201)
	for _, key := range []string{k.Key, r.Key} {
		if !strings.HasPrefix(key, "acme_live_") || !identity.WellFormed(key) {
			t.Errorf("the key is %q", key)
		}
	}
}

// once is a header that makes a request safe to repeat.
func (w *world) once(t testing.TB, u identity.User, key string) http.Header {
	return http.Header{"Authorization": {"Bearer " + w.token(t, u)}, idempotencyHeader: {key}}
}

func TestCreateOnce(t *testing.T) {
	w := newWorld(t)
	key := uuid.NewString()
	const path, body = "/api/mcp-keys/create", `{"key_name":"a","expires_days":90}`
	first := into[createdKey](t, w.do(t, "POST", path, w.once(t, w.ana, key), body), 201)
	for _, same := range []string{body, ` { "expires_days" : 90, "key_name":"a" }`} {
		again := into[createdKey](t, w.do(t, "POST", path, w.once(t, w.ana, key), same), 201)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("the second answer differs:\n%s", diff)
		}
	}
	if p, _, err := w.store.Authenticate(t.Context(), first.Key, clientAddr); p == nil || err != nil {
		t.Errorf("the key works: %t, %v", p != nil, err)
	}
	refused(t, w.do(t, "POST", path, w.once(t, w.ana, key), `{"key_name":"b","expires_days":90}`), 422, "idempotency_key_reused", "send a new one")
	if n := len(into[items[keyItem]](t, w.as(t, w.ana, "GET", "/api/mcp-keys/list", ""), 200).Items); n != 1 {
		t.Errorf("ana has %d keys", n)
	}
	// Another user's request is a different one.
	if other := into[createdKey](t, w.do(t, "POST", path, w.once(t, w.ben, key), body), 201); other.ID == first.ID {
		t.Error("ben has got ana's key")
	}
	for _, c := range []struct {
		header []string
		words  string
	}{
		{[]string{""}, "Idempotency-Key is empty"},
		{[]string{"short"}, "Idempotency-Key: the idempotency key must have 16 to 255 characters"},
		{[]string{strings.Repeat("x", 256)}, "must have 16 to 255 characters"},
		{[]string{"has a space in the middle"}, "no visible ASCII"},
		{[]string{key, key}, "Idempotency-Key is given 2 times"},
	} {
		h := w.once(t, w.ana, "")
		h[idempotencyHeader] = c.header
		refused(t, w.do(t, "POST", path, h, body), 400, "invalid_request", c.words)
	}
	// A rejected request may be corrected and sent again.
	fresh := uuid.NewString()
	refused(t, w.do(t, "POST", path, w.once(t, w.ana, fresh), `{"key_name":""}`), 400, "invalid_request", "key_name is empty")
	into[createdKey](t, w.do(t, "POST", path, w.once(t, w.ana, fresh), body), 201)
}
