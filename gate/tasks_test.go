package gate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// TestTasksOfMCPGo: a call that a real server runs as a task leaves one row, which
// says how the task ended.
func TestTasksOfMCPGo(t *testing.T) {
	srv := server.NewMCPServer("tasks", "1", server.WithTaskCapabilities(true, true, true), server.WithToolCapabilities(false))
	srv.AddTaskTool(mcpgo.NewTool("query_long", mcpgo.WithTaskSupport(mcpgo.TaskSupportRequired), mcpgo.WithString("table"), mcpgo.WithString("end")),
		func(ctx context.Context, r mcpgo.CallToolRequest) (*mcpgo.CreateTaskResult, error) {
			switch r.GetString("end", "") {
			case "failure":
				return nil, errors.New("no such table")
			case "never":
				<-ctx.Done()
				return nil, ctx.Err()
			case "tool error":
				return &mcpgo.CreateTaskResult{Content: []mcpgo.Content{mcpgo.NewTextContent("no")}, IsError: true}, nil
			}
			return &mcpgo.CreateTaskResult{
				Content:           []mcpgo.Content{mcpgo.NewTextContent("three")},
				StructuredContent: map[string]any{"rows": []int{1, 2, 3}},
			}, nil
		})
	s := startSite(t, startHandler(t, server.NewStreamableHTTPServer(srv).ServeHTTP))
	key := s.key(t)
	auth := "Authorization: Bearer " + key
	init := do(t, "POST", s.url, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"tester","version":"9"}}}`, auth)
	session := "Mcp-Session-Id: " + init.header.Get("Mcp-Session-Id")
	ask := func(method, params string) answer {
		a := do(t, "POST", s.url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params), auth, session, "Mcp-Protocol-Version: 2025-11-25")
		if a.status != http.StatusOK {
			t.Fatalf("%s %s answers %d %s", method, params, a.status, a.body)
		}
		return a
	}
	for i, c := range []struct {
		end, then, outcome string
		records            any
	}{
		{"", "tasks/result", "ok", 3.0},
		{"tool error", "tasks/result", "tool_error", nil},
		{"failure", "tasks/result", "rpc_error", nil},
		{"never", "tasks/cancel", "aborted", nil},
	} {
		a := ask("tools/call", fmt.Sprintf(`{"name":"query_long","arguments":{"table":"t","end":%q},"task":{"ttl":60000}}`, c.end))
		_, rest, _ := strings.Cut(a.body, `"taskId":"`)
		id, _, ok := strings.Cut(rest, `"`)
		if !ok {
			t.Fatalf("the call answers %s", a.body)
		}
		ask("tasks/get", `{"taskId":"`+id+`"}`)
		ask(c.then, `{"taskId":"`+id+`"}`)
		ask("tasks/get", `{"taskId":"`+id+`"}`)
		row := s.journal.Await(t, i+1)[0]
		if row["outcome"] != c.outcome || row["record_count"] != c.records || row["table_name"] != "t" {
			t.Errorf("%q: the row is %v", c.end, row)
		}
	}
}

const taskNotFound = `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Failed to retrieve task: Task not found"}}`

