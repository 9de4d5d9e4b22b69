package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/sqlite"
)

// issue makes a key of the administrator's straight in the site's store.
func (s *site) issue(tb testing.TB, spec identity.KeySpec) (key string, record identity.Key) {
	tb.Helper()
	store, err := sqlite.Open("sqlite:" + filepath.Join(s.dir, "data", "tallygate.db"))
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
	record, key, err = identity.KeyFormat{}.Issue(user.ID, spec)
	if err != nil {
		tb.Fatal(err)
	}
	if err := store.CreateKey(tb.Context(), record); err != nil {
		tb.Fatal(err)
	}
	return key, record
}

// TestScopesOfClients holds that the clients of both makers, in front of real
// servers that answer with JSON and with event streams, list what their key may
// call, call it, and tell their user of what it may not.
func TestScopesOfClients(t *testing.T) {
	for name, upstream := range map[string]string{
		"stock server": startStock(t),
		"Go SDK":       startSDKUpstream(t, sdk.StreamableHTTPOptions{Stateless: true}).address,
		"Go SDK, JSON": startSDKUpstream(t, sdk.StreamableHTTPOptions{Stateless: true, JSONResponse: true}).address,
	} {
		s := startSiteAt(t, upstream)
		key, _ := s.issue(t, identity.KeySpec{Name: "scoped", Scopes: []string{"query_*", "back*"}})
		for _, c := range mcpClients {
			t.Run(c.name+" and "+name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				session, err := c.connect(ctx, s.gate, key)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = session.close() }()
				names, err := session.list(ctx)
				slices.Sort(names)
				if diff := cmp.Diff([]string{"backtest", "query_table"}, names); err != nil || diff != "" {
					t.Fatalf("it lists (-want +got) %v\n%s", err, diff)
				}
				for _, tool := range []string{"ask", "run_sql"} {
					_, _, err = session.call(ctx, tool, map[string]any{})
					if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("This API key may not call the tool %q", tool)) {
						t.Errorf("of a call of %s it says %v", tool, err)
					}
				}
				if _, isError, err := session.call(ctx, "query_table", map[string]any{"table": "trade_calendar", "limit": 3}); err != nil || isError {
					t.Errorf("the next call ends in %v, isError %v", err, isError)
				}
			})
		}
	}
}

// TestScopesOfResumedStreams holds that a list is filtered on a stream that is
// taken up again after it broke.
func TestScopesOfResumedStreams(t *testing.T) {
	u := startSDKUpstream(t, sdk.StreamableHTTPOptions{EventStore: sdk.NewMemoryEventStore(nil)})
	s := startSiteAt(t, u.address)
	key, _ := s.issue(t, identity.KeySpec{Name: "scoped", Scopes: []string{"query_*", "!query_secret*"}})
	auth, accept := "Authorization: Bearer "+key, "Accept: application/json, text/event-stream"
	init := do(t, "POST", s.gate, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`, auth, accept)
	session, version := "Mcp-Session-Id: "+init.header.Get("Mcp-Session-Id"), "Mcp-Protocol-Version: 2025-11-25"
	do(t, "POST", s.gate, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, auth, accept, session, version)
	a := do(t, "POST", s.gate, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, auth, accept, session, version)
	events := strings.Split(a.body, "\n\n")
	at := slices.IndexFunc(events, func(e string) bool { return strings.Contains(e, `"tools":[`) })
	if at < 1 || strings.Contains(a.body, "backtest") {
		t.Fatalf("the list answers %d %q", a.status, a.body)
	}
	_, rest, _ := strings.Cut(events[at-1], "id: ")
	id, _, _ := strings.Cut(rest, "\n")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", s.gate, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{auth, "Accept: text/event-stream", session, version, "Last-Event-ID: " + id} {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var replayed strings.Builder
	for rd := bufio.NewReader(res.Body); !strings.Contains(replayed.String(), `"query_table"`); {
		line, err := rd.ReadString('\n')
		replayed.WriteString(line)
		if err != nil && !errors.Is(err, io.EOF) || err != nil && line == "" {
			t.Fatalf("the resumed stream says %d %q, %v", res.StatusCode, replayed.String(), err)
		}
	}
	if strings.Contains(replayed.String(), "backtest") {
		t.Errorf("the resumed stream lists %q", replayed.String())
	}
}
