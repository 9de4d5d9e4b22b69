package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// upstream is a scripted MCP server: it answers each call as the call's
// argument "do" says, and counts what it runs. It stands for servers that
// misbehave, which no real one does on demand.
type upstream struct {
	*httptest.Server
	requests atomic.Int64
	last     atomic.Pointer[http.Request]
	lastBody atomic.Pointer[string]
	held     chan struct{} // told when a "hold" begins
	release  chan struct{} // what "hold" waits for
	gone     chan struct{} // told when the client of a "hold" leaves
}

func startUpstream(tb testing.TB) *upstream {
	tb.Helper()
	u := &upstream{held: make(chan struct{}, 1), release: make(chan struct{}), gone: make(chan struct{}, 100)}
	u.Server = httptest.NewServer(u)
	tb.Cleanup(u.Close)
	return u
}

func (u *upstream) address() string { return u.Listener.Addr().String() }

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.requests.Add(1)
	b, _ := io.ReadAll(r.Body)
	body := string(b)
	u.last.Store(r.Clone(r.Context()))
	u.lastBody.Store(&body)
	const rows = `"result":{"content":[],"structuredContent":{"rows":[{"a":1},{"a":2},{"a":3}]}}`
	json := func(status int, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	switch act := submatch(actPattern, body); act {
	case "rows":
		json(200, `{"jsonrpc":"2.0","id":1,`+rows+`}`)
	case "late id":
		json(200, `{`+rows+`,"jsonrpc":"2.0","id":1}`+"\n")
	case "rpc error":
		json(200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}`)
	case "tool error":
		json(200, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"no"}],"isError":true}}`)
	case "http error":
		json(500, `{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"no"}}`)
	case "plain http error":
		http.Error(w, "no", http.StatusBadGateway)
	case "other id":
		json(200, `{"jsonrpc":"2.0","id":"1",`+rows+`}`)
	case "broken json":
		json(200, `{"jsonrpc":"2.0","id":1,"result":{"content":[}`)
	case "nothing":
		w.WriteHeader(http.StatusAccepted)
	case "die":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "hold before the header":
		<-r.Context().Done()
		u.gone <- struct{}{}
	case "stream", "hold":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": hello\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}\n\n")
		_ = http.NewResponseController(w).Flush()
		if act == "hold" {
			select {
			case u.held <- struct{}{}:
			default:
			}
			select {
			case <-u.release:
			case <-r.Context().Done():
				u.gone <- struct{}{}
				return
			}
		}
		_, _ = io.WriteString(w, "data: {\"jsonrpc\":\"2.0\",\"id\":1,"+rows+"}\n\n")
	default:
		json(200, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}
}

func callBody(act string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_x","arguments":{"table":"t","do":%q}}}`, act)
}

var actPattern = regexp.MustCompile(`"do":"([^"]+)"`)

// TestOutcomes holds that each way a call can end is told in its row.
func TestOutcomes(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
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
		{"broken json", row("aborted", 200.0, nil, nil)},
		{"nothing", row("aborted", 202.0, nil, nil)},
		{"die", row("aborted", 200.0, nil, nil)},
	} {
		t.Run(c.act, func(t *testing.T) {
			body := callBody(c.act)
			req := s.keyedPost(t.Context(), key, body)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body) // "die" breaks off
			_ = res.Body.Close()
			got := s.awaitCalls(t, jwt, i+1)[0]
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

// TestRecordBeforeDone holds that a call's row exists before its client has
// the whole result, and that bytes flow while the call is under way.
func TestRecordBeforeDone(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	jwt := s.login(t)
	key, keyID := s.key(t, jwt, `{"key_name":"k"}`)
	begin := func() *bufio.Reader {
		req := s.keyedPost(t.Context(), key, callBody("hold"))
		res, err := http.DefaultClient.Do(req)
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
	close(u.release)
	rest, err := io.ReadAll(rd)
	if err != nil || !strings.HasSuffix(string(rest), "}}\n\n") {
		t.Fatalf("the rest is %q, %v", rest, err)
	}
	s.kill() // whatever the client has in full must be in the journal by now
	s.run(t)
	jwt = s.login(t)
	if row := s.awaitCalls(t, jwt, 1)[0]; row["outcome"] != "ok" || row["record_count"] != 3.0 {
		t.Errorf("after kill -9 the row is %v", row)
	}

	u.release = make(chan struct{})
	rd = begin()
	if a := do(t, "POST", s.admin+"/api/mcp-keys/revoke", `{"key_id":"`+keyID+`"}`, jwt); a.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	if rest, err := io.ReadAll(rd); err == nil {
		t.Errorf("the stream of a revoked key ended in peace, after %q", rest)
	}
	if row := s.awaitCalls(t, jwt, 2)[0]; row["outcome"] != "aborted" || row["record_count"] != nil {
		t.Errorf("the row of the call that its revoked key ended is %v", row)
	}
}

// TestDisconnect holds that the upstream learns when a client leaves in the
// middle of a call, before the answer has begun or after, and that the call's
// row tells it.
func TestDisconnect(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	for i, c := range []struct {
		act    string
		status any
	}{{"hold", 200.0}, {"hold before the header", nil}} {
		ctx, leave := context.WithCancel(t.Context())
		req := s.keyedPost(ctx, key, callBody(c.act))
		if c.status == nil {
			reached := u.requests.Load()
			go func() {
				for u.requests.Load() == reached {
					runtime.Gosched()
				}
				leave()
			}()
			if res, err := http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
				t.Fatal("a call that its client left is answered")
			}
		} else {
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			leave()
			_ = res.Body.Close()
		}
		<-u.gone
		row := s.awaitCalls(t, jwt, i+1)[0]
		if row["outcome"] != "aborted" || row["http_status"] != c.status || row["record_count"] != nil || row["table_name"] != "t" {
			t.Errorf("%s: the row is %v", c.act, row)
		}
	}
}

// TestRefused holds that what must not pass does not reach the upstream, and is
// answered in the contract's form.
func TestRefused(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	auth := "Authorization: Bearer " + key
	mistyped := "Authorization: Bearer " + key[:20] + swap(key[20]) + key[21:]
	call := callBody("rows")
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
		{"key without scheme", "POST", "", call, []string{"Authorization: " + key}, 401, 40102, "Invalid or expired API key", "1"},
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
			a := do(t, c.method, s.gate+c.path, c.body, c.headers...)
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
	site := strings.TrimSuffix(s.gate, "/messages")
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/messages", "/register"} {
		if a := do(t, "GET", site+path, ""); a.status != http.StatusNotFound || !strings.Contains(a.json(t)["error_description"].(string), "API key") {
			t.Errorf("%s answers %d %s", path, a.status, a.body)
		}
	}
	if a := do(t, "GET", site+"/other", "", auth); a.status != http.StatusNotFound {
		t.Errorf("another path answers %d %s", a.status, a.body)
	}
	if n := u.requests.Load(); n != 0 {
		t.Errorf("%d refused requests reached the upstream", n)
	}
	for _, public := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`,
		`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"}]`,
	} {
		if a := do(t, "POST", s.gate, public); a.status != http.StatusOK {
			t.Errorf("%s without a key answers %d %s", public, a.status, a.body)
		}
	}
	if strings.Contains(s.output(), key[3:]) {
		t.Error("the log holds the key")
	}
	if total := do(t, "GET", s.admin+"/api/mcp-usage/history", "", jwt).json(t)["total"]; total != 0.0 {
		t.Errorf("what was refused left %v rows", total)
	}
}

