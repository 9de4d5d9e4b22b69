package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tallygate/tallygate/gate/gatetest"
)

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
	u := gatetest.StartUpstream(t)
	s := startSiteAt(t, u.Address())
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	go func() {
		<-u.Held // the call has arrived: it lasts as long as the silence, and longer
		time.Sleep(quiet)
		close(u.Release)
	}()
	a := do(t, "POST", s.gate, gatetest.CallBody("hold"), "Authorization: Bearer "+key)
	if a.status != http.StatusOK || !strings.HasSuffix(a.body, "}}\n\n") {
		t.Errorf("after %v of silence the stream ends with %d %q", quiet, a.status, a.body)
	}
	row := s.awaitCalls(t, jwt, 1)[0]
	if row["outcome"] != "ok" || row["duration_us"].(float64) < float64(quiet.Microseconds()) {
		t.Errorf("the row is %v", row)
	}
}
