package usagetest

import (
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

// testModel writes random events, in random batches, some of them again, to a
// ledger and to Memory, and asks both the same questions.
func testModel(t *testing.T, storage Storage) {
	rapid.Check(t, func(rt *rapid.T) {
		open := storage(t)
		l, err := open()
		if err != nil {
			rt.Fatal(err)
		}
		defer func() {
			if err := l.Close(); err != nil {
				rt.Errorf("Close: %v", err)
			}
		}()
		memory := NewMemory()

		events := rapid.SliceOfNDistinct(someEvents, 0, 40, func(e usage.Event) uuid.UUID { return e.ID }).Draw(rt, "events")
		for n := 0; len(events) > 0; n++ {
			size := rapid.IntRange(1, len(events)).Draw(rt, "size")
			b := usage.Batch{Token: fmt.Sprint("batch-", n), Events: events[:size]}
			events = events[size:]
			for range rapid.IntRange(1, 2).Draw(rt, "times") {
				for _, ledger := range []usage.Ledger{l, memory} {
					if err := ledger.Write(t.Context(), b); err != nil {
						rt.Fatalf("Write: %v", err)
					}
				}
			}
		}

		for range 4 {
			hq := usage.HistoryQuery{
				Filter:   someFilters.Draw(rt, "filter"),
				Page:     rapid.IntRange(1, 5).Draw(rt, "page"),
				PageSize: rapid.IntRange(1, 20).Draw(rt, "page_size"),
			}
			got, err := l.History(t.Context(), hq)
			if err != nil {
				rt.Fatalf("History(%+v): %v", hq, err)
			}
			want, _ := memory.History(t.Context(), hq) // cannot fail
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("History(%+v) (-want +got):\n%s", hq, diff)
			}

			sq := usage.StatsQuery{
				Filter: someFilters.Draw(rt, "filter"),
				Days:   rapid.IntRange(1, 9).Draw(rt, "days"),
				Now:    someTimes.Draw(rt, "now"),
			}
			gotStats, err := l.Stats(t.Context(), sq)
			if err != nil {
				rt.Fatalf("Stats(%+v): %v", sq, err)
			}
			wantStats, _ := memory.Stats(t.Context(), sq) // cannot fail
			if diff := cmp.Diff(wantStats, gotStats); diff != "" {
				rt.Fatalf("Stats(%+v) (-want +got):\n%s", sq, diff)
			}
		}
	})
}
