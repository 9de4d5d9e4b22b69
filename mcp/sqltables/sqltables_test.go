package sqltables

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// corpus are queries and the tables that they name, in the order found. Where
// the dialect is empty, it is to be found out.
var corpus = []struct {
	dialect, query string
	tables         string // separated by spaces; a point stands for none
}{
	// What is the same everywhere.
	{"", "SELECT 1", "."},
	{"", "select * from users where id = 1;", "users"},
	{"", "SELECT * FROM Users u, Orders AS o", "Users Orders"},
	{"", "SELECT ts_code, close FROM stock_daily WHERE ts_code = '600001.NX' ORDER BY trade_date DESC LIMIT 100", "stock_daily"},
	{"", "SELECT a.x FROM sales.orders a JOIN customers b ON a.id = b.id LEFT OUTER JOIN sales.orders c ON true CROSS JOIN d", "sales.orders customers d"},
	{"", "SELECT (SELECT max(b) FROM s1), CASE WHEN EXISTS (SELECT 1 FROM s2) THEN 1 END FROM (SELECT * FROM s3) t WHERE x IN (SELECT y FROM s4) GROUP BY 1 HAVING count(*) > (SELECT n FROM s5) ORDER BY (SELECT z FROM s6)", "s1 s2 s3 s4 s5 s6"},
	{"", "SELECT * FROM a UNION ALL SELECT * FROM b", "a b"},
	{"", "(SELECT * FROM a) UNION (SELECT * FROM b WHERE x > ALL (SELECT y FROM c))", "a b c"},
	{"", "SELECT 'SELECT * FROM no' AS q, \"from\" FROM t -- FROM no2\n/* JOIN no3 */", "t"},
	{"", "SELECT count(*) FROM m; SELECT * FROM n", "m n"},
	{"", "INSERT INTO log (a) SELECT a FROM src WHERE NOT EXISTS (SELECT 1 FROM log)", "log src"},
	{"", "INSERT INTO log (a) VALUES (1), (2)", "log"},
	{"", "UPDATE accounts SET x = (SELECT max(y) FROM staging) WHERE id IN (SELECT id FROM picks)", "accounts staging picks"},
	{"", "DELETE FROM a WHERE id IN (SELECT id FROM b)", "a b"},
	{"", "CREATE TABLE new_t AS SELECT * FROM old_t", "new_t old_t"},
	{"", "DROP TABLE IF EXISTS a, s.b", "a s.b"},
	{"", "EXPLAIN SELECT * FROM t WHERE a = 1", "t"},
	{"", "SHOW TABLES", "."},
	{"", "DESCRIBE users", "users"},
	// Common table expressions: their names are no tables, in their scope.
	{"", "WITH t AS (SELECT * FROM base), u AS (SELECT * FROM t) SELECT * FROM u JOIN other USING (id)", "base other"},
	{"postgres", "WITH t AS (SELECT * FROM t) SELECT * FROM t", "t"},
	{"postgres", "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a, b", "b"},
	{"postgres", "WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a, b", "."},
	{"postgres", "SELECT * FROM (WITH t AS (SELECT 1) SELECT * FROM t) x, t", "t"},
	{"postgres", "WITH t AS (SELECT 1) SELECT * FROM (WITH t AS (SELECT * FROM t, v) SELECT * FROM t) x, public.t", "v public.t"},
	{"postgres", "WITH T AS (SELECT 1) SELECT * FROM t", "."},
	{"postgres", "WITH t AS (SELECT 1) INSERT INTO x SELECT * FROM t", "x"},
	{"postgres", "WITH gone AS (DELETE FROM old RETURNING *) INSERT INTO archive SELECT * FROM gone", "old archive"},
	{"", "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT * FROM r, t", "t"},
	{"mysql", "WITH t AS (SELECT * FROM t) SELECT * FROM t", "t"},
	{"mysql", "WITH t AS (SELECT 1) SELECT * FROM t UNION SELECT * FROM u", "u"},
	{"mysql", "WITH t AS (SELECT 1) UPDATE x JOIN t ON x.a = t.a SET x.b = 1", "x"},
	{"sqlite", "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", "."},
	{"bigquery", "WITH t AS (SELECT * FROM t) SELECT * FROM t", "t"},
	{"bigquery", "WITH t AS (SELECT 1) SELECT * FROM d.t, t", "d.t"},
	{"sqlserver", "WITH c AS (SELECT * FROM dbo.t) DELETE FROM c WHERE x = 1", "dbo.t"},
	{"clickhouse", "WITH t AS (SELECT * FROM base) SELECT * FROM t JOIN u USING id", "base u"},
	{"clickhouse", "WITH 1 AS x SELECT x FROM x", "x"},
	// PostgreSQL.
	{"", `SELECT "a" FROM "My Schema"."Order Details" o`, "My Schema.Order Details"},
	{"", "SELECT x::int, y->>'a' FROM public.Events WHERE ts > now() - interval '1 day' AND d @> '{}'", "public.Events"},
	{"", "SELECT * FROM a JOIN LATERAL (SELECT * FROM b WHERE b.x = a.x) z ON true, generate_series(1, 3) g", "a b"},
	{"", "INSERT INTO kv VALUES (1) ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING *", "kv"},
	{"", "UPDATE accounts a SET x = s.y FROM staging s WHERE s.id = a.id", "accounts staging"},
	{"postgres", "DELETE FROM a USING b WHERE a.id = b.id", "a b"},
	{"", "SELECT * FROM t FOR UPDATE OF t", "t"},
	{"", "SELECT * FROM a x WHERE $1 = x.id FOR UPDATE OF x", "a"},
	{"", "TRUNCATE a, b CASCADE", "a b"},
	{"", "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "t s"},
	{"", "COPY (SELECT * FROM t) TO STDOUT", "t"},
	{"postgres", "SELECT $$FROM no$$ FROM ONLY t TABLESAMPLE SYSTEM (10)", "t"},
	{"postgres", "SELECT * INTO copy FROM t", "copy t"},
	{"", "ALTER TABLE s.t ADD COLUMN x int REFERENCES other (id)", "s.t other"},
	{"", "CREATE INDEX i ON t (a)", "t"},
	{"", "CREATE VIEW v AS SELECT * FROM t", "v t"},
	{"", "BEGIN; UPDATE t SET a = 1; COMMIT", "t"},
	{"", "SELECT * FROM db.public.t", "db.public.t"},
	{"", "SELECT * FROM Ünïcode", "Ünïcode"},
	// MySQL.
	{"", "SELECT * FROM `my_db`.`Order Details` o LIMIT 10, 20", "my_db.Order Details"},
	{"", "INSERT IGNORE INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)", "t"},
	{"", "REPLACE INTO `t` SELECT * FROM `u`", "t u"},
	{"", `SELECT 'it\'s' FROM t WHERE a = "x" # JOIN no`, "t"},
	{"", "DELETE x FROM `orders` x JOIN customers c ON c.id = x.cid", "orders customers"},
	{"", "UPDATE `a` JOIN `b` ON a.i = b.i SET a.x = b.x", "a b"},
	{"", "SHOW COLUMNS FROM `users`", "users"},
	{"mysql", "SELECT 1 FROM DUAL", "."},
	// SQLite.
	{"", "INSERT OR REPLACE INTO kv (k, v) VALUES ('a', 1)", "kv"},
	{"", "SELECT * FROM [my table] WHERE data GLOB '*x*'", "my table"},
	{"", "PRAGMA table_info(users)", "users"},
	{"", "PRAGMA journal_mode", "."},
	{"sqlite", "SELECT value FROM t, json_each(t.a) WHERE x IN other", "t other"},
	// BigQuery.
	{"", "SELECT * FROM `proj-x.data_set.events_*` WHERE _TABLE_SUFFIX = '1'", "proj-x.data_set.events_*"},
	{"", "SELECT * EXCEPT (a), STRUCT(1 AS b) FROM `proj-x`.ds.t2", "proj-x.ds.t2"},
	{"bigquery", "SELECT item FROM ds.orders o, o.items AS item, UNNEST([1, 2]) n", "ds.orders"},
	{"bigquery", "SELECT item FROM ds.orders, orders.items AS item WHERE x IN UNNEST(item.y)", "ds.orders"},
	{"", "SELECT ARRAY(SELECT x FROM UNNEST([1,2]) x) FROM `p.d.t` WHERE true QUALIFY row_number() OVER (PARTITION BY a) = 1", "p.d.t"},
	{"bigquery", "FROM ds.t |> WHERE a > 1 |> JOIN ds.u USING (id)", "ds.t ds.u"},
	{"bigquery", "MERGE ds.t USING ds.s ON t.id = s.id WHEN NOT MATCHED THEN INSERT ROW", "ds.t ds.s"},
	{"bigquery", "CREATE OR REPLACE TABLE ds.n AS SELECT * FROM ds.o", "ds.n ds.o"},
	// SQL Server.
	{"", "SELECT TOP 10 * FROM [dbo].[Order Details] WITH (NOLOCK)", "dbo.Order Details"},
	{"", "SELECT TOP (5) a FROM Sales..Orders CROSS APPLY (SELECT TOP 1 * FROM Lines) l", "Sales.Orders Lines"},
	{"sqlserver", "UPDATE o SET x = 1 FROM dbo.Orders AS o JOIN Customers c ON c.id = o.cid", "dbo.Orders Customers"},
	{"sqlserver", "DELETE o FROM dbo.Orders o WHERE o.x = 1", "dbo.Orders"},
	{"sqlserver", "SELECT * INTO #tmp FROM t", "#tmp t"},
	{"sqlserver", "DECLARE @x int = 1; SELECT * FROM t WHERE a = @x", "t"},
	// ClickHouse.
	{"", "SELECT id, arrayJoin(tags) FROM db.hits FINAL PREWHERE d = today() WHERE x IN (SELECT y FROM z) FORMAT JSON", "db.hits z"},
	{"", "SELECT * FROM t ARRAY JOIN arr AS a LIMIT 1 BY id SETTINGS max_threads = 1", "t"},
	{"clickhouse", "SELECT * FROM t GLOBAL ANY LEFT JOIN d.u USING k", "t d.u"},
	{"clickhouse", "SELECT * FROM numbers(10)", "."},
	{"clickhouse", "INSERT INTO db.t SELECT * FROM u", "db.t u"},
	{"clickhouse", "SHOW CREATE TABLE db.t", "db.t"},
}

func TestTables(t *testing.T) {
	for _, c := range corpus {
		got, err := Tables(c.dialect, c.query)
		if err != nil {
			t.Errorf("%s %q: %v", c.dialect, c.query, err)
			continue
		}
		var names []string
		rest := c.tables
		for _, name := range got { // a name may have a space in it
			if after, ok := strings.CutPrefix(rest, name); ok && (after == "" || after[0] == ' ') {
				rest = strings.TrimPrefix(after, " ")
				continue
			}
			names = append(names, name)
		}
		if rest == "." && len(got) == 0 {
			rest = ""
		}
		if len(names) > 0 || rest != "" {
			t.Errorf("%s %q: tables %q, want %q", c.dialect, c.query, got, c.tables)
		}
	}
}

func TestWhatIsNoQuery(t *testing.T) {
	for query, want := range map[string]error{
		"":                                  ErrSyntax,
		" ; -- nothing":                     ErrSyntax,
		"how many users are there":          ErrSyntax,
		"How many users are there?":         ErrSyntax,
		"users":                             ErrSyntax,
		"price > 5 AND name = 'x'":          ErrSyntax,
		"error in module x":                 ErrSyntax,
		"explain the users table":           ErrSyntax,
		"select from where":                 ErrSyntax,
		"SELECT * FROM":                     ErrSyntax,
		"SELECT 'a FROM t":                  ErrSyntax,
		`{"find": "users"}`:                 ErrSyntax,
		"db.users.find({})":                 ErrSyntax,
		"MATCH (n:Person) RETURN n":         ErrSyntax,
		"* | where x > 1":                   ErrSyntax,
		"up{job=\"x\"}":                     ErrSyntax,
		"show me the users":                 ErrSyntax,
		"use the users table":               ErrSyntax,
		"describe what happened last week":  ErrSyntax,
		"with love from me":                 ErrSyntax,
		"DO $$ BEGIN DELETE FROM t; END $$": ErrStatement,
		"CALL p()":                          ErrStatement,
		"EXECUTE stmt":                      ErrStatement,
		"EXEC sp_who @a = 1":                ErrSyntax,
		"SELECT * FROM t WHERE":             ErrSyntax,
		"SELECT * FROM t WHERE a =":         ErrSyntax,
		"SELECT * FROM t JOIN":              ErrSyntax,
		"SELECT * FROM a,":                  ErrSyntax,
		"SELECT * FROM (SELECT * FROM x":    ErrSyntax,
		"SELECT * FRM t":                    ErrSyntax,
		"INSERT INTO":                       ErrSyntax,
		"DELETE FROM":                       ErrSyntax,
		"SELECT 1; CALL p()":                ErrStatement,
		"SELECT " + strings.Repeat("(", 101) + "1" + strings.Repeat(")", 101): ErrTooLarge,
		"SELECT '" + strings.Repeat("x", MaxQuery) + "'":                      ErrTooLarge,
	} {
		if got, err := Tables("", query); !errors.Is(err, want) {
			t.Errorf("%.60q: %q, %v, want %v", query, got, err, want)
		}
	}
	for _, query := range []string{"SELECT * FROM remote('h', db.t)", "SELECT 1 FROM t WHERE x IN other"} {
		if got, err := Tables("clickhouse", query); err == nil {
			t.Errorf("%q: %q, %v", query, got, err)
		}
	}
	if _, err := Tables("cobol", "SELECT 1"); err == nil || errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
}

// Every query is read in each dialect that takes it; where two take it, they
// agree but for what the dialects themselves differ in.
func TestDialectsAgree(t *testing.T) {
	for _, c := range corpus {
		if c.dialect != "" {
			continue
		}
		want, err := Tables("", c.query)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		for _, d := range Dialects() {
			got, err := Tables(d, c.query)
			if err != nil {
				continue
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %q: %s", d, c.query, diff)
			}
		}
	}
}

// What costs parsers most. A generous deadline tells a hang from slowness.
func TestHostileQueries(t *testing.T) {
	rep := strings.Repeat
	for name, query := range map[string]string{
		"brackets":    "SELECT " + rep("(", 100) + "1" + rep(")", 100),
		"open":        "SELECT " + rep("(", 100),
		"from":        "SELECT * FROM " + rep("(", 100) + "t" + rep(")", 100),
		"sub-queries": rep("SELECT * FROM (", 100) + "SELECT 1" + rep(") x", 100),
		"in":          "SELECT * FROM t WHERE " + rep("a IN (SELECT a FROM t WHERE ", 100) + "1=1" + rep(")", 100),
		"case":        "SELECT " + rep("CASE WHEN ", 3000) + "1" + rep(" THEN 1 END", 3000),
		"and":         "SELECT * FROM t WHERE a=1" + rep(" AND a=1", 8000),
		"list":        "SELECT * FROM t WHERE a IN (1" + rep(",1", 30000) + ")",
		"union":       "SELECT 1" + rep(" UNION SELECT 1", 4300),
		"not":         "SELECT " + rep("NOT ", 16000) + "1",
		"minus":       "SELECT " + rep("- ", 32000) + "1",
		"statements":  rep("SELECT 1;", 7000),
		"semicolons":  rep(";", 65000),
		"comments":    "/*" + rep("/*", 32000),
		"join":        "SELECT * FROM t" + rep(" JOIN t ON a=b", 4000),
		"with":        "WITH a AS (SELECT 1)" + rep(", a AS (SELECT * FROM a)", 2600) + " SELECT * FROM a",
		"nuls":        rep("\x00", 65000),
		"no UTF-8":    "SELECT * FROM \xff\xfe",
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = Tables("", query)
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Errorf("%s: it takes more than a minute", name)
		}
	}
}

