package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// dayMicros is the length of a day in microseconds, the unit of ts.
const dayMicros = int64(24 * time.Hour / time.Microsecond)

// dayOf returns the UTC day of a ts, counted from 1970.
func dayOf(ts int64) int64 {
	day := ts / dayMicros
	if ts%dayMicros < 0 {
		day--
	}
	return day
}

// daily is what a batch adds to the roll-up, mcp_tool_usage_daily.
type daily map[dailyKey]*sum

type dailyKey struct {
	day             int64
	server, tool    string
	tables, outcome string
}

// count adds an event that was inserted.
func (d daily) count(e *usage.Event) error {
	tables, err := listText(e.Tables)
	if err != nil {
		return err
	}
	key := dailyKey{dayOf(e.Time.UnixMicro()), e.Server, e.Tool, cmp.Or(tables, noTables), string(e.Outcome)}
	if d[key] == nil {
		d[key] = new(sum)
	}
	one := sum{calls: 1}
	if n := e.RecordCount; n.Valid {
		one.high, one.low = n.Int64>>32, n.Int64&0xffffffff
	}
	d[key].add(one)
	return nil
}

// noTables is the roll-up's column tables for events whose tables are unknown. The
// log has NULL there, which cannot be part of a key.
const noTables = "[]"

// write adds the sums to the roll-up.
func (d daily) write(ctx context.Context, tx *sql.Tx) error {
	ctx = context.WithoutCancel(ctx) // with ctx, the driver would start a goroutine for each statement
	if len(d) == 0 {
		return nil
	}
	statement, err := tx.PrepareContext(ctx, `INSERT INTO mcp_tool_usage_daily (day, server, tool_name, tables, outcome, calls, records_high, records_low)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
		calls = calls + excluded.calls, records_high = records_high + excluded.records_high, records_low = records_low + excluded.records_low`)
	if err != nil {
		return err
	}
	defer func() { _ = statement.Close() }()
	for key, sums := range d {
		if _, err := statement.ExecContext(ctx, key.day, key.server, key.tool, key.tables, key.outcome, sums.calls, sums.high, sums.low); err != nil {
			return err
		}
	}
	return nil
}
