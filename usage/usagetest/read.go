package usagetest

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

func testOrder(t *testing.T, open func() usage.Ledger) {
	// Equal times, and event_ids that differ in each of their bytes: their order is
	// that of their text, whichever half a database compares first.
	var events []usage.Event
	for i := range 16 {
		for _, b := range []byte{0x10, 0x80, 0xff} {
			for n, ts := range []time.Time{noon, noon.Add(time.Microsecond)} {
				var id uuid.UUID
				id[i], id[(i+8)%16] = b, byte(1+n)
				events = append(events, event(0, func(e *usage.Event) { e.ID, e.Time = id, ts }))
			}
		}
	}
	l := open()
	write(t, l, batch(events[10:]...), batch(events[:10]...))
	wantEvents(t, l, events)
}

func testPaging(t *testing.T, open func() usage.Ledger) {
	l := open()
	const total = 25
	events := run(0, total)
	write(t, l, batch(events[:7]...), batch(events[7:]...))
	all := newestFirst(events)
	for _, size := range []int{1, 7, 10, 24, 25, 26, 1_000} {
		for _, page := range []int{1, 2, 3, 4, 25, 26, math.MaxInt32, math.MaxInt - 1, math.MaxInt} {
			got := history(t, l, usage.HistoryQuery{Page: page, PageSize: size})
			if got.Total != total {
				t.Errorf("page %d of %d events: total %d, want %d", page, size, got.Total, total)
			}
			start := total
			if page <= total/size+1 {
				start = min((page-1)*size, total)
			}
			want := all[start:min(start+size, total)]
			if len(want) == 0 && len(got.Events) == 0 {
				continue
			}
			wantPage(t, got.Events, want)
		}
	}
	got := history(t, l, usage.HistoryQuery{Filter: usage.Filter{UserID: "nobody"}, Page: 1, PageSize: 10})
	if got.Total != 0 || len(got.Events) != 0 {
		t.Errorf("nobody's history: %d events of %d", len(got.Events), got.Total)
	}
}

// filterEvents returns events that differ in everything that a Filter looks at.
func filterEvents() []usage.Event {
	var events []usage.Event
	for n := range 32 {
		events = append(events, event(n, func(e *usage.Event) {
			e.Time = noon.Add(time.Duration(n) * time.Hour)
			e.UserID = []string{"ann", "bob"}[n%2]
			e.KeyID = []string{"k1", "k2", "k3"}[n%3]
			e.Server = []string{"stock-data", "", "files"}[n/4%3]
			e.Tool = []string{"query", "list", "", "describe"}[n/2%4]
			e.Tables = [][]string{{"a"}, {"b", "a"}, nil, {"c", "b"}, {"ab"}}[n%5]
			e.Outcome = usage.Outcomes[n%len(usage.Outcomes)]
		}))
	}
	return events
}

func testFilters(t *testing.T, open func() usage.Ledger) {
	l, memory := open(), NewMemory()
	write(t, l, batch(filterEvents()...))
	write(t, memory, batch(filterEvents()...))

	// Each field alone, and each two of them together.
	fields := []func(*usage.Filter){
		func(f *usage.Filter) { f.UserID = "ann" },
		func(f *usage.Filter) { f.KeyID = "k2" },
		func(f *usage.Filter) { f.Server = "files" },
		func(f *usage.Filter) { f.Tool = "list" },
		func(f *usage.Filter) { f.Table = "a" },
		func(f *usage.Filter) { f.Table = "b" },
		func(f *usage.Filter) { f.Outcome = usage.ToolError },
		func(f *usage.Filter) { f.From = noon.Add(10 * time.Hour) },
		func(f *usage.Filter) { f.To = noon.Add(20 * time.Hour) },
		func(f *usage.Filter) { f.From = noon.Add(10*time.Hour + 1) }, // just after an event
		func(f *usage.Filter) { f.To = noon.Add(20*time.Hour + 1) },
		func(f *usage.Filter) { f.From = noon.Add(5 * time.Hour).In(time.FixedZone("", -7200)) },
		func(f *usage.Filter) {
			f.From, f.To = time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
		},
		func(f *usage.Filter) { f.From, f.To = noon.Add(time.Hour), noon },
	}
	for i := range fields {
		for j := range i + 1 {
			var f usage.Filter
			fields[i](&f)
			fields[j](&f)
			q := usage.HistoryQuery{Filter: f, Page: 1, PageSize: 100}
			want := history(t, memory, q)
			if diff := cmp.Diff(want, history(t, l, q)); diff != "" {
				t.Fatalf("History(%+v) (-want +got):\n%s", q, clip(diff))
			}
			if i == j && (want.Total == 0) != f.To.Before(f.From) && !f.To.IsZero() {
				t.Fatalf("%+v matches %d events; this test tests nothing", f, want.Total)
			}
		}
	}
}

