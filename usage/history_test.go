package usage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// However large the pages are and however many events share a ts, each event
// comes once, newest first, also while others arrive.
func TestEachEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		l := historyLedger{newFakeLedger()}
		for i, micro := range rapid.SliceOfN(rapid.IntRange(0, 5), 0, 40).Draw(t, "ts") {
			e := newEvent(i)
			e.Time = start.Add(time.Duration(micro) * time.Microsecond)
			l.rows = append(l.rows, e)
		}
		q := HistoryQuery{Page: 1, PageSize: rapid.IntRange(1, 9).Draw(t, "page size")}
		if rapid.Bool().Draw(t, "bounded") {
			q.From, q.To = start.Add(time.Microsecond), start.Add(4*time.Microsecond)
		}
		all, err := historyOf(l.rows, HistoryQuery{Filter: q.Filter, Page: 1, PageSize: 100})
		if err != nil {
			t.Fatal(err)
		}
		want := all.Events
		var got []Event
		err = eachEvent(t.Context(), l, q, func(e *Event) error {
			got = append(got, *e)
			newer := newEvent(-1)
			newer.Time = start.Add(time.Hour)
			l.rows = append(l.rows, newer)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got = slices.DeleteFunc(got, func(e Event) bool { return e.RequestID == "-1" })
		if diff := gocmp.Diff(ids(want), ids(got)); diff != "" {
			t.Fatalf("events (-want +got):\n%s", diff)
		}
		if !slices.IsSortedFunc(got, func(a, b Event) int {
			return cmp.Or(b.Time.Compare(a.Time), slices.Compare(b.ID[:], a.ID[:]))
		}) {
			t.Fatal("not newest first")
		}
	})
}

// An error of the function ends it, and so does the ledger's.
func TestEachEventEnds(t *testing.T) {
	l := historyLedger{newFakeLedger()}
	l.rows = []Event{newEvent(1), newEvent(2)}
	stop := errors.New("enough")
	n := 0
	if err := EachEvent(t.Context(), l, Filter{}, func(*Event) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("error %v after %d events", err, n)
	}
	if err := EachEvent(t.Context(), brokenHistory{}, Filter{}, func(*Event) error { return nil }); !errors.Is(err, errFake) {
		t.Errorf("error %v", err)
	}
}

type brokenHistory struct{ Ledger }

func (brokenHistory) History(context.Context, HistoryQuery) (HistoryPage, error) {
	return HistoryPage{}, errFake
}
