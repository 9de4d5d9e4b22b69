package gate_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

const pingBody = `{"jsonrpc":"2.0","id":7,"method":"ping"}`

// pathsSeen is an upstream that answers every request and notes its target.
func pathsSeen(t *testing.T) (address string, last func() string) {
	var target atomic.Value
	target.Store("")
	address = startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		target.Store(r.RequestURI)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":7,"result":{}}`)
	})
	return address, func() string { return target.Swap("").(string) }
}

// raw sends a request whose target no client library touches.
func raw(t *testing.T, s *site, target, headers, body string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimSuffix(s.url, "/messages"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", target, headers, len(body), body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// TestEndpoints: a request reaches the upstream at the upstream's own path, in
// either spelling of an endpoint.
func TestEndpoints(t *testing.T) {
	upstream, last := pathsSeen(t)
	for _, c := range []struct {
		config gate.Config
		sent   map[string]string // the upstream's target by the client's
	}{
		{gate.Config{}, map[string]string{"/messages": "/messages", "/messages/": "/messages", "/mcp": "/mcp", "/mcp/": "/mcp", "http://other/mcp": "/mcp", "/mcp?": "/mcp"}},
		{gate.Config{UpstreamPath: "/mcp"}, map[string]string{"/messages": "/mcp", "/messages/": "/mcp", "/mcp": "/mcp", "/mcp/": "/mcp"}},
		{gate.Config{UpstreamPath: "/a%2Fb/mcp/?project=x&read_only=true"}, map[string]string{"/mcp": "/a%2Fb/mcp/?project=x&read_only=true"}},
		{gate.Config{UpstreamPath: "/"}, map[string]string{"/mcp": "/", "/messages/": "/"}},
		{gate.Config{Endpoints: []string{"/a/mcp/", "/"}}, map[string]string{"/a/mcp": "/a/mcp/", "/a/mcp/": "/a/mcp/", "/": "/"}},
	} {
		s := startSite(t, upstream, func(g *gate.Config) { g.Endpoints, g.UpstreamPath = c.config.Endpoints, c.config.UpstreamPath })
		for target, want := range c.sent {
			if a, got := raw(t, s, target, "", pingBody), last(); a.status != http.StatusOK || got != want {
				t.Errorf("%s in front of %q is answered %d, and the upstream gets %s, want %s", target, c.config.UpstreamPath, a.status, got, want)
			}
		}
	}
}

// TestOtherPaths: no other path reaches the upstream, and neither does a query,
// with a key or without.
func TestOtherPaths(t *testing.T) {
	upstream, last := pathsSeen(t)
	s := startSite(t, upstream)
	key := "Authorization: Bearer " + s.key(t) + "\r\n"
	const message = `{"jsonrpc":"2.0","id":null,"error":{"code":40402,"message":"Nothing is served at this path: the MCP endpoint is /messages or /mcp, with the transport streamable HTTP"}}`
	for _, target := range []string{
		"/", "/other", "/Messages", "/MCP", "/messages.json", "/messagesx", "/messages-admin/purge", "/messages/x", "/messages//", "//messages", "//mcp/",
		"/./messages", "/x/../messages", "/messages/..", "/messages/../messages", "/messages/.", "/admin/..%2fmessages", "/admin/%2e%2e/messages",
		"/%6dessages", "/messages%2f", "/messages%2F", "/messages%5c", `/messages\`, `/x\..\messages`, "/messages;x=1", "/;/messages", "/messages%3b", "/messages%00", "/messages%20", "/messages%3fx", "/messages%23", "*",
		"/mcp/messages", "/sse", "http://127.0.0.1/admin/..%2fmessages",
	} {
		for _, headers := range []string{"", key} {
			if a := raw(t, s, target, headers, pingBody); a.status != http.StatusNotFound || a.body != message || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s is answered %d %s", target, a.status, a.body)
			}
		}
	}
	for _, target := range []string{"/messages?x=1", "/mcp/?sessionId=1", "/messages??"} {
		if a := raw(t, s, target, key, pingBody); a.status != http.StatusBadRequest || !strings.Contains(a.body, "takes no query") || !strings.Contains(a.body, "streamable HTTP") {
			t.Errorf("%s is answered %d %s", target, a.status, a.body)
		}
	}
	if got := last(); got != "" {
		t.Errorf("the upstream gets %s", got)
	}
}

// TestRedirects: a redirect to the other spelling of the upstream's path is
// followed behind the gate, once; every other one is answered by the gate.
func TestRedirects(t *testing.T) {
	var requests atomic.Int64
	redirect := func(status int, location string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			if r.URL.Path == "/mcp/" {
				b, _ := io.ReadAll(r.Body)
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("X-Method", r.Method)
				_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a"},{"name":"b"}],"bytes":%d}}`, len(b))
				return
			}
			w.Header().Set("Location", strings.ReplaceAll(location, "HOST", r.Host))
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("X-Upstream", r.Host)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "moved to "+location)
		}
	}
	const list = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	for _, location := range []string{"http://HOST/mcp/", "/mcp/", "mcp/", "http://other.example/mcp/"} {
		for _, status := range []int{301, 302, 307, 308} {
			for _, method := range []string{"POST", "GET", "DELETE"} {
				s := startSite(t, startHandler(t, redirect(status, location)), func(c *gate.Config) { c.UpstreamPath = "/mcp" })
				key, _ := s.issue(t, identity.KeySpec{Name: "k", Scopes: []string{"a"}})
				body := ""
				if method == "POST" {
					body = list
				}
				for _, want := range []int64{2, 1} {
					requests.Store(0)
					a := do(t, method, s.url, body, "Authorization: Bearer "+key)
					result := fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a"}],"bytes":%d}}`, len(body))
					if method == "DELETE" {
						result = strings.Replace(result, `{"name":"a"}`, `{"name":"a"},{"name":"b"}`, 1) // which lists nothing
					}
					if a.status != http.StatusOK || a.body != result || a.header.Get("X-Method") != method || a.header.Get("Location") != "" || a.header.Get("X-Upstream") != "" {
						t.Errorf("%d to %s: %s is answered %d %v %s", status, location, method, a.status, a.header, a.body)
					}
					if got := requests.Load(); got != want {
						t.Errorf("%d to %s: %s takes %d requests, want %d", status, location, method, got, want)
					}
				}
			}
		}
	}
	for _, location := range []string{"http://HOST/mcp", "http://HOST/login", "https://HOST/mcp", "//other.example/x", "/mcp/?x=1", "/mcp//", ":", ""} {
		for _, status := range []int{300, 302, 303, 307, 308} {
			s := startSite(t, startHandler(t, redirect(status, location)), func(c *gate.Config) { c.UpstreamPath = "/mcp" })
			a := s.post(t, s.key(t), gatetest.CallBody("rows"))
			const want = `{"jsonrpc":"2.0","id":1,"error":{"code":50202,"message":"The MCP server behind the gate redirects to another address; its operator has to correct the gate's upstream"}}`
			if a.status != http.StatusBadGateway || a.body != want || a.header.Get("Location") != "" || a.header.Get("X-Upstream") != "" {
				t.Errorf("%d to %s: a call is answered %d %v %s", status, location, a.status, a.header, a.body)
			}
			if row := s.journal.Await(t, 1)[0]; row["outcome"] != "http_error" || row["http_status"] != 502.0 || row["rpc_code"] != 50202.0 {
				t.Errorf("%d to %s: the row is %v", status, location, row)
			}
		}
	}
}