// TestCallsAreRows counts both sides of concurrent calls, through a kill -9 and
// a restart in their middle.
func TestCallsAreRows(t *testing.T) {
	s := startSite(t)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	answered := func(stop func(done int64) bool) (calls, records int64) {
		var n, sum atomic.Int64
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := 0; !stop(n.Load()); i++ {
					limit := 1 + (worker*31+i)%97
					body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_daily","limit":%d}}}`, i, limit)
					req := s.keyedPost(t.Context(), key, body)
					res, err := http.DefaultClient.Do(req)
					if err != nil {
						return // killed
					}
					b, err := io.ReadAll(res.Body)
					_ = res.Body.Close()
					if err != nil {
						return
					}
					if res.StatusCode != http.StatusOK || !strings.Contains(string(b), fmt.Sprintf(`"row_count":%d`, limit)) {
						t.Errorf("a call answers %d %.200s", res.StatusCode, b)
						return
					}
					n.Add(1)
					sum.Add(int64(limit))
				}
			}()
		}
		wg.Wait()
		return n.Load(), sum.Load()
	}

	calls, records := answered(func(done int64) bool { return done >= 400 })
	var kill sync.Once
	killed, killedRecords := answered(func(done int64) bool {
		if done >= 400 {
			kill.Do(s.kill)
		}
		return false
	})
	s.run(t)
	more, moreRecords := answered(func(done int64) bool { return done >= 100 })
	jwt = s.login(t)
	calls, records = calls+killed+more, records+killedRecords+moreRecords

	// Up to one call a worker was recorded and its answer cut off by the kill.
	var stats map[string]any
	eventually(t, "the rows", func() bool {
		stats = do(t, "GET", s.admin+"/api/mcp-usage/stats?days=1", "", jwt).json(t)
		return stats["total_calls"].(float64) >= float64(calls)
	})
	total := stats["total_calls"].(float64)
	extra := int64(total) - calls
	extraRecords := int64(stats["total_records"].(float64)) - records
	if extra > 8 || extraRecords < extra || extraRecords > extra*97 {
		t.Errorf("%d calls with %d records were answered; %d more calls with %d records were recorded", calls, records, extra, extraRecords)
	}
	seen := map[any]bool{}
	for page := 1; len(seen) < int(total); page++ {
		a := do(t, "GET", fmt.Sprintf("%s/api/mcp-usage/history?page=%d&page_size=200", s.admin, page), "", jwt)
		if a.status != http.StatusOK {
			t.Fatalf("page %d: %d %s", page, a.status, a.body)
		}
		for _, item := range a.json(t)["items"].([]any) {
			id := item.(map[string]any)["event_id"]
			if seen[id] {
				t.Fatalf("event %v is there twice", id)
			}
			seen[id] = true
		}
	}
}

// swap is another letter than c.
func swap(c byte) string {
	if c == 'x' {
		return "y"
	}
	return "x"
}