func testHostileFilters(t *testing.T, open func() usage.Ledger) {
	l, memory := open(), NewMemory()
	var events []usage.Event
	for n, s := range hostile {
		events = append(events, event(n, everyText(s)))
	}
	events = append(events, event(len(hostile)), event(len(hostile)+1, everyText("")))
	write(t, l, batch(events...))
	write(t, memory, batch(events...))
	for _, s := range hostile {
		for name, f := range map[string]usage.Filter{
			"UserID":  {UserID: s},
			"KeyID":   {KeyID: s},
			"Server":  {Server: s},
			"Tool":    {Tool: s},
			"Table":   {Table: s},
			"Outcome": {Outcome: usage.Outcome(s)},
			"all":     {UserID: s, KeyID: s, Server: s, Tool: s, Table: s + "'", Outcome: usage.Outcome(s)},
		} {
			q := usage.HistoryQuery{Filter: f, Page: 1, PageSize: 100}
			want := history(t, memory, q)
			if want.Total == 0 {
				t.Fatalf("%s %q matches nothing; this test tests nothing", name, clip(s))
			}
			if diff := cmp.Diff(want, history(t, l, q)); diff != "" {
				t.Errorf("History by %s %q (-want +got):\n%s", name, clip(s), clip(diff))
			}
		}
	}
}

// wantStats compares the ledger's stats with those of the events in memory.
func wantStats(t *testing.T, l usage.Ledger, events []usage.Event, q usage.StatsQuery) usage.Stats {
	t.Helper()
	memory := NewMemory()
	memory.rows.events = events
	want := stats(t, memory, q)
	if diff := cmp.Diff(want, stats(t, l, q)); diff != "" {
		t.Fatalf("Stats(%+v) (-want +got):\n%s", q, clip(diff))
	}
	return want
}

func testStatsDays(t *testing.T, open func() usage.Ledger) {
	l := open()
	now := time.Date(2026, 3, 2, 0, 30, 0, 0, time.FixedZone("", 2*3600)) // the evening of 1 March, UTC
	if diff := cmp.Diff(usage.Stats{
		Days:     2,
		Daily:    []usage.DailyUsage{{Date: "2026-02-28"}, {Date: "2026-03-01"}},
		TopTools: []usage.ToolUsage{}, TopTables: []usage.TableUsage{},
	}, stats(t, l, usage.StatsQuery{Days: 2, Now: now})); diff != "" {
		t.Fatalf("Stats without events (-want +got):\n%s", diff)
	}

	midnight := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var events []usage.Event
	for n, ts := range []time.Time{
		midnight.AddDate(0, 0, -4).Add(-time.Microsecond), // before all days
		midnight.AddDate(0, 0, -4),                        // the first of five
		midnight.Add(-time.Microsecond),                   // 28 February
		midnight, midnight.Add(time.Hour), now,
		midnight.AddDate(0, 0, 1).Add(-time.Microsecond),
		midnight.AddDate(0, 0, 1), // after the last day
	} {
		events = append(events, event(n, at(ts.UTC())))
	}
	write(t, l, batch(events...))
	got := wantStats(t, l, events, usage.StatsQuery{Days: 5, Now: now})
	if diff := cmp.Diff([]usage.DailyUsage{
		{Date: "2026-02-25", Calls: 1, Records: 20}, {Date: "2026-02-26"}, {Date: "2026-02-27"},
		{Date: "2026-02-28", Calls: 1, Records: 20}, {Date: "2026-03-01", Calls: 4, Records: 80},
	}, got.Daily); diff != "" {
		t.Fatalf("days (-want +got):\n%s", diff)
	}
	for _, days := range []int{1, 4, 6, 7, 30, 365, 3650} {
		wantStats(t, l, events, usage.StatsQuery{Days: days, Now: now})
	}
	// From and To of the filter are not used.
	wantStats(t, l, events, usage.StatsQuery{Days: 5, Now: now, Filter: usage.Filter{From: midnight, To: midnight}})
}

