package usagetest

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
)

// Few values, so that they meet; among them some that are hard to tell apart.
var (
	someNames  = rapid.SampledFrom([]string{"", "a", "A", "b", "a'b", `a\`, "é", "%", "a\x00"})
	someTables = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"t1", "t2", "t3", "T1", `"`, ",", "t1,t2"}), 0, 3, rapid.ID[string])
	someCounts = rapid.OneOf(
		rapid.Just(usage.NullInt64{}),
		rapid.Map(rapid.Int64Range(0, 3), usage.Int64),
		rapid.Map(rapid.SampledFrom([]int64{-1, 1 << 40, math.MaxInt64, math.MinInt64}), usage.Int64),
	)
	// Moments around midnights, on either side of the end of a month.
	someTimes = rapid.Custom(func(t *rapid.T) time.Time {
		midnight := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		days := rapid.IntRange(-4, 4).Draw(t, "days")
		micros := rapid.SampledFrom([]int{-1, 0, 1, 500_000, 43_200_000_000}).Draw(t, "micros")
		return midnight.AddDate(0, 0, days).Add(time.Duration(micros) * time.Microsecond)
	})
	someOutcomes = rapid.SampledFrom(usage.Outcomes)
)

var someEvents = rapid.Custom(func(t *rapid.T) usage.Event {
	number := func(label string) int64 { return rapid.Int64().Draw(t, label) }
	text := func(label string) string { return rapid.String().Draw(t, label) }
	return usage.Event{
		ID:              uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "event_id")),
		Time:            someTimes.Draw(t, "ts"),
		Server:          someNames.Draw(t, "server"),
		UserID:          someNames.Draw(t, "user_id"),
		UserEmail:       text("user_email"),
		KeyID:           someNames.Draw(t, "key_id"),
		KeyName:         text("key_name"),
		Tool:            someNames.Draw(t, "tool_name"),
		Tables:          append([]string(nil), someTables.Draw(t, "tables")...),
		RecordCount:     someCounts.Draw(t, "record_count"),
		Outcome:         someOutcomes.Draw(t, "outcome"),
		HTTPStatus:      someCounts.Draw(t, "http_status"),
		RPCCode:         someCounts.Draw(t, "rpc_code"),
		DurationUS:      number("duration_us"),
		RequestBytes:    number("request_bytes"),
		ResponseBytes:   number("response_bytes"),
		SessionID:       text("session_id"),
		RequestID:       text("request_id"),
		ProtocolVersion: text("protocol_version"),
		ClientName:      text("client_name"),
		ClientVersion:   text("client_version"),
		RemoteIP:        text("remote_ip"),
	}
})

// maybe draws from the generator or gives the zero value, which does not filter.
func maybe[T any](t *rapid.T, g *rapid.Generator[T], label string) (value T) {
	if rapid.IntRange(0, 3).Draw(t, label+"?") == 0 {
		value = g.Draw(t, label)
	}
	return value
}

var someFilters = rapid.Custom(func(t *rapid.T) usage.Filter {
	f := usage.Filter{
		UserID:  maybe(t, someNames, "user"),
		KeyID:   maybe(t, someNames, "key"),
		Server:  maybe(t, someNames, "server"),
		Tool:    maybe(t, someNames, "tool"),
		Outcome: maybe(t, someOutcomes, "outcome"),
		From:    maybe(t, someTimes, "from"),
		To:      maybe(t, someTimes, "to"),
	}
	if tables := maybe(t, someTables, "table"); len(tables) > 0 {
		f.Table = tables[0]
	}
	return f
})

// modelTest compares a ledger with Memory on random events.
type modelTest struct {
	*rapid.T
	ctx    context.Context
	ledger usage.Ledger
	memory *Memory
}

// checkModel runs a test on random draws, each with an empty ledger and an empty
// Memory.
func checkModel(t *testing.T, storage Storage, run func(m *modelTest)) {
	rapid.Check(t, func(rt *rapid.T) {
		l, err := storage(t)()
		if err != nil {
			rt.Fatal(err)
		}
		defer func() {
			if err := l.Close(); err != nil {
				rt.Errorf("Close: %v", err)
			}
		}()
		run(&modelTest{rt, t.Context(), l, NewMemory()})
	})
}

// events draws events with different IDs.
func (m *modelTest) events(least, most int) []usage.Event {
	return rapid.SliceOfNDistinct(someEvents, least, most, func(e usage.Event) uuid.UUID { return e.ID }).Draw(m.T, "events")
}

// store writes a batch of the events to both ledgers. Equal numbers name equal
// batches.
func (m *modelTest) store(number int, events []usage.Event) {
	b := usage.Batch{Token: fmt.Sprint("batch-", number), Events: events}
	for _, ledger := range []usage.Ledger{m.ledger, m.memory} {
		if err := ledger.Write(m.ctx, b); err != nil {
			m.Fatalf("Write: %v", err)
		}
	}
}

