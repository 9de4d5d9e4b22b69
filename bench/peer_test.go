package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testKey = "sk-thekeythattestsshow"

// patience is how long a peer may take to answer before a test fails.
const patience = 60 * time.Second

// TestMain is also the program that peers with stdio run.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "stdio" {
		if err := serveStdio(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// fidelity is what a peer leaves of what it passes.
type fidelity int

const (
	sameBytes fidelity = iota // the upstream's bytes, JSON as JSON and SSE as SSE
	sameJSON                  // the upstream's values, in a writing of its own
)

// TestPeers starts each peer that is installed in seconds and asks it as
// callers do.
func TestPeers(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "tallygate-bench")

	for _, peer := range []struct {
		gateway
		keyed    bool // it checks keys
		fidelity fidelity
	}{
		{nginx(), true, sameBytes},
		{haproxy(), true, sameBytes},
		{envoy(), true, sameBytes},
		{nodeProxy, false, sameJSON},
		{supergateway, false, sameJSON},
		{pythonProxy, false, sameJSON},
	} {
		if err := peer.prepare(cache); err != nil {
			t.Fatalf("%s: %v", peer.name, err)
		}
		t.Run(peer.name, func(t *testing.T) {
			t.Parallel()
			fixed := &testUpstream{seen: make(chan struct{})}
			upstream := httptest.NewServer(fixed)
			t.Cleanup(upstream.Close)
			p := startPeer(t, peer.gateway, cache, upstream.Listener.Addr().String())
			for _, tool := range []string{"query_2kb", "query_64kb", "query_1mb"} {
				for _, as := range []string{"json", "sse"} {
					p.checkCall(t, tool, as, peer.fidelity)
				}
			}
			if peer.fidelity == sameBytes {
				p.checkStreaming(t, fixed.seen)
			}
			if got := p.post(t, testKey, `{"hello":"there"}`); peer.mcp && got.status < http.StatusBadRequest {
				t.Errorf("what is no MCP: %d %s", got.status, got.body)
			}
			for _, key := range []string{"", testKey + "x"} {
				got := p.post(t, key, callOf("query_2kb", "json"))
				if refused := got.status == http.StatusUnauthorized; refused != peer.keyed {
					t.Errorf("with the key %q: %d %s", key, got.status, got.body)
				}
			}
		})
	}
}

// running is a peer that has been started, with a session of it if it has them.
type running struct {
	url, session string
}

// startPeer starts a peer and waits until it has answered an initialize.
func startPeer(t *testing.T, g gateway, cache, upstream string) *running {
	t.Helper()
	d := deployment{dir: t.TempDir(), port: freePort(t), upstream: upstream, key: testKey, cache: cache}
	s, err := g.start(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(d.dir, "log")) // only for the reader
			t.Logf("%s said:\n%s", g.name, log)
		}
	})
	p := &running{url: fmt.Sprintf("http://127.0.0.1:%d%s", d.port, g.path)}
	const initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`
	var got answer
	for deadline := time.Now().Add(patience); ; {
		got, err = p.try(testKey, initialize)
		if err == nil && got.status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("initialize: %d %s %v", got.status, got.body, err)
		}
		<-time.After(20 * time.Millisecond)
	}
	p.session = got.session
	if g.session != (p.session != "") {
		t.Fatalf("it gave the session %q", p.session)
	}
	if got := p.post(t, testKey, `{"jsonrpc":"2.0","method":"notifications/initialized"}`); got.status != http.StatusAccepted {
		t.Fatalf("notifications/initialized: %d %s", got.status, got.body)
	}
	if got := p.post(t, testKey, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); !bytes.Contains(got.body, []byte(`"query_1mb"`)) {
		t.Fatalf("tools/list: %d %s", got.status, got.body)
	}
	return p
}

// checkCall calls a tool, whose result must be the upstream's.
func (p *running) checkCall(t *testing.T, tool, as string, f fidelity) {
	t.Helper()
	got := p.post(t, testKey, callOf(tool, as))
	if got.status != http.StatusOK {
		t.Fatalf("%s as %s: %d %s", tool, as, got.status, got.body)
	}
	if f == sameBytes {
		want := answerTo([]byte(callOf(tool, as)))
		if as == "sse" {
			want = fmt.Appendf(nil, "event: message\ndata: %s\n\n", want)
		}
		if !bytes.Equal(got.body, want) {
			t.Errorf("%s as %s: %d bytes that are not the upstream's %d: %.200s", tool, as, len(got.body), len(want), got.body)
		}
		return
	}
	message, err := got.message()
	if err != nil {
		t.Fatalf("%s as %s: %v\n%.200s", tool, as, err, got.body)
	}
	if diff := cmp.Diff(decoded(t, answerTo([]byte(callOf(tool, as)))), decoded(t, message)); diff != "" {
		t.Errorf("%s as %s: not the upstream's result (-want +got):\n%.2000s", tool, as, diff)
	}
}

// checkStreaming calls a tool that ends when its first event has been seen.
func (p *running) checkStreaming(t *testing.T, seen chan<- struct{}) {
	t.Helper()
	resp, err := p.send(testKey, callOf("query_2kb", "progress"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got := make([]byte, len(progressEvent))
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != progressEvent {
		t.Fatalf("the first event: %q %v", got, err)
	}
	close(seen)
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Contains(got, []byte(`"result"`)) {
		t.Errorf("the last event: %q %v", got, err)
	}
}

// answer is what came over HTTP.
type answer struct {
	status      int
	contentType string
	session     string
	body        []byte
}

// message is the JSON-RPC message that came with the answer, as JSON or in an event.
func (a answer) message() ([]byte, error) {
	if !strings.HasPrefix(a.contentType, "text/event-stream") {
		return a.body, nil
	}
	for line := range bytes.Lines(a.body) {
		if data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data: ")); ok && bytes.Contains(data, []byte(`"result"`)) {
			return data, nil
		}
	}
	return nil, errors.New("no event with a result")
}

func (p *running) post(t *testing.T, key, body string) answer {
	t.Helper()
	got, err := p.try(key, body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (p *running) try(key, body string) (answer, error) {
	resp, err := p.send(key, body)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), resp.Header.Get("Mcp-Session-Id"), got}, err
}

func (p *running) send(key, body string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodPost, p.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", "2025-06-18")
	if p.session != "" {
		req.Header.Set("Mcp-Session-Id", p.session)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return client.Do(req)
}

var client = &http.Client{Timeout: patience}

func callOf(tool, as string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":%q,"arguments":{"as":%q}}}`, tool, as)
}

