package sqlite

import (
	"context"
	"time"

	"github.com/tallygate/tallygate/internal/sqlitefile"
	"github.com/tallygate/tallygate/usage"
)

// rowsPerStep is how many events one transaction of Expire deletes, at most.
const rowsPerStep = 500

// Expire implements usage.Expirer. Events are kept for the ttl of the DSN and until
// the end of that UTC day, so that the days of the stats are whole. When no more
// events are too old, the file is shortened.
func (l *Ledger) Expire(ctx context.Context, now time.Time) (more bool, err error) {
	if l.ttlDays == 0 {
		return false, nil
	}
	db, _, err := l.open(ctx)
	if err != nil {
		return false, err
	}
	first := (dayOf(now.UnixMicro()) - int64(l.ttlDays)) * dayMicros
	result, err := db.ExecContext(ctx, `DELETE FROM mcp_tool_usage_log WHERE (ts, event_id) IN (
		SELECT ts, event_id FROM mcp_tool_usage_log WHERE ts < ? ORDER BY ts, event_id LIMIT ?)`, first, rowsPerStep)
	if err != nil {
		return false, l.failed("delete old events", err)
	}
	if deleted, err := result.RowsAffected(); err != nil || deleted == rowsPerStep {
		return err == nil, err
	}
	more, err = sqlitefile.Shrink(ctx, db)
	if err != nil {
		return false, l.failed("shorten the file", err)
	}
	return more, nil
}

var _ usage.Expirer = (*Ledger)(nil)
