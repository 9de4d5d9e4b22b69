package usage

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// historyPageSize is how many events EachEvent asks for at a time.
const historyPageSize = 5000

// EachEvent calls f with each event that matches, newest first, until f
// returns an error, and returns that. It holds one page in memory. Events that
// the ledger takes meanwhile may come or not; none comes twice.
//
// Pages are found by their newest ts, so that the last costs what the first
// does. Events of one ts may lie across pages: the next page begins with that
// ts again, and what was seen of it is left out.
func EachEvent(ctx context.Context, l Ledger, filter Filter, f func(*Event) error) error {
	return eachEvent(ctx, l, HistoryQuery{Filter: filter, Page: 1, PageSize: historyPageSize}, f)
}

func eachEvent(ctx context.Context, l Ledger, q HistoryQuery, f func(*Event) error) error {
	var last time.Time           // in whole microseconds, as in the ledger
	seen := map[uuid.UUID]bool{} // of those at last
	for {
		page, err := l.History(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Events {
			e := &page.Events[i]
			if at := e.Time.Truncate(time.Microsecond); !at.Equal(last) {
				last = at
				clear(seen)
			}
			if seen[e.ID] {
				continue
			}
			seen[e.ID] = true
			if err := f(e); err != nil {
				return err
			}
		}
		if len(page.Events) < q.PageSize {
			return nil
		}
		if to := last.Add(time.Microsecond); q.To.IsZero() || to.Before(q.To) {
			q.To, q.Page = to, 1
		} else {
			q.Page++ // a page of one ts
		}
	}
}
