package gate_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// sessionUpstream opens a session for each initialize, and answers all else with
// an empty result.
func sessionUpstream() http.HandlerFunc {
	var opened atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"initialize"`) {
			w.Header().Set("Mcp-Session-Id", cmp.Or(r.Header.Get("Mcp-Session-Id"), fmt.Sprint("session-", opened.Add(1))))
		}
		w.Header().Set("Content-Type", "application/json")
		var request struct{ ID json.RawMessage }
		if json.Unmarshal(body, &request) != nil || request.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`, request.ID)
	}
}

// TestSessions: a session belongs to its first user. To everyone else it does not
// exist.
func TestSessions(t *testing.T) {
	s := startSite(t, startHandler(t, sessionUpstream()))
	mine, other := s.key(t), s.key(t)
	theirs, _ := s.issueTo(t, stranger, identity.KeySpec{Name: "theirs"})

	open := func(headers ...string) string {
		a := do(t, "POST", s.url, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"tester","version":"9"}}}`, headers...)
		if a.status != http.StatusOK || a.header.Get("Mcp-Session-Id") == "" {
			t.Fatalf("initialize answers %d %v %s", a.status, a.header, a.body)
		}
		id := "Mcp-Session-Id: " + a.header.Get("Mcp-Session-Id")
		do(t, "POST", s.url, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, id)
		return id
	}
	list := func(session, key string) answer {
		return do(t, "POST", s.url, `{"jsonrpc":"2.0","id":"l","method":"tools/list"}`, session, "Authorization: Bearer "+key)
	}
	for name, session := range map[string]string{
		"opened with a key": open("Authorization: Bearer " + mine),
		"opened without":    open(),
	} {
		if a := list(session, mine); a.status != http.StatusOK {
			t.Errorf("%s: its user gets %d %s", name, a.status, a.body)
		}
		if a := list(session, other); a.status != http.StatusOK {
			t.Errorf("%s: its user gets with another key %d %s", name, a.status, a.body)
		}
		want := `{"jsonrpc":"2.0","id":"l","error":{"code":40401,"message":"Session not found"}}`
		if a := list(session, theirs); a.status != http.StatusNotFound || a.body != want {
			t.Errorf("%s: another user gets %d %s", name, a.status, a.body)
		}
		for _, method := range []string{"GET", "DELETE"} {
			if a := do(t, method, s.url, "", session, "Authorization: Bearer "+theirs, "Accept: text/event-stream"); a.status != http.StatusNotFound {
				t.Errorf("%s: another user's %s gets %d %s", name, method, a.status, a.body)
			}
		}
		if a := list(session, mine); a.status != http.StatusOK {
			t.Errorf("%s: afterwards its user gets %d %s", name, a.status, a.body)
		}
		// Another initialize in the session, with no key or theirs, does not make
		// it theirs.
		for _, auth := range []string{"X-None: 0", "Authorization: Bearer " + theirs} {
			do(t, "POST", s.url, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"thief","version":"9"}}}`, session, auth)
		}
		if a := list(session, theirs); a.status != http.StatusNotFound {
			t.Errorf("%s: after another initialize another user gets %d %s", name, a.status, a.body)
		}
		call := `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{}}}`
		if a := do(t, "POST", s.url, call, session, "Authorization: Bearer "+mine); a.status != http.StatusOK {
			t.Errorf("%s: a call answers %d %s", name, a.status, a.body)
		}
	}
	for _, row := range s.journal.Await(t, 2) {
		if row["client_name"] != "tester" || row["client_version"] != "9" || row["session_id"] == nil {
			t.Errorf("the row of a session's call is %v", row)
		}
	}
}

