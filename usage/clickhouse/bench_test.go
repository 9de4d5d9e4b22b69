package clickhouse_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/journal"
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

// BenchmarkShip empties a journal of 200,000 events into the ledger.
func BenchmarkShip(b *testing.B) {
	const events = 200_000
	server := clickhousetest.Start(b)
	for _, protocol := range protocols {
		b.Run(protocol, func(b *testing.B) {
			j, err := journal.Open(b.TempDir(), journal.Options{})
			if err != nil {
				b.Fatal(err)
			}
			shipper := journal.NewShipper(j, journal.ShipperOptions{})
			l := open(b, newDatabase(b, server, protocol))
			if err := l.Write(b.Context(), batch(-1, 1)); err != nil {
				b.Fatal(err)
			}
			some := usagetest.Batch(0, 1_000, time.Millisecond).Events
			for b.Loop() {
				b.StopTimer()
				shipper.Use(nil)
				for n := range events {
					e := some[n%len(some)]
					e.ID = uuid.Must(uuid.NewV7())
					if err := j.Append(&e); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				shipper.Use(l)
				if err := shipper.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			if err := shipper.Close(); err != nil {
				b.Error(err)
			}
			if err := j.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// fill makes the calls that usagetest.BenchmarkRead reads.
func fill(b *testing.B, server *clickhousetest.Server, dsn string) {
	rows := usagetest.BenchRows(b, 20_000_000)
	start := time.Now()
	for _, calls := range []struct{ user, rows string }{
		{"concat('user-', toString(u))", strconv.Itoa(rows)},
		{"'sparse'", "365"},
	} {
		server.Query(b, strings.NewReplacer("TABLE", database(dsn)+".mcp_tool_usage_log", "ROWS", calls.rows, "USER", calls.user).Replace(
			`INSERT INTO TABLE (event_id, ts, server, user_id, user_email, key_id, key_name,
				tool_name, tables, record_count, outcome, http_status, duration_us, request_bytes, response_bytes,
				session_id, request_id, protocol_version, client_name, client_version, remote_ip)
			WITH toUInt32(pow(rand(1) / 4294967296, 2) * 1000) AS u, if(rand(2) % 10 < 7, 0, rand(2) % 3) AS k,
				(u * 7 + toUInt32(pow(rand(3) / 4294967296, 2) * 8)) % 40 AS tool, (tool * 3 + toUInt32(pow(rand(4) / 4294967296, 2) * 5)) % 60 AS tab
			SELECT generateUUIDv7(number), toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + toIntervalMicrosecond(number * intDiv(31536000000000, ROWS)), 'stock-data',
				USER, concat(USER, '@example.com'), concat('key-', USER, '-', toString(k)), ['laptop', 'ci', 'cursor'][k + 1],
				concat('tool_', toString(tool)), if(tab % 3 = 0, [concat('table_', toString(tab)), 'stock_basic'], [concat('table_', toString(tab))]),
				if(rand(5) % 10 = 0, NULL, rand(5) % 1000), if(rand(6) % 50 = 0, 'tool_error', 'ok'), 200, rand(7) % 50000, rand(8) % 300, rand(9) % 65536,
				concat('session-', hex(cityHash64(u, rand(10) % 100))), toString(number % 1000), '2025-06-18', 'claude-code', '2.1.0', concat('192.0.2.', toString(u % 250))
			FROM numbers(ROWS) SETTINGS max_insert_threads = 2`))
	}
	b.Logf("%d events, written at %.0f a second, of %s bytes each", rows, float64(rows)/time.Since(start).Seconds(),
		server.Query(b, "SELECT round(sum(bytes_on_disk) / sum(rows), 1) FROM system.parts WHERE active AND database = '"+database(dsn)+"'"))
}

func BenchmarkRead(b *testing.B) {
	server := clickhousetest.Start(b)
	dsn := newDatabase(b, server, "clickhouse")
	l := open(b, dsn)
	if err := l.Write(b.Context(), batch(0, 1)); err != nil {
		b.Fatal(err)
	}
	fill(b, server, dsn)
	usagetest.BenchmarkRead(b, l)
}
