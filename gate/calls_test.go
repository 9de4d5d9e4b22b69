package gate_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// TestOutcomes: the row of a call says how it ended.
func TestOutcomes(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	row := func(outcome string, status, code, records any) map[string]any {
		return map[string]any{"outcome": outcome, "http_status": status, "rpc_code": code, "record_count": records, "table_name": "t"}
	}
	for i, c := range []struct {
		act  string
		want map[string]any
	}{
		{"rows", row("ok", 200.0, nil, 3.0)},
		{"late id", row("ok", 200.0, nil, 3.0)},
		{"stream", row("ok", 200.0, nil, 3.0)},
		{"something else", row("ok", 200.0, nil, nil)},
		{"rpc error", row("rpc_error", 200.0, -32602.0, nil)},
		{"tool error", row("tool_error", 200.0, nil, nil)},
		{"http error", row("http_error", 500.0, -32603.0, nil)},
		{"plain http error", row("http_error", 502.0, nil, nil)},
		{"other id", row("aborted", 200.0, nil, nil)},
		{"id as a string", row("ok", 200.0, nil, 3.0)},
		{"error with the id null", row("rpc_error", 200.0, -32600.0, nil)},
		{"error without an id", row("rpc_error", 200.0, -32600.0, nil)},
		{"broken json", row("aborted", 200.0, nil, nil)},
		{"nothing", row("aborted", 202.0, nil, nil)},
		{"die", row("aborted", 200.0, nil, nil)},
	} {
		t.Run(c.act, func(t *testing.T) {
			body := gatetest.CallBody(c.act)
			res, err := s.begin(t.Context(), key, body)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body) // "die" breaks off
			_ = res.Body.Close()
			got := s.journal.Await(t, i+1)[0]
			for column, want := range c.want {
				if got[column] != want {
					t.Errorf("%s is %v, want %v", column, got[column], want)
				}
			}
			if got["request_bytes"] != float64(len(body)) || got["request_id"] != "1" || got["tool_name"] != "query_x" {
				t.Errorf("the row is %v", got)
			}
		})
	}
}

