package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

// trial is one request of an operation.
type trial struct {
	as     string // a user's name; "" for nobody
	query  string
	header http.Header
	body   string
}

// trials has requests for the replies of each operation that are specific to it.
// tryEverywhere has those that every operation gives.
func (w *world) trials(t testing.TB) map[string]map[int]trial {
	t.Helper()
	create := func(u identity.User) createdKey {
		return into[createdKey](t, w.as(t, u, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
	}
	invite := func(email string) newInvite {
		return into[newInvite](t, w.as(t, w.root, "POST", "/api/users/invite", `{"email":"`+email+`"}`), 201)
	}
	const limits = `"limits":{"calls_per_minute":600,"burst":50,"calls_per_day":10000,"records_per_day":1000000,"concurrent_calls":8}`
	const keyFields = `"key_name":"b","note":"n","scopes":["query_*"],` + limits
	key, rotated := create(w.ana), create(w.ana)
	into[rotatedKey](t, w.as(t, w.ana, "POST", "/api/mcp-keys/rotate", `{"key_id":"`+rotated.ID+`"}`), 201)
	ben := `"user_id":"` + w.ben.ID + `"`
	root := `"user_id":"` + w.root.ID + `"`
	nobody := `"user_id":"` + uuid.NewString() + `"`
	noKey := `"key_id":"` + uuid.NewString() + `"`
	once := http.Header{idempotencyHeader: {uuid.NewString()}}
	into[createdKey](t, w.do(t, "POST", "/api/mcp-keys/create", http.Header{
		"Authorization": {"Bearer " + w.token(t, w.ana)}, idempotencyHeader: once[idempotencyHeader],
	}, `{"key_name":"once"}`), 201)
	credentials := func(email, password string) string {
		return `{"email":"` + email + `","password":"` + password + `"}`
	}
	w.record(t, event(w.ana, listedKey{ID: key.ID}, "query_stock", key.CreatedAt, usage.Int64(1), "stock_daily"))
	byUser := func(extra string) map[int]trial {
		return map[int]trial{200: {as: "root", query: "user=all" + extra}, 404: {as: "root", query: "user=nobody@example.com" + extra}}
	}
	filters := "&server=stock-data&tool=query_stocktool=query_stock&table=stock_daily&outcome=ok&from=2026-01-01T00:00:00Z&to=2199-01-01T00:00:00Z&key_id=" + key.ID
	return map[string]map[int]trial{
		"POST /api/auth/login": {
			200: {body: credentials("ana@example.com", password)}, 401: {body: credentials("ana@example.com", "wrong")},
			429: {body: credentials("throttled@example.com", "wrong")},
		},
		"POST /api/auth/register": {
			201: {body: credentials("new@example.com", otherPassword)}, 409: {body: credentials("ana@example.com", otherPassword)},
			403: {body: credentials("closed@example.com", otherPassword)}, 429: {body: credentials("throttled@example.com", otherPassword)},
		},
		"POST /api/auth/accept-invite": {
			201: {body: `{"token":"` + invite("cleo@example.com").Token + `","password":"` + otherPassword + `"}`},
			404: {body: `{"token":"x","password":"` + otherPassword + `"}`},
			409: {body: `{"token":"` + invite("taken@example.com").Token + `","password":"` + otherPassword + `"}`},
		},
		"GET /api/auth/me":             {200: {as: "ana"}},
		"POST /api/auth/logout":        {204: {as: "ana"}},
		"POST /api/auth/sessions/end":  {204: {as: "ana"}},
		"POST /api/auth/password":      {200: {as: "ben", body: `{"current_password":"` + password + `","new_password":"` + otherPassword + `"}`}, 403: {as: "ben", body: `{"current_password":"wrong","new_password":"` + otherPassword + `"}`}, 429: {as: "ben", body: `{"current_password":"wrong","new_password":"` + otherPassword + `"}`}},
		"GET /api/mcp-keys/list":       byUser(""),
		"GET /api/mcp-usage/history":   byUser(filters + "&page=1&page_size=10"),
		"GET /api/mcp-usage/export":    byUser(filters + "&format=ndjson"),
		"GET /api/mcp-usage/stats":     {200: byUser("&from=2026-11-01&to=2026-11-30&by=key&limit=10&server=stock-data&tool=query_stock&table=stock_daily&outcome=ok&key_id=" + key.ID)[200], 404: byUser("&days=7")[404]},
		"GET /openapi.json":            {200: {}},
		"GET /healthz":                 {200: {}},
		"GET /readyz":                  {200: {}},
		"GET /api/users/list":          {200: {as: "root"}},
		"GET /api/users/invites/list":  {200: {as: "root"}},
		"POST /api/users/enable":       {200: {as: "root", body: `{` + ben + `}`}, 404: {as: "root", body: `{` + nobody + `}`}},
		"POST /api/users/limits":       {200: {as: "root", body: `{` + ben + `,` + limits + `}`}, 404: {as: "root", body: `{` + nobody + `,"limits":null}`}},
		"POST /api/users/sessions/end": {204: {as: "root", body: `{` + ben + `}`}, 404: {as: "root", body: `{` + nobody + `}`}},
		"POST /api/auth/signing-key/rotate": {
			204: {as: "root", body: `{"retire":true}`}, 409: {as: "root", body: `{"retire":false}`},
		},
		"POST /api/mcp-keys/create": {
			201: {as: "ana", body: `{` + keyFields + `,"expires_days":90}`, header: http.Header{idempotencyHeader: {uuid.NewString()}}},
			422: {as: "ana", body: `{"key_name":"another","expires_at":"2099-01-01"}`, header: once},
		},
		"POST /api/mcp-keys/update": {
			200: {as: "ana", body: `{"key_id":"` + key.ID + `",` + keyFields + `,"expires_at":"2099-01-01"}`},
			404: {as: "ana", body: `{` + noKey + `,"expires_days":1}`},
		},
		"POST /api/mcp-keys/revoke": {
			200: {as: "ana", body: `{"key_id":"` + create(w.ana).ID + `","reason":"lost"}`}, 404: {as: "ana", body: `{` + noKey + `}`},
		},
		"POST /api/mcp-keys/rotate": {
			201: {as: "ana", body: `{"key_id":"` + create(w.ana).ID + `","overlap_hours":1}`}, 404: {as: "ana", body: `{` + noKey + `}`},
			409: {as: "ana", body: `{"key_id":"` + rotated.ID + `"}`},
		},
		"POST /api/users/create": {
			201: {as: "root", body: `{"email":"eve@example.com","password":"` + otherPassword + `","role":"user",` + limits + `}`},
			409: {as: "root", body: credentials("ana@example.com", otherPassword)},
		},
		"POST /api/users/disable": {
			200: {as: "root", body: `{"user_id":"` + w.addUser(t, "taken@example.com", identity.Member).ID + `"}`},
			404: {as: "root", body: `{` + nobody + `}`}, 409: {as: "root", body: `{` + root + `}`},
		},
		"POST /api/users/role": {
			200: {as: "root", body: `{` + ben + `,"role":"user"}`}, 404: {as: "root", body: `{` + nobody + `,"role":"user"}`},
			409: {as: "root", body: `{` + root + `,"role":"user"}`},
		},
		"POST /api/users/invite": {
			201: {as: "root", body: `{"email":"fay@example.com","role":"admin","expires_hours":1,` + limits + `}`},
			409: {as: "root", body: `{"email":"ana@example.com"}`},
		},
		"POST /api/users/invites/withdraw": {
			204: {as: "root", body: `{"invite_id":"` + invite("gil@example.com").ID + `"}`}, 404: {as: "root", body: `{"invite_id":"x"}`},
		},
		"GET /api/audit": {
			200: {as: "root", query: "page_size=1&cursor=" + uuid.Max.String() + "&actor=ana@example.com&user=ana@example.com&target_id=" + key.ID + "&action=key.created&from=2026-01-01T00:00:00Z&to=2199-01-01T00:00:00Z"},
			404: {as: "root", query: "user=nobody@example.com"},
		},
	}
}

// TestEveryDescribedAnswer tries each operation of openapi.json with all of its
// input until every reply that is described has come, except 500, which no known
// request causes everywhere. (w.send fails the test if a reply does not have the
// described form.)
func TestEveryDescribedAnswer(t *testing.T) {
	w := newWorld(t)
	rotating := Config{Store: w.store, Ledger: w.ledger, Registration: true}
	closed := Config{Store: w.store, Ledger: w.ledger, Secret: secret}
	away := Config{Store: noStore{w.store, nil}, Ledger: faultyLedger{w.ledger, errAway}, Registration: true, Ready: func(context.Context) Readiness {
		return Readiness{NotReady, map[string]Check{"store": {Reason: "away"}, "ledger": {OK: true}, "journal": {OK: true}}}
	}}
	outside := Config{Store: noStore{w.store, errAway}, Secret: secret}
	w.serveAs(t, rotating)
	trials := w.trials(t)
	people := map[string]identity.User{"ana": w.ana, "ben": w.ben, "root": w.root}

	for path, operations := range described().Paths {
		for method, op := range operations {
			method = strings.ToUpper(method)
			name := method + " " + path
			try := func(c Config, tr trial, query string, change func(http.Header)) int {
				w.serveAs(t, c)
				defer w.server.Close()
				h := maps.Clone(tr.header)
				if h == nil {
					h = http.Header{}
				}
				if tr.as != "" {
					h.Set("Authorization", "Bearer "+w.token(t, people[tr.as]))
				}
				if change != nil {
					change(h)
				}
				return w.send(t, method, path+"?"+query, h, tr.body).status
			}
			tried := trials[name]
			good := tried[200]
			for _, status := range []int{201, 204} {
				if tr, there := tried[status]; there {
					good = tr
				}
			}
			w.checkWhole(t, name, op, tried)

			for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
				want, err := strconv.Atoi(status)
				if err != nil {
					t.Fatal(err)
				}
				tr, special := tried[want]
				var got int
				switch {
				case want == 500:
					continue
				case want == 429:
					for range 100 { // the pace of the machine may forgive a failure
						if got = try(rotating, tr, tr.query, func(http.Header) { w.throttleAll() }); got == want {
							break
						}
					}
				case name == "POST /api/auth/register" && want == 403,
					name == "POST /api/auth/signing-key/rotate" && want == 409:
					got = try(closed, tr, "", nil)
				case special:
					got = try(rotating, tr, tr.query, nil)
				case want == 400:
					got = try(rotating, good, good.query+"&nonsense=1", nil)
				case want == 401:
					got = try(rotating, good, good.query, func(h http.Header) { h.Del("Authorization") })
				case want == 403:
					bad := good
					bad.as = "ana"
					got = try(rotating, bad, good.query, nil)
				case want == 413:
					bad := good
					bad.body += strings.Repeat(" ", maxBody)
					got = try(rotating, bad, good.query, nil)
				case want == 415:
					got = try(rotating, good, good.query, func(h http.Header) { h.Set("Content-Type", "text/plain") })
				case want == 503 && name == "GET /api/auth/me":
					got = try(outside, good, good.query, nil)
				case want == 503:
					got = try(away, good, good.query, nil)
				}
				if got != want {
					t.Errorf("%s answers %d where openapi.json lets expect %d", name, got, want)
				}
			}
		}
	}
	for name := range trials {
		method, path, _ := strings.Cut(name, " ")
		if _, known := described().Paths[path][strings.ToLower(method)]; !known {
			t.Errorf("%s is tried, and not described", name)
		}
	}
}

// checkWhole checks that the requests of an operation together use all of the
// input that openapi.json describes.
func (w *world) checkWhole(t testing.TB, name string, op operation, tried map[int]trial) {
	t.Helper()
	given := map[string]bool{}
	for _, tr := range tried {
		values, err := url.ParseQuery(tr.query)
		if err != nil {
			t.Fatal(err)
		}
		for parameter := range values {
			given[parameter] = true
		}
		for header := range tr.header {
			given[header] = true
		}
		var body map[string]any
		if tr.body != "" {
			if err := json.Unmarshal([]byte(tr.body), &body); err != nil {
				t.Fatal(err)
			}
		}
		for field := range body {
			given[field] = true
		}
	}
	given["cursor"] = given["cursor"] || given["page"] // one or the other
	for _, p := range op.Parameters {
		if shared, is := strings.CutPrefix(p.Ref, "#/components/parameters/"); is {
			p = described().Components.Parameters[shared]
		}
		if !given[p.Name] {
			t.Errorf("%s is never tried with %s", name, p.Name)
		}
	}
	if op.RequestBody != nil {
		schema := strings.TrimPrefix(op.RequestBody.Content["application/json"].Schema.Ref, "#/components/schemas/")
		for field := range described().Components.Schemas[schema].(map[string]any)["properties"].(map[string]any) {
			if !given[field] {
				t.Errorf("%s is never tried with %s", name, field)
			}
		}
	}
}

// throttleAll makes as many failures as are allowed.
func (w *world) throttleAll() {
	for _, a := range []*attempts{w.api.throttle.pairs.of("127.0.0.1 throttled@example.com"), w.api.throttle.pairs.of("127.0.0.1 " + w.ben.Email), w.api.throttle.registers.of("127.0.0.1")} {
		for a.failures.Allow() {
			continue
		}
	}
}

// noStore is an unavailable store, except for checking tokens, where only the
// session may fail.
type noStore struct {
	Store
	session error
}

func (s noStore) Session(ctx context.Context, userID, tokenID string, epoch int64) (identity.User, error) {
	u, err := s.Store.Session(ctx, userID, tokenID, epoch)
	return u, errors.Join(err, s.session)
}

func (noStore) CreateUser(context.Context, identity.User) error { return errAway }
func (noStore) User(context.Context, string) (identity.User, error) {
	return identity.User{}, errAway
}
func (noStore) UserByEmail(context.Context, string) (identity.User, error) {
	return identity.User{}, errAway
}
func (noStore) Users(context.Context) ([]identity.User, error)               { return nil, errAway }
func (noStore) SetPassword(context.Context, string, string) error            { return errAway }
func (noStore) SetDisabled(context.Context, string, bool) error              { return errAway }
func (noStore) SetRole(context.Context, string, identity.Role) error         { return errAway }
func (noStore) SetUserLimits(context.Context, string, identity.Limits) error { return errAway }
func (noStore) CreateInvite(context.Context, identity.Invite) error          { return errAway }
func (noStore) Invites(context.Context) ([]identity.Invite, error)           { return nil, errAway }
func (noStore) InviteByDigest(context.Context, identity.Digest) (identity.Invite, error) {
	return identity.Invite{}, errAway
}
func (noStore) WithdrawInvite(context.Context, string) error { return errAway }
func (noStore) Receipt(context.Context, string, identity.Digest, time.Time) (identity.Receipt, error) {
	return identity.Receipt{}, errAway
}
func (noStore) Key(context.Context, string) (identity.Key, error)    { return identity.Key{}, errAway }
func (noStore) Keys(context.Context, string) ([]identity.Key, error) { return nil, errAway }
func (noStore) UpdateKey(context.Context, string, string, identity.KeyChange) (identity.Key, error) {
	return identity.Key{}, errAway
}
func (noStore) RevokeKey(context.Context, string, string, time.Time, string) (identity.Key, error) {
	return identity.Key{}, errAway
}
func (noStore) RevokeToken(context.Context, string, string, time.Time) error { return errAway }
func (noStore) EndSessions(context.Context, string) error                    { return errAway }
func (noStore) AddSigningKey(context.Context, identity.SigningKey, time.Time) (bool, error) {
	return false, errAway
}
func (noStore) AuditLog(context.Context, identity.AuditQuery) ([]identity.AuditEntry, error) {
	return nil, errAway
}