func decoded(t *testing.T, message []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(message, &v); err != nil {
		t.Fatalf("%v: %.200s", err, message)
	}
	return v
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nobody has connected
	return l.Addr().(*net.TCPAddr).Port
}

// testUpstream is an MCP server that answers at /mcp and refuses whoever shows
// it a key, since keys are for the gateway.
type testUpstream struct {
	seen chan struct{} // closed when the caller has its first event
}

const progressEvent = `event: message
data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}

`

func (u *testUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/mcp":
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case r.Header.Get("Authorization") != "":
		http.Error(w, "a key came through", http.StatusTeapot)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	message := answerTo(body)
	switch {
	case message == nil:
		w.WriteHeader(http.StatusAccepted)
	case bytes.Contains(body, []byte(`"as":"sse"`)):
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "event: message\ndata: %s\n\n", message)
	case bytes.Contains(body, []byte(`"as":"progress"`)):
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, progressEvent)
		w.(http.Flusher).Flush()
		select {
		case <-u.seen:
			_, _ = fmt.Fprintf(w, "event: message\ndata: %s\n\n", message)
		case <-r.Context().Done(): // the caller has given up
		}
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(message)
	}
}

// serveStdio is the same server on two pipes.
func serveStdio(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if message := answerTo(lines.Bytes()); message != nil {
			if _, err := out.Write(append(slices.Clone(message), '\n')); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

// answerTo is the server's answer to a message, on one line, or nil where none is due.
func answerTo(message []byte) []byte {
	var request struct {
		ID     json.RawMessage
		Method string
		Params struct{ Name string }
	}
	if err := json.Unmarshal(message, &request); err != nil {
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`)
	}
	if request.ID == nil {
		return nil
	}
	result := map[string]string{
		"initialize": `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"fixed","version":"1"}}`,
		"ping":       `{}`,
		"tools/list": `{"tools":[` + testTool("query_2kb") + `,` + testTool("query_64kb") + `,` + testTool("query_1mb") + `]}`,
	}[request.Method]
	if request.Method == "tools/call" {
		result = testResults[request.Params.Name]
	}
	if result == "" {
		return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, request.ID)
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`, request.ID, result)
}

var testResults = map[string]string{
	"query_2kb":  testResult(2 << 10),
	"query_64kb": testResult(64 << 10),
	"query_1mb":  testResult(1 << 20),
}

func testTool(name string) string {
	return fmt.Sprintf(`{"name":%q,"description":"rows","inputSchema":{"type":"object"}}`, name)
}

// testResult is a CallToolResult of about so many bytes, written as few
// libraries would write it: spaces, escapes, numbers with zeros behind.
func testResult(size int) string {
	var b strings.Builder
	b.WriteString(`{"content": [{"type":"text","text":"Zürich \u2192 \"ok\"\n"}], "structuredContent": {"table":"candles","rows":[`)
	for row := 0; b.Len() < size; row++ {
		if row > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `{"id":%d,"price":%d.50,"city":"Z\u00fcrich","note":"\"quoted\" \/ <b>&\t"}`, row, row%1000)
	}
	b.WriteString(`]}, "isError": false}`)
	return b.String()
}