// TestRecordBeforeDone: a call's event is recorded before its client has the
// whole result, and bytes flow while the call is under way. A key that is revoked
// ends the stream.
func TestRecordBeforeDone(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key, record := s.issue(t, identity.KeySpec{Name: "k"})
	begin := func() *bufio.Reader {
		res, err := s.begin(t.Context(), key, gatetest.CallBody("hold"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		rd := bufio.NewReader(res.Body)
		if line, err := rd.ReadString('\n'); err != nil || line != ": hello\n" {
			t.Fatalf("while the call is under way the client gets %q, %v", line, err)
		}
		return rd
	}

	rd := begin()
	if n := s.journal.Len(); n != 0 {
		t.Errorf("%d events while the call is under way", n)
	}
	close(u.Release)
	var got strings.Builder
	for !strings.HasSuffix(got.String(), "]}}}\n\n") {
		line, err := rd.ReadString('\n')
		if got.WriteString(line); err != nil {
			t.Fatalf("the rest is %q, %v", got.String(), err)
		}
	}
	if n := s.journal.Len(); n != 1 {
		t.Errorf("%d events when the client has the result", n)
	}
	if row := s.journal.Await(t, 1)[0]; row["outcome"] != "ok" || row["record_count"] != 3.0 {
		t.Errorf("the row is %v", row)
	}

	u.Release = make(chan struct{})
	rd = begin()
	s.revoke(t, record)
	if rest, err := io.ReadAll(rd); err == nil {
		t.Errorf("the stream of a revoked key ended without an error, after %q", rest)
	}
	if row := s.journal.Await(t, 2)[0]; row["outcome"] != "aborted" || row["record_count"] != nil {
		t.Errorf("the row of the call that its revoked key ended is %v", row)
	}
}

// TestDisconnect: the upstream learns when a client leaves in the middle of a
// call, before the answer has begun or after, and the call's row says so.
func TestDisconnect(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	for i, c := range []struct {
		act    string
		status any
	}{{"hold", 200.0}, {"hold before the header", nil}} {
		ctx, leave := context.WithCancel(t.Context())
		if c.status == nil {
			go func() {
				<-u.Held
				leave()
			}()
			if res, err := s.begin(ctx, key, gatetest.CallBody(c.act)); err == nil {
				_ = res.Body.Close()
				t.Fatal("a call that its client left is answered")
			}
		} else {
			res, err := s.begin(ctx, key, gatetest.CallBody(c.act))
			if err != nil {
				t.Fatal(err)
			}
			<-u.Held
			leave()
			_ = res.Body.Close()
		}
		<-u.Gone
		row := s.journal.Await(t, i+1)[0]
		if row["outcome"] != "aborted" || row["http_status"] != c.status || row["record_count"] != nil || row["table_name"] != "t" {
			t.Errorf("%s: the row is %v", c.act, row)
		}
	}
}

// TestRefused: what must not pass does not reach the upstream, and is answered in
// the contract's form.
func TestRefused(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	auth := "Authorization: Bearer " + key
	mistyped := "Authorization: Bearer " + mistype(key)
	call := gatetest.CallBody("rows")
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status, code             int
		message, id              string
	}{
		{"no key", "POST", "", call, nil, 401, 40101, "API key required", "1"},
		{"string id", "POST", "", `{"jsonrpc":"2.0","id":"x\"y","method":"tools/list"}`, nil, 401, 40101, "API key required", `"x\"y"`},
		{"mistyped key", "POST", "", call, []string{mistyped}, 401, 40102, "Invalid or expired API key", "1"},
		{"other scheme", "POST", "", call, []string{"Authorization: Basic eDp5"}, 401, 40102, "Invalid or expired API key", "1"},
		{"digest", "POST", "", call, []string{"Authorization: Digest " + key}, 401, 40102, "Invalid or expired API key", "1"},
		{"no credentials", "POST", "", call, []string{"Authorization: ", "X-API-Key: "}, 401, 40101, "API key required", "1"},
		{"scheme in X-API-Key", "POST", "", call, []string{"X-API-Key: Bearer " + key}, 401, 40102, "Invalid or expired API key", "1"},
		{"mistyped X-API-Key", "POST", "", call, []string{"X-API-Key: " + mistype(key)}, 401, 40102, "Invalid or expired API key", "1"},
		{"two keys", "POST", "", call, []string{auth, "X-API-Key: " + s.key(t)}, 401, 40103, "send one, in Authorization or in X-API-Key", "1"},
		{"two keys, one not live", "POST", "", call, []string{auth, "X-API-Key: x"}, 401, 40103, "send one", "1"},
		{"basic beside X-API-Key", "POST", "", call, []string{"Authorization: Basic eDp5", "X-API-Key: " + key}, 401, 40102, "Invalid or expired API key", "1"},
		{"underscores", "POST", "", call, []string{"X_API_Key: " + key}, 401, 40101, "API key required", "1"},
		{"unknown method", "POST", "", `{"jsonrpc":"2.0","id":2,"method":"tools/new"}`, nil, 401, 40101, "API key required", "2"},
		{"notification", "POST", "", `{"jsonrpc":"2.0","method":"notifications/cancelled"}`, nil, 401, 40101, "API key required", "null"},
		{"response", "POST", "", `{"jsonrpc":"2.0","id":9,"result":{}}`, nil, 401, 40101, "API key required", "9"},
		{"batch with a keyed message", "POST", "", `[{"jsonrpc":"2.0","id":1,"method":"ping"},` + strings.Replace(call, `"id":1`, `"id":2`, 1) + `]`, nil, 401, 40101, "API key required", "2"},
		{"lying header", "POST", "", call, []string{"Mcp-Method: ping"}, 401, 40101, "API key required", "1"},
		{"GET", "GET", "", "", nil, 401, 40101, "API key required", "null"},
		{"DELETE", "DELETE", "", "", nil, 401, 40101, "API key required", "null"},
		{"PUT", "PUT", "", call, []string{auth}, 405, -32600, "PUT is not a method", "null"},
		{"empty body", "POST", "", " ", []string{auth}, 400, -32700, "", "null"},
		{"no JSON", "POST", "", "method=tools/call", []string{auth}, 400, -32700, "", "null"},
		{"trailing data", "POST", "", call + call, []string{auth}, 400, -32700, "", "null"},
		{"name twice", "POST", "", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}`, nil, 400, -32600, "twice", ""},
		{"other case", "POST", "", `{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}`, nil, 400, -32600, "Method", ""},
		{"batch of a later revision", "POST", "", "[" + call + "]", []string{auth, "Mcp-Protocol-Version: 2025-06-18"}, 400, -32600, "batch", "null"},
		{"other media type", "POST", "", call, []string{auth, "Content-Type: text/plain"}, 415, -32600, "application/json", "null"},
		{"other charset", "POST", "", call, []string{auth, "Content-Type: application/json; charset=utf-7"}, 400, -32600, "charset", "null"},
		{"encoded body", "POST", "", call, []string{auth, "Content-Encoding: gzip"}, 400, -32600, "Content-Encoding", "null"},
		{"huge body", "POST", "", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 4<<20) + `"}}`, []string{auth}, 413, 41301, "4194304", "null"},
		{"huge id", "POST", "", `{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 300) + `","method":"ping"}`, []string{auth}, 400, -32600, "longer than 256 bytes", "null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := do(t, c.method, s.url+c.path, c.body, c.headers...)
			if a.status != c.status || a.header.Get("Content-Type") != "application/json" {
				t.Fatalf("%d %s %s, want %d", a.status, a.header.Get("Content-Type"), a.body, c.status)
			}
			e, _ := a.json(t)["error"].(map[string]any)
			if e["code"] != float64(c.code) || !strings.Contains(e["message"].(string), c.message) {
				t.Errorf("the error is %v, want %d %q", e, c.code, c.message)
			}
			if c.id != "" && !strings.HasPrefix(a.body, `{"jsonrpc":"2.0","id":`+c.id+`,`) {
				t.Errorf("the body is %s, want the id %s", a.body, c.id)
			}
			if got := a.header.Get("WWW-Authenticate"); (c.status == 401) != (got == `Bearer realm="tallygate"`) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			if strings.Contains(a.body, key[3:]) {
				t.Error("the answer repeats the key")
			}
		})
	}
	site := strings.TrimSuffix(s.url, "/messages")
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/messages", "/register"} {
		if a := do(t, "GET", site+path, ""); a.status != http.StatusNotFound || !strings.Contains(a.json(t)["error_description"].(string), "API key") {
			t.Errorf("%s answers %d %s", path, a.status, a.body)
		}
	}
	if n := u.Requests.Load(); n != 0 {
		t.Errorf("%d refused requests reached the upstream", n)
	}
	for _, public := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`,
		`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"}]`,
	} {
		if a := do(t, "POST", s.url, public); a.status != http.StatusOK {
			t.Errorf("%s without a key answers %d %s", public, a.status, a.body)
		}
	}
	if strings.Contains(s.log.String(), key[3:]) {
		t.Error("the log holds the key")
	}
	if n := s.journal.Len(); n != 0 {
		t.Errorf("refused requests left %d events", n)
	}
}