// history compares the ledgers' answers to a query and returns the page.
func (m *modelTest) history(q usage.HistoryQuery) usage.HistoryPage {
	got, err := m.ledger.History(m.ctx, q)
	if err != nil {
		m.Fatalf("History(%+v): %v", q, err)
	}
	want, err := m.memory.History(m.ctx, q)
	if err != nil {
		m.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.Fatalf("History(%+v) (-want +got):\n%s", q, diff)
	}
	return got
}

// statsQuery draws a query of days.
func (m *modelTest) statsQuery() usage.StatsQuery {
	return usage.StatsQuery{
		Filter: someFilters.Draw(m.T, "filter"),
		Days:   rapid.IntRange(1, 9).Draw(m.T, "days"),
		Now:    someTimes.Draw(m.T, "now"),
	}
}

// testModel writes random events in random batches, some of them twice, and asks
// for history and stats.
func testModel(t *testing.T, storage Storage) {
	checkModel(t, storage, func(m *modelTest) {
		events := m.events(0, 40)
		for n := 0; len(events) > 0; n++ {
			size := rapid.IntRange(1, len(events)).Draw(m.T, "size")
			for range rapid.IntRange(1, 2).Draw(m.T, "times") {
				m.store(n, events[:size])
			}
			events = events[size:]
		}
		for range 4 {
			m.history(usage.HistoryQuery{
				Filter:   someFilters.Draw(m.T, "filter"),
				Page:     rapid.IntRange(1, 5).Draw(m.T, "page"),
				PageSize: rapid.IntRange(1, 20).Draw(m.T, "page_size"),
			})
			q := m.statsQuery()
			got, err := m.ledger.Stats(m.ctx, q)
			if err != nil {
				m.Fatalf("Stats(%+v): %v", q, err)
			}
			want, _ := m.memory.Stats(m.ctx, q) // cannot fail
			if diff := cmp.Diff(want, got); diff != "" {
				m.Fatalf("Stats(%+v) (-want +got):\n%s", q, diff)
			}
		}
	})
}

// testCursorModel walks a ledger while random events are written between the
// pages: the events that were there at the start come once, and none comes twice.
func testCursorModel(t *testing.T, storage Storage) {
	checkModel(t, storage, func(m *modelTest) {
		events := m.events(1, 60)
		batches := 0
		store := func(n int) {
			m.store(batches, events[:n])
			events = events[n:]
			batches++
		}
		store(rapid.IntRange(1, len(events)).Draw(m.T, "there"))
		f := someFilters.Draw(m.T, "filter")
		matching := m.memory.matching(f)
		times := make(map[uuid.UUID]int)
		q := usage.HistoryQuery{Filter: f, Page: 1, PageSize: rapid.IntRange(1, 10).Draw(m.T, "page_size")}
		eachPage(q, func(q usage.HistoryQuery) usage.HistoryPage {
			page := m.history(q)
			for _, e := range page.Events {
				times[e.ID]++
			}
			if n := rapid.IntRange(0, len(events)).Draw(m.T, "more"); page.Next != "" && n > 0 {
				store(n)
			}
			return page
		})
		for _, e := range matching {
			if times[e.ID] != 1 {
				m.Fatalf("event %s came %d times", e.ID, times[e.ID])
			}
		}
		for id, n := range times {
			if n != 1 {
				m.Fatalf("event %s came %d times", id, n)
			}
		}
	})
}

func testBreakdownModel(t *testing.T, storage Storage) {
	checkModel(t, storage, func(m *modelTest) {
		m.store(0, m.events(1, 40))
		for range 4 {
			q := usage.BreakdownQuery{
				StatsQuery: m.statsQuery(),
				By:         rapid.SampledFrom(usage.Dimensions).Draw(m.T, "by"),
				Limit:      rapid.IntRange(1, 10).Draw(m.T, "limit"),
			}
			got, err := m.ledger.Breakdown(m.ctx, q)
			if err != nil {
				m.Fatalf("Breakdown(%+v): %v", q, err)
			}
			q.From, q.To = q.Span()
			if diff := checkBreakdown(got, m.memory.matching(q.Filter), q); diff != "" {
				m.Fatalf("Breakdown(%+v) (-want +got):\n%s", q, diff)
			}
		}
	})
}

func testKeyCallsModel(t *testing.T, storage Storage) {
	checkModel(t, storage, func(m *modelTest) {
		events := m.events(1, 30)
		m.store(0, events)
		ids := []string{"nobody's"}
		for _, e := range events {
			ids = append(ids, e.KeyID)
		}
		ids = ids[:rapid.IntRange(1, len(ids)).Draw(m.T, "keys")]
		since := someTimes.Draw(m.T, "since")
		want, _ := m.memory.KeyCalls(m.ctx, "", ids, since) // cannot fail
		got, err := m.ledger.KeyCalls(m.ctx, "", ids, since)
		wantKeyCalls(m.T, got, err, want)
	})
}