// TestRedirectedForEver: an upstream that redirects back and forth is not followed
// for ever.
func TestRedirectedForEver(t *testing.T) {
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		to := r.URL.Path + "/"
		if strings.HasSuffix(r.URL.Path, "/") {
			to = strings.TrimSuffix(r.URL.Path, "/")
		}
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	}))
	if a := s.post(t, s.key(t), pingBody); a.status != http.StatusBadGateway || !strings.HasPrefix(a.body, `{"jsonrpc":"2.0","id":7,`) {
		t.Errorf("a ping is answered %d %s", a.status, a.body)
	}
}

// TestNoAddress: no header by which clients find other addresses passes.
func TestNoAddress(t *testing.T) {
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Location", "http://"+r.Host+"/mcp/task")
		h.Set("Content-Location", "http://"+r.Host+"/mcp/task")
		h.Set("Refresh", "0; url=http://"+r.Host)
		h.Set("WWW-Authenticate", `Bearer resource_metadata="http://`+r.Host+`/.well-known/oauth-protected-resource"`)
		h.Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":7,"result":{}}`)
	}))
	a := s.post(t, s.key(t), pingBody)
	if text := fmt.Sprint(a.header); a.status != http.StatusUnauthorized || strings.Contains(text, "http://") || a.header["Www-Authenticate"] != nil {
		t.Errorf("a ping is answered %d %v", a.status, a.header)
	}
}

// TestNoAddressBeforeTheAnswer: nor do they pass with an informational response.
func TestNoAddressBeforeTheAnswer(t *testing.T) {
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Location", "http://"+r.Host+"/mcp/task")
		h.Set("Content-Location", "http://"+r.Host+"/mcp/task")
		h.Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		h.Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":7,"result":{}}`)
	}))
	var hints http.Header
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		hints = http.Header(h)
		return nil
	}})
	r, err := http.NewRequestWithContext(ctx, "POST", s.url, strings.NewReader(pingBody))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if a := read(t, r); a.status != http.StatusOK || hints.Get("Link") == "" || strings.Contains(fmt.Sprint(hints), "http://") {
		t.Errorf("a ping is answered %d after %v", a.status, hints)
	}
}

