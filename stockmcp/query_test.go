package stockmcp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestListTables(t *testing.T) {
	t.Parallel()
	got := succeed[tableList](t, start(t), "list_tables", `{}`)
	d := data(t)
	var want tableList
	for _, table := range tables {
		want.Tables = append(want.Tables, tableSummary{table.name, table.description, len(everything(t, d, table))})
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDescribeTable(t *testing.T) {
	t.Parallel()
	got := succeed[tableDescription](t, start(t), "describe_table", `{"table":"trade_calendar"}`)
	want := tableDescription{
		Table:       "trade_calendar",
		Description: "Every day from 2018-01-01 to 2026-12-31 and whether the exchanges were open.",
		PrimaryKey:  []string{"cal_date"},
		Columns: []columnDescription{
			{"cal_date", "TEXT", "The day, YYYY-MM-DD"},
			{"is_open", "INTEGER", "1 on a trading day, else 0"},
			{"prev_trade_date", "TEXT", "The last open day before this one; null for the first"},
			{"holiday", "TEXT", "Name of the holiday (fictional); null when it is none"},
		},
		Rows: 3287,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestQueryTable(t *testing.T) {
	t.Parallel()
	endpoint := start(t)
	result := call(t, endpoint, "query_table", `{"table":"trade_calendar","columns":["holiday","cal_date"],
		"filters":[{"column":"cal_date","op":"le","value":"2026-02-12"},{"column":"is_open","op":"eq","value":0}],
		"order_by":"cal_date","descending":true,"limit":2.0,"offset":1}`)
	const want = `{"table":"trade_calendar","columns":["holiday","cal_date"],"rows":[` +
		`{"holiday":"Lantern Week","cal_date":"2026-02-11"},{"holiday":"Lantern Week","cal_date":"2026-02-10"}` +
		`],"row_count":2,"truncated":true}`
	if got := result.Content[0].Text; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if p := succeed[tablePage](t, endpoint, "query_table", `{"table":"stock_daily"}`); p.RowCount != defaultLimit || !p.Truncated {
		t.Errorf("by default: %d rows, truncated %v", p.RowCount, p.Truncated)
	}
	if p := succeed[tablePage](t, endpoint, "query_table", `{"table":"stock_basic","offset":2039}`); p.RowCount != 1 || p.Truncated {
		t.Errorf("the last page: %d rows, truncated %v", p.RowCount, p.Truncated)
	}
	if got := call(t, endpoint, "query_table", `{"table":"stock_basic","offset":5000}`).Content[0].Text; !strings.Contains(got, `"rows":[],"row_count":0,"truncated":false`) {
		t.Errorf("past the end: %s", got)
	}
}

// query_table is compared with a model: the whole table in memory, filtered,
// sorted and cut by plain Go code.
func TestQueryTableMatchesModel(t *testing.T) {
	t.Parallel()
	d := data(t)
	all := make(map[string][][]any)
	for _, table := range tables {
		all[table.name] = everything(t, d, table)
	}
	rapid.Check(t, func(t *rapid.T) {
		table := rapid.SampledFrom(tables).Draw(t, "table")
		rows := all[table.name]
		args := queryArgs{Table: table.name}
		args.Limit = rapid.IntRange(1, 60).Draw(t, "limit")
		args.Offset = rapid.IntRange(0, 60).Draw(t, "offset")
		args.Descending = rapid.Bool().Draw(t, "descending")
		order := -1
		if rapid.Bool().Draw(t, "ordered") {
			order = rapid.IntRange(0, len(table.columns)-1).Draw(t, "order_by")
			args.OrderBy = table.columns[order].name
		}
		var want [][]any
		conditions := drawFilters(t, table, rows, &args)
		for _, row := range rows {
			if !slices.ContainsFunc(conditions, func(meets func([]any) bool) bool { return !meets(row) }) {
				want = append(want, row)
			}
		}
		slices.SortStableFunc(want, func(a, b []any) int {
			c := order
			if c < 0 {
				c = 0 // the key is the first column, and the rows are sorted by it
			}
			by := compare(a[c], b[c])
			if args.Descending {
				by = -by
			}
			return by
		})
		matching := len(want)
		want = want[min(args.Offset, matching):]
		want = want[:min(args.Limit, len(want))]

		got, err := d.queryTable(t.Context(), noRequest, args)
		if err != nil {
			t.Fatal(err)
		}
		if truncated := matching > args.Offset+args.Limit; got.Truncated != truncated || got.RowCount != len(want) || len(got.Rows) != len(want) {
			t.Fatalf("%d rows (%d), truncated %v; want %d of %d", got.RowCount, len(got.Rows), got.Truncated, len(want), matching)
		}
		for i, row := range want {
			encoded, err := encode(table.columnNames(), row)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Rows[i].(json.RawMessage)) != string(encoded) {
				t.Fatalf("row %d\n got %s\nwant %s", i, got.Rows[i], encoded)
			}
		}
	})
}

// drawFilters adds filters to args and returns the meaning of each.
func drawFilters(t *rapid.T, table table, rows [][]any, args *queryArgs) (conditions []func([]any) bool) {
	for range rapid.IntRange(0, 3).Draw(t, "filters") {
		c := rapid.IntRange(0, len(table.columns)-1).Draw(t, "column")
		value := func() any {
			v := rapid.SampledFrom(rows).Draw(t, "like row")[c]
			if v == nil {
				v = "2020-01-01" // both nullable columns are text
			}
			if n, ok := v.(int64); ok {
				v = float64(n) // as JSON decodes it
			}
			return v
		}
		ops := []string{"eq", "ne", "lt", "le", "gt", "ge", "in"}
		if table.columns[c].kind == "TEXT" {
			ops = append(ops, "like")
		}
		f := filter{Column: table.columns[c].name, Op: rapid.SampledFrom(ops).Draw(t, "op"), Value: value()}
		var meets func(any) bool
		switch f.Op {
		case "in":
			values := []any{f.Value, value(), value()}
			f.Value = values
			meets = func(v any) bool {
				return slices.ContainsFunc(values, func(one any) bool { return compare(v, one) == 0 })
			}
		case "like":
			text := []rune(f.Value.(string))
			text[rapid.IntRange(0, len(text)-1).Draw(t, "wildcard")] = rapid.SampledFrom([]rune("%_")).Draw(t, "which")
			f.Value = string(text)
			pattern := regexp.MustCompile("(?is)^" + strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(f.Value.(string))) + "$")
			meets = func(v any) bool { return pattern.MatchString(v.(string)) }
		default:
			one := f.Value
			meets = func(v any) bool {
				by := compare(v, one)
				return map[string]bool{"eq": by == 0, "ne": by != 0, "lt": by < 0, "le": by <= 0, "gt": by > 0, "ge": by >= 0}[f.Op]
			}
		}
		args.Filters = append(args.Filters, f)
		conditions = append(conditions, func(row []any) bool { return row[c] != nil && meets(row[c]) })
	}
	return conditions
}

// compare orders values as SQLite does: null comes first.
func compare(a, b any) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(flag(a != nil), flag(b != nil))
	case fmt.Sprintf("%T", a) == "string":
		return cmp.Compare(a.(string), b.(string))
	default:
		return cmp.Compare(number(a), number(b))
	}
}

