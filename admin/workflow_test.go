package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

// event returns a user's call as the gate would record it.
func event(u identity.User, k listedKey, tool string, at time.Time, records usage.NullInt64, tables ...string) usage.Event {
	return usage.Event{
		ID: uuid.Must(uuid.NewV7()), Time: at.UTC().Truncate(time.Microsecond),
		UserID: u.ID, UserEmail: u.Email, KeyID: k.ID, KeyName: k.Name,
		Tool: tool, Tables: tables, RecordCount: records, Outcome: usage.OK, HTTPStatus: usage.Int64(200),
		DurationUS: 1500, RequestBytes: 120, ResponseBytes: 4096, RequestID: "1", RemoteIP: "192.0.2.7",
	}
}

// record writes events to the ledger.
func (w *world) record(t testing.TB, events ...usage.Event) {
	t.Helper()
	if err := w.ledger.Write(t.Context(), usage.Batch{Token: uuid.NewString(), Events: events}); err != nil {
		t.Fatal(err)
	}
}

// TestWorkflow does what a user does: log in, create a key, see its usage, revoke
// it.
func TestWorkflow(t *testing.T) {
	w := newWorld(t)

	token := into[loginAnswer](t, w.do(t, "POST", "/api/auth/login", nil, `{"email":" Ana@Example.com ","password":"`+password+`"}`), 200)
	if token.TokenType != "bearer" || token.ExpiresIn != 3600 {
		t.Errorf("login answers %q for %d s", token.TokenType, token.ExpiresIn)
	}
	asAna := http.Header{"Authorization": {"Bearer " + token.AccessToken}}

	before := time.Now()
	created := into[createdKey](t, w.do(t, "POST", "/api/mcp-keys/create", asAna, `{"key_name": "my-cursor-key", "expires_days": 90}`), 201)
	if !regexp.MustCompile("^"+identity.KeyFormat{}.Pattern()+"$").MatchString(created.Key) || !identity.WellFormed(created.Key) {
		t.Errorf("api_key is %q", created.Key)
	}
	if !strings.HasPrefix(created.Key, strings.TrimSuffix(created.Prefix, "…")) {
		t.Errorf("key_prefix is %q", created.Prefix)
	}
	if life := created.ExpiresAt.Sub(before); life < 90*24*time.Hour || life > 90*24*time.Hour+time.Minute {
		t.Errorf("the key lives for %v", life)
	}
	k, u, err := w.users.KeyByDigest(t.Context(), identity.DigestOf(created.Key))
	if err != nil || k.ID != created.ID || u.ID != w.ana.ID {
		t.Errorf("the store has key %q of %q: %v", k.ID, u.Email, err)
	}

	listed := into[items[keyItem]](t, w.do(t, "GET", "/api/mcp-keys/list", asAna, ""), 200)
	want := listedKey{
		ID: created.ID, Name: "my-cursor-key", Prefix: created.Prefix, Status: identity.Active,
		CreatedAt: created.CreatedAt, ExpiresAt: created.ExpiresAt, Scopes: []string{}, Limits: showLimits(identity.Limits{}),
	}
	inList := func(k listedKey, calls int64) items[keyItem] {
		return items[keyItem]{[]keyItem{{listedKey: k, CallsThisMonth: &calls}}}
	}
	if diff := cmp.Diff(inList(want, 0), listed, cmp.AllowUnexported(keyItem{})); diff != "" {
		t.Errorf("list differs:\n%s", diff)
	}

	var events []usage.Event // newest first
	for i := range 25 {
		events = append(events, event(w.ana, want, fmt.Sprintf("query_%d", i%3), time.Now().Add(-time.Duration(i)*time.Second), usage.Int64(10), "stock_daily"))
	}
	w.record(t, events...)
	history := into[historyAnswer](t, w.do(t, "GET", "/api/mcp-usage/history?page=1&page_size=20", asAna, ""), 200)
	next := usage.Cursor{Time: events[19].Time, ID: events[19].ID}.String()
	if diff := cmp.Diff(historyAnswer{events[:20], 1, 20, 25, &next}, history); diff != "" {
		t.Errorf("page 1 differs:\n%s", diff)
	}
	history = into[historyAnswer](t, w.do(t, "GET", "/api/mcp-usage/history?page=2&page_size=20", asAna, ""), 200)
	if diff := cmp.Diff(historyAnswer{events[20:], 2, 20, 25, nil}, history); diff != "" {
		t.Errorf("page 2 differs:\n%s", diff)
	}
	stats := into[usage.Stats](t, w.do(t, "GET", "/api/mcp-usage/stats?days=30", asAna, ""), 200)
	if stats.Days != 30 || len(stats.Daily) != 30 || stats.TotalCalls != 25 || stats.TotalRecords != 250 {
		t.Errorf("stats are of %d days in %d entries: %d calls, %d records", stats.Days, len(stats.Daily), stats.TotalCalls, stats.TotalRecords)
	}
	if diff := cmp.Diff([]usage.ToolUsage{{Tool: "query_0", Calls: 9, Records: 90}, {Tool: "query_1", Calls: 8, Records: 80}, {Tool: "query_2", Calls: 8, Records: 80}}, stats.TopTools); diff != "" {
		t.Errorf("top tools differ:\n%s", diff)
	}
	if diff := cmp.Diff([]usage.TableUsage{{Table: "stock_daily", Calls: 25, Records: 250}}, stats.TopTables); diff != "" {
		t.Errorf("top tables differ:\n%s", diff)
	}

	revoked := into[listedKey](t, w.do(t, "POST", "/api/mcp-keys/revoke", asAna, `{"key_id": "`+created.ID+`"}`), 200)
	if revoked.Status != identity.Revoked || revoked.RevokedAt == nil || revoked.ID != created.ID {
		t.Errorf("revoke answers %+v", revoked)
	}
	again := into[listedKey](t, w.do(t, "POST", "/api/mcp-keys/revoke", asAna, `{"key_id": "`+strings.ToUpper(created.ID)+`"}`), 200)
	if diff := cmp.Diff(revoked, again); diff != "" {
		t.Errorf("revoking again differs:\n%s", diff)
	}
	listed = into[items[keyItem]](t, w.do(t, "GET", "/api/mcp-keys/list", asAna, ""), 200)
	calls := *listed.Items[0].CallsThisMonth // some may be of another month
	if diff := cmp.Diff(inList(revoked, calls), listed, cmp.AllowUnexported(keyItem{})); diff != "" {
		t.Errorf("list after revoking differs:\n%s", diff)
	}

	for _, secret := range []string{created.Key, token.AccessToken, password} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// TestNewcomer: a user without keys and calls gets empty lists, not nulls.
func TestNewcomer(t *testing.T) {
	w := newWorld(t)
	if got := string(w.as(t, w.ana, "GET", "/api/mcp-keys/list", "").body); got != `{"items":[]}`+"\n" {
		t.Errorf("list is %s", got)
	}
	if got := string(w.as(t, w.ana, "GET", "/api/mcp-usage/history", "").body); got != `{"items":[],"page":1,"page_size":20,"total":0,"next_cursor":null}`+"\n" {
		t.Errorf("history is %s", got)
	}
	stats := into[map[string]any](t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats?days=2", ""), 200)
	if diff := cmp.Diff([]any{}, stats["top_tools"]); diff != "" {
		t.Errorf("top_tools differ:\n%s", diff)
	}
	if daily := stats["daily"].([]any); len(daily) != 2 {
		t.Errorf("daily is %v", daily)
	}
}

// TestSeparation: only an admin sees and revokes other users' keys.
func TestSeparation(t *testing.T) {
	w := newWorld(t)
	keys := map[string]createdKey{}
	for _, u := range []identity.User{w.ana, w.ben, w.root} {
		k := into[createdKey](t, w.as(t, u, "POST", "/api/mcp-keys/create", `{"key_name":"of `+u.Email+`"}`), 201)
		keys[u.Email] = k
		w.record(t, event(u, listedKey{ID: k.ID, Name: k.Name}, "tool of "+u.Email, time.Now(), usage.NullInt64{}))
	}

	see := func(as identity.User, query string) (names, owners, tools []string, calls int64) {
		t.Helper()
		for _, k := range into[items[keyItem]](t, w.as(t, as, "GET", "/api/mcp-keys/list"+query, ""), 200).Items {
			names, owners = append(names, k.Name), append(owners, k.UserEmail)
		}
		for _, e := range into[historyAnswer](t, w.as(t, as, "GET", "/api/mcp-usage/history"+query, ""), 200).Items {
			tools = append(tools, e.Tool)
		}
		return names, owners, tools, into[usage.Stats](t, w.as(t, as, "GET", "/api/mcp-usage/stats"+query, ""), 200).TotalCalls
	}
	for _, c := range []struct {
		as     identity.User
		query  string
		emails []string // whose keys and calls are seen, newest first
		owners bool
	}{
		{w.ana, "", []string{"ana@example.com"}, false},
		{w.ben, "", []string{"ben@example.com"}, false},
		{w.root, "", []string{"root@example.com"}, false},
		{w.root, "?user=all", []string{"root@example.com", "ben@example.com", "ana@example.com"}, true},
		{w.root, "?user=Ana@example.com", []string{"ana@example.com"}, true},
		{w.root, "?user=root@example.com", []string{"root@example.com"}, true},
	} {
		names, owners, tools, calls := see(c.as, c.query)
		var wantNames, wantOwners, wantTools []string
		for _, email := range c.emails {
			wantNames, wantTools = append(wantNames, "of "+email), append(wantTools, "tool of "+email)
			if !c.owners {
				email = ""
			}
			wantOwners = append(wantOwners, email)
		}
		if diff := cmp.Diff([][]string{wantNames, wantOwners, wantTools}, [][]string{names, owners, tools}); diff != "" || calls != int64(len(c.emails)) {
			t.Errorf("%s sees with %q %d calls, and differently:\n%s", c.as.Email, c.query, calls, diff)
		}
	}

	for _, path := range []string{"/api/mcp-keys/list", "/api/mcp-usage/history", "/api/mcp-usage/stats"} {
		for _, user := range []string{"all", w.ben.Email, w.ana.Email, "nobody@example.com", "?"} {
			refused(t, w.as(t, w.ana, "GET", path+"?user="+url.QueryEscape(user), ""), 403, "forbidden", "only an admin")
		}
		refused(t, w.as(t, w.root, "GET", path+"?user=nobody@example.com", ""), 404, "not_found", `no user with the address "nobody@example.com"`)
		refused(t, w.as(t, w.root, "GET", path+"?user=ALL", ""), 400, "invalid_request", "user must be all or")
	}
	// Filtering by another user's key finds nothing.
	if h := into[historyAnswer](t, w.as(t, w.ana, "GET", "/api/mcp-usage/history?key_id="+keys[w.ben.Email].ID, ""), 200); h.Total != 0 {
		t.Errorf("ana sees %d calls of ben's key", h.Total)
	}

	refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/revoke", `{"key_id":"`+keys[w.ben.Email].ID+`"}`), 404, "not_found", "no key with the key_id")
	refused(t, w.as(t, w.ana, "POST", "/api/mcp-keys/revoke", `{"key_id":"`+keys[w.root.Email].ID+`"}`), 404, "not_found", "no key with the key_id")
	if k := into[listedKey](t, w.as(t, w.root, "POST", "/api/mcp-keys/revoke", `{"key_id":"`+keys[w.ben.Email].ID+`"}`), 200); k.Status != identity.Revoked {
		t.Errorf("the admin's revocation answers %+v", k)
	}
}