// TestUpstreamDown: the gate answers for an upstream that is down, without a word
// about its address.
func TestUpstreamDown(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	address := down.Listener.Addr().String()
	s := startSite(t, address)
	key := s.key(t)
	const message = `,"error":{"code":50203,"message":"The MCP server behind the gate cannot be reached; try again later"}}`
	for body, want := range map[string]string{
		pingBody:                  `{"jsonrpc":"2.0","id":7` + message,
		gatetest.CallBody("rows"): `{"jsonrpc":"2.0","id":1` + message,
		`[` + strings.ReplaceAll(pingBody, "7", `"a"`) + `,` + pingBody + `]`: `[{"jsonrpc":"2.0","id":"a"` + message + `,{"jsonrpc":"2.0","id":7` + message + `]`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`:              `{"jsonrpc":"2.0","id":null` + message,
	} {
		a := s.post(t, key, body)
		if a.status != http.StatusBadGateway || a.body != want || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s is answered %d %s", body, a.status, a.body)
		}
	}
	if row := s.journal.Await(t, 1)[0]; row["outcome"] != "http_error" || row["http_status"] != 502.0 || row["rpc_code"] != 50203.0 {
		t.Errorf("the row is %v", row)
	}
	if !strings.Contains(s.log.String(), address) {
		t.Error("the log does not say which upstream is down")
	}
}

// TestHandlerErrors: whatever status the handler behind the gate fails with has
// JSON-RPC's form; one that answers nothing has failed.
func TestHandlerErrors(t *testing.T) {
	s := startSite(t, "127.0.0.1:0", func(c *gate.Config) {
		c.ErrorStatus = func(err error) int {
			var status int
			_, _ = fmt.Sscan(err.Error(), &status)
			return status
		}
	})
	for status, want := range map[int]string{
		504: "did not answer in time", 503: "cannot be reached", 500: "failed", 413: "failed", 0: "failed", 200: "There is no MCP server",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/mcp", strings.NewReader(pingBody))
		r.Header.Set("Content-Type", "application/json")
		err := s.gate.ServeHTTP(w, r, func(http.ResponseWriter, *http.Request) error {
			if status == 200 {
				return nil
			}
			return fmt.Errorf("%d: 10.1.2.3 is away", status)
		})
		expected := status
		if status < 400 {
			expected = http.StatusBadGateway
		}
		if err != nil || w.Code != expected || !strings.HasPrefix(w.Body.String(), `{"jsonrpc":"2.0","id":7,"error":{"code":50203,`) || !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), "10.1.2.3") {
			t.Errorf("%d is answered %d %s, %v", status, w.Code, w.Body, err)
		}
	}
	gone, leave := context.WithCancel(t.Context())
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(gone, "POST", "/mcp", strings.NewReader(pingBody))
	r.Header.Set("Content-Type", "application/json")
	if err := s.gate.ServeHTTP(w, r, func(http.ResponseWriter, *http.Request) error { leave(); return context.Canceled }); !errors.Is(err, context.Canceled) || w.Body.Len() > 0 {
		t.Errorf("a client that has gone is answered %s, %v", w.Body, err)
	}
}

// TestNotForUpstream: what concerns the gate alone does not go upstream.
func TestNotForUpstream(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address(), func(c *gate.Config) { c.AllowOrigin = []string{"https://app.example.com"} })
	private := []string{"Origin", "Cookie", "Referer", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-Dest", "Sec-Fetch-User", "Authorization"}
	headers := []string{"X-Custom: kept", "Origin: https://app.example.com", "Authorization: Bearer " + s.key(t)}
	for _, name := range private[1:7] {
		headers = append(headers, name+": x")
	}
	if a := do(t, "POST", s.url, pingBody, headers...); a.status != http.StatusOK {
		t.Fatalf("a ping is answered %d %s", a.status, a.body)
	}
	got := u.Last.Load().Header
	for _, name := range append(private, "X-Api-Key") {
		if got[name] != nil {
			t.Errorf("the upstream gets %s: %s", name, got[name])
		}
	}
	if got.Get("X-Custom") != "kept" {
		t.Error("the upstream does not get a header of the client's own")
	}
}

// TestNoTrailersForUpstream: fields behind a chunked body do not go upstream, where
// they could pass for headers that the gate removes.
func TestNoTrailersForUpstream(t *testing.T) {
	s := startSite(t, "")
	for _, c := range []struct{ key, body string }{{"", pingBody}, {s.key(t), gatetest.CallBody("rows")}} {
		forwarded := false
		server := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
			err := s.gate.ServeHTTP(w, r, func(w http.ResponseWriter, r *http.Request) error {
				forwarded = true
				if len(r.Trailer) > 0 {
					t.Errorf("%s goes upstream with the trailers %v", c.body, r.Trailer)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+server+"/mcp", io.NopCloser(strings.NewReader(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if c.key != "" {
			r.Header.Set("Authorization", "Bearer "+c.key)
		}
		r.Trailer = http.Header{"Authorization": {"Bearer x"}, "X-User-Id": {"root"}, "X-Custom": {"x"}}
		if a := read(t, r); !forwarded {
			t.Errorf("%s does not go upstream: %d %s", c.body, a.status, a.body)
		}
	}
}

// TestLocalOrigin: a page of this machine may use a gate under a name of this
// machine, and under no other name, which is how DNS rebinding comes.
func TestLocalOrigin(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	for _, c := range []struct {
		origin, host string
		passes       bool
	}{
		{"http://localhost:6274", "127.0.0.1:8001", true},
		{"http://127.0.0.1:8001", "127.0.0.1:8001", true},
		{"https://LOCALHOST", "localhost", true},
		{"http://[::1]:3000", "[::1]:8001", true},
		{"http://127.9.9.9", "[::1]", true},
		{"http://localhost:6274", "gate.example.com", false},
		{"http://localhost.evil.example", "localhost:8001", false},
		{"http://evil.example", "localhost:8001", false},
		{"http://localhost@evil.example", "localhost:8001", false},
		{"http://127.0.0.1.evil.example", "127.0.0.1", false},
		{"http://gate.example.com", "gate.example.com", false},
		{"file://localhost", "localhost:8001", false},
		{"null", "localhost:8001", false},
		{"", "localhost:8001", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/mcp", strings.NewReader(pingBody))
		r.Host = c.host
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", c.origin)
		w := httptest.NewRecorder()
		if err := s.gate.ServeHTTP(w, r, s.forward); err != nil {
			t.Fatal(err)
		}
		if passes := w.Code == http.StatusOK && w.Header().Get("Access-Control-Allow-Origin") == c.origin; passes != c.passes || !passes && w.Code != http.StatusForbidden {
			t.Errorf("a page of %q at %s is answered %d %v", c.origin, c.host, w.Code, w.Header())
		}
	}
}

// TestEndStreams: when its server shuts down, a gate ends the streams that wait for
// nothing, and the others when the call of their session has ended.
func TestEndStreams(t *testing.T) {
	release := make(chan struct{})
	began := make(chan string, 8)
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost && !strings.Contains(string(body), "subscriptions/listen") {
			began <- "call"
			<-release
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
			return
		}
		gatetest.WriteEvent(w, ": hello\n\n")
		began <- "stream"
		<-r.Context().Done()
	}))
	key := "Authorization: Bearer " + s.key(t)
	start := func(method, session, body string) <-chan answer {
		answered := make(chan answer, 1)
		go func() {
			a, _ := try(method, s.url, body, key, "Mcp-Session-Id: "+session)
			answered <- a
		}()
		<-began
		return answered
	}
	idle := start("GET", "idle", "")
	listen := start("POST", "listening", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{}}`)
	busy := start("GET", "busy", "")
	call := start("POST", "busy", gatetest.CallBody("rows"))
	s.calls.EndStreams(s.gate)
	<-idle
	<-listen
	if a := do(t, "GET", s.url, "", key, "Mcp-Session-Id: late"); a.status == http.StatusOK {
		t.Errorf("a stream that comes late is answered %d", a.status)
	}
	select {
	case <-busy:
		t.Error("a stream ends although its session has a call under way")
	default:
	}
	close(release)
	if a := <-call; a.status != http.StatusOK {
		t.Errorf("the call is answered %d %s", a.status, a.body)
	}
	<-busy
}

// TestEndpointConfig: New says what cannot be an endpoint or an upstream's path.
func TestEndpointConfig(t *testing.T) {
	for _, path := range []string{"", "mcp", "/a b", "/a//b", "//", "/a/../b", "/.", "/%6d", "/a;b", "/mcp?x", "/é", "/.well-known/x", "/register"} {
		if _, err := gate.New(gate.Config{Endpoints: []string{path}}); err == nil {
			t.Errorf("%q can be an endpoint", path)
		}
	}
	for _, path := range []string{"mcp", "/mcp#x", "http://127.0.0.1/mcp", "/%zz?key=secret"} {
		if _, err := gate.New(gate.Config{UpstreamPath: path}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q as an upstream's path: %v", path, err)
		}
	}
}