// mistype returns a key with another letter in its middle.
func mistype(key string) string {
	other := "x"
	if key[20] == 'x' {
		other = "y"
	}
	return key[:20] + other + key[21:]
}

// TestCancelInFlight: calls that are cancelled in flight have left their rows when
// CancelInFlight returns.
func TestCancelInFlight(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	s.calls.CancelInFlight(time.Minute) // returns at once, since nothing is in flight
	const calls = 20
	ended := make(chan error, calls)
	for range calls {
		res, err := s.begin(t.Context(), key, gatetest.CallBody("hold")) //nolint:bodyclose // in the goroutine
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer res.Body.Close()
			_, err := io.Copy(io.Discard, res.Body)
			ended <- err
		}()
	}
	s.calls.CancelInFlight(time.Minute)
	if n := s.journal.Len(); n != calls {
		t.Errorf("%d calls are recorded, want %d", n, calls)
	}
	for range calls {
		if err := <-ended; err == nil {
			t.Error("a stream that the gate broke off ended without an error")
		}
	}
	for _, row := range s.journal.Await(t, calls) {
		if row["outcome"] != "aborted" || row["http_status"] != 200.0 || row["record_count"] != nil || row["table_name"] != "t" {
			t.Errorf("the row is %v", row)
		}
	}
}
