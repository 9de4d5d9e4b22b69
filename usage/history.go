package usage

import "context"

// historyPageSize is how many events EachEvent asks for at a time.
const historyPageSize = 5000

// EachEvent calls f with each event that matches, newest first, until f returns an
// error, which it returns. It keeps one page in memory. Events that are written
// meanwhile may or may not be among them; no event comes twice.
func EachEvent(ctx context.Context, l Ledger, filter Filter, f func(*Event) error) error {
	return eachEvent(ctx, l, HistoryQuery{Filter: filter, Page: 1, PageSize: historyPageSize}, f)
}

func eachEvent(ctx context.Context, l Ledger, q HistoryQuery, f func(*Event) error) error {
	for {
		page, err := l.History(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Events {
			if err := f(&page.Events[i]); err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}
