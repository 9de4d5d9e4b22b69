// Package usagetest is the conformance suite of usage.Ledger.
package usagetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// Storage creates an empty storage for a test and returns a function that opens a
// ledger on it. Two ledgers on one storage stand for two processes, or for one
// process before and after a restart.
type Storage func(t *testing.T) (open func() (usage.Ledger, error))

// Run tests that the ledgers of a storage keep every promise of usage.Ledger.
func Run(t *testing.T, storage Storage) {
	t.Run("Concurrency", func(t *testing.T) {
		open := storage(t)
		testConcurrency(t, func() usage.Ledger { return openLedger(t, open) })
	})
	RunSharded(t, storage)
}

// RunSharded is Run without the test that readers see whole batches only, which a
// ledger on several servers cannot guarantee.
func RunSharded(t *testing.T, storage Storage) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open func() usage.Ledger)
	}{
		{"RoundTrip", testRoundTrip},
		{"EveryColumn", testEveryColumn},
		{"StoredExactlyOrRejected", testStoredExactlyOrRejected},
		{"BatchSizes", testBatchSizes},
		{"SameBatchAgain", testSameBatchAgain},
		{"SameBatchAcrossMonths", testSameBatchAcrossMonths},
		{"SameBatchConcurrently", testSameBatchConcurrently},
		{"SameBatchAfterInterruption", testSameBatchAfterInterruption},
		{"Hours", testHours},
		{"Order", testOrder},
		{"Paging", testPaging},
		{"Cursor", testCursor},
		{"CursorOfOtherFilter", testCursorOfOtherFilter},
		{"CursorWhileWriting", testCursorWhileWriting},
		{"Filters", testFilters},
		{"HostileFilters", testHostileFilters},
		{"StatsDays", testStatsDays},
		{"StatsRecords", testStatsRecords},
		{"StatsTop", testStatsTop},
		{"StatsFilters", testStatsFilters},
		{"KeyCalls", testKeyCalls},
		{"Breakdown", testBreakdown},
		{"Latency", testLatency},
		{"Context", testContext},
		{"Close", testClose},
	} {
		t.Run(test.name, func(t *testing.T) {
			open := storage(t)
			test.run(t, func() usage.Ledger { return openLedger(t, open) })
		})
	}
	t.Run("Model", func(t *testing.T) { testModel(t, storage) })
	t.Run("CursorModel", func(t *testing.T) { testCursorModel(t, storage) })
	t.Run("BreakdownModel", func(t *testing.T) { testBreakdownModel(t, storage) })
	t.Run("KeyCallsModel", func(t *testing.T) { testKeyCallsModel(t, storage) })
}

// openLedger opens a ledger and closes it when the test ends.
func openLedger(t *testing.T, open func() (usage.Ledger, error)) usage.Ledger {
	t.Helper()
	l, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

// noon is the time of the tests' events, unless a test says otherwise. It is on the
// last day of a month, so that the next day is in another partition.
var noon = time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC)

// event returns an ordinary call, n microseconds after noon.
func event(n int, changes ...func(*usage.Event)) usage.Event {
	e := usage.Event{
		ID:              uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n)),
		Time:            noon.Add(time.Duration(n) * time.Microsecond),
		Server:          "stock-data",
		UserID:          "user-1",
		UserEmail:       "ann@example.com",
		KeyID:           "key-1",
		KeyName:         "laptop",
		Tool:            "query_daily",
		Tables:          []string{"stock_daily"},
		RecordCount:     usage.Int64(20),
		Outcome:         usage.OK,
		HTTPStatus:      usage.Int64(200),
		DurationUS:      1500,
		RequestBytes:    120,
		ResponseBytes:   4096,
		SessionID:       "session-1",
		RequestID:       "1",
		ProtocolVersion: "2025-06-18",
		ClientName:      "claude-code",
		ClientVersion:   "2.1.0",
		RemoteIP:        "192.0.2.1",
	}
	for _, change := range changes {
		change(&e)
	}
	return e
}

// run returns n events, one each microsecond from the start-th on.
func run(start, n int) []usage.Event {
	events := make([]usage.Event, n)
	for i := range events {
		events[i] = event(start + i)
	}
	return events
}

// batch returns a batch whose token follows from its first event and their number.
func batch(events ...usage.Event) usage.Batch {
	return usage.Batch{Token: fmt.Sprintf("%s+%d", events[0].ID, len(events)), Events: events}
}

func write(t *testing.T, l usage.Ledger, batches ...usage.Batch) {
	t.Helper()
	for _, b := range batches {
		if err := l.Write(t.Context(), b); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
}

// writeUntilDone writes the batch again after every error, as a shipper does.
func writeUntilDone(t *testing.T, l usage.Ledger, b usage.Batch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		err := l.Write(ctx, b)
		switch {
		case err == nil:
			return
		case errors.Is(err, usage.ErrRejected) || ctx.Err() != nil:
			t.Fatalf("Write: %v", err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func history(t *testing.T, l usage.Ledger, q usage.HistoryQuery) usage.HistoryPage {
	t.Helper()
	page, err := l.History(t.Context(), q)
	if err != nil {
		t.Fatalf("History(%+v): %v", q, err)
	}
	return page
}

func stats(t *testing.T, l usage.Ledger, q usage.StatsQuery) usage.Stats {
	t.Helper()
	s, err := l.Stats(t.Context(), q)
	if err != nil {
		t.Fatalf("Stats(%+v): %v", q, err)
	}
	return s
}

// newestFirst returns the events in the order of History.
func newestFirst(events []usage.Event) []usage.Event {
	memory := NewMemory()
	memory.rows.events = events
	return memory.matching(usage.Filter{})
}

// wantEvents fails the test unless the ledger holds these events, each once.
func wantEvents(t *testing.T, l usage.Ledger, want []usage.Event) {
	t.Helper()
	page := history(t, l, usage.HistoryQuery{Page: 1, PageSize: len(want) + 10})
	if page.Total != int64(len(want)) {
		t.Errorf("the ledger counts %d events, want %d", page.Total, len(want))
	}
	wantPage(t, page.Events, newestFirst(want))
}

// wantPage compares events as JSON, which distinguishes UTC from other zones and
// unknown tables from none, and is fast.
func wantPage(t *testing.T, got, want []usage.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i := range want {
		if g, w := asJSON(t, got[i]), asJSON(t, want[i]); g != w {
			t.Fatalf("event %d (-want +got):\n%s\ngot  %s\nwant %s", i, clip(cmp.Diff(want[i], got[i])), clip(g), clip(w))
		}
	}
}

func asJSON(t *testing.T, e usage.Event) string {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// clip shortens a failure message about long strings.
func clip(s string) string {
	const limit = 4000
	if len(s) > limit {
		return s[:limit] + " …"
	}
	return s
}

// ids returns the sorted event_ids of a ledger's events. It fails the test when one
// occurs twice.
func ids(t *testing.T, l usage.Ledger) []string {
	t.Helper()
	page := history(t, l, usage.HistoryQuery{Page: 1, PageSize: 100_000})
	if int64(len(page.Events)) != page.Total {
		t.Fatalf("History: %d events on a page that holds all %d", len(page.Events), page.Total)
	}
	got := make([]string, len(page.Events))
	for i, e := range page.Events {
		got[i] = e.ID.String()
	}
	slices.Sort(got)
	if distinct := slices.Compact(slices.Clone(got)); len(distinct) != len(got) {
		t.Fatalf("%d of %d events are there more than once", len(got)-len(distinct), len(got))
	}
	return got
}