func testStatsRecords(t *testing.T, open func() usage.Ledger) {
	for _, test := range []struct {
		counts []usage.NullInt64
		want   int64
	}{
		{[]usage.NullInt64{{}, {}}, 0},
		{[]usage.NullInt64{usage.Int64(0), {}, usage.Int64(7)}, 7},
		{[]usage.NullInt64{usage.Int64(-3), usage.Int64(1)}, -2},
		{[]usage.NullInt64{usage.Int64(1<<53 + 1), usage.Int64(1 << 53)}, 1<<54 + 1},
		{[]usage.NullInt64{usage.Int64(math.MaxInt64), usage.Int64(math.MinInt64)}, -1},
		// An absurd count must not break the stats: they are clamped to an int64.
		{[]usage.NullInt64{usage.Int64(math.MaxInt64), usage.Int64(1), {}}, math.MaxInt64},
		{[]usage.NullInt64{usage.Int64(math.MinInt64), usage.Int64(math.MinInt64)}, math.MinInt64},
	} {
		user := fmt.Sprint(test.counts)
		var events []usage.Event
		for n, count := range test.counts {
			events = append(events, event(n, func(e *usage.Event) {
				e.ID, e.UserID, e.RecordCount = uuid.NewSHA1(e.ID, []byte(user)), user, count
			}))
		}
		l := open()
		write(t, l, batch(events...))
		got := wantStats(t, l, events, usage.StatsQuery{Days: 1, Now: noon, Filter: usage.Filter{UserID: user}})
		if got.TotalRecords != test.want || got.TopTools[0].Records != test.want {
			t.Errorf("%v: %d records in all, %d by the tool, want %d", test.counts, got.TotalRecords, got.TopTools[0].Records, test.want)
		}
	}
}

func testStatsTop(t *testing.T, open func() usage.Ledger) {
	var events []usage.Event
	call := func(tool string, tables ...string) {
		events = append(events, event(len(events), func(e *usage.Event) { e.Tool, e.Tables = tool, tables }))
	}
	// The ten places are for one name with three calls, two with two, and some of
	// the 20 with one call, which differ in letter case and outside ASCII.
	call("most", "t-most", "t-more")
	call("most", "t-most")
	call("most", "t-more", "t-most", "t-1")
	call("b-two", "b")
	call("b-two", "t-2")
	call("a-two", "t-3")
	call("a-two")
	for _, name := range []string{"Z", "z", "é", "e", "", "日", "10", "9", "_", "~", "A", "a", "aa", "\x7f", "🧮", "ab", "B", "c", "d", "C"} {
		call(name, "t"+name)
	}
	l := open()
	write(t, l, batch(events...))
	got := wantStats(t, l, events, usage.StatsQuery{Days: 1, Now: noon})
	var tools, tables []string
	for _, tool := range got.TopTools {
		tools = append(tools, tool.Tool)
	}
	for _, table := range got.TopTables {
		tables = append(tables, table.Table)
	}
	if want := []string{"most", "a-two", "b-two", "", "10", "9", "A", "B", "C", "Z"}; !slices.Equal(tools, want) {
		t.Errorf("top tools %q, want %q", tools, want)
	}
	if want := []string{"t-most", "t-more", "b", "t", "t-1", "t-2", "t-3", "t10", "t9", "tA"}; !slices.Equal(tables, want) {
		t.Errorf("top tables %q, want %q", tables, want)
	}
}

func testStatsFilters(t *testing.T, open func() usage.Ledger) {
	l, events := open(), filterEvents()
	write(t, l, batch(events...))
	for _, f := range []usage.Filter{
		{}, {UserID: "ann"}, {KeyID: "k2"}, {Server: "files"}, {Tool: "list"}, {Table: "a"}, {Table: "b"}, {Outcome: usage.Aborted},
		{UserID: "bob", KeyID: "k1"}, {UserID: "ann", Server: "files"}, {UserID: "ann", Table: "b", Outcome: usage.OK}, {UserID: "nobody"},
		{UserID: "'"}, {Table: "%"},
	} {
		for _, days := range []int{1, 2} {
			wantStats(t, l, events, usage.StatsQuery{Filter: f, Days: days, Now: noon.AddDate(0, 0, 1)})
		}
	}
}
