package gate_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

const listRequest = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

// TestReasons provokes refusals. Each is counted by its reason, logged with what
// is known of the key, and shown to access logs; the client is told what the seed
// says and no more.
func TestReasons(t *testing.T) {
	u := gatetest.StartUpstream(t)
	var values gate.Values
	s := startSite(t, u.Address(), func(c *gate.Config) {
		c.MaxBody = 100 << 10
		c.Attach = func(_ *http.Request, v gate.Values) { values = v }
	})
	live, liveRecord := s.issue(t, identity.KeySpec{Name: "live", Scopes: []string{"query_*"}, Limits: identity.Limits{CallsPerDay: 1}})
	revoked, revokedRecord := s.issue(t, identity.KeySpec{Name: "revoked"})
	s.revoke(t, revokedRecord)
	expiredRecord, expired, err := identity.KeyFormat{}.Issue(owner, identity.KeySpec{Name: "expired"})
	if err != nil {
		t.Fatal(err)
	}
	expiredRecord.ExpiresAt = time.Now().Add(-time.Hour)
	if err := s.authority.CreateKey(t.Context(), expiredRecord); err != nil {
		t.Fatal(err)
	}
	disabled, disabledRecord := s.issueTo(t, stranger, identity.KeySpec{Name: "disabled"})
	if err := s.authority.SetDisabled(t.Context(), stranger, true); err != nil {
		t.Fatal(err)
	}
	unknown, _, _ := identity.KeyFormat{}.NewKey()

	const invalid = "Invalid or expired API key"
	call := func(tool string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{}}}`
	}
	for _, c := range []struct {
		reason, key, body string
		headers           []string
		status            int
		message           string
		log               []string
	}{
		{reason: "no_key", body: listRequest, status: 401, message: "API key required", log: []string{"method=tools/list"}},
		{reason: "malformed_key", key: mistype(live), body: listRequest, status: 401, message: invalid, log: []string{"key_prefix=" + live[:11] + "…"}},
		{reason: "malformed_key", key: "hunter2-of-somebody", body: listRequest, status: 401, message: invalid},
		{reason: "two_keys", key: live, body: listRequest, headers: []string{"X-API-Key: " + revoked}, status: 401, message: "More than one API key"},
		{reason: "unknown_key", key: unknown, body: listRequest, status: 401, message: invalid, log: []string{"key_prefix=" + unknown[:11] + "…"}},
		{reason: "revoked", key: revoked, body: listRequest, status: 401, message: invalid, log: []string{"key_id=" + revokedRecord.ID}},
		{reason: "expired", key: expired, body: listRequest, status: 401, message: invalid, log: []string{"key_id=" + expiredRecord.ID}},
		{reason: "user_disabled", key: disabled, body: listRequest, status: 401, message: invalid, log: []string{"key_id=" + disabledRecord.ID}},
		{reason: "scope", key: live, body: call("run_sql"), status: 200, message: "may not call", log: []string{"tool=run_sql", "key_id=" + liveRecord.ID, "user_id=" + owner}},
		{reason: "origin", key: live, body: listRequest, headers: []string{"Origin: https://evil.example"}, status: 403, message: "Origin not allowed"},
		{reason: "body", key: live, body: listRequest + listRequest, status: 400, message: "", log: []string{"key_id=" + liveRecord.ID}},
		{reason: "too_large", key: live, body: strings.Repeat(" ", 100<<10+1), status: 413, message: "longer than 102400 bytes"},
	} {
		s.log.clear()
		counted := s.refusals(c.reason)
		headers := c.headers
		if c.key != "" {
			headers = append(headers, "Authorization: Bearer "+c.key)
		}
		a := do(t, "POST", s.url, c.body, headers...)
		if a.status != c.status || !strings.Contains(a.body, c.message) {
			t.Errorf("%s: answered %d %s", c.reason, a.status, a.body)
		}
		if c.message == invalid && a.body != `{"jsonrpc":"2.0","id":1,"error":{"code":40102,"message":"Invalid or expired API key"}}` {
			t.Errorf("%s: the client is told %s", c.reason, a.body)
		}
		if n := s.refusals(c.reason) - counted; n != 1 {
			t.Errorf("%s: counted %d times", c.reason, n)
		}
		log := s.log.String()
		for _, want := range append(c.log, "level=DEBUG", "reason="+c.reason, fmt.Sprint("status=", c.status), "server=default", "client_ip=127.0.0.1", "http_method=POST") {
			if !strings.Contains(log, want) {
				t.Errorf("%s: the log lacks %q:\n%s", c.reason, want, log)
			}
		}
		if c.key != "" && strings.Contains(log, c.key[min(12, len(c.key)-1):]) || strings.Contains(log, "hunter2") {
			t.Errorf("%s: the log shows a key:\n%s", c.reason, log)
		}
		if got := values.Value("refusal"); got != c.reason {
			t.Errorf("%s: an access log is told %q", c.reason, got)
		}
	}

	// What is not refused is told, too.
	if a := s.post(t, live, call("query_a")); a.status != http.StatusOK {
		t.Fatalf("a call answers %d %s", a.status, a.body)
	}
	for name, want := range map[string]string{"server": "default", "refusal": "", "user_id": owner, "key_id": liveRecord.ID, "key_prefix": "", "tool": "query_a", "outcome": "ok", "other": ""} {
		if got := values.Value(name); got != want {
			t.Errorf("an access log is told %s=%q, want %q", name, got, want)
		}
	}
	limited(t, s.post(t, live, call("query_a")), "1", "1 call a day")
	if got := [2]string{values.Value("refusal"), values.Value("outcome")}; got != [2]string{"calls_per_day", "http_error"} || s.refusals("calls_per_day") != 1 {
		t.Errorf("an access log is told %q of a call over a limit", got)
	}

	bad := *s.backend.Load()
	bad.Authenticator = stubAuthenticator{err: errors.New("the store is away")}
	s.backend.Store(&bad)
	s.post(t, live, listRequest)
	if s.refusals("unavailable") != 1 {
		t.Errorf("counted %v", s.calls.Counters().Counts().Refusals)
	}
	for server, counts := range s.calls.Counters().Counts().Refusals {
		for _, reason := range gate.Reasons {
			if _, ok := counts[reason]; !ok {
				t.Errorf("%s: %s has no count", server, reason)
			}
		}
	}
}

// TestKeyHeaders: a key counts as a bearer token, without a scheme, and in
// X-API-Key, and goes upstream in none of them. A header with an underscore or a
// dot is neither one with a hyphen nor passed on: some servers take one for the
// other.
func TestKeyHeaders(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	for _, headers := range [][]string{
		{"Authorization: Bearer " + key}, {"Authorization: bearer  " + key}, {"Authorization: " + key}, {"X-API-Key: " + key}, {"x-api-key: " + key},
		{"Authorization: Bearer " + key, "X-API-Key: " + key}, {"Authorization: " + key, "X-API-Key: " + key}, {"Authorization: ", "X-API-Key: " + key},
	} {
		if a := do(t, "POST", s.url, listRequest, headers...); a.status != http.StatusOK {
			t.Errorf("%d key headers answer %d %s", len(headers), a.status, a.body)
		}
		for name, values := range u.Last.Load().Header {
			if strings.Contains(strings.Join(values, " "), key[3:]) {
				t.Errorf("the upstream got the key in %s", name)
			}
		}
	}

	reached := u.Requests.Load()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url, strings.NewReader(listRequest))
	if err != nil {
		t.Fatal(err)
	}
	// As they are on the wire: http.Header would not change them either.
	for _, name := range []string{"X_API_Key", "Mcp_Session_Id", "Mcp-Session_Id", "Mcp_Protocol_Version", "AUTHORIZATION_", "_Authorization", "X_Forwarded_For", "X.API.Key", "Mcp.Session.Id"} {
		req.Header[name] = []string{key}
	}
	req.Header.Set("Content-Type", "application/json")
	if a := read(t, req); a.status != http.StatusUnauthorized || u.Requests.Load() != reached {
		t.Errorf("a key in headers with underscores answers %d %s", a.status, a.body)
	}
	req.Body, _ = req.GetBody()
	req.Header.Set("Authorization", "Bearer "+key)
	if a := read(t, req); a.status != http.StatusOK {
		t.Errorf("a request with underscores in its headers answers %d %s", a.status, a.body)
	}
	for name := range u.Last.Load().Header {
		if strings.ContainsAny(name, "_.") {
			t.Errorf("the upstream got %s", name)
		}
	}
}
