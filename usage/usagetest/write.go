package usagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// hostile are strings that break a careless query, dump or format.
var hostile = []string{
	"'", `"`, "`", `\`, `\\`, `\'`, "''", "%", "_", "?", "$1", "{user_id:String}", "@p", ":p",
	"' OR 1=1 --", "'; DROP TABLE mcp_tool_usage_log; --", "/*", "--", "#", "NULL", `\N`, `\0`, `\x00`,
	"a\x00b", "\x00", "a\tb", "a\nb", "a\r\nb", "\b\f\v\x1a\x7f", " ", " lead", "trail ", "Query_Daily", "query_daily",
	"[]", `["a"]`, `a","b`, "a,b", ",", "é", "e\u0301", "日本語", "🧮", "\u2028", "\ufeff", "\uffff", "<b>&amp;",
	strings.Repeat("x", 10_000),
}

// everyText sets every string of the event.
func everyText(s string) func(*usage.Event) {
	return func(e *usage.Event) {
		e.Server, e.UserID, e.UserEmail, e.KeyID, e.KeyName, e.Tool = s, s, s, s, s, s
		e.Tables, e.Outcome = []string{s, s + "'"}, usage.Outcome(s)
		e.SessionID, e.RequestID, e.ProtocolVersion, e.ClientName, e.ClientVersion, e.RemoteIP = s, s, s, s, s, s
	}
}

// everyNumber sets every number of the event.
func everyNumber(n int64) func(*usage.Event) {
	return func(e *usage.Event) {
		e.RecordCount, e.HTTPStatus, e.RPCCode = usage.Int64(n), usage.Int64(n), usage.Int64(n)
		e.DurationUS, e.RequestBytes, e.ResponseBytes = n, n, n
	}
}

func at(ts time.Time) func(*usage.Event) {
	return func(e *usage.Event) { e.Time = ts }
}

func testRoundTrip(t *testing.T, open func() usage.Ledger) {
	var events []usage.Event
	add := func(changes ...func(*usage.Event)) {
		events = append(events, event(len(events), changes...))
	}
	add()
	add(func(e *usage.Event) { *e = usage.Event{ID: e.ID, Time: e.Time} }) // all unknown
	for _, outcome := range usage.Outcomes {
		add(func(e *usage.Event) { e.Outcome = outcome })
	}
	add(func(e *usage.Event) { e.RecordCount = usage.Int64(0) }) // zero, which is not unknown
	add(func(e *usage.Event) { e.Tables = nil })
	add(func(e *usage.Event) { e.Tables = []string{"b", "a", "c"} })
	add(func(e *usage.Event) { e.Tables = []string{"a,b", `"c"`, "[d]", ""} })
	add(func(e *usage.Event) { e.Tables = []string{""} })
	add(func(e *usage.Event) { e.RequestID = `"1"` })
	add(func(e *usage.Event) { e.ID = uuid.Nil })
	add(func(e *usage.Event) { e.ID = uuid.Max })
	for _, n := range []int64{0, 1, -1, -32601, math.MaxInt64, math.MinInt64} {
		add(everyNumber(n))
	}
	for _, s := range append(hostile, strings.Repeat("長い", 20_000)) {
		add(everyText(s))
	}
	for _, ts := range []time.Time{
		time.Unix(0, 0).UTC(),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(2026, 2, 28, 23, 59, 59, 999_999_000, time.UTC),
		time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2106, 2, 7, 6, 28, 16, 1_000, time.UTC),
	} {
		add(at(ts))
	}

	l := open()
	write(t, l, batch(events...))
	wantEvents(t, l, events)
	wantEvents(t, open(), events)

	// Empty tables are unknown ones, and a time in another zone is the same time.
	l = open()
	e := event(1_000, func(e *usage.Event) { e.Tables, e.Time = []string{}, e.Time.In(time.FixedZone("", 3600)) })
	write(t, l, batch(e))
	e.Tables, e.Time = nil, e.Time.UTC()
	wantEvents(t, l, append(events, e))
}

// testStoredExactlyOrRejected writes values that a ledger may be unable to hold. It
// may reject them, but it must not store other values or a part of the batch.
func testStoredExactlyOrRejected(t *testing.T, open func() usage.Ledger) {
	l := open()
	var stored []usage.Event
	try := func(name string, change func(*usage.Event)) {
		n := 2 * len(stored)
		events := []usage.Event{event(n), event(n+1, change)}
		switch err := l.Write(t.Context(), batch(events...)); {
		case err == nil:
			stored = append(stored, events...)
		case !errors.Is(err, usage.ErrRejected):
			t.Fatalf("%s: Write: %v, want nil or ErrRejected", name, err)
		}
		page := history(t, l, usage.HistoryQuery{Page: 1, PageSize: 1_000})
		if diff := cmp.Diff(newestFirst(stored), page.Events); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", name, clip(diff))
		}
	}
	for _, year := range []int{1, 1000, 1677, 1899, 1900, 1901, 2261, 2262, 2263, 2299, 2300, 9999} {
		ts := time.Date(year, 6, 15, 12, 30, 30, 123_456_000, time.UTC)
		try(fmt.Sprintf("year %d", year), at(ts))
	}
	try("zero time", at(time.Time{}))
	const invalid = "a\xffb\xc0\xaf\xed\xa0\x80"
	try("invalid UTF-8 table", func(e *usage.Event) { e.Tables = []string{invalid} })
	try("invalid UTF-8", func(e *usage.Event) {
		tables := e.Tables
		everyText(invalid)(e)
		e.Tables = tables
	})
}

