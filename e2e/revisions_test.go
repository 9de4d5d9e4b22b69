package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// startStateless starts an MCP server of the official Go SDK that keeps no
// sessions and answers calls with as many rows as they ask for.
func startStateless(tb testing.TB, jsonAnswers bool) string {
	tb.Helper()
	server := sdk.NewServer(&sdk.Implementation{Name: "stateless", Version: "1"}, nil)
	type args struct {
		Rows int `json:"rows"`
	}
	type result struct {
		Rows []int `json:"rows"`
	}
	sdk.AddTool(server, &sdk.Tool{Name: "query_rows"}, func(_ context.Context, _ *sdk.CallToolRequest, a args) (*sdk.CallToolResult, result, error) {
		return nil, result{make([]int, a.Rows)}, nil
	})
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server },
		&sdk.StreamableHTTPOptions{Stateless: true, JSONResponse: jsonAnswers})
	s := httptest.NewServer(handler)
	tb.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// TestRevisions calls through the gate as clients of each revision of MCP do,
// with answers as JSON and as event streams.
func TestRevisions(t *testing.T) {
	for _, jsonAnswers := range []bool{true, false} {
		t.Run(fmt.Sprintf("JSON=%v", jsonAnswers), func(t *testing.T) {
			s := startSiteAt(t, startStateless(t, jsonAnswers))
			jwt := s.login(t)
			key, _ := s.key(t, jwt, `{"key_name":"k"}`)
			auth := "Authorization: Bearer " + key
			call := func(id, rows int, meta string) string {
				return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"query_rows","arguments":{"rows":%d}%s}}`, id, rows, meta)
			}
			calls := 0
			expect := func(t *testing.T, what string, columns map[string]any, records ...float64) {
				t.Helper()
				calls += len(records)
				got := map[float64]bool{}
				for _, row := range s.awaitCalls(t, jwt, calls)[:len(records)] {
					if row["outcome"] != "ok" {
						t.Errorf("%s: the row is %v", what, row)
						continue
					}
					got[row["record_count"].(float64)] = true
					for column, want := range columns {
						if row[column] != want {
							t.Errorf("%s: %s is %v, want %v", what, column, row[column], want)
						}
					}
				}
				for _, want := range records {
					if !got[want] {
						t.Errorf("%s: no row has %v records", what, want)
					}
				}
			}

			for _, revision := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"} {
				t.Run(revision, func(t *testing.T) {
					initialize := fmt.Sprintf(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`, revision)
					if a := do(t, "POST", s.gate, initialize); a.status != http.StatusOK || !strings.Contains(a.body, revision) {
						t.Fatalf("initialize answers %d %s", a.status, a.body)
					}
					headers := []string{auth}
					var version any
					if revision >= "2025-06-18" { // which brought the header
						headers, version = append(headers, "Mcp-Protocol-Version: "+revision), revision
					}
					if a := do(t, "POST", s.gate, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, headers[1:]...); a.status != http.StatusAccepted {
						t.Errorf("notifications/initialized answers %d %s", a.status, a.body)
					}
					if a := do(t, "POST", s.gate, call(1, 3, ""), headers...); a.status != http.StatusOK {
						t.Fatalf("a call answers %d %s", a.status, a.body)
					}
					expect(t, "a call", map[string]any{"protocol_version": version}, 3)
					if a := do(t, "POST", s.gate, call(1, 3, ""), headers[1:]...); a.status != http.StatusUnauthorized {
						t.Errorf("a call without a key answers %d %s", a.status, a.body)
					}
					batch := "[" + call(11, 4, "") + `,{"jsonrpc":"2.0","id":12,"method":"tools/list"},` + call(13, 5, "") + "]"
					a := do(t, "POST", s.gate, batch, headers...)
					if revision > "2025-03-26" {
						if a.status != http.StatusBadRequest {
							t.Errorf("a batch answers %d %s", a.status, a.body)
						}
						return
					}
					if a.status != http.StatusOK {
						t.Fatalf("a batch answers %d %s", a.status, a.body)
					}
					expect(t, "a batch", nil, 4, 5)
				})
			}
			t.Run("2026-07-28", func(t *testing.T) {
				const version = "Mcp-Protocol-Version: 2026-07-28"
				meta := func(more string) string {
					return `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"newest","version":"7"},"io.modelcontextprotocol/clientCapabilities":{}` + more + `}`
				}
				discover := `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + meta("") + `}}`
				if a := do(t, "POST", s.gate, discover, version, "Mcp-Method: server/discover"); a.status != http.StatusOK {
					t.Errorf("server/discover answers %d %s", a.status, a.body)
				}
				if a := do(t, "POST", s.gate, call(2, 6, ","+meta("")), version, "Mcp-Method: tools/call", "Mcp-Name: query_rows", auth); a.status != http.StatusOK {
					t.Fatalf("a call answers %d %s", a.status, a.body)
				}
				expect(t, "a call", map[string]any{"protocol_version": "2026-07-28", "client_name": "newest", "client_version": "7"}, 6)
				if a := do(t, "POST", s.gate, call(2, 6, ","+meta("")), version, "Mcp-Method: server/discover"); a.status != http.StatusUnauthorized {
					t.Errorf("a call under a lying header answers %d %s", a.status, a.body)
				}

				listen := `{"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + meta("") + `}}`
				temporary, id := s.key(t, jwt, `{"key_name":"for the stream"}`)
				req, err := http.NewRequest("POST", s.gate, strings.NewReader(listen))
				if err != nil {
					t.Fatal(err)
				}
				for name, value := range map[string]string{
					"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2026-07-28",
					"Mcp-Method": "subscriptions/listen", "Authorization": "Bearer " + temporary,
				} {
					req.Header.Set(name, value)
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				rd := bufio.NewReader(res.Body)
				if line, err := rd.ReadString('\n'); err != nil || res.StatusCode != http.StatusOK {
					t.Fatalf("the stream begins with %d %q, %v", res.StatusCode, line, err)
				}
				if a := do(t, "POST", s.admin+"/api/mcp-keys/revoke", `{"key_id":"`+id+`"}`, jwt); a.status != http.StatusOK {
					t.Fatalf("revoke: %d %s", a.status, a.body)
				}
				for err == nil {
					_, err = rd.ReadString('\n')
				}
			})
		})
	}
}
