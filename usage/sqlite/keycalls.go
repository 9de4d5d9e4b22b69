package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// KeyCalls implements usage.Ledger. Each key's events are counted in an index.
func (l *Ledger) KeyCalls(ctx context.Context, _ string, keyIDs []string, since time.Time) (map[string]int64, error) {
	if len(keyIDs) == 0 {
		return nil, nil
	}
	ids, err := json.Marshal(keyIDs)
	if err != nil {
		return nil, err
	}
	return ask(ctx, l, "count the calls of keys", string(ids), func(ctx context.Context, db *sql.DB, ids string) (map[string]int64, error) {
		calls := make(map[string]int64, len(keyIDs))
		err := each(ctx, db, `SELECT value, (SELECT count(*) FROM mcp_tool_usage_log WHERE key_id = value AND ts >= ?)
			FROM json_each(?)`, []any{ceilMicro(since), ids}, func(scan func(...any) error) error {
			var id string
			var n int64
			err := scan(&id, &n)
			calls[id] = n
			return err
		})
		return calls, err
	})
}
