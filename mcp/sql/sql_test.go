package sql

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// none is what a query names that is known to name no table.
var none = []string{}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		dialect, query string
		want           []string // nil: unknown
		kind           Kind
	}{
		{"", "SELECT * FROM orders o JOIN sales.Items AS i ON o.id = i.id, users", []string{"orders", "sales.Items", "users"}, KindQuery},
		{"", "SELECT (SELECT max(x) FROM a) FROM (SELECT * FROM b) s WHERE y IN (SELECT y FROM c) UNION SELECT 1 FROM d", []string{"a", "b", "c", "d"}, KindQuery},
		{"", "SELECT extract(day FROM ts), substring(s FROM 1 FOR 2), trim(both FROM s) FROM t WHERE a IS DISTINCT FROM b", []string{"t"}, KindQuery},
		{"", "WITH c AS (SELECT * FROM orders), d(x) AS (SELECT 1) SELECT * FROM c JOIN d ON true", []string{"orders"}, KindQuery},
		{"", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n", none, KindQuery},
		{"", "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders", nil, KindUnknown},
		{"postgres", "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders", []string{"orders"}, KindQuery},
		{"", "SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c) s, c", []string{"c"}, KindQuery},
		{"", "SELECT * FROM generate_series(1, 3) g, LATERAL (SELECT * FROM t) l", []string{"t"}, KindQuery},
		{"", "SELECT * FROM t u, u.tags", []string{"t"}, KindQuery},
		{"", "INSERT INTO a (x, y) SELECT x, y FROM b", []string{"a", "b"}, KindWrite},
		{"postgres", "INSERT INTO a VALUES (1) RETURNING id", []string{"a"}, KindQuery},
		{"", "UPDATE t SET x = 1 WHERE id = 2", []string{"t"}, KindWrite},
		{"sqlserver", "UPDATE o SET x = 1 FROM orders o JOIN items i ON o.id = i.id", []string{"orders", "items"}, KindWrite},
		{"sqlserver", "SELECT * FROM #temp t WITH (NOLOCK), [my table] (NOLOCK)", []string{"#temp", "my table"}, KindQuery},
		{"", "DELETE FROM t USING u WHERE t.id = u.id", []string{"t", "u"}, KindWrite},
		{"", "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET x = 1", []string{"t", "s"}, KindWrite},
		{"", "CREATE TABLE a AS SELECT * FROM b", []string{"a", "b"}, KindNone},
		{"", "CREATE TABLE a (id int REFERENCES b (id))", []string{"a", "b"}, KindNone},
		{"", "CREATE INDEX i ON t (x)", []string{"t"}, KindNone},
		{"", "DROP TABLE IF EXISTS a, b", []string{"a", "b"}, KindNone},
		{"", "TRUNCATE TABLE a", []string{"a"}, KindNone},
		{"", "EXPLAIN ANALYZE SELECT * FROM t", []string{"t"}, KindNone},
		{"spark", "DESCRIBE EXTENDED sales.orders", []string{"sales.orders"}, KindQuery},
		{"clickhouse", "SELECT * FROM hits FINAL ARRAY JOIN tags AS tag PREWHERE day = today()", []string{"hits"}, KindQuery},
		{"clickhouse", "CREATE MATERIALIZED VIEW v TO target AS SELECT * FROM source", []string{"v", "target", "source"}, KindNone},
		{"clickhouse", "WITH 1 AS one SELECT one FROM 02680_t", []string{"02680_t"}, KindQuery},
		{"bigquery", "SELECT * FROM `my-project.data.events`, my-project.data.users", []string{"my-project.data.events", "my-project.data.users"}, KindQuery},
		{"snowflake", "SELECT * FROM @stage/file.csv", none, KindQuery},
		{"snowflake", "SELECT * FROM IDENTIFIER('t')", []string{"t"}, KindQuery},
		{"duckdb", "FROM t SELECT x", []string{"t"}, KindQuery},
		{"mysql", `SELECT "from x" FROM t # FROM y`, []string{"t"}, KindQuery},
		{"postgres", `SELECT $q$ FROM x $q$, E'it\'s FROM y' FROM "My ""t"""`, []string{`My "t"`}, KindQuery},
		{"", "SELECT 'it''s' FROM t; SELECT 2 FROM u", []string{"t", "u"}, KindQuery},
		{"", "SELECT 1; DELETE FROM t WHERE x = 1", []string{"t"}, KindMixed},
		{"", "SELECT * FROM t WHERE a = 'x\\' UNION SELECT * FROM u --'", nil, KindUnknown}, // a backslash decides where the string ends
		{"", "CALL p()", nil, KindUnknown},
		{"", "SELECT * FROM t WHERE (a = 1", nil, KindUnknown},
		{"", "SELECT * FROM {{ ref('t') }}", nil, KindUnknown},
		{"", "CREATE VIEW v (a COMMENT 'x') AS SELECT 1", []string{"v"}, KindNone}, // a parser of another's hung on it
		{"", "SELECT * REPLACE ( a + 1 b ] AS C", nil, KindUnknown},
	} {
		d, ok := ParseDialect(c.dialect)
		if !ok {
			t.Fatalf("no dialect %q", c.dialect)
		}
		got := Read(d, []byte(c.query))
		if known := got.Status == Known; known != (c.want != nil) || known && (!slices.Equal(got.Tables, c.want) || got.Kind != c.kind) {
			t.Errorf("%s: %s\ngot %v %q kind %d, want %q kind %d", c.dialect, c.query, got.Status, got.Tables, got.Kind, c.want, c.kind)
		}
	}
}

