package journal

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

func BenchmarkAppend(b *testing.B) {
	for _, mode := range []SyncMode{SyncByInterval, SyncNone, SyncAlways} {
		b.Run(string(mode)+"/serial", func(b *testing.B) {
			j := openJournal(b, b.TempDir(), Options{Sync: mode, MaxBytes: 1 << 40})
			defer closeJournal(b, j)
			e := newEvent(1)
			took := make([]time.Duration, 0, 1<<20)
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				if err := j.Append(&e); err != nil {
					b.Fatal(err)
				}
				if len(took) < cap(took) {
					took = append(took, time.Since(start))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
			b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
		})
		b.Run(string(mode)+"/parallel", func(b *testing.B) {
			j := openJournal(b, b.TempDir(), Options{Sync: mode, MaxBytes: 1 << 40})
			defer closeJournal(b, j)
			b.SetParallelism(32)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				e := newEvent(1)
				for pb.Next() {
					if err := j.Append(&e); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e := newEvent(1)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = appendEvent(buf[:0], &e); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkReadEvent reads as the shipper does: the events of a batch, by some
// users with some tools, one after the other.
func BenchmarkReadEvent(b *testing.B) {
	const size = 10_000
	random := rand.New(rand.NewPCG(1, 2))
	var records [][]byte
	total := 0
	for range size {
		e := newEvent(1)
		user, tool := random.IntN(50), random.IntN(12)
		e.ID = uuid.Must(uuid.NewV7())
		e.UserID = fmt.Sprintf("0198f2a4-7e51-7c3b-9d2e-%012d", user)
		e.UserEmail = fmt.Sprintf("user-%d@example.com", user)
		e.KeyID = fmt.Sprintf("0198f2a4-90aa-7001-8e11-%012d", user*3+random.IntN(3))
		e.Tool = fmt.Sprintf("tool_%d", tool)
		e.Tables = []string{fmt.Sprintf("table_%d", tool), "stock_basic"}[:1+tool%2]
		e.SessionID = fmt.Sprintf("session-%08x", random.IntN(200))
		e.RequestID = fmt.Sprint(random.IntN(1000))
		record, err := appendEvent(nil, &e)
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, record)
		total += len(record)
	}
	b.SetBytes(int64(total / size))
	b.ReportAllocs()
	var e usage.Event
	for n := 0; b.Loop(); n++ {
		if err := readEvent(records[n%size], &e); err != nil {
			b.Fatal(err)
		}
	}
}

// heapLedger takes everything and notes the most that the heap was.
type heapLedger struct {
	usage.Ledger
	most uint64
}

func (l *heapLedger) Write(context.Context, usage.Batch) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	l.most = max(l.most, m.HeapAlloc)
	return nil
}

// BenchmarkShip empties a backlog of b.N times 100,000 events.
func BenchmarkShip(b *testing.B) {
	const backlog = 100_000
	j := openJournal(b, b.TempDir(), Options{Sync: SyncNone})
	defer closeJournal(b, j)
	l := &heapLedger{}
	s := NewShipper(j, ShipperOptions{Logger: silent})
	defer func() { _ = s.Close() }() // never fails
	for b.Loop() {
		b.StopTimer()
		s.Use(nil)
		e := newEvent(1)
		for range backlog {
			if err := j.Append(&e); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		s.Use(l)
		if err := s.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(backlog*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(l.most)/(1<<20), "heap-MiB")
}