func testBatchSizes(t *testing.T, open func() usage.Ledger) {
	l := open()
	write(t, l, usage.Batch{Token: "none"})
	wantEvents(t, l, nil)
	write(t, l, batch(run(0, 1)...))
	wantEvents(t, l, run(0, 1))
	write(t, l, batch(run(1, 10_000)...))
	wantEvents(t, l, run(0, 10_001))
}

func testSameBatchAgain(t *testing.T, open func() usage.Ledger) {
	first, b := batch(run(0, 100)...), batch(run(100, 1_000)...)
	l := open()
	write(t, l, first, b, b, first)
	wantEvents(t, l, run(0, 1_100))

	restarted := open()
	write(t, restarted, b, batch(run(1_100, 10)...), first)
	wantEvents(t, restarted, run(0, 1_110))

	// Another token is another batch, even with the same kind of events.
	twin := run(2_000, 1_000)
	for i := range twin {
		id := twin[i].ID
		twin[i] = b.Events[i]
		twin[i].ID = id
	}
	write(t, l, batch(twin...))
	wantEvents(t, l, append(run(0, 1_110), twin...))
}

func testSameBatchAcrossMonths(t *testing.T, open func() usage.Ledger) {
	// More months than the 100 partitions that ClickHouse allows by default.
	var events []usage.Event
	for n := range 110 {
		events = append(events, event(n, at(noon.AddDate(0, n%102, 0))))
	}
	write(t, open(), batch(events...))
	l := open()
	write(t, l, batch(events...))
	wantEvents(t, l, events)
}

func testSameBatchConcurrently(t *testing.T, open func() usage.Ledger) {
	ledgers := []usage.Ledger{open(), open(), open()}
	const batches, writers = 5, 6
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range batches {
				if err := ledgers[w%len(ledgers)].Write(t.Context(), batch(run(n*100, 100)...)); err != nil {
					t.Errorf("Write: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	wantEvents(t, ledgers[0], run(0, batches*100))
}

// testSameBatchAfterInterruption cancels Writes at random moments and writes the
// batches again.
func testSameBatchAfterInterruption(t *testing.T, open func() usage.Ledger) {
	l := open()
	write(t, l, batch(run(0, 1)...))
	const size = 5_000
	for n := range 6 {
		b := batch(run(1+n*size, size)...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond<<n)
		if err := l.Write(ctx, b); errors.Is(err, usage.ErrRejected) {
			t.Fatalf("Write that ran out of time: %v", err)
		}
		cancel()
		writeUntilDone(t, l, b)
	}
	want := run(0, 1+6*size)
	if got := ids(t, l); len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
}

func testContext(t *testing.T, open func() usage.Ledger) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()

	l := open()
	for range 2 { // before the first use, and after it
		for _, ctx := range []context.Context{canceled, late} {
			_, historyErr := l.History(ctx, usage.HistoryQuery{Page: 1, PageSize: 10})
			_, statsErr := l.Stats(ctx, usage.StatsQuery{Days: 1, Now: noon})
			for name, err := range map[string]error{
				"Write":   l.Write(ctx, batch(event(0))),
				"History": historyErr,
				"Stats":   statsErr,
			} {
				if !errors.Is(err, ctx.Err()) || errors.Is(err, usage.ErrRejected) {
					t.Errorf("%s: %v, want %v", name, err, ctx.Err())
				}
			}
		}
		wantEvents(t, l, nil)
	}
	write(t, l, batch(event(0)))
	wantEvents(t, l, run(0, 1))
}

// testConcurrency reads while batches of one size are written: readers see whole
// batches only.
func testConcurrency(t *testing.T, open func() usage.Ledger) {
	const writers, batches, size = 3, 8, 40
	ledgers := []usage.Ledger{open(), open()}
	written := make(chan struct{})
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for n := range batches {
				events := run((w*batches+n)*size, size)
				if err := ledgers[w%2].Write(t.Context(), batch(events...)); err != nil {
					t.Errorf("Write: %v", err)
					return
				}
			}
		})
	}
	for _, l := range ledgers {
		reading.Go(func() {
			for seen := int64(0); ; {
				page, err := l.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: size})
				if err != nil || page.Total%size != 0 || page.Total < seen {
					t.Errorf("History while writing: %d events after %d, %v", page.Total, seen, err)
					return
				}
				s, err := l.Stats(t.Context(), usage.StatsQuery{Days: 7, Now: noon})
				if err != nil || s.TotalCalls%size != 0 || s.TotalCalls < page.Total || s.TotalRecords != 20*s.TotalCalls {
					t.Errorf("Stats while writing: %d calls, %d records after %d events, %v", s.TotalCalls, s.TotalRecords, page.Total, err)
					return
				}
				seen = s.TotalCalls
				select {
				case <-written:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(written)
	reading.Wait()
	wantEvents(t, ledgers[0], run(0, writers*batches*size))
}

func testClose(t *testing.T, open func() usage.Ledger) {
	unused := open()
	if err := unused.Close(); err != nil {
		t.Errorf("Close before the first use: %v", err)
	}
	used := open()
	write(t, used, batch(event(0)))
	if err := used.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for name, l := range map[string]usage.Ledger{"unused": unused, "used": used} {
		if err := l.Write(t.Context(), batch(event(1))); err == nil || errors.Is(err, usage.ErrRejected) {
			t.Errorf("%s: Write after Close: %v", name, err)
		}
		if _, err := l.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: 10}); err == nil {
			t.Errorf("%s: History after Close gave no error", name)
		}
		if _, err := l.Stats(t.Context(), usage.StatsQuery{Days: 1, Now: noon}); err == nil {
			t.Errorf("%s: Stats after Close gave no error", name)
		}
	}
	wantEvents(t, open(), slices.Clone(run(0, 1)))
}
