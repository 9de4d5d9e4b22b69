package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tallygate/tallygate/usage"
)

// namedKeys is up to how many keys are named in a query. For more, all are
// counted.
const namedKeys = 1_000

// KeyCalls implements usage.Ledger. Whole days come out of the roll-up.
func (l *Ledger) KeyCalls(ctx context.Context, keyIDs []string, since time.Time) (map[string]int64, error) {
	if len(keyIDs) == 0 {
		return nil, nil
	}
	if err := l.ready(ctx); err != nil {
		return nil, err
	}
	calls, err := l.keyCalls(ctx, keyIDs, since)
	if err != nil {
		return nil, l.failed("count the calls of keys", err)
	}
	return calls, nil
}

func (l *Ledger) keyCalls(ctx context.Context, keyIDs []string, since time.Time) (map[string]int64, error) {
	condition, params := "true", []any(nil)
	if len(keyIDs) <= namedKeys {
		ids, err := json.Marshal(keyIDs)
		if err != nil {
			return nil, err
		}
		condition, params = "key_id IN (SELECT arrayJoin(JSONExtract({keys:String}, 'Array(String)')))", []any{clickhouse.Named("keys", string(ids))}
	}
	calls := make(map[string]int64, len(keyIDs))
	for _, id := range keyIDs {
		calls[id] = 0
	}
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
