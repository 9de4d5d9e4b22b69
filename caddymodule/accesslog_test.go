package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/identity"
)

// TestLogs: the recipes of docs/troubleshooting.md tell who called and why a
// request was refused, and show no key.
func TestLogs(t *testing.T) {
	page, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	recipe := func(name string) string {
		_, text, ok := strings.Cut(string(page), "<!-- "+name+" -->\n```\n")
		text, _, closed := strings.Cut(text, "```")
		if !ok || !closed {
			t.Fatalf("docs/troubleshooting.md has no recipe of the %s", name)
		}
		return strings.Replace(text, "/var/log/tallygate", dir, 1)
	}
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(strings.NewReplacer("DIR", dir, "ACCESS LOG", recipe("access log"), "DEBUG LOG", recipe("debug log")).Replace(`{
	admin off
	persist_config off
	DEBUG LOG
	tallygate {
		store "sqlite:DIR/tallygate.db"
		ledger "sqlite:DIR/usage.db"
		journal "DIR/journal"
	}
}
http:// {
	bind unix/DIR/gate.sock
	ACCESS LOG
	tallygate stock-data
	reverse_proxy 127.0.0.1:9001 {
		transport memory
	}
}
`)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(adapted, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	memory.answer = answer{"application/json", []byte(`{"jsonrpc":"2.0","id":17,"result":{"content":[]}}`)}
	authority := latest.Load().authority
	user, err := identity.NewUser(t.Context(), "ann@example.com", "a long password", identity.Member)
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	record, key, err := identity.KeyFormat{}.Issue(user.ID, identity.KeySpec{Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.CreateKey(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	for _, headers := range []http.Header{{"X-Api-Key": {key}}, {}} {
		r := httptest.NewRequest("POST", "http://localhost/messages", strings.NewReader(benchRequest))
		r.Header = headers
		r.Header.Set("Content-Type", "application/json")
		for _, server := range app.(*caddyhttp.App).Servers {
			server.ServeHTTP(httptest.NewRecorder(), r)
		}
	}

	refusals, err := os.ReadFile(dir + "/refusals.log")
	if err != nil || strings.Count(string(refusals), "\n") != 1 || !strings.Contains(string(refusals), `"reason":"no_key"`) {
		t.Errorf("the debug log: %v\n%s", err, refusals)
	}
	log, err := os.ReadFile(dir + "/access.log")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), key[12:]) {
		t.Errorf("the access log shows the key: %s", log)
	}
	var got []map[string]any
	for line := range strings.Lines(string(log)) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		for name := range entry {
			if name != "user_id" && name != "status" && !strings.HasPrefix(name, "tallygate_") {
				delete(entry, name)
			}
		}
		got = append(got, entry)
	}
	want := []map[string]any{
		{"status": 200.0, "user_id": user.ID, "tallygate_server": "stock-data", "tallygate_refusal": "", "tallygate_key": record.ID, "tallygate_tool": "query_table", "tallygate_outcome": "ok"},
		{"status": 401.0, "user_id": "", "tallygate_server": "stock-data", "tallygate_refusal": "no_key", "tallygate_key": "", "tallygate_tool": "query_table", "tallygate_outcome": ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the access log (-want +got):\n%s", diff)
	}
}
