package sql

import (
	"slices"
	"strings"
	"testing"
)

// TestScopes has common table expressions and range variables, which are no
// tables where they are in scope.
func TestScopes(t *testing.T) {
	for _, c := range []struct{ dialect, query, want string }{
		{"", "WITH a AS (SELECT * FROM x), b (c, d) AS MATERIALIZED (SELECT * FROM a) SELECT * FROM b JOIN y ON true", "x y"},
		{"", "WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, c", "c"},
		{"", "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SEARCH DEPTH FIRST BY i SET o CYCLE i SET k USING p SELECT * FROM n", ""},
		{"", "WITH a AS (WITH b AS (SELECT * FROM x) SELECT * FROM b) SELECT * FROM a, b", "x b"},
		{"", "SELECT * FROM (WITH a AS (SELECT * FROM x) SELECT * FROM a) s, a", "x a"},
		{"", "WITH a AS (SELECT 1) SELECT * FROM s.a", "s.a"},
		{"", "WITH a AS (SELECT 1) SELECT (SELECT max(x) FROM A WHERE EXISTS (SELECT 1 FROM a, b)) FROM c", "b c"},
		{"", "WITH a AS (SELECT 1) SELECT 1; SELECT * FROM a", "a"},
		{"", "WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a", "b"},
		{"", "INSERT INTO b WITH a AS (SELECT * FROM c) SELECT * FROM a", "b c"},
		{"", "WITH a AS (SELECT 1) INSERT INTO a SELECT 2", "?"}, // whose a
		{"postgres", "WITH a AS (SELECT 1) INSERT INTO a SELECT 2", "a"},
		{"", "WITH a AS (SELECT * FROM a) SELECT * FROM a", "?"}, // recursive or not
		{"postgres", "WITH a AS (SELECT * FROM a) SELECT * FROM a", "a"},
		{"sqlserver", "WITH a AS (SELECT 1 x UNION ALL SELECT x + 1 FROM a) SELECT * FROM a", ""},
		{"", "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", "?"}, // SQLite looks ahead
		{"postgres", "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", "b"},
		{"sqlite", "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", ""},
		{"postgres", "WITH t AS (SELECT 1) SELECT * FROM (WITH t AS (SELECT * FROM t, v) SELECT * FROM t) x", "v"},
		{"postgres", "WITH \"T\" AS (SELECT 1) SELECT * FROM t", "?"}, // whether they are the same
		{"snowflake", "WITH a AS (SELECT 1 x UNION ALL SELECT x + 1 FROM a) SELECT * FROM a", ""},
		{"clickhouse", "WITH 1 AS x, a AS (SELECT * FROM t) SELECT x FROM a, x", "t x"},
		{"duckdb", "WITH RECURSIVE a (x, y) USING KEY (x) AS (SELECT 1, 2 UNION SELECT * FROM a) FROM a", ""},
		{"spark", "WITH t (SELECT * FROM u) SELECT * FROM t", "u"},
		{"", "UPDATE a SET x = 1 FROM b AS a", "b"},
		{"", "UPDATE t t SET x = 1 FROM u", "t u"},
		{"", "DELETE FROM a USING orders AS a", "orders"},
		{"mysql", "DELETE a FROM db.a JOIN b", "db.a b"},
		{"", "DELETE x FROM a", "?"}, // x is none of the sources
		{"bigquery", "SELECT * FROM d.t a JOIN a.x ON true UNION ALL SELECT * FROM a.x", "d.t a.x"},
		{"bigquery", "WITH c AS (SELECT * FROM o.lines) SELECT * FROM c, d.orders o", "o.lines d.orders"},
		{"postgres", "SELECT * FROM t a, a.b", "t a.b"},
	} {
		d, _ := ParseDialect(c.dialect)
		got, answer := Read(d, []byte(c.query)), "?"
		if got.Status == Known {
			answer = strings.Join(got.Tables, " ")
		}
		if answer != c.want {
			t.Errorf("%s: %s\ngot %s (%v), want %s", c.dialect, c.query, answer, got.Status, c.want)
		}
	}
}

// TestReadings has queries that dialects read differently.
func TestReadings(t *testing.T) {
	for _, c := range []struct {
		query string
		want  map[Dialect]string
	}{
		{`SELECT 'a\' FROM t --' FROM u`, map[Dialect]string{Postgres: "t", MySQL: "u", Generic: "?"}},
		{"SELECT 1 # , 2\n FROM t #\n, u", map[Dialect]string{MySQL: "t u", ClickHouse: "t u", Postgres: "?", Generic: "t u"}},
		{"SELECT * FROM t /* /* */ , u -- */", map[Dialect]string{Postgres: "t", MySQL: "t u", Generic: "?"}},
		{"SELECT * FROM t WHERE a = 1--1 AND b IN (SELECT x FROM u)", map[Dialect]string{Postgres: "t", MySQL: "t u", Generic: "?"}},
		{"SELECT * FROM [a b], c", map[Dialect]string{SQLServer: "a b c", Generic: "a b c"}},
		{"SELECT ARRAY[1, 2], x[1], [3] FROM t", map[Dialect]string{Postgres: "t", SQLServer: "t", Generic: "t"}},
		{`SELECT "a" FROM "b"`, map[Dialect]string{Postgres: "b", MySQL: "?", BigQuery: "?", Generic: "b"}},
		{"SELECT $$, FROM x$$ FROM t", map[Dialect]string{Postgres: "t", Generic: "t"}},
		{"SELECT '''a' FROM x''', 1 FROM t", map[Dialect]string{BigQuery: "t", Postgres: "?", Generic: "t"}},
		{"SELECT a // b FROM x\n FROM t", map[Dialect]string{Snowflake: "t", DuckDB: "?", Generic: "t"}},
		{"SELECT q'[it's]' FROM t", map[Dialect]string{Oracle: "t", Generic: "t"}},
		{"SELECT r'\\' FROM t", map[Dialect]string{Postgres: "t", Generic: "t"}},
	} {
		for d, want := range c.want {
			got, answer := Read(d, []byte(c.query)), "?"
			if got.Status == Known {
				answer = strings.Join(got.Tables, " ")
			}
			if answer != want {
				t.Errorf("dialect %d: %s\ngot %s (%v), want %s", d, c.query, answer, got.Status, want)
			}
		}
	}
}