// TestReadProse has texts that are no SQL. What names a table all the same must
// be weak, so that it counts only with a second sign.
func TestReadProse(t *testing.T) {
	for _, text := range []string{
		"describe the architecture", "delete from cart", "show me select * from users", "vacuum cleaner",
		"select the best table from the catalog please", "update on the merger", "with regards to table 5",
		"explain plan for retirement", "drop shipping from china", "insert into the discussion", "create table of contents",
		"truncate text in css", "describe how to select a laptop", "explain quantum computing", "create view of the city",
		"alter table tennis rules", "drop table tennis", "table tennis", "select jobs from home", "merge into traffic", "copy machine",
		"replace windshield", "update chrome set default", "weather in Paris tomorrow", "what is in the table?", "",
		`{"query": {"match_all": {}}}`, "project = ABC AND status = Open ORDER BY created", "db.orders.find({})",
		"MATCH (n:Person) RETURN n", "query { user(id: 1) { name } }", "from the desk of the ceo", "use of force in law",
	} {
		if got := Read(Generic, []byte(text)); got.Status == Known && len(got.Tables) > 0 && !got.Weak {
			t.Errorf("%q names %q", text, got.Tables)
		}
	}
}

func hostile() map[string]string {
	fill := func(s string) string { return strings.Repeat(s, MaxQuery/len(s)) }
	return map[string]string{
		"plus":     ("SELECT " + fill("+"))[:MaxQuery],
		"brackets": ("SELECT " + fill("("))[:MaxQuery],
		"pairs":    "SELECT " + fill("()")[:MaxQuery-7],
		"quotes":   fill("'"), "names": fill(`"`), "comments": fill("/*"), "dollars": fill("$a$b"), "dots": "SELECT * FROM " + fill("a.")[:MaxQuery-14],
		"ctes": ("WITH " + fill("a AS (SELECT 1), "))[:MaxQuery], "froms": fill("FROM a "), "joins": "SELECT * FROM a " + fill("JOIN b ")[:MaxQuery-16],
		"commas": "SELECT * FROM a" + fill(",b")[:MaxQuery-15], "nested": fill("WITH a AS ("), "semicolons": fill("SELECT 1;"), "backslashes": "'" + fill(`\`)[:MaxQuery-1],
		"unions": fill("SELECT 1 UNION "), "numbers": fill("SELECT .1abcd 1.2.3 0xg 1e+5e+5;"), "many": "SELECT * FROM a" + func() string {
			var b strings.Builder
			for i := 0; b.Len() < MaxQuery-30; i++ {
				b.WriteString(", t" + strings.Repeat("x", i%7) + string(rune('a'+i%26)))
			}
			return b.String()
		}(),
	}
}

func TestReadHostile(t *testing.T) {
	for name, query := range hostile() {
		for d := range len(syntaxOf) {
			Read(Dialect(d), []byte(query))
		}
		if got := Read(Generic, []byte(query+"   more than is read")); got.Status != OverCap && len(query) > MaxQuery-10 {
			t.Errorf("%s: %v for a query over the cap", name, got.Status)
		}
	}
}

// BenchmarkReadHostile shows what 64 KiB of the worst cost.
func BenchmarkReadHostile(b *testing.B) {
	for name, query := range hostile() {
		b.Run(name, func(b *testing.B) {
			p := []byte(query)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				Read(Generic, p)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	list := strings.Repeat("12345, ", 8000)
	for name, query := range map[string]string{
		"prose 35B": "weather in Paris tomorrow afternoon", "prose 8KB": strings.Repeat("What is the weather like in Paris? ", 240),
		"SQL 200B": "SELECT o.id, o.total, c.name FROM sales.orders o JOIN customers c ON c.id = o.customer_id WHERE o.created_at > '2026-01-01' AND o.status IN ('paid', 'sent') ORDER BY o.total DESC LIMIT 50",
		"SQL 8KB":  "SELECT * FROM orders WHERE id IN (" + list[:8000] + "1)", "SQL 60KB": "SELECT * FROM orders WHERE id IN (" + list + "1)",
	} {
		b.Run(name, func(b *testing.B) {
			p := []byte(query)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				Read(Generic, p)
			}
		})
	}
}

func TestReadAllocations(t *testing.T) {
	query := []byte("SELECT * FROM a JOIN b ON a.id = b.id WHERE c IN (SELECT d FROM sales.e)")
	if got := testing.AllocsPerRun(100, func() { Read(Postgres, query) }); got > 3+2 {
		t.Errorf("%v allocations for three tables", got)
	}
}

// FuzzRead: no query panics or takes longer than its length allows, and what is
// known is a name that stands in the query.
func FuzzRead(f *testing.F) {
	for _, q := range []string{"SELECT * FROM a.b JOIN `c` USING (d)", "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "CREATE TABLE t (a int)", "MERGE INTO t USING s ON 1=1", "EXPLAIN (ANALYZE) SELECT q'[x]' FROM \"t\"", "SELECT $$a$$, [b] # c\n FROM /* d */ e"} {
		f.Add(q, uint8(0))
	}
	f.Fuzz(func(t *testing.T, query string, dialect uint8) {
		var got Result
		took := time.Hour
		for range 3 { // the machine may be busy
			begin := time.Now()
			got = Read(Dialect(dialect)%Dialect(len(syntaxOf)), []byte(query))
			took = min(took, time.Since(begin))
		}
		if took > 50*time.Millisecond {
			t.Fatalf("%v for %d bytes", took, len(query))
		}
		if got.Status != Known && got.Tables != nil || len(got.Tables) > maxTables {
			t.Fatalf("%+v", got)
		}
	})
}
