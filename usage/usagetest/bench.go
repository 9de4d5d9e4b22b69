package usagetest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// rowsEnv is how many events BenchmarkRead fills a ledger with.
const rowsEnv = "TALLYGATE_BENCH_ROWS"

// BenchRows returns how many events to fill a ledger with for BenchmarkRead: the
// environment's TALLYGATE_BENCH_ROWS, or the usual number.
func BenchRows(b *testing.B, usual int) int {
	text := os.Getenv(rowsEnv)
	if text == "" {
		return usual
	}
	rows, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("%s: %v", rowsEnv, err)
	}
	return rows
}

// BenchNow is the time at which BenchmarkRead reads: the last day of a year of calls.
var BenchNow = time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC)

// BenchmarkRead prints the median and the maximum time of history and stats, for
// everyone and for users and tables. The ledger has the calls of 2026: by user-0 to
// user-999, of whom lower numbers call more often, with the keys key-USER-0 to -2,
// some forty tools and table_0 to table_59; and by the user sparse, who makes one
// call a day.
func BenchmarkRead(b *testing.B, l usage.Ledger) {
	measure := func(name string, read func() error) {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if err := read(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
		})
	}
	for _, f := range []struct {
		name string
		usage.Filter
	}{
		{"everyone", usage.Filter{}}, {"busy user", usage.Filter{UserID: "user-1"}}, {"user", usage.Filter{UserID: "user-900"}},
		{"sparse user", usage.Filter{UserID: "sparse"}}, {"key", usage.Filter{UserID: "user-900", KeyID: "key-user-900-1"}},
		{"table", usage.Filter{Table: "table_7"}}, {"errors", usage.Filter{Outcome: usage.ToolError}},
		{"from and to", usage.Filter{From: BenchNow.AddDate(0, -3, 0), To: BenchNow.AddDate(0, -1, 0)}},
	} {
		history := func(name string, q usage.HistoryQuery) {
			q.Filter = f.Filter
			measure("History/"+f.name+"/"+name, func() error {
				page, err := l.History(b.Context(), q)
				if err == nil && len(page.Events) == 0 && page.Total > int64(q.Page*q.PageSize) {
					err = errors.New("the page is empty")
				}
				return err
			})
		}
		history("page 1", usage.HistoryQuery{Page: 1, PageSize: 20})
		history("page 500", usage.HistoryQuery{Page: 500, PageSize: 20})
		history("page 10,000", usage.HistoryQuery{Page: 10_000, PageSize: 20})
		history("page 500,000", usage.HistoryQuery{Page: 500_000, PageSize: 20})
		history("cursor", usage.HistoryQuery{Cursor: usage.Cursor{Time: BenchNow.AddDate(0, -2, 0)}.String(), PageSize: 20})
		history("page 1 of 200", usage.HistoryQuery{Page: 1, PageSize: 200})
		if !f.From.IsZero() {
			continue // not for stats
		}
		for _, days := range []int{30, 365} {
			measure(fmt.Sprint("Stats/", f.name, "/days=", days), func() error {
				_, err := l.Stats(b.Context(), usage.StatsQuery{Filter: f.Filter, Days: days, Now: BenchNow})
				return err
			})
			for _, by := range usage.Dimensions {
				measure(fmt.Sprint("Breakdown/", f.name, "/days=", days, "/by=", by), func() error {
					_, err := l.Breakdown(b.Context(), usage.BreakdownQuery{
						StatsQuery: usage.StatsQuery{Filter: f.Filter, Days: days, Now: BenchNow}, By: by, Limit: 50,
					})
					return err
				})
			}
		}
	}
	for user, keys := range map[string]int{"user-1": 3, "": 3000} {
		ids := make([]string, keys)
		for i := range ids {
			ids[i] = fmt.Sprintf("key-user-%d-%d", 1+i/3, i%3)
		}
		measure(fmt.Sprint("KeyCalls/keys=", keys), func() error {
			_, err := l.KeyCalls(b.Context(), user, ids, BenchNow.AddDate(0, 0, 1-BenchNow.Day()).Truncate(24*time.Hour))
			return err
		})
	}
}
