package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
)

// TestClickHouse checks that TALLYGATE_LEDGER is all that is needed to record usage
// in ClickHouse, over both of its protocols, and that while ClickHouse is
// unavailable no call is delayed or lost.
func TestClickHouse(t *testing.T) {
	server := clickhousetest.Start(t)
	native, _ := server.NewDatabase(t)
	_, overHTTP := server.NewDatabase(t)
	for protocol, dsn := range map[string]string{"native": native, "HTTP": overHTTP} {
		t.Run(protocol, func(t *testing.T) {
			s := startSite(t, "TALLYGATE_LEDGER="+dsn)
			jwt := s.login(t)
			key, _ := s.key(t, jwt, `{"key_name":"k"}`)
			call := func(n int) {
				body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_basic","limit":%d}}}`, n)
				if a := do(t, "POST", s.gate, body, "Authorization: Bearer "+key); a.status != http.StatusOK {
					t.Fatalf("the call answers %d %s", a.status, a.body)
				}
			}
			for n := range 5 {
				call(n + 1)
			}
			s.awaitCalls(t, jwt, 5)

			server.Kill()
			call(10)
			if a := do(t, "GET", s.admin+"/api/mcp-usage/history", "", jwt); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"error":{"code":`) {
				t.Errorf("without its ledger history answers %d %s", a.status, a.body)
			}
			s.kill()
			s.run(t)
			call(20)
			server.Restart(t)

			eventually(t, "seven rows", func() bool {
				return server.Query(t, "SELECT count() FROM "+database(dsn)+".mcp_tool_usage_log") == "7"
			})
			got := server.Query(t, "SELECT count(), uniqExact(event_id), sum(record_count), any(table_name) FROM "+database(dsn)+".mcp_tool_usage_log")
			if want := "7\t7\t45\tstock_basic"; got != want {
				t.Errorf("the table holds %q, want %q", got, want)
			}
			stats := do(t, "GET", s.admin+"/api/mcp-usage/stats?days=30", "", jwt).json(t)
			if stats["total_calls"] != 7.0 || stats["total_records"] != 45.0 {
				t.Errorf("stats are %v", stats)
			}
			wantHistory(t, s, jwt, 7)
		})
	}
}

// wantHistory reads the whole history by page and by cursor, and checks that both
// have the same calls and their number.
func wantHistory(t *testing.T, s *site, jwt string, calls int) {
	t.Helper()
	ids := func(items any) (ids []any) {
		for _, item := range items.([]any) {
			ids = append(ids, item.(map[string]any)["event_id"])
		}
		return ids
	}
	const size = 3
	var byPage, byCursor []any
	for page := 1; page <= (calls+size-1)/size; page++ {
		got := do(t, "GET", fmt.Sprintf("%s/api/mcp-usage/history?page=%d&page_size=%d", s.admin, page, size), "", jwt).json(t)
		byPage = append(byPage, ids(got["items"])...)
	}
	for next := any(""); next != nil; {
		target := fmt.Sprintf("%s/api/mcp-usage/history?page_size=%d", s.admin, size)
		if next != "" {
			target += fmt.Sprint("&cursor=", next)
		}
		got := do(t, "GET", target, "", jwt).json(t)
		byCursor, next = append(byCursor, ids(got["items"])...), got["next_cursor"]
	}
	if !slices.Equal(byPage, byCursor) || len(byPage) != calls {
		t.Errorf("history by page %v, by cursor %v; want %d calls", byPage, byCursor, calls)
	}
}

// database returns the name of the database in a DSN.
func database(dsn string) string { return dsn[strings.LastIndexByte(dsn, '/')+1:] }
