package usage_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// storeEvent writes an event with that request ID.
func storeEvent(t interface{ Fatal(...any) }, l usage.Ledger, requestID string, at time.Time) {
	e := usage.Event{ID: uuid.New(), Time: at, RequestID: requestID}
	if err := l.Write(context.Background(), usage.Batch{Token: e.ID.String(), Events: []usage.Event{e}}); err != nil {
		t.Fatal(err)
	}
}

func ids(events []usage.Event) []uuid.UUID {
	ids := make([]uuid.UUID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	return ids
}

// However large the pages are and however many events share a ts, each event
// comes once, newest first, also while others arrive.
func TestEachEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		l := usagetest.NewMemory()
		for i, micro := range rapid.SliceOfN(rapid.IntRange(0, 5), 0, 40).Draw(t, "ts") {
			storeEvent(t, l, fmt.Sprint(i), start.Add(time.Duration(micro)*time.Microsecond))
		}
		q := usage.HistoryQuery{Page: 1, PageSize: rapid.IntRange(1, 9).Draw(t, "page size")}
		if rapid.Bool().Draw(t, "bounded") {
			q.From, q.To = start.Add(time.Microsecond), start.Add(4*time.Microsecond)
		}
		want, err := l.History(t.Context(), usage.HistoryQuery{Filter: q.Filter, Page: 1, PageSize: 100})
		if err != nil {
			t.Fatal(err)
		}
		var got []usage.Event
		err = usage.EachEventPaged(t.Context(), l, q, func(e *usage.Event) error {
			got = append(got, *e)
			storeEvent(t, l, "newer", start.Add(time.Hour))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got = slices.DeleteFunc(got, func(e usage.Event) bool { return e.RequestID == "newer" })
		if diff := gocmp.Diff(ids(want.Events), ids(got)); diff != "" {
			t.Fatalf("events (-want +got):\n%s", diff)
		}
		if !slices.IsSortedFunc(got, func(a, b usage.Event) int {
			return cmp.Or(b.Time.Compare(a.Time), slices.Compare(b.ID[:], a.ID[:]))
		}) {
			t.Fatal("not newest first")
		}
	})
}

// An error of the function ends it, and so does an error of the ledger.
func TestEachEventEnds(t *testing.T) {
	l := usagetest.NewMemory()
	storeEvent(t, l, "1", time.Now())
	storeEvent(t, l, "2", time.Now())
	stop := errors.New("enough")
	n := 0
	if err := usage.EachEvent(t.Context(), l, usage.Filter{}, func(*usage.Event) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("error %v after %d events", err, n)
	}
	if err := usage.EachEvent(t.Context(), brokenHistory{}, usage.Filter{}, func(*usage.Event) error { return nil }); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
}

var errBroken = errors.New("broken")

type brokenHistory struct{ usage.Ledger }

func (brokenHistory) History(context.Context, usage.HistoryQuery) (usage.HistoryPage, error) {
	return usage.HistoryPage{}, errBroken
}