func number(v any) float64 {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	return v.(float64)
}

func TestGetDaily(t *testing.T) {
	t.Parallel()
	endpoint := start(t)
	all := succeed[tablePage](t, endpoint, "get_daily", `{"ts_code":"600001.NX","limit":1000}`)
	if all.Table != "stock_daily" || all.RowCount < 100 || all.Truncated {
		t.Errorf("%s, %d rows, truncated %v", all.Table, all.RowCount, all.Truncated)
	}
	var dates []string
	for _, row := range all.Rows {
		if code := row.(map[string]any)["ts_code"]; code != "600001.NX" {
			t.Errorf("a row of %s", code)
		}
		dates = append(dates, row.(map[string]any)["trade_date"].(string))
	}
	if !slices.IsSorted(dates) {
		t.Error("not oldest first")
	}
	june := succeed[tablePage](t, endpoint, "get_daily", `{"ts_code":"600001.NX","from":"2026-06-01","to":"2026-06-12"}`)
	if diff := gocmp.Diff([]any{"2026-06-01", "2026-06-12"}, []any{
		june.Rows[0].(map[string]any)["trade_date"], june.Rows[june.RowCount-1].(map[string]any)["trade_date"],
	}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	endpoint := start(t)
	for _, test := range []struct{ tool, arguments, says string }{
		{"list_tables", `{"x":1}`, "[x]"},
		{"describe_table", `{}`, "Missing:[table]"},
		{"describe_table", `{"table":"nope"}`, "stock_basic stock_daily stock_financials trade_calendar"},
		{"describe_table", `{"Table":"stock_basic"}`, "[Table]"},
		{"describe_table", `{"table":["stock_basic"]}`, "/table"},
		{"query_table", `{"table":"sqlite_master"}`, "/table"},
		{"query_table", `{"table":"stock_basic; DROP TABLE stock_basic"}`, "/table"},
		{"query_table", `{"table":"stock_basic","limit":0}`, "/limit"},
		{"query_table", `{"table":"stock_basic","limit":-1}`, "/limit"},
		{"query_table", `{"table":"stock_basic","limit":1001}`, "Want:1000"},
		{"query_table", `{"table":"stock_basic","limit":1.5}`, "/limit"},
		{"query_table", `{"table":"stock_basic","limit":"10"}`, "Want:[integer]"},
		{"query_table", `{"table":"stock_basic","limit":null}`, "/limit"},
		{"query_table", `{"table":"stock_basic","offset":-1}`, "/offset"},
		{"query_table", `{"table":"stock_basic","offset":1e300}`, "/offset"},
		{"query_table", `{"table":"stock_basic","columns":[]}`, "/columns"},
		{"query_table", `{"table":"stock_basic","columns":["name","name"]}`, "/columns"},
		{"query_table", `{"table":"stock_basic","columns":["close"]}`, `columns: no column "close" in stock_basic; there are ts_code, name,`},
		{"query_table", `{"table":"stock_basic","columns":["* FROM stock_daily --"]}`, "columns: no column"},
		{"query_table", `{"table":"stock_basic","order_by":"name; DROP TABLE stock_basic"}`, "order_by: no column"},
		{"query_table", `{"table":"stock_basic","order_by":"1"}`, "order_by: no column"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"1=1 OR name","op":"eq","value":"x"}]}`, "filters[0]: no column"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"name","op":"= 1 OR 1","value":"x"}]}`, "/filters/0/op"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"name","op":"eq"}]}`, "Missing:[value]"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"name","op":"eq","value":null}]}`, "/filters/0/value"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"name","op":"eq","value":["x"]}]}`, "filters[0]: op in takes an array"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"name","op":"in","value":"x"}]}`, "filters[0]: op in takes an array"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"name","op":"in","value":[]}]}`, "/filters/0/value"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"name","op":"in","value":["x",1]}]}`, "column name is TEXT"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"total_shares","op":"gt","value":"1000"}]}`, "column total_shares is INTEGER"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"total_shares","op":"like","value":1}]}`, "op like needs a TEXT column"},
		{"query_table", `{"table":"stock_basic","filters":[{"column":"name","op":"like","value":"` + strings.Repeat("%x", 200) + `"}]}`, "pattern too complex"},
		{"query_table", `{"table":"stock_basic","filters":"name = 'x'"}`, "/filters"},
		{"get_daily", `{"ts_code":"600001"}`, "/ts_code"},
		{"get_daily", `{"ts_code":"600002.NX"}`, "index_member = 1"},
		{"get_daily", `{"ts_code":"600001.NX","from":"2026-02-30"}`, `from: "2026-02-30" is no day`},
		{"get_daily", `{"ts_code":"600001.NX","to":"' OR 1=1"}`, "to: "},
		{"get_daily", `{"ts_code":"600001.NX","from":"2026-02-02","to":"2026-02-01"}`, "from (2026-02-02) is after to (2026-02-01)"},
		{"run_sql", `{}`, "Missing:[sql]"},
		{"run_sql", `{"sql":"SELECT 1","limit":5000}`, "/limit"},
		{"run_sql", `{"sql":"` + strings.Repeat(" ", maxSQL) + `SELECT 1"}`, "/sql"},
		{"backtest", `{"ts_code":"600002.NX"}`, "index_member = 1"},
		{"backtest", `{"ts_code":"600001.NX","steps":51}`, "/steps"},
		{"backtest", `{"ts_code":"600001.NX","steps":0}`, "/steps"},
		{"backtest", `{"ts_code":"600001.NX","step_ms":100000}`, "/step_ms"},
		{"backtest", `[]`, "Got:array"},
	} {
		result := call(t, endpoint, test.tool, test.arguments)
		if got := result.Content[0].Text; !result.IsError || !strings.Contains(got, test.says) {
			t.Errorf("%s %.100s\n says %s\n want %s", test.tool, test.arguments, got, test.says)
		}
	}
}

func TestValuesAreNeverSQL(t *testing.T) {
	t.Parallel()
	endpoint := start(t)
	for _, value := range []string{`' OR '1'='1`, `x'; DROP TABLE stock_basic; --`, `" OR ""="`, `?`, `\`, "\x00"} {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		got := succeed[tablePage](t, endpoint, "query_table",
			fmt.Sprintf(`{"table":"stock_basic","filters":[{"column":"name","op":"eq","value":%s}]}`, encoded))
		if got.RowCount != 0 {
			t.Errorf("%q finds %d rows", value, got.RowCount)
		}
	}
}

func BenchmarkQueryTable(b *testing.B) {
	endpoint := start(b)
	for _, limit := range []int{10, maxRows} {
		message := callMessage("query_table", fmt.Sprintf(`{"table":"stock_daily","limit":%d}`, limit))
		b.Run(fmt.Sprintf("rows=%d", limit), func(b *testing.B) {
			for b.Loop() {
				response, err := http.Post(endpoint, "application/json", strings.NewReader(message))
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, response.Body)
				if err != nil {
					b.Fatal(err)
				}
				if err := response.Body.Close(); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(n)
			}
		})
	}
}
