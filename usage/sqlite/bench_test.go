package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage/usagetest"
)

func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{1, 1_000, 10_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l := openLedger(b, filepath.Join(b.TempDir(), "usage.db"))
			mustWrite(b, l, batch(-1, 1))
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				next := usagetest.Batch(n, size, time.Millisecond)
				for i := range next.Events { // calls come one after another
					next.Events[i].Time = next.Events[i].Time.Add(time.Duration(n*size) * time.Millisecond)
				}
				b.StartTimer()
				mustWrite(b, l, next)
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRead reads from 200,000 events unless TALLYGATE_BENCH_ROWS says
// otherwise.
func BenchmarkRead(b *testing.B) {
	l := openLedger(b, filepath.Join(b.TempDir(), "usage.db"))
	mustWrite(b, l, batch(-1, 1))
	fill(b, l, usagetest.BenchRows(b, 200_000))
	usagetest.BenchmarkRead(b, l)
}

// fill makes the calls that usagetest.BenchmarkRead reads.
func fill(b *testing.B, l *Ledger, rows int) {
	start := time.Now()
	exec := func(query string) {
		if _, err := l.write.Exec(query); err != nil {
			b.Fatalf("%s: %v", query, err)
		}
	}
	// An index that is made of many rows is made faster than one that grows.
	indexes := indexesOf(b, l)
	for name := range indexes {
		exec("DROP INDEX " + name)
	}
	for _, calls := range []struct {
		user string
		rows int
	}{{"'user-' || u", rows}, {"'sparse'", 365}} {
		exec(strings.NewReplacer("ROWS", fmt.Sprint(calls.rows), "USER", calls.user, "START", fmt.Sprint(usagetest.BenchNow.AddDate(-1, 0, 1).Truncate(24*time.Hour).UnixMicro())).Replace(`
			INSERT INTO mcp_tool_usage_log (` + columnNames + `, table_name)
			WITH RECURSIVE
				number(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM number WHERE n < ROWS - 1),
				random(n, r1, r2, r3, r4) AS (SELECT n, n * 40503 & 65535, n * 48271 % 65521, n * 69621 % 65519, n * 16807 % 65497 FROM number),
				skewed(n, u, k, t, a, r) AS (SELECT n, r1 * r1 * 1000 >> 32, iif(r2 % 10 < 7, 0, r2 % 3), r3 * r3 * 8 >> 32, r4 * r4 * 5 >> 32, r2 FROM random),
				call(n, u, k, tool, tab, r) AS (SELECT n, u, k, (u * 7 + t) % 40, ((u * 7 + t) % 40 * 3 + a) % 60, r FROM skewed)
			SELECT printf('%08x-%04x-7000-8000-%012x', n >> 8, n & 255, n + ROWS), START + n * (31536000000000 / ROWS), 'stock-data', USER, USER || '@example.com',
				'key-' || USER || '-' || k, iif(k = 0, 'laptop', 'ci'), 'tool_' || tool, iif(tab % 3 = 0, '["table_' || tab || '","stock_basic"]', '["table_' || tab || '"]'),
				iif(r % 11 = 0, NULL, r % 1000), iif(r % 50 = 0, 'tool_error', 'ok'), 200, NULL, r % 50000, r % 300, r, 'session-' || u || '-' || r % 100, n % 1000,
				'2025-06-18', 'claude-code', '2.1.0', '192.0.2.' || u % 250, 'table_' || tab
			FROM call`))
	}
	for _, query := range indexes {
		exec(query)
	}
	exec("DELETE FROM mcp_tool_usage_daily")
	exec("INSERT INTO mcp_tool_usage_daily " + rollUp)
	info, err := os.Stat(l.path)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d events, written at %.0f a second, of %.0f bytes each", rows, float64(rows)/time.Since(start).Seconds(), float64(info.Size())/float64(rows))
}

// indexesOf are the statements that make the log's indexes, by their names.
func indexesOf(b *testing.B, l *Ledger) map[string]string {
	rows, err := l.write.Query("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'mcp_tool_usage_log' AND sql IS NOT NULL")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // what it says, Err has said
	indexes := make(map[string]string)
	for rows.Next() {
		var name, query string
		if err := rows.Scan(&name, &query); err != nil {
			b.Fatal(err)
		}
		indexes[name] = query
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return indexes
}
