package e2e

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestTransparency holds that what the upstream gets and what the client gets
// differ from a straight exchange only in what the gate is for.
func TestTransparency(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	for _, act := range []string{"rows", "stream", "rpc error", "http error", "plain http error", "broken json", "nothing"} {
		body := " \n" + strings.Replace(callBody(act), `"id":1`, `"id" : 1`, 1) + "\t"
		straight := do(t, "POST", u.URL, body, "X-Custom: kept", "Accept: application/json")
		gated := do(t, "POST", s.gate+"?q=1", body, "X-Custom: kept", "Accept: application/json", "Authorization: Bearer "+key)
		if got := *u.lastBody.Load(); got != body {
			t.Errorf("%s: the upstream got %q, want %q", act, got, body)
		}
		r := u.last.Load()
		if r.Header.Get("Authorization") != "" || r.Header.Get("X-Custom") != "kept" || r.URL.RawQuery != "q=1" ||
			r.Header.Get("Accept") != "application/json" || r.Header.Get("Accept-Encoding") != "identity" || r.Host != u.address() {
			t.Errorf("%s: the upstream got %s %v", act, r.URL, r.Header)
		}
		for _, h := range []http.Header{straight.header, gated.header} {
			h.Del("Date")
			h.Del("Via") // Caddy's own
		}
		if diff := cmp.Diff([]any{straight.status, straight.header, straight.body}, []any{gated.status, gated.header, gated.body}); diff != "" {
			t.Errorf("%s: straight and through the gate differ:\n%s", act, diff)
		}
	}
	do(t, "POST", s.gate, callBody("rows"), "Authorization: Bearer "+key, "Accept: */*")
	if got := u.last.Load().Header.Get("Accept"); got != "application/json, text/event-stream" {
		t.Errorf("Accept: */* went upstream as %q", got)
	}
}

// TestTransparencyOfServers records a script of requests sent straight to a
// real server and through the gate: status, headers and body, event streams
// included, are the same.
func TestTransparencyOfServers(t *testing.T) {
	for name, address := range map[string]string{
		"Go SDK, JSON": startStateless(t, true), "Go SDK, event streams": startStateless(t, false), "stock server": startStock(t),
	} {
		t.Run(name, func(t *testing.T) {
			s := startSiteAt(t, address)
			key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
			for _, step := range []struct{ method, body string }{
				{"POST", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`},
				{"POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`},
				{"POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`},
				{"POST", `{"jsonrpc":"2.0","id":"two","method":"tools/list","params":{}}`},
				{"POST", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"query_rows","arguments":{"rows":1000}}}`},
				{"POST", `{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_daily","limit":1000}}}`},
				{"POST", `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"backtest","arguments":{"ts_code":"600001.NX","steps":3,"step_ms":1},"_meta":{"progressToken":"p"}}}`},
				{"POST", `{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"no_such_tool"}}`},
				{"POST", `{"jsonrpc":"2.0","id":7,"method":"no/such/method"}`},
				{"POST", `{"jsonrpc":"2.0","id":8,"result":{}}`},
				{"DELETE", ""},
			} {
				accept := "Accept: application/json, text/event-stream"
				straight := do(t, step.method, "http://"+address+"/messages", step.body, accept)
				gated := do(t, step.method, s.gate, step.body, accept, "Authorization: Bearer "+key)
				for _, h := range []http.Header{straight.header, gated.header} {
					h.Del("Date")
					h.Del("Via")        // Caddy's own
					h.Del("Connection") // of each hop for itself
				}
				if diff := cmp.Diff([]any{straight.status, straight.header, straight.body}, []any{gated.status, gated.header, gated.body}); diff != "" {
					t.Errorf("%s %s differs:\n%s", step.method, step.body, diff)
				}
			}
		})
	}
}

// TestNothingIsHeldBack has an upstream send an answer in parts of all sizes,
// the next one when all of the last has come to the client: none waits for what
// comes behind it, within a line or not.
func TestNothingIsHeldBack(t *testing.T) {
	const begin, end = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"`, `"}]}}`
	parts := []string{begin, "a", strings.Repeat("b", 5000), strings.Repeat("c", 16<<10-1), strings.Repeat("d", 16<<10), strings.Repeat("e", 32<<10),
		strings.Repeat("f", 300<<10), strings.Repeat("g", 20<<10), "h", end}
	for media, parts := range map[string][]string{
		"application/json":  parts,
		"text/event-stream": slices.Concat([]string{"event: message\n", "data: "}, parts, []string{"\n\n", ": " + strings.Repeat("i", 40<<10) + "\n", "\n"}),
	} {
		var came atomic.Int64 // bytes so far
		upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			sent := int64(0)
			for _, part := range parts {
				_, _ = io.WriteString(w, part)
				_ = http.NewResponseController(w).Flush()
				sent += int64(len(part))
				for begun := time.Now(); came.Load() < sent; time.Sleep(time.Millisecond) {
					if time.Since(begun) > 10*time.Second {
						t.Errorf("%s: of %d bytes that the upstream has sent, %d have come", media, sent, came.Load())
						return
					}
				}
			}
		}))
		t.Cleanup(upstream.Close)
		s := startSiteAt(t, strings.TrimPrefix(upstream.URL, "http://"))
		jwt := s.login(t)
		key, _ := s.key(t, jwt, `{"key_name":"k"}`)
		res, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, callBody("rows")))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var got []byte
		for buf := make([]byte, 64<<10); err == nil; came.Store(int64(len(got))) {
			var n int
			n, err = res.Body.Read(buf)
			got = append(got, buf[:n]...)
		}
		if !errors.Is(err, io.EOF) || string(got) != strings.Join(parts, "") {
			t.Errorf("%s: %d bytes came, which are not those that were sent: %v", media, len(got), err)
		}
		if row := s.awaitCalls(t, jwt, 1)[0]; row["outcome"] != "ok" {
			t.Errorf("%s: the row is %v", media, row)
		}
	}
}

// TestQuietStream holds that a stream that is silent for a while goes on: for
// QUIET (a duration, 3 s by default), of which `make soak` makes an hour.
func TestQuietStream(t *testing.T) {
	quiet := 3 * time.Second
	if v := os.Getenv("QUIET"); v != "" {
		var err error
		if quiet, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	go func() {
		<-u.held // the call has arrived: it lasts as long as the silence, and longer
		time.Sleep(quiet)
		close(u.release)
	}()
	a := do(t, "POST", s.gate, callBody("hold"), "Authorization: Bearer "+key)
	if a.status != http.StatusOK || !strings.HasSuffix(a.body, "}}\n\n") {
		t.Errorf("after %v of silence the stream ends with %d %q", quiet, a.status, a.body)
	}
	row := s.awaitCalls(t, jwt, 1)[0]
	if row["outcome"] != "ok" || row["duration_us"].(float64) < float64(quiet.Microseconds()) {
		t.Errorf("the row is %v", row)
	}
}