// TestSessionIsBoundAtOnce: a session that was opened with a key is its user's from
// the first message on, and takes no public message without the user's key.
func TestSessionIsBoundAtOnce(t *testing.T) {
	var reached atomic.Int64
	upstream := sessionUpstream()
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		upstream(w, r)
	}))
	mine := "Authorization: Bearer " + s.key(t)
	key, _ := s.issueTo(t, stranger, identity.KeySpec{Name: "theirs"})
	theirs, none := "Authorization: Bearer "+key, "X-None: 0"
	a := do(t, "POST", s.url, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","clientInfo":{"name":"tester","version":"9"}}}`, mine)
	session := "Mcp-Session-Id: " + a.header.Get("Mcp-Session-Id")

	before := reached.Load()
	for _, auth := range []string{theirs, none, "Authorization: Bearer sk-wrong"} {
		for method, id := range map[string]string{"ping": `"p"`, "initialize": `"p"`, "server/discover": `"p"`, "notifications/initialized": ""} {
			body, want := `{"jsonrpc":"2.0","method":"`+method+`"}`, "null"
			if id != "" {
				body, want = `{"jsonrpc":"2.0","id":`+id+`,"method":"`+method+`"}`, id
			}
			a := do(t, "POST", s.url, body, session, auth)
			if a.status != http.StatusNotFound || a.body != `{"jsonrpc":"2.0","id":`+want+`,"error":{"code":40401,"message":"Session not found"}}` {
				t.Errorf("%s with %s answers %d %s", method, auth, a.status, a.body)
			}
		}
	}
	if a := do(t, "POST", s.url, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, session, theirs); a.status != http.StatusNotFound {
		t.Errorf("the first call in the session is another user's and answers %d %s", a.status, a.body)
	}
	if n := reached.Load() - before; n != 0 {
		t.Errorf("%d messages reached the upstream", n)
	}
	for _, body := range []string{`{"jsonrpc":"2.0","method":"notifications/initialized"}`, `{"jsonrpc":"2.0","id":2,"method":"ping"}`, gatetest.CallBody("rows")} {
		if a := do(t, "POST", s.url, body, session, mine); a.status >= 300 {
			t.Errorf("%s of the session's user answers %d %s", body, a.status, a.body)
		}
	}
	if row := s.journal.Await(t, 1)[0]; row["client_name"] != "tester" {
		t.Errorf("the row of the session's call is %v", row)
	}
	// A session without an owner takes public messages without a key.
	if a := do(t, "POST", s.url, `{"jsonrpc":"2.0","id":2,"method":"ping"}`, "Mcp-Session-Id: nobody's", none); a.status != http.StatusOK {
		t.Errorf("a ping in a session without an owner answers %d %s", a.status, a.body)
	}
}

// TestSessionsOfServers: two servers may have sessions of one name.
func TestSessionsOfServers(t *testing.T) {
	upstream := startHandler(t, sessionUpstream())
	s, other := startSite(t, upstream), startSite(t, upstream, func(c *gate.Config) { c.Server = "other" })
	other.backend.Store(s.backend.Load())
	theirs, _ := s.issueTo(t, stranger, identity.KeySpec{Name: "theirs"})
	list := `{"jsonrpc":"2.0","id":"l","method":"tools/list"}`
	const session = "Mcp-Session-Id: 1"
	for i, c := range []struct {
		url, key string
		status   int
	}{{s.url, s.key(t), 200}, {other.url, theirs, 200}, {s.url, theirs, 404}, {other.url, s.key(t), 404}} {
		if a := do(t, "POST", c.url, list, session, "Authorization: Bearer "+c.key); a.status != c.status {
			t.Errorf("%d: answers %d %s", i, a.status, a.body)
		}
	}
}

// TestOrigin: a page of another origin gets nowhere, and a page of an allowed
// origin can preflight, call, and read what it needs.
func TestOrigin(t *testing.T) {
	upstream := startHandler(t, sessionUpstream())
	s := startSite(t, upstream)
	key := s.key(t)
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for _, origin := range []string{"https://evil.example", "null", "https://localhost.evil.example", "file://localhost", "localhost"} {
		if a := do(t, "POST", s.url, ping, "Origin: "+origin, "Authorization: Bearer "+key); a.status != http.StatusForbidden || !strings.Contains(a.body, `"code":40301`) {
			t.Errorf("origin %s gets %d %s", origin, a.status, a.body)
		}
	}

	s = startSite(t, upstream, func(c *gate.Config) { c.AllowOrigin = []string{"https://app.example.com"} })
	const page = "Origin: https://app.example.com"
	a := do(t, "OPTIONS", s.url, "", page, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type,mcp-session-id")
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") || a.header.Get("Access-Control-Allow-Headers") != "authorization,content-type,mcp-session-id" {
		t.Errorf("the preflight gets %d %v", a.status, a.header)
	}
	readable := func(what string, a answer, status int) {
		if a.status != status || fmt.Sprint(a.header["Access-Control-Allow-Origin"]) != "[https://app.example.com]" ||
			!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Mcp-Session-Id") || a.header.Get("Vary") != "Origin" {
			t.Errorf("%s gets %d %v", what, a.status, a.header)
		}
	}
	readable("an allowed page without a key", do(t, "POST", s.url, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, page), http.StatusUnauthorized)
	readable("an allowed page", do(t, "POST", s.url, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"p","version":"1"}}}`, page), http.StatusOK)
	if a := do(t, "OPTIONS", s.url, "", "Origin: https://evil.example", "Access-Control-Request-Method: POST"); a.status != http.StatusForbidden {
		t.Errorf("the preflight of another page gets %d", a.status)
	}
}
