package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// KeyCalls implements usage.Ledger. Whole days are counted in the roll-up, where it
// is faster to count all keys of a user, or of everyone, than to search for some.
func (l *Ledger) KeyCalls(ctx context.Context, userID string, keyIDs []string, since time.Time) (map[string]int64, error) {
	if len(keyIDs) == 0 {
		return nil, nil
	}
	return ask(ctx, l, "count the calls of keys", since, func(ctx context.Context, since time.Time) (map[string]int64, error) {
		return l.keyCalls(ctx, userID, keyIDs, since)
	})
}

func (l *Ledger) keyCalls(ctx context.Context, userID string, keyIDs []string, since time.Time) (map[string]int64, error) {
	calls := make(map[string]int64, len(keyIDs))
	for _, id := range keyIDs {
		calls[id] = 0
	}
	condition, params := where(usage.Filter{UserID: userID})
	add := func(times string) error {
		return l.query(ctx, fmt.Sprintf("SELECT key_id, count() FROM %s WHERE %s AND %s GROUP BY key_id", logTable, condition, times), params,
			func(scan func(...any) error) error {
				var id string
				var n uint64
				if err := scan(&id, &n); err != nil {
					return err
				}
				if _, asked := calls[id]; asked {
					calls[id] += int64(n)
				}
				return nil
			})
	}
	head, whole, tail := spanOf(usage.Filter{From: since}).byWholeDays()
	for _, part := range []struct {
		span
		times string
	}{{head, head.moments()}, {whole, whole.days()}, {tail, tail.moments()}} {
		if !part.from.Before(part.to) {
			continue
		}
		if err := add(part.times); err != nil {
			return nil, err
		}
	}
	return calls, nil
}
