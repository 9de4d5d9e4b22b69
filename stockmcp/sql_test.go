package stockmcp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/mcp"
)

var noRequest mcp.CallToolRequest

func TestRunSQL(t *testing.T) {
	t.Parallel()
	d := data(t)
	for _, test := range []struct{ sql, want string }{
		{
			"SELECT count(*) AS n FROM STOCK_BASIC",
			`{"tables":["stock_basic"],"columns":["n"],"rows":[{"n":2040}],"row_count":1,"truncated":false}`,
		}, {
			"SELECT market, count(*) AS n FROM stock_daily JOIN stock_basic USING (ts_code) JOIN trade_calendar ON cal_date = trade_date WHERE trade_date = '2026-06-30' AND is_open GROUP BY market HAVING n < 0",
			`{"tables":["stock_basic","stock_daily","trade_calendar"],"columns":["market","n"],"rows":[],"row_count":0,"truncated":false}`,
		}, {
			"  /* ; ) */ SELECT ';)' AS \"a;(\", 1 AS [b)] -- ;(\n ; -- done",
			`{"tables":[],"columns":["a;(","b)"],"rows":[{"a;(":";)","b)":1}],"row_count":1,"truncated":false}`,
		}, {
			"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
			`{"tables":[],"columns":["x"],"rows":[{"x":1},{"x":2},{"x":3}],"row_count":3,"truncated":true}`,
		}, {
			"SELECT cal_date FROM trade_calendar ORDER BY cal_date DESC",
			`{"tables":["trade_calendar"],"columns":["cal_date"],"rows":[{"cal_date":"2026-12-31"},{"cal_date":"2026-12-30"},{"cal_date":"2026-12-29"}],"row_count":3,"truncated":true}`,
		}, {
			"WITH result AS (SELECT 5 AS a) SELECT a, a, a FROM result",
			`{"tables":[],"columns":["a","a:1","a:2"],"rows":[{"a":5,"a:1":5,"a:2":5}],"row_count":1,"truncated":false}`,
		}, {
			"SELECT 9e999 AS a, -9e999 AS b, x'00ff' AS c, CAST(x'ff' AS TEXT) AS d, NULL AS e, 1.5 AS f, 9223372036854775807 AS g",
			`{"tables":[],"columns":["a","b","c","d","e","f","g"],"rows":[{"a":"+Inf","b":"-Inf","c":"AP8=","d":"\ufffd","e":null,"f":1.5,"g":9223372036854775807}],"row_count":1,"truncated":false}`,
		}, {
			"values (1), (2)",
			`{"tables":[],"columns":["column1"],"rows":[{"column1":1},{"column1":2}],"row_count":2,"truncated":false}`,
		},
	} {
		got, err := d.runSQL(t.Context(), noRequest, sqlArgs{test.sql, 3})
		if err != nil {
			t.Errorf("%s: %v", test.sql, err)
			continue
		}
		encoded, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, string(encoded)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.sql, diff)
		}
	}
}

