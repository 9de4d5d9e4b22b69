package gate_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
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