func FuzzTables(f *testing.F) {
	for _, c := range corpus {
		f.Add(c.dialect, c.query)
	}
	f.Fuzz(func(t *testing.T, dialect, query string) {
		if dialect != "" && !slices.Contains(Dialects(), dialect) {
			return
		}
		tables, err := Tables(dialect, query)
		again, errAgain := Tables(dialect, query)
		if !slices.Equal(tables, again) || (err == nil) != (errAgain == nil) {
			t.Fatalf("%q, then %q", tables, again)
		}
		for i, name := range tables {
			if name == "" || slices.Contains(tables[:i], name) {
				t.Fatalf("%q", tables)
			}
		}
	})
}

func BenchmarkTables(b *testing.B) {
	for name, query := range map[string]string{
		"postgres":   `SELECT o.id, c.name, sum(l.amount) FROM sales.orders o JOIN customers c ON c.id = o.customer_id JOIN lines l ON l.order_id = o.id WHERE o.day BETWEEN '2024-01-01' AND '2024-12-31' GROUP BY 1, 2 LIMIT 100`,
		"mysql":      "SELECT o.id, c.name, sum(l.amount) FROM `sales`.`orders` o JOIN customers c ON c.id = o.customer_id JOIN lines l ON l.order_id = o.id WHERE o.day BETWEEN '2024-01-01' AND '2024-12-31' GROUP BY 1, 2 LIMIT 0, 100",
		"clickhouse": "SELECT o.id, c.name, sum(l.amount) FROM sales.orders AS o FINAL JOIN customers AS c ON c.id = o.customer_id JOIN lines AS l ON l.order_id = o.id PREWHERE o.day > 5 GROUP BY o.id, c.name LIMIT 5 BY o.id SETTINGS max_threads = 1",
		"prose":      "How many orders did the customers in the north place last year, and how does that compare with the year before? Please give me the figures by month, and tell me which of them are not complete yet.",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Tables("", query)
			}
		})
	}
}
