package gate_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// TestOnlyTheSameCallIsARetry: a call that brings back the state of another one
// continues it only where its user, its server, its tool and its arguments are the
// same. Any other is a call of its own, with its own row.
func TestOnlyTheSameCallIsARetry(t *testing.T) {
	// Each call without a state asks for input, and answers with a state that is
	// the same for all; each call with a state succeeds.
	upstream := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		buf := new(strings.Builder)
		_ = r.Write(buf)
		w.Header().Set("Content-Type", "application/json")
		result := `{"resultType":"input_required","inputRequests":{},"requestState":"S"}`
		if strings.Contains(buf.String(), "requestState") {
			result = `{"content":[],"structuredContent":{"rows":[1,2]}}`
		}
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":%s}`, result)
	})
	s := startSite(t, upstream)
	other := startSite(t, upstream, func(c *gate.Config) { c.Server = "other" })
	other.backend.Store(s.backend.Load())
	mine := s.key(t)
	theirs, _ := s.issueTo(t, stranger, identity.KeySpec{Name: "theirs"})
	call := func(url, key, tool, arguments, more string) {
		t.Helper()
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s%s}}`, tool, arguments, more)
		if a := do(t, "POST", url, body, "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Fatalf("%s answers %d %s", tool, a.status, a.body)
		}
	}
	const arguments, state = `{"table":"t", "n":1.0}`, `,"requestState":"S","inputResponses":{}`
	call(s.url, mine, "ask", arguments, "")

	for i, c := range []struct{ url, key, tool, arguments string }{
		{s.url, mine, "run_sql", arguments},
		{s.url, mine, "ask", `{"table":"u","n":1.0}`},
		{s.url, theirs, "ask", arguments},
		{other.url, mine, "ask", arguments},
	} {
		call(c.url, c.key, c.tool, c.arguments, state)
		row := s.journal.Await(t, i+1)[0]
		if row["tool_name"] != c.tool || row["outcome"] != "ok" || row["record_count"] != 2.0 {
			t.Errorf("the row of call %d is %v", i, row)
		}
	}
	if pending, err := s.journal.PendingCalls(); len(pending) != 1 || err != nil {
		t.Fatalf("%d calls are pending, %v; want the one that asked", len(pending), err)
	}
	// The same call, written another way, is the retry.
	s.restart(t)
	call(s.url, mine, "ask", `{"n":1.0,"t\u0061ble":"t"}`, state)
	if rows := s.journal.Await(t, 5); rows[4]["tool_name"] != "ask" || rows[4]["outcome"] != "ok" || rows[4]["request_bytes"].(float64) < 200 {
		t.Errorf("the row of the call that asked is %v", rows[4])
	}
	if pending, err := s.journal.PendingCalls(); len(pending) != 0 || err != nil {
		t.Errorf("%d calls are pending, %v", len(pending), err)
	}
}

// TestSessionOfPendingCall: the session of a call whose stream can be resumed is
// still its user's when another process takes over.
func TestSessionOfPendingCall(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	mine := gatetest.Client{URL: s.url, Key: s.key(t)}
	key, _ := s.issueTo(t, stranger, identity.KeySpec{Name: "theirs"})
	f := gatetest.Flow{Tool: "query_x", Name: "resumed", Table: "t", Rows: 3, ID: "1", Session: "s"}
	if err := mine.Start(f); err != nil {
		t.Fatal(err)
	}
	s.restart(t)
	a := do(t, "GET", s.url, "", "Mcp-Session-Id: s", "Last-Event-ID: query_x", "Authorization: Bearer "+key)
	if a.status != http.StatusNotFound {
		t.Errorf("another user resumes the stream: %d %s", a.status, a.body)
	}
	if err := mine.Finish(f); err != nil {
		t.Fatal(err)
	}
	gatetest.CheckRows(t, s.journal.Await(t, 1), []gatetest.Flow{f}, u)
}
