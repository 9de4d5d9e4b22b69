package gate_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/mcp/scan"
)

// TestUnavailable: what the gate cannot check or record is refused with 503 and
// does not reach the upstream. Public messages pass as long as there is a gate.
func TestUnavailable(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key, _ := s.issue(t, identity.KeySpec{Name: "k", Limits: identity.Limits{CallsPerDay: 100}})
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	refused := func(what, body, message string, code int) {
		t.Helper()
		reached := u.Requests.Load()
		a := s.post(t, key, body)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "1" || a.header.Get("Content-Type") != "application/json" ||
			!strings.HasSuffix(a.body, fmt.Sprintf(`,"error":{"code":%d,"message":%q}}`, code, message)) {
			t.Errorf("%s: %d %v %s", what, a.status, a.header, a.body)
		}
		if u.Requests.Load() != reached {
			t.Errorf("%s: the request reached the upstream", what)
		}
	}
	passes := func(what, body string) {
		t.Helper()
		if a := s.post(t, key, body); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}

	good := s.backend.Swap(nil)
	refused("no backend", ping, "The gate is starting; try again", 50301)

	bad := *good
	bad.Authenticator = stubAuthenticator{err: errors.New("the store is away")}
	s.backend.Store(&bad)
	refused("no store", gatetest.CallBody("rows"), "The key cannot be checked now; try again", 50301)
	if !strings.Contains(s.log.String(), "the store is away") {
		t.Error("the log does not say why keys cannot be checked")
	}
	passes("no store, public", ping)

	closed := quota.NewLimiter(s.authority)
	closed.Close()
	unlimited := *good
	unlimited.Limiter = closed
	s.backend.Store(&unlimited)
	refused("no limiter", gatetest.CallBody("rows"), "The limits of the key cannot be checked now; try again", 50301)
	passes("no limiter, no call", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)

	if n := s.journal.Len(); n != 0 {
		t.Errorf("refused requests left %d events", n)
	}
}

// TestFullJournalRefuses: while the journal admits no calls they are answered with
// 503 before they reach the upstream, and nothing else is.
func TestFullJournalRefuses(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	s.journal.Refuse(errors.New("full"))
	for _, id := range []string{`7`, `"seven"`} {
		a := s.post(t, key, strings.Replace(gatetest.CallBody("rows"), `"id":1`, `"id":`+id, 1))
		if want := `{"jsonrpc":"2.0","id":` + id + `,"error":{"code":50302,"message":"Usage cannot be recorded now; try again"}}`; a.status != http.StatusServiceUnavailable ||
			a.body != want || a.header.Get("Retry-After") != "1" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("a full journal: %d %v %s", a.status, a.header, a.body)
		}
	}
	if n := u.Requests.Load(); n != 0 {
		t.Errorf("%d refused calls reached the upstream", n)
	}
	if a := do(t, "POST", s.url, gatetest.CallBody("rows")); a.status != http.StatusUnauthorized {
		t.Errorf("a call without a key: %d %s", a.status, a.body)
	}
	for i, method := range []string{"ping", "initialize", "tools/list"} {
		s.post(t, key, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q}`, method))
		if u.Requests.Load() != int64(i)+1 {
			t.Errorf("%s does not reach the upstream", method)
		}
	}
	s.journal.Refuse(nil)
	if a := s.post(t, key, gatetest.CallBody("rows")); a.status != http.StatusOK {
		t.Errorf("when there is room again: %d %s", a.status, a.body)
	}
	s.journal.Await(t, 1)
}

// TestMaxBody: a body over max_body is refused, one of 64 KiB and more needs a live
// key before it is read, and neither reaches the upstream.
func TestMaxBody(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address(), func(c *gate.Config) { c.MaxBody = 100 << 10 })
	key := s.key(t)
	padded := func(size int) string {
		const begin, end = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"`, `"}}`
		return begin + strings.Repeat("x", size-len(begin)-len(end)) + end
	}
	for _, c := range []struct {
		what, key    string
		size         int
		status, code int
		reaches      bool
	}{
		{what: "as much as needs no key", size: 64 << 10, status: 200, reaches: true},
		{what: "a byte more", size: 64<<10 + 1, status: 401, code: 40101},
		{what: "a byte more with a key", key: key, size: 64<<10 + 1, status: 200, reaches: true},
		{what: "a byte more with no live key", key: mistype(key), size: 64<<10 + 1, status: 401, code: 40102},
		{what: "as much as is read", key: key, size: 100 << 10, status: 200, reaches: true},
		{what: "too much", key: key, size: 100<<10 + 1, status: 413, code: 41301},
	} {
		for _, declared := range []bool{true, false} {
			reached := u.Requests.Load()
			req, err := http.NewRequestWithContext(t.Context(), "POST", s.url, strings.NewReader(padded(c.size)))
			if err != nil {
				t.Fatal(err)
			}
			if !declared {
				req.ContentLength = -1
			}
			req.Header.Set("Content-Type", "application/json")
			if c.key != "" {
				req.Header.Set("Authorization", "Bearer "+c.key)
			}
			a := read(t, req)
			if a.status != c.status || c.code != 0 && !strings.Contains(a.body, fmt.Sprintf(`"code":%d`, c.code)) {
				t.Errorf("%s, declared %t: %d %s", c.what, declared, a.status, a.body)
			}
			if reaches := u.Requests.Load() != reached; reaches != c.reaches {
				t.Errorf("%s, declared %t: reaches the upstream: %t", c.what, declared, reaches)
			}
		}
	}
}

