package journal_test

import (
	"log/slog"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
)

// BenchmarkCatchUp has a shipper bring a backlog of a million events to a real
// ClickHouse while calls go on, a thousand a second. It prints the pace, what
// an append cost meanwhile, and the most that the process's heap was.
func BenchmarkCatchUp(b *testing.B) {
	const backlog = 1_000_000
	server := clickhousetest.Start(b)
	silent := slog.New(slog.DiscardHandler)
	var took []time.Duration
	var shipped, most uint64
	for b.Loop() {
		b.StopTimer()
		dsn, _ := server.NewDatabase(b)
		l, err := clickhouse.Open(dsn)
		if err != nil {
			b.Fatal(err)
		}
		j, err := journal.Open(b.TempDir(), journal.Options{Logger: silent})
		if err != nil {
			b.Fatal(err)
		}
		for range backlog {
			e := benchEvent()
			if err := j.Append(&e); err != nil {
				b.Fatal(err)
			}
		}
		s := journal.NewShipper(j, journal.ShipperOptions{Logger: silent})
		stop := make(chan struct{})
		var wg sync.WaitGroup
		b.StartTimer()
		wg.Go(func() { most = max(most, peakHeap(stop)) })
		wg.Go(func() {
			for tick := time.NewTicker(time.Millisecond); ; {
				select {
				case <-tick.C:
				case <-stop:
					return
				}
				e := benchEvent()
				start := time.Now()
				if err := j.Append(&e); err != nil {
					b.Error(err)
				}
				took = append(took, time.Since(start))
			}
		})
		s.Use(l)
		if err := s.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		close(stop)
		wg.Wait()
		shipped += uint64(s.Stats().Events)
		for _, err := range []error{s.Close(), j.Close(), l.Close()} {
			if err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(shipped)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "append-p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "append-p99-ns")
	b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
}

// peakHeap is the most that the heap's objects and its free room took in bytes
// until stop.
func peakHeap(stop chan struct{}) (most uint64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		metrics.Read(samples)
		most = max(most, samples[0].Value.Uint64()+samples[1].Value.Uint64())
		select {
		case <-tick.C:
		case <-stop:
			return most
		}
	}
}

func benchEvent() usage.Event {
	return usage.Event{
		ID:              uuid.Must(uuid.NewV7()),
		Time:            time.Now().UTC().Truncate(time.Microsecond),
		Server:          "stock-data",
		UserID:          "0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0001",
		UserEmail:       "ada@example.com",
		KeyID:           "0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0002",
		KeyName:         "my-cursor-key",
		Tool:            "query_daily_bars",
		Tables:          []string{"daily_bars"},
		RecordCount:     usage.Int64(250),
		Outcome:         usage.OK,
		HTTPStatus:      usage.Int64(200),
		DurationUS:      1234,
		RequestBytes:    180,
		ResponseBytes:   20480,
		SessionID:       "mcp-session-7f0b6a52",
		RequestID:       "17",
		ProtocolVersion: "2025-11-25",
		ClientName:      "claude-code",
		ClientVersion:   "2.1.0",
		RemoteIP:        "192.0.2.17",
	}
}
