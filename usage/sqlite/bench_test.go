package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
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

// BenchmarkRead reads from 500,000 events, 50,000 a day. What a page by number
// costs grows with its distance from the nearer end, so the middle is farthest.
func BenchmarkRead(b *testing.B) {
	const batches, size = 50, 10_000
	l := openLedger(b, filepath.Join(b.TempDir(), "usage.db"))
	for n := range batches {
		day := usagetest.Batch(n, size, 8*time.Second)
		for i := range day.Events {
			day.Events[i].Time = day.Events[i].Time.AddDate(0, 0, n/5)
		}
		mustWrite(b, l, day)
	}
	user := usagetest.Batch(0, 1, 0).Events[0].UserID
	now := usagetest.Start.AddDate(0, 0, batches/5)
	for name, f := range map[string]usage.Filter{"all": {}, "user": {UserID: user}, "table": {Table: "stock_basic"}} {
		read := func(name string, q usage.HistoryQuery) {
			q.Filter, q.PageSize = f, 20
			b.Run("History/"+name, func(b *testing.B) {
				for b.Loop() {
					if _, err := l.History(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		read(name+"/first", usage.HistoryQuery{Page: 1})
		read(name+"/10,000th", usage.HistoryQuery{Page: 10_000})
		read(name+"/middle", usage.HistoryQuery{Page: batches * size / 20 / 2})
		read(name+"/cursor", usage.HistoryQuery{Cursor: usage.Cursor{Time: now.AddDate(0, 0, -batches/10)}.String()})
		read(name+"/past the end", usage.HistoryQuery{Page: 1 << 40})
		b.Run("Stats/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Stats(b.Context(), usage.StatsQuery{Filter: f, Days: 30, Now: now}); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, by := range usage.Dimensions {
			b.Run("Breakdown/"+name+"/"+string(by), func(b *testing.B) {
				q := usage.BreakdownQuery{StatsQuery: usage.StatsQuery{Filter: f, Days: 30, Now: now}, By: by, Limit: 50}
				for b.Loop() {
					if _, err := l.Breakdown(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("KeyCalls", func(b *testing.B) {
		var keys []string
		for _, e := range usagetest.Batch(0, size, 0).Events {
			if !slices.Contains(keys, e.KeyID) {
				keys = append(keys, e.KeyID)
			}
		}
		for b.Loop() {
			if _, err := l.KeyCalls(b.Context(), "", keys, usagetest.Start); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(keys)), "keys")
	})
}
