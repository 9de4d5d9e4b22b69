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
	_, db, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	calls, err := keyCalls(ctx, db, keyIDs, since)
	if err != nil {
		return nil, l.failed("count the calls of keys", err)
	}
	return calls, nil
}

func keyCalls(ctx context.Context, db *sql.DB, keyIDs []string, since time.Time) (map[string]int64, error) {
	ids, err := json.Marshal(keyIDs)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, `SELECT value, (SELECT count(*) FROM mcp_tool_usage_log WHERE key_id = value AND ts >= ?)
		FROM json_each(?)`, ceilMicro(since), string(ids))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err has its error
	calls := make(map[string]int64, len(keyIDs))
	for rows.Next() {
		var id string
		var n int64
		if err := rows.Scan(&id, &n); err != nil {
			return nil, err
		}
		calls[id] = n
	}
	return calls, rows.Err()
}