func TestRunSQLRefuses(t *testing.T) {
	t.Parallel()
	d := data(t)
	before := digests(t, d)
	for _, test := range []struct{ sql, says string }{
		{" -- nothing", "only statements that begin with SELECT"},
		{";;", "only statements that begin with SELECT"},
		{"SELECTED", "only statements that begin with SELECT"},
		{"INSERT INTO stock_basic(ts_code) VALUES ('x')", "only statements that begin with SELECT"},
		{"EXPLAIN SELECT 1", "only statements that begin with SELECT"},
		{"PRAGMA query_only = 0", "only statements that begin with SELECT"},
		{"VACUUM INTO 'copy.db'", "only statements that begin with SELECT"},
		{"SELECT 1; SELECT 2", "more than one statement"},
		{"SELECT 1;; /* x */ DELETE FROM stock_basic", "more than one statement"},
		{"SELECT ';'; ATTACH 'x.db' AS x", "more than one statement"},
		{"SELECT 1 -- \n; DELETE FROM stock_basic", "more than one statement"},
		{"SELECT 1) LIMIT 1), x AS (SELECT * FROM (SELECT 2", "nothing opened"},
		{"SELECT 1)) SELECT * FROM stock_daily --", "nothing opened"},
		{"SELECT (1", "nothing closes"},
		{"SELECT 'a", "unrecognized token"},
		{"SELECT 1 /* never closed", "incomplete input"},
		{"SELECT 1\x00; DELETE FROM stock_basic", "NUL"},
		{"SELECT nope FROM stock_basic", "no such column: nope"},
		{`SELECT "nope" FROM stock_basic`, "no such column"},
		{"SELECT * FROM nope", "no such table: nope"},
		{"SELECT ?", "missing argument"},
		{"WITH x AS (SELECT 1) DELETE FROM stock_basic", "syntax error"},
		{"WITH x AS (DELETE FROM stock_basic RETURNING *) SELECT * FROM x", "syntax error"},
		{"SELECT * FROM sqlite_master", `not allowed: the table "sqlite_master"; there are stock_basic`},
		{"SELECT name FROM sqlite_schema", "not allowed: the table"},
		{"SELECT data FROM sqlite_dbpage", `not allowed: the table "sqlite_dbpage"`},
		{"SELECT * FROM pragma_database_list", "not allowed: the table"},
		{"SELECT 1 FROM pragma_table_list", "not allowed: this kind of statement"},
		{"SELECT load_extension('x.so')", "not allowed: the function load_extension"},
		{"SELECT writefile('x', 'y')", "no such function: writefile"},
		{"SELECT zeroblob(1000000000)", "not allowed: the function zeroblob"},
		{"SELECT instr('aab', 'ab')", "not allowed: the function instr; there are abs,"},
		{"SELECT printf('%.*c', 1000000000, 'x')", "too big"},
		{"WITH RECURSIVE c(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM c) SELECT max(x) FROM c", "too big"},
		{"SELECT 1" + strings.Repeat(" + 1", 200), "depth"},
	} {
		got, err := d.runSQL(t.Context(), noRequest, sqlArgs{SQL: test.sql})
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%.80q: %v, %+v; want %s", test.sql, err, got, test.says)
		}
	}
	if diff := cmp.Diff(before, digests(t, d)); diff != "" {
		t.Errorf("the data has changed: (-before +after)\n%s", diff)
	}
}

// Statements that are rejected because of their parentheses or their beginning are
// also rejected by SQLite itself.
func TestPolicyRefusesWithoutThem(t *testing.T) {
	t.Parallel()
	d := data(t)
	before := digests(t, d)
	for _, statement := range []string{
		"INSERT INTO stock_basic(ts_code) VALUES ('x')",
		"UPDATE stock_basic SET name = 'x'",
		"DELETE FROM stock_basic",
		"REPLACE INTO stock_basic(ts_code) VALUES ('x')",
		"DROP TABLE stock_basic",
		"CREATE TABLE x(a)",
		"CREATE TEMP TABLE x(a)",
		"CREATE VIEW x AS SELECT 1",
		"CREATE VIRTUAL TABLE x USING fts5(a)",
		"ALTER TABLE stock_basic RENAME TO x",
		"ATTACH 'file:/stock-data-1?vfs=memdb' AS x",
		"ATTACH '/tmp/x.db' AS x",
		"DETACH main",
		"PRAGMA query_only = 0",
		"PRAGMA writable_schema = 1",
		"PRAGMA table_info(stock_basic)",
		"VACUUM INTO '/tmp/x.db'",
		"BEGIN",
		"SAVEPOINT x",
		"REINDEX",
		"ANALYZE",
		"EXPLAIN DELETE FROM stock_basic",
		"SELECT 1; DELETE FROM stock_basic",
	} {
		if _, err := d.run(t.Context(), 10, statement, nil); err == nil || !strings.HasPrefix(err.Error(), "not allowed: ") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if diff := cmp.Diff(before, digests(t, d)); diff != "" {
		t.Errorf("the data has changed: (-before +after)\n%s", diff)
	}
}

// The connection is read-only even for statements that bypass the policy.
func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	d := openDatabase(t)
	for _, statement := range []string{"PRAGMA query_only = 0", "PRAGMA writable_schema = 1"} {
		if _, err := d.readers.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.readers.Exec("DELETE FROM stock_basic"); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("DELETE: %v", err)
	}
}

