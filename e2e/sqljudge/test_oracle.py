"""What the oracle makes of queries whose tables anyone can see."""

import unittest

import oracle

# A dialect, a query, its tables (None: left out) and its kind.
CASES = [
    ("", "SELECT * FROM a JOIN s.b ON TRUE WHERE x IN (SELECT y FROM c)", "a s.b c", "query"),
    ("", "SELECT 1", "", "query"),
    ("", "WITH c AS (SELECT * FROM t) SELECT * FROM c, s.c", "t s.c", "query"),
    ("", "WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b", "", "query"),
    ("", "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", "b", "query"),
    ("", "WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", "", "query"),
    ("sqlite", "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", "", "query"),
    ("", "SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c) x, c", "c", "query"),
    ("", "WITH c AS (SELECT * FROM c) SELECT * FROM c", None, ""),
    ("tsql", "WITH c AS (SELECT 1 AS n UNION ALL SELECT n FROM c) SELECT * FROM c", "", "query"),
    ("postgres", 'WITH "A" AS (SELECT 1) SELECT * FROM a', "a", "query"),
    ("postgres", "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "t", "query"),
    ("postgres", "WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c, u RETURNING id", "t u", "query"),
    ("postgres", "UPDATE a SET x = 1 FROM b WHERE a.id = b.id", "a b", "write"),
    ("postgres", "DELETE FROM t USING s.t AS u WHERE t.id = u.id", "t s.t", "write"),
    ("postgres", "EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM t", "t", "none"),
    ("postgres", "SELECT a FROM f(1), LATERAL (SELECT * FROM t) l", "t", "query"),
    ("postgres", "SELECT EXTRACT(year FROM d), SUBSTRING(s FROM 2) FROM t WHERE a IS DISTINCT FROM b", "t", "query"),
    ("tsql", "UPDATE a SET x = 1 FROM dbo.t AS a", "dbo.t", "write"),
    ("tsql", "UPDATE t SET x = 1 FROM dbo.t JOIN u ON TRUE", "dbo.t u", "write"),
    ("tsql", "SELECT * FROM #a JOIN ##b ON 1 = 1 JOIN c..d ON 1 = 1 CROSS APPLY f(1)", "#a ##b c..d", "query"),
    ("tsql", "INSERT INTO x (y) OUTPUT x.y INTO l SELECT * FROM z", "x l z", "write"),
    ("tsql", "INSERT INTO @t SELECT * FROM z", "z", "write"),
    ("mysql", "DELETE a FROM t1 AS a JOIN t2 ON a.id = t2.id", "t1 t2", "write"),
    ("mysql", "UPDATE t1 a, t2 b SET a.x = b.x", "t1 t2", "write"),
    ("mysql", "WITH c AS (SELECT 1) UPDATE t, c SET t.x = 1", "t", "write"),
    ("bigquery", "SELECT * FROM `p.d.t` AS o, o.lines, UNNEST(o.tags)", "p.d.t", "query"),
    ("bigquery", "FROM t |> JOIN u ON TRUE |> WHERE x", "t u", "query"),
    ("redshift", "SELECT * FROM s.orders o, o.lines", "s.orders", "query"),
    ("clickhouse", "SELECT * FROM t ARRAY JOIN arr AS x", "t", "query"),
    ("clickhouse", "WITH 1 AS x SELECT x FROM x", "x", "query"),
    ("clickhouse", "SELECT * FROM numbers(3)", "", "query"),
    ("clickhouse", "CREATE MATERIALIZED VIEW v TO d AS SELECT * FROM s", "v d s", "none"),
    ("clickhouse", "CREATE DATABASE d", "", "none"),
    ("hive", "SELECT * FROM t LATERAL VIEW explode(x) u AS c", "t", "query"),
    ("spark", "SELECT /*+ BROADCAST(b) */ * FROM a JOIN a.b ON TRUE", None, ""),
    ("duckdb", "FROM t", "t", "query"),
    ("duckdb", "SELECT * FROM 'a.csv'", None, ""),
    ("snowflake", "SELECT * FROM IDENTIFIER('a.b'), @stage", "a.b", "query"),
    ("snowflake", "CREATE TABLE a CLONE b", "a b", "none"),
    ("sqlite", "SELECT 1 WHERE x IN t", "t", "query"),
    ("postgres", "CREATE INDEX i ON s.t (x)", "s.t", "none"),
    ("postgres", "DROP TABLE a, s.b", "a s.b", "none"),
    ("postgres", "DROP SCHEMA s", "", "none"),
    ("postgres", "CREATE TABLE a (x INT REFERENCES b (x), LIKE c)", "a b c", "none"),
    ("postgres", "SELECT * INTO t FROM u", "t u", "write"),
    ("postgres", "INSERT INTO t VALUES (1); SELECT * FROM u", "t u", "mixed"),
    ("postgres", "CALL p()", None, ""),
    ("postgres", "SELECT FROM FROM", None, ""),
]


class TestRead(unittest.TestCase):
    def test_read(self):
        for dialect, sql, tables, kind in CASES:
            with self.subTest(sql, dialect=dialect):
                if tables is None:
                    self.assertRaises(oracle.Skip, oracle.read, sql, dialect)
                    continue
                truth = oracle.read(sql, dialect)
                self.assertEqual(sorted(tables.split()), truth.tables)
                self.assertEqual(kind, truth.kind)


if __name__ == "__main__":
    unittest.main()
