package usagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/usage"
)

// RunHours tests what a ledger says of times: events of each hour of several days,
// by pages, cursors, filters and sums. It is a part of Run, for those that also have
// to run it on servers in other time zones.
func RunHours(t *testing.T, storage Storage) {
	t.Run("Hours", func(t *testing.T) {
		open := storage(t)
		testHours(t, func() usage.Ledger { return openLedger(t, open) })
	})
}

// testHours has events across the ends of days and months, and across the changes
// to and from daylight-saving time in Europe and North America.
func testHours(t *testing.T, open func() usage.Ledger) {
	l, model := open(), NewMemory()
	var n int
	var last time.Time
	for _, first := range []time.Time{
		time.Date(2026, 3, 7, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC),
	} {
		var events []usage.Event
		for hour := range 3 * 24 {
			n++
			last = first.Add(time.Duration(hour) * time.Hour)
			events = append(events, event(n, func(e *usage.Event) {
				e.Time, e.RecordCount = last, usage.Int64(int64(hour))
				e.KeyID, e.UserID = []string{"k1", "k2"}[n%2], []string{"ann", "bob", "cem"}[n%3]
			}))
		}
		write(t, l, batch(events...))
		write(t, model, batch(events...))
	}

	filters := []usage.Filter{{}, {KeyID: "k2"}}
	for _, at := range []time.Time{last.Add(-26 * time.Hour), last.Truncate(24 * time.Hour)} {
		filters = append(filters, usage.Filter{From: at}, usage.Filter{To: at}, usage.Filter{From: at.Add(-25 * time.Hour), To: at, UserID: "bob"})
	}
	for _, f := range filters {
		for _, size := range []int{35, 1000} {
			for page := 1; ; page++ {
				q := usage.HistoryQuery{Filter: f, Page: page, PageSize: size}
				got, want := history(t, l, q), history(t, model, q)
				if got.Total != want.Total {
					t.Fatalf("%+v: total %d, want %d", f, got.Total, want.Total)
				}
				wantPage(t, got.Events, want.Events)
				if len(want.Events) == 0 {
					break
				}
			}
			walked := walk(t, l, f, size, history(t, model, usage.HistoryQuery{Filter: f, Page: 1, PageSize: 1}).Total)
			wantPage(t, walked, model.matching(f))
		}
		for _, by := range usage.Dimensions {
			q := usage.BreakdownQuery{StatsQuery: usage.StatsQuery{Filter: f, Days: 40, Now: last}, By: by, Limit: 100}
			got, err := l.Breakdown(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			want, err := model.Breakdown(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i].Latency = usage.Latency{} // an estimate
			}
			for i := range want {
				want[i].Latency = usage.Latency{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("by %s, %+v (-want +got):\n%s", by, f, diff)
			}
		}
		for _, days := range []int{2, 30} {
			q := usage.StatsQuery{Filter: usage.Filter{UserID: f.UserID, KeyID: f.KeyID}, Days: days, Now: last}
			if diff := cmp.Diff(stats(t, model, q), stats(t, l, q)); diff != "" {
				t.Errorf("stats of %d days, %+v (-want +got):\n%s", days, f, diff)
			}
		}
		keys := []string{"k1", "k2"}
		got, err := l.KeyCalls(t.Context(), "", keys, f.From)
		if err != nil {
			t.Fatal(err)
		}
		want, err := model.KeyCalls(t.Context(), "", keys, f.From)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("calls of keys since %v: %v, want %v", f.From, got, want)
		}
	}
}