// runaways are queries that never end by themselves, before or after their first
// row.
var runaways = []string{
	"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
	"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c WHERE x = 1 OR x < 0",
	"WITH RECURSIVE c(x) AS (SELECT 1 UNION SELECT x + 1 FROM c) SELECT max(x) FROM c",
	"SELECT count(*) FROM stock_daily a, stock_daily b, stock_daily c",
	"SELECT a.ts_code FROM stock_daily a, stock_daily b, stock_daily c ORDER BY c.close, b.close, a.close",
	"SELECT sum(a.close) OVER (ORDER BY b.close) FROM stock_daily a, stock_daily b, stock_daily c",
}

// One runaway on each connection and one that waits for a connection; after them
// the connections are free again.
func TestRunawaysAreStopped(t *testing.T) {
	t.Parallel()
	d := openDatabase(t)
	d.timeout = 300 * time.Millisecond
	var wg sync.WaitGroup
	for i := range maxQueries + 1 {
		wg.Go(func() {
			_, err := d.runSQL(t.Context(), noRequest, sqlArgs{SQL: runaways[i%len(runaways)]})
			if err == nil || !strings.HasPrefix(err.Error(), "the query took longer than 300ms") {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d.timeout = maxDuration
	if _, err := d.listTables(t.Context(), noRequest, struct{}{}); err != nil {
		t.Error(err)
	}
}

func TestCancelledQuerySaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := data(t).runSQL(ctx, noRequest, sqlArgs{SQL: runaways[0]})
	if err == nil || err.Error() != "the call was cancelled" {
		t.Error(err)
	}
}

func TestResultsAreBounded(t *testing.T) {
	t.Parallel()
	d := data(t)
	p, err := d.runSQL(t.Context(), noRequest, sqlArgs{
		"SELECT printf('%.*c', 60000, 'x') AS wide FROM stock_basic", maxRows,
	})
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Truncated || p.RowCount != maxBytes/60_011 || len(encoded) > maxBytes+1000 {
		t.Errorf("%d rows, truncated %v, %d bytes", p.RowCount, p.Truncated, len(encoded))
	}
}

// Every statement ends, returns valid JSON rows and no more than asked for, and
// reads only our tables.
func FuzzRunSQL(f *testing.F) {
	for _, sql := range append(runaways,
		"SELECT * FROM stock_basic", "SELECT 1;", "SELECT ';', \"a\", `b`, [c] -- x\n/* y */", "VALUES (x'00', 'é', 1e400)",
		"SELECT 1) LIMIT 1), x AS (SELECT * FROM (SELECT 2", "SELECT (1", "SELECT '", "SELECT /*", "INSERT INTO stock_basic VALUES (1)",
		"SELECT group_concat(name, x'ff') OVER (PARTITION BY industry) FROM stock_basic") {
		f.Add(sql)
	}
	d := data(f)
	f.Fuzz(func(t *testing.T, sql string) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		p, err := d.runSQL(ctx, noRequest, sqlArgs{sql, 5})
		if err != nil {
			return
		}
		if p.RowCount > 5 || len(p.Rows) != p.RowCount {
			t.Errorf("%d rows (%d)", p.RowCount, len(p.Rows))
		}
		if _, err := json.Marshal(p); err != nil {
			t.Error(err)
		}
		for _, name := range p.Tables {
			if !slices.Contains(tableNames(), name) {
				t.Errorf("reads %q", name)
			}
		}
	})
}
