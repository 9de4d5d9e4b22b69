package clickhouse_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
	"github.com/tallygate/tallygate/usage/usagetest"
)

func BenchmarkWrite(b *testing.B) {
	server := clickhousetest.Start(b)
	for _, protocol := range protocols {
		for _, size := range []int{1, 1_000, 10_000} {
			b.Run(fmt.Sprint(protocol, "/", size), func(b *testing.B) {
				l := open(b, newDatabase(b, server, protocol))
				if err := l.Write(b.Context(), batch(-1, 1)); err != nil {
					b.Fatal(err)
				}
				for n := 0; b.Loop(); n++ {
					b.StopTimer()
					next := usagetest.Batch(n, size, time.Millisecond)
					b.StartTimer()
					if err := l.Write(b.Context(), next); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkRead reads from a million events of 200 users, over 60 days.
func BenchmarkRead(b *testing.B) {
	server := clickhousetest.Start(b)
	dsn := newDatabase(b, server, "clickhouse")
	l := open(b, dsn)
	if err := l.Write(b.Context(), batch(0, 1)); err != nil {
		b.Fatal(err)
	}
	server.Query(b, `INSERT INTO `+database(dsn)+`.mcp_tool_usage_log (event_id, ts, user_id, user_email, key_id, key_name,
			tool_name, tables, record_count, outcome, http_status, duration_us, request_bytes, response_bytes, session_id, request_id, remote_ip)
		SELECT generateUUIDv7(number), toDateTime64('2026-03-01 00:00:00', 6, 'UTC') + toIntervalMicrosecond(number * 5184000),
			concat('user-', rand(1) % 200), concat('user-', rand(1) % 200, '@example.com'), concat('key-', rand(1) % 200), 'laptop',
			concat('tool_', rand(2) % 12), [concat('table_', rand(2) % 12), 'stock_basic'], if(rand(3) % 10 = 0, NULL, rand(3) % 1000),
			'ok', 200, rand(4) % 50000, rand(5) % 300, rand(6) % 65536, concat('session-', toString(rand(7) % 5000)), toString(number), '192.0.2.1'
		FROM numbers(1000000)`)
	b.Logf("bytes a row: %s", server.Query(b, "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND database = '"+database(dsn)+"' AND rows > 1000"))
	now := time.Date(2026, 4, 29, 12, 0, 0, 0, time.UTC)
	for name, f := range map[string]usage.Filter{"all": {}, "user": {UserID: "user-7"}, "table": {Table: "table_3"}} {
		for page, number := range map[string]int{"first": 1, "hundredth": 100, "past the end": 1 << 40} {
			b.Run("History/"+name+"/"+page, func(b *testing.B) {
				for b.Loop() {
					if _, err := l.History(b.Context(), usage.HistoryQuery{Filter: f, Page: number, PageSize: 20}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		for _, days := range []int{30, 365} {
			b.Run(fmt.Sprint("Stats/", name, "/", days), func(b *testing.B) {
				for b.Loop() {
					if _, err := l.Stats(b.Context(), usage.StatsQuery{Filter: f, Days: days, Now: now}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