// TestMalformed: requests that the strict reader of the headers and the body
// refuses, beside those of TestRefused.
func TestMalformed(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	message := func(id string) string { return `{"jsonrpc":"2.0","id":` + id + `,"method":"ping"}` }
	batch := "["
	for i := range 101 {
		batch += message(strconv.Itoa(i)) + ","
	}
	batch = strings.TrimSuffix(batch, ",") + "]"
	for _, c := range []struct {
		what, method, body string
		headers            [][2]string
		length             int64 // declared; 0: the body's
		message            string
	}{
		{what: "two sessions", method: "POST", body: message("1"), headers: [][2]string{{"Mcp-Session-Id", "a"}, {"Mcp-Session-Id", "b"}}, message: "there is more than one Mcp-Session-Id"},
		{what: "a session with a no-break space", method: "POST", body: message("1"), headers: [][2]string{{"Mcp-Session-Id", "a\xa0"}}, message: "the header Mcp-Session-Id has a character that is not visible ASCII"},
		{what: "a session with a space", method: "POST", body: message("1"), headers: [][2]string{{"Mcp-Session-Id", "a, a"}}, message: "the header Mcp-Session-Id has a character that is not visible ASCII"},
		{what: "two revisions", method: "POST", body: message("1"), headers: [][2]string{{"Mcp-Protocol-Version", "2025-06-18"}, {"Mcp-Protocol-Version", "2025-11-25"}}, message: "there is more than one Mcp-Protocol-Version"},
		{what: "a GET with a body", method: "GET", body: message("1"), message: "a GET carries no body"},
		{what: "a DELETE with a body", method: "DELETE", body: message("1"), message: "a DELETE carries no body"},
		{what: "a body that ends early", method: "POST", body: message("1"), length: 1000, message: "the body ended early"},
		{what: "a batch of too many", method: "POST", body: batch, message: "a batch has more than 100 messages"},
	} {
		r := httptest.NewRequest(c.method, "/messages", strings.NewReader(c.body))
		if c.length > 0 {
			r.ContentLength = c.length
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+key)
		for _, h := range c.headers {
			r.Header.Add(h[0], h[1])
		}
		w := httptest.NewRecorder()
		if err := s.gate.ServeHTTP(w, r, s.forward); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), c.message) {
			t.Errorf("%s answers %d %s", c.what, w.Code, w.Body)
		}
	}
	if n := u.Requests.Load(); n != 0 {
		t.Errorf("%d refused requests reached the upstream", n)
	}
}

// TestConfigRefused: New says which part of a config is wrong.
func TestConfigRefused(t *testing.T) {
	for want, c := range map[string]gate.Config{
		"max_body: -1 is not from 1 to 1073741824":     {MaxBody: -1},
		`allow_origin: "app.example.com" is no origin`: {AllowOrigin: []string{"app.example.com"}},
		`tool "x": table: `:                            {Rules: []scan.Rule{{Tool: "x", Tables: []string{"somewhere"}}}},
	} {
		if _, err := gate.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New returns %v, want an error with %q", err, want)
		}
	}
}