// TestTasksResultOf2026: revision 2026-07-28 has no tasks/result, and who asks for the
// result of a task that is not theirs is told so, whether there is one or not.
func TestTasksResultOf2026(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	mine := gatetest.Client{URL: s.url, Key: s.key(t)}
	theirs, _ := s.issueTo(t, stranger, identity.KeySpec{Name: "theirs"})
	if err := mine.Start(gatetest.Flow{Tool: "query_a", Name: "task", Table: "t", Rows: 3, ID: "1"}); err != nil {
		t.Fatal(err)
	}
	const want = `{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"Method not found: since 2026-07-28 tasks/get has the result"}}`
	for _, task := range []string{"task of query_a", "unknown"} {
		for method, want := range map[string]string{"tasks/result": want, "tasks/get": taskNotFound} {
			a := s.post(t, theirs, `{"jsonrpc":"2.0","id":"a","method":"`+method+`","params":{"taskId":"`+task+`","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
			if a.body != want {
				t.Errorf("%s of %s answers %d %s", method, task, a.status, a.body)
			}
		}
	}
}

// TestTasksAreTheirOwners: to everyone but the user who began it a task does not
// exist, before and after it has ended, and after a restart of the gate.
func TestTasksAreTheirOwners(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	mine := gatetest.Client{URL: s.url, Key: s.key(t)}
	theirs, _ := s.issueTo(t, stranger, identity.KeySpec{Name: "theirs"})
	flows := []gatetest.Flow{
		{Tool: "query_a", Name: "task", Table: "t", Rows: 3, ID: "1"},
		{Tool: "query_b", Name: "task 2025", Table: "t", Rows: 4, ID: "1", Session: "s"},
	}
	for _, f := range flows {
		if err := mine.Start(f); err != nil {
			t.Fatal(err)
		}
	}
	refused := func() {
		t.Helper()
		for _, method := range []string{"tasks/get", "tasks/result", "tasks/cancel", "tasks/update", "tasks/whatever"} {
			for _, task := range []string{`"task of query_a"`, `"task of query_b"`, `"unknown"`, `7`, `null`, `["task of query_a"]`} {
				a := s.post(t, theirs, `{"jsonrpc":"2.0","id":"a","method":"`+method+`","params":{"taskId":`+task+`}}`)
				if a.status != http.StatusOK || a.body != taskNotFound {
					t.Errorf("another user's %s of %s answers %d %s", method, task, a.status, a.body)
				}
			}
		}
		s.post(t, theirs, `{"jsonrpc":"2.0","method":"tasks/cancel","params":{"taskId":"task of query_a"}}`)
		for _, body := range []string{
			`{"jsonrpc":"2.0","id":"a","method":"subscriptions/listen","params":{"notifications":{"taskIds":["x","task of query_b"]}}}`,
			`{"jsonrpc":"2.0","id":"a","method":"prompts/get","params":{"name":"p","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"task of query_b"}}}}`,
		} {
			if a := s.post(t, theirs, body); a.body != taskNotFound {
				t.Errorf("another user's %s answers %d %s", body, a.status, a.body)
			}
		}
	}
	refused()
	if n := u.Polls("task of query_a") + u.Polls("task of query_b") + u.Polls("unknown"); n != 0 {
		t.Errorf("%d messages reached the upstream", n)
	}
	s.restart(t)
	refused()
	for _, f := range flows {
		if err := mine.Finish(f); err != nil {
			t.Fatal(err)
		}
	}
	gatetest.CheckRows(t, s.journal.Await(t, 2), flows, u)
	refused()
	s.restart(t)
	refused()
	// The owner may ask again, with another key too, if its scopes have the tool.
	for _, c := range []struct {
		scopes []string
		want   string
	}{{nil, `"structuredContent"`}, {[]string{"query_*"}, `"structuredContent"`}, {[]string{"run_*"}, `"code":40302`}} {
		key, _ := s.issue(t, identity.KeySpec{Name: "k", Scopes: c.scopes})
		for _, task := range []string{"task of query_a", "task of query_b"} {
			if a := s.post(t, key, `{"jsonrpc":"2.0","id":"a","method":"tasks/result","params":{"taskId":"`+task+`"}}`); !strings.Contains(a.body, c.want) {
				t.Errorf("with the scopes %v the task's owner gets %s", c.scopes, a.body)
			}
		}
	}
	// A task that is related to a message may be the client's own.
	own := `{"jsonrpc":"2.0","method":"notifications/progress","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"the client's"}}}}`
	if a := s.post(t, theirs, own); a.status != http.StatusAccepted {
		t.Errorf("a notification about a task of the client's answers %d %s", a.status, a.body)
	}
	s.journal.Await(t, 2)
}

// TestTaskLists: a user sees their own tasks, as far as their key's scopes allow,
// in lists and on event streams of every kind.
func TestTaskLists(t *testing.T) {
	const list = `{"jsonrpc":"2.0","id":1,"result":{"tasks":[{"taskId":"a","status":"working"},{"taskId":"b","status":"working"},{"taskId":"c","status":"working"},{"taskId":"unknown","status":"working"}],"nextCursor":"x"}}`
	status := func(id string) string {
		return `data: {"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"` + id + `","status":"completed"}}` + "\n\n"
	}
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var req struct {
			ID     json.RawMessage
			Method string
			Params struct {
				Arguments struct{ Task string }
			}
		}
		_ = json.Unmarshal(body, &req)
		task := req.Params.Arguments.Task
		if stream := r.Header.Get("X-Stream") != ""; stream || r.Method == http.MethodGet {
			reply := list
			if req.Method == "tools/call" {
				reply = `{"jsonrpc":"2.0","id":1,"result":{"nextCursor":"x"}}`
			}
			gatetest.WriteEvent(w, "id: 1\ndata: "+gatetest.Progress+"\n\n"+status("a")+status("b")+status("c")+"data: "+reply+"\n\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		reply := list
		if task != "" {
			reply = `{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"` + task + `","status":"working","ttl":60000}}}`
		}
		_, _ = io.WriteString(w, reply)
	}))
	mine := s.key(t)
	theirs, _ := s.issueTo(t, stranger, identity.KeySpec{Name: "theirs"})
	scoped, _ := s.issue(t, identity.KeySpec{Name: "scoped", Scopes: []string{"query_*"}})
	for _, c := range []struct{ key, tool, task string }{{mine, "query_x", "a"}, {theirs, "query_x", "b"}, {mine, "run_sql", "c"}} {
		s.post(t, c.key, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"task":%q},"task":{}}}`, c.tool, c.task))
	}
	message := func(method string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"name":"query_x"}}`
	}
	for _, c := range []struct{ name, key, sees string }{
		{"mine", mine, "ac"}, {"theirs", theirs, "b"}, {"scoped", scoped, "a"}, {"none", "", ""},
	} {
		check := func(what string, a answer, listed, notified bool) {
			t.Helper()
			for _, task := range []string{"a", "b", "c", "unknown"} {
				sees := strings.Contains(c.sees, task)
				if got := strings.Contains(a.body, `{"taskId":"`+task+`","status":"working"}`); got != (sees && listed) {
					t.Errorf("%s, %s: task %s is listed: %t", c.name, what, task, got)
				}
				if got := strings.Contains(a.body, `{"taskId":"`+task+`","status":"completed"}`); got != (sees && notified) {
					t.Errorf("%s, %s: a notification about %s comes: %t", c.name, what, task, got)
				}
			}
			if a.status != 200 || !strings.Contains(a.body, `"nextCursor":"x"`) || notified && !strings.Contains(a.body, "id: 1\ndata: "+gatetest.Progress+"\n\n") {
				t.Errorf("%s, %s: answers %d %s", c.name, what, a.status, a.body)
			}
		}
		auth := "Authorization: Bearer " + c.key
		if c.key == "" {
			check("ping", do(t, "POST", s.url, message("ping"), "X-Stream: 1"), true, true)
			continue
		}
		check("a list", do(t, "POST", s.url, message("tasks/list"), auth), true, false)
		check("a list on a stream", do(t, "POST", s.url, message("tasks/list"), auth, "X-Stream: 1"), true, true)
		check("a call's stream", do(t, "POST", s.url, message("tools/call"), auth, "X-Stream: 1"), false, true)
		check("a standing stream", do(t, "GET", s.url, "", auth), true, true)
	}
}
