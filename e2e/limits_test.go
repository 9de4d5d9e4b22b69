package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// TestLimitsOfClients holds that the clients of both makers tell their user of
// a limit, and can call again.
func TestLimitsOfClients(t *testing.T) {
	s := startSite(t)
	for _, c := range mcpClients {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			key, _ := s.issue(t, identity.KeySpec{Name: c.name, Limits: identity.Limits{CallsPerMinute: 30, Burst: 1}})
			session, err := c.connect(ctx, s.gate, key)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = session.close() }()
			call := func() error {
				_, _, err := session.call(ctx, "query_table", map[string]any{"table": "trade_calendar", "limit": 1})
				return err
			}
			if err := call(); err != nil {
				t.Fatal(err)
			}
			for err = nil; err == nil; { // another may be due on a slow machine
				err = call()
			}
			if text := err.Error(); !strings.Contains(text, "limited to 30 calls a minute") && !strings.Contains(text, "Too Many Requests") {
				t.Errorf("it says %q", text)
			}
			eventually(t, "another call to be let in", func() bool { return call() == nil })
		})
	}
}

// TestReloadOfKeys holds that a reload that changes what is said of keys leaves
// them, their limits and an open stream as they were.
func TestReloadOfKeys(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSiteAt(t, u.Address())
	control := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.rewrite(t, "admin off", "admin "+control)
	jwt := s.login(t)
	key, record := s.issue(t, identity.KeySpec{Name: "k", Limits: identity.Limits{CallsPerDay: 5}})
	auth := "Authorization: Bearer " + key
	for range 2 {
		if a := do(t, "POST", s.gate, gatetest.CallBody("rows"), auth); a.status != http.StatusOK {
			t.Fatalf("a call answers %d %s", a.status, a.body)
		}
	}
	open, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, gatetest.CallBody("hold")))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Body.Close()

	name := filepath.Join(s.dir, "Caddyfile")
	text := strings.Replace(readFile(t, name), "\tgrace_period 10s\n", "\tgrace_period 10s\n\ttallygate {\n\t\tstale_ok 1m\n\t\tkey_prefix acme_\n\t}\n", 1)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := s.command(t, "", "reload", "--address", control); code != 0 {
		t.Fatalf("reload: %d %s", code, stderr)
	}
	let := 0
	for do(t, "POST", s.gate, gatetest.CallBody("rows"), auth).status == http.StatusOK {
		let++
	}
	// The config that is going has a call in hand while its stream is open.
	if let != 1 && let != 2 {
		t.Errorf("of 5 calls a day, 3 were made before the reload and %d after", let)
	}
	close(u.Release)
	if b, err := io.ReadAll(open.Body); err != nil || !strings.HasSuffix(string(b), "}}\n\n") {
		t.Errorf("the open stream ends with %q, %v", b, err)
	}
	if a := do(t, "POST", s.admin+"/api/mcp-keys/revoke", `{"key_id":"`+record.ID+`"}`, jwt); a.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	if s.works(t, key) {
		t.Error("a key that was revoked after the reload works")
	}
}
