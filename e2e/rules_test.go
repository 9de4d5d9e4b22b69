package e2e

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStockRules checks that the rules of the repository's Caddyfile, and the
// default rule for the other tools, find the tables and the record counts of each
// of the stock server's tools, and leave null what cannot be known.
func TestStockRules(t *testing.T) {
	s := startSite(t)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	for i, c := range []struct {
		tool, args string
		tables     any
		records    any
	}{
		{"query_table", `{"table":"stock_financials","limit":12}`, []any{"stock_financials"}, 12.0},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"ts_code","op":"eq","value":"none"}]}`, []any{"stock_basic"}, 0.0},
		{"describe_table", `{"table":"trade_calendar"}`, []any{"trade_calendar"}, nil},
		{"list_tables", `{}`, nil, nil},
		{"get_daily", `{"ts_code":"600001.NX","limit":7}`, []any{"stock_daily"}, 7.0},
		{"run_sql", `{"sql":"SELECT b.name, d.close FROM stock_daily d JOIN stock_basic b USING (ts_code) LIMIT 9"}`, []any{"stock_daily", "stock_basic"}, 9.0},
		{"run_sql", `{"sql":"SELECT 1"}`, nil, 1.0},
		{"run_sql", `{"sql":"DELETE FROM stock_basic"}`, []any{"stock_basic"}, nil},
		{"backtest", `{"ts_code":"600001.NX","steps":2,"step_ms":1}`, []any{"stock_daily"}, "days"},
	} {
		a := do(t, "POST", s.gate, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+c.tool+`","arguments":`+c.args+`}}`, "Authorization: Bearer "+key)
		if a.status != http.StatusOK {
			t.Fatalf("%s %s answers %d %s", c.tool, c.args, a.status, a.body)
		}
		if c.records == "days" {
			c.records = a.json(t)["result"].(map[string]any)["structuredContent"].(map[string]any)["days"]
		}
		row := s.awaitCalls(t, jwt, i+1)[0]
		if diff := cmp.Diff([]any{c.tool, c.tables, c.records}, []any{row["tool_name"], row["tables"], row["record_count"]}); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.tool, c.args, diff)
		}
	}
}