// TestKinds has statements and their kinds.
func TestKinds(t *testing.T) {
	for query, want := range map[string]Kind{
		"SELECT 1": KindQuery, "(SELECT 1)": KindQuery, "WITH a AS (SELECT 1) SELECT * FROM a": KindQuery, "VALUES (1)": KindQuery, "TABLE t": KindQuery,
		"SHOW TABLES": KindQuery, "DESCRIBE t": KindQuery, "PRAGMA table_info(t)": KindQuery, "PRAGMA foreign_keys = ON": KindNone,
		"INSERT INTO t VALUES (1)": KindWrite, "INSERT INTO t SELECT 1": KindWrite, "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a": KindWrite,
		"UPDATE t SET a = 1": KindWrite, "DELETE FROM t": KindWrite, "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE": KindWrite,
		"REPLACE INTO t VALUES (1)": KindWrite, "COPY t FROM STDIN": KindWrite, "SELECT a INTO b FROM c": KindWrite,
		"INSERT INTO t VALUES (1) RETURNING a": KindQuery, "UPDATE t SET a = 1 OUTPUT inserted.a": KindQuery, "DELETE FROM t OUTPUT deleted.a INTO u": KindWrite,
		"WITH a AS (DELETE FROM t RETURNING x) SELECT * FROM a": KindQuery,
		"EXPLAIN SELECT 1": KindNone, "EXPLAIN INSERT INTO t VALUES (1)": KindNone, "CREATE TABLE t AS SELECT 1": KindNone, "DROP TABLE t": KindNone,
		"TRUNCATE TABLE t": KindNone, "SET x = 1": KindNone, "USE db": KindNone, "GRANT SELECT ON t TO u": KindNone, "COPY t TO STDOUT": KindNone,
		"BEGIN; COMMIT": KindNone, "SELECT 1; SELECT 2": KindQuery, "SELECT 1; DELETE FROM t": KindMixed, "DELETE FROM t; UPDATE t SET a = 1": KindWrite,
	} {
		if got := Read(Generic, []byte(query)); got.Status != Known || got.Kind != want {
			t.Errorf("%s: %v, %v, want %v", query, got.Status, got.Kind, want)
		}
	}
}

// TestMutated reads queries from which a piece is missing, doubled or moved: none
// panics, and an answer is the same when it is read again.
func TestMutated(t *testing.T) {
	pieces := strings.Fields("( ) [ ] { } , ; . ' \" ` -- /* */ # \\ $$ @a :b ? * = SELECT FROM WITH AS JOIN ON USING UPDATE SET DELETE INSERT INTO VALUES MERGE CREATE TABLE ALTER DROP " +
		"RENAME TO UNION INTERSECT VALUES LATERAL ARRAY WHEN THEN PARTITION GRANT EXPLAIN DESCRIBE COPY ANALYZE OUTPUT RETURNING FOR IN IDENTIFIER |> a.b t 1")
	queries := []string{
		"WITH a ( x ) AS ( SELECT * FROM t ) SELECT b . c , f ( d ) FROM a JOIN u ON a . x = u . y WHERE z IN ( SELECT 1 FROM v ) GROUP BY 1",
		"MERGE INTO t USING ( SELECT * FROM s ) x ON t . a = x . a WHEN MATCHED THEN UPDATE SET b = 1",
		"CREATE TABLE t ( a int REFERENCES u ( b ) ) INHERITS ( v , w )", "INSERT INTO t ( a ) VALUES ( 1 ) ON CONFLICT ( a ) DO UPDATE SET b = 2",
		"DELETE a FROM t a , u b WHERE a . x = b . x", "UPDATE a SET x = 1 FROM t a", "ALTER TABLE t RENAME TO u", "GRANT SELECT ON TABLE t TO u", "COPY t ( a ) FROM 'f'",
	}
	for _, query := range queries {
		words := strings.Fields(query)
		for i := range words {
			for _, piece := range pieces {
				for _, w := range [][]string{slices.Concat(words[:i], []string{piece}, words[i:]), slices.Concat(words[:i], []string{piece}, words[i+1:]), slices.Concat(words[:i], words[i+1:], []string{piece})} {
					mutated := []byte(strings.Join(w, " "))
					for _, d := range []Dialect{Generic, SQLServer, ClickHouse, BigQuery} {
						a, b := Read(d, mutated), Read(d, mutated)
						if a.Status != b.Status || !slices.Equal(a.Tables, b.Tables) {
							t.Fatalf("%s: %v, then %v", mutated, a, b)
						}
					}
				}
			}
		}
	}
}
