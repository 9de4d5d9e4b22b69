package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage"
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
				b.StartTimer()
				mustWrite(b, l, next)
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRead reads from 200,000 events, 10,000 a day.
func BenchmarkRead(b *testing.B) {
	const batches, size = 20, 10_000
	l := openLedger(b, filepath.Join(b.TempDir(), "usage.db"))
	for n := range batches {
		day := usagetest.Batch(n, size, 8*time.Second)
		for i := range day.Events {
			day.Events[i].Time = day.Events[i].Time.AddDate(0, 0, n)
		}
		mustWrite(b, l, day)
	}
	user := usagetest.Batch(0, 1, 0).Events[0].UserID
	now := usagetest.Start.AddDate(0, 0, batches)
	for name, f := range map[string]usage.Filter{"all": {}, "user": {UserID: user}, "table": {Table: "stock_basic"}} {
		for page, number := range map[string]int{"first": 1, "tenth": 10, "past the end": 1 << 40} {
			b.Run("History/"+name+"/"+page, func(b *testing.B) {
				for b.Loop() {
					if _, err := l.History(b.Context(), usage.HistoryQuery{Filter: f, Page: number, PageSize: 20}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run("Stats/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Stats(b.Context(), usage.StatsQuery{Filter: f, Days: 30, Now: now}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
