package usagetest

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// eachPage reads the page of q and then, by their cursors, all pages after it.
func eachPage(q usage.HistoryQuery, read func(usage.HistoryQuery) usage.HistoryPage) {
	for {
		page := read(q)
		if page.Next == "" {
			return
		}
		q.Cursor, q.Page = page.Next, math.MaxInt // with a cursor, Page is not used
	}
}

// walk reads all pages by their cursors. It fails the test when a page before the
// last is not full, or has another total.
func walk(t *testing.T, l usage.Ledger, f usage.Filter, size int, total int64) (events []usage.Event) {
	t.Helper()
	eachPage(usage.HistoryQuery{Filter: f, Page: 1, PageSize: size}, func(q usage.HistoryQuery) usage.HistoryPage {
		page := history(t, l, q)
		if page.Total != total {
			t.Fatalf("after %d events, the total is %d, want %d", len(events), page.Total, total)
		}
		if page.Next != "" && len(page.Events) != size {
			t.Fatalf("a page of %d events, want %d, for there are more", len(page.Events), size)
		}
		events = append(events, page.Events...)
		return page
	})
	return events
}

func testCursor(t *testing.T, open func() usage.Ledger) {
	l := open()
	const total = 25
	events := run(0, total)
	for i := range events { // some at the same time, some days apart
		events[i].Time = noon.AddDate(0, 0, i/8).Add(time.Duration(i/2) * time.Microsecond)
	}
	write(t, l, batch(events[:7]...), batch(events[7:]...))
	all := newestFirst(events)
	for _, size := range []int{3, 5, 24, 25, 26} {
		wantPage(t, walk(t, l, usage.Filter{}, size, total), all)
		// A page by number has the same cursor as a page by cursor.
		for page := 1; page*size <= total; page++ {
			got := history(t, l, usage.HistoryQuery{Page: page, PageSize: size})
			if (got.Next == "") != (page*size == total) {
				t.Errorf("page %d of %d events: next %q", page, size, got.Next)
			}
			if got.Next != "" {
				next := history(t, l, usage.HistoryQuery{Cursor: got.Next, PageSize: size})
				wantPage(t, next.Events, all[page*size:min((page+1)*size, total)])
			}
		}
	}
	if got := history(t, l, usage.HistoryQuery{Page: 100, PageSize: 10}); got.Next != "" {
		t.Errorf("past the end, next is %q", got.Next)
	}

	// Places where no event is.
	for _, c := range []struct {
		ts   time.Time
		want []usage.Event
	}{
		{noon.AddDate(1, 0, 0), all}, {noon.AddDate(-1, 0, 0), nil},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), all}, {time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), nil},
		{time.UnixMicro(math.MaxInt64), all}, {time.UnixMicro(math.MinInt64), nil},
		{noon.AddDate(0, 0, 1), all[total-8:]},
	} {
		got := history(t, l, usage.HistoryQuery{Cursor: usage.Cursor{Time: c.ts, ID: uuid.Nil}.String(), PageSize: total})
		if got.Total != total || got.Next != "" {
			t.Errorf("behind %s: total %d, next %q", c.ts, got.Total, got.Next)
		}
		wantPage(t, got.Events, c.want)
	}
	for _, cursor := range []string{"x", "'", "AAAA", all[0].ID.String(), usage.Cursor{}.String() + "\n", usage.Cursor{}.String() + "A"} {
		if page, err := l.History(t.Context(), usage.HistoryQuery{Cursor: cursor, PageSize: 10}); err == nil {
			t.Errorf("cursor %q: %d events", cursor, len(page.Events))
		}
	}
}

// testCursorOfOtherFilter uses a cursor from everyone's history in one user's
// history: the place counts, and not whose event it is.
func testCursorOfOtherFilter(t *testing.T, open func() usage.Ledger) {
	l := open()
	events := filterEvents()
	write(t, l, batch(events...))
	const size = 5
	first := history(t, l, usage.HistoryQuery{Page: 1, PageSize: size})
	ann := usage.Filter{UserID: "ann"}
	got := history(t, l, usage.HistoryQuery{Filter: ann, Cursor: first.Next, PageSize: len(events)})
	want := slices.DeleteFunc(newestFirst(events)[size:], func(e usage.Event) bool { return e.UserID != "ann" })
	wantPage(t, got.Events, want)
	if got.Total != int64(len(events)/2) {
		t.Errorf("total %d, want all of ann's %d", got.Total, len(events)/2)
	}
}

// testCursorWhileWriting walks while a writer adds older and newer events and some
// of the same time: the first events come once and in order, and none comes twice.
func testCursorWhileWriting(t *testing.T, open func() usage.Ledger) {
	l, writer := open(), open()
	const there, size = 200, 20
	events := run(0, there)
	for i := range events {
		events[i].Time = noon.Add(time.Duration(i) * 10 * time.Minute)
	}
	write(t, l, batch(events...))

	pace, stopped := make(chan struct{}, 1), make(chan struct{}) // a few events each page, so that the walk ends
	go func() {
		defer close(stopped)
		for n := there; ; n += 5 {
			if _, more := <-pace; !more {
				return
			}
			more := run(n, 5)
			for i := range more {
				more[i].Time = noon.Add(time.Duration(more[i].ID[0])*time.Hour/4 - 5*time.Hour)
			}
			if err := writer.Write(t.Context(), batch(more...)); err != nil {
				t.Errorf("Write: %v", err)
				return
			}
		}
	}()
	defer func() { <-stopped }()
	defer close(pace)

	for range 2 {
		var walked []usage.Event
		total := int64(0)
		eachPage(usage.HistoryQuery{Page: 1, PageSize: size}, func(q usage.HistoryQuery) usage.HistoryPage {
			select {
			case pace <- struct{}{}:
			default: // still at the one before
			}
			page := history(t, l, q)
			if page.Total < max(total, there) {
				t.Fatalf("the total is %d, and was %d", page.Total, total)
			}
			total = page.Total
			walked = append(walked, page.Events...)
			return page
		})
		wantPage(t, walked, newestFirst(walked)) // in order
		seen := make(map[uuid.UUID]bool)
		for _, e := range walked {
			if seen[e.ID] {
				t.Fatalf("event %s comes twice", e.ID)
			}
			seen[e.ID] = true
		}
		for _, e := range events {
			if !seen[e.ID] {
				t.Fatalf("event %s of %s is missing", e.ID, e.Time)
			}
		}
	}
}
