package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serveMetrics starts the site anew, with its metrics at the URL.
func (s *site) serveMetrics(t *testing.T) string {
	t.Helper()
	s.stop(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	caddyfile := filepath.Join(s.dir, "Caddyfile")
	text := readFile(t, caddyfile) + "\n" + url + " {\n\tmetrics\n}\n"
	if err := os.WriteFile(caddyfile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(t)
	return url
}

// TestUnknownIsCounted holds that what a row leaves null is counted by why.
func TestUnknownIsCounted(t *testing.T) {
	u := startFlowUpstream(t)
	s := startSiteAt(t, u.Listener.Addr().String())
	metrics := s.serveMetrics(t)
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	c := flowClient{s, key}
	for i, name := range []string{"json", "rpc error", "rpc error", "other type", "nothing", "task, rpc error"} {
		f := flow{tool: fmt.Sprintf("query_%d", i), name: name, table: "t", rows: 3, id: "1"}
		if err := c.start(f); err != nil {
			t.Fatal(err)
		}
		if err := c.finish(f); err != nil {
			t.Fatal(err)
		}
	}
	if a := do(t, "POST", s.gate, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_sql","arguments":{"sql":"select from nothing at all","flow":"json"}}}`, "Authorization: Bearer "+key); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	got := do(t, "GET", metrics, "").body
	for _, line := range []string{
		`tallygate_unknown_total{question="records",reason="no_result"} 4`,
		`tallygate_unknown_total{question="records",reason="unreadable"} 1`,
		`tallygate_unknown_total{question="tables",reason="no_result"} 0`,
		`tallygate_unknown_total{question="tables",reason="sql_unread"} 1`,
		`tallygate_calls_total{outcome="rpc_error"} 3`,
		`tallygate_calls_held 0`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if t.Failed() {
		for line := range strings.Lines(got) {
			if strings.HasPrefix(line, "tallygate_") && !strings.HasSuffix(line, " 0\n") {
				t.Log(line)
			}
		}
	}
}
