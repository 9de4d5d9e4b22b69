package clickhouse

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tallygate/tallygate/usage"
)

// where is the condition that the filter puts on a row, and its parameters.
func where(f usage.Filter) (condition string, params []any) {
	conditions := []string{"true"}
	add := func(condition, name string, value any) {
		conditions = append(conditions, condition)
		params = append(params, clickhouse.Named(name, value))
	}
	if f.UserID != "" {
		add("user_id = {user_id:String}", "user_id", f.UserID)
	}
	if f.KeyID != "" {
		add("key_id = {key_id:String}", "key_id", f.KeyID)
	}
	if f.Tool != "" {
		add("tool_name = {tool:String}", "tool", f.Tool)
	}
	if f.Table != "" {
		add("has(tables, {table:String})", "table", f.Table)
	}
	if f.Outcome != "" {
		add("outcome = {outcome:String}", "outcome", string(f.Outcome))
	}
	if !f.From.IsZero() {
		add("ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')", "from", ceilMicro(f.From))
	}
	if !f.To.IsZero() {
		add("ts < fromUnixTimestamp64Micro({to:Int64}, 'UTC')", "to", ceilMicro(f.To))
	}
	return strings.Join(conditions, " AND "), params
}

// ceilMicro is the first whole microsecond, in Unix time, that is not before t.
func ceilMicro(t time.Time) int64 {
	return t.Add(time.Microsecond - time.Nanosecond).UnixMicro()
}

// History implements usage.Ledger.
func (l *Ledger) History(ctx context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	if err := l.ready(ctx); err != nil {
		return usage.HistoryPage{}, err
	}
	page, err := l.history(ctx, q)
	if err != nil {
		return usage.HistoryPage{}, l.failed("read the history", err)
	}
	return page, nil
}

func (l *Ledger) history(ctx context.Context, q usage.HistoryQuery) (page usage.HistoryPage, err error) {
	condition, params := where(q.Filter)
	var total uint64
	if err := l.conn.QueryRow(ctx, "SELECT count() FROM mcp_tool_usage_log WHERE "+condition, params...).Scan(&total); err != nil {
		return page, err
	}
	page.Total = int64(total)
	if int64(q.Page-1) > page.Total/int64(q.PageSize) {
		return page, nil // past the end, by however far
	}

	// ClickHouse orders UUIDs by their second half, hence UUIDToNum.
	rows, err := l.conn.Query(ctx, fmt.Sprintf(`SELECT %s FROM mcp_tool_usage_log WHERE %s
		ORDER BY ts DESC, UUIDToNum(event_id) DESC LIMIT %d OFFSET %d`,
		columnNames, condition, q.PageSize, (q.Page-1)*q.PageSize), params...)
	if err != nil {
		return page, err
	}
	defer func() { _ = rows.Close() }() // what it says, Err has said
	for rows.Next() {
		var e usage.Event
		if err := rows.Scan(
			&e.ID, &e.Time, &e.UserID, &e.UserEmail, &e.KeyID, &e.KeyName, &e.Tool,
			&e.Tables, &e.RecordCount, (*string)(&e.Outcome), &e.HTTPStatus, &e.RPCCode,
			&e.DurationUS, &e.RequestBytes, &e.ResponseBytes, text{&e.SessionID}, &e.RequestID,
			text{&e.ProtocolVersion}, text{&e.ClientName}, text{&e.ClientVersion}, &e.RemoteIP,
		); err != nil {
			return page, err
		}
		e.Time = e.Time.UTC()
		if len(e.Tables) == 0 {
			e.Tables = nil
		}
		page.Events = append(page.Events, e)
	}
	return page, rows.Err()
}

// text scans a nullable string, NULL as "".
type text struct{ s *string }

// Scan implements sql.Scanner.
func (t text) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t.s = ""
	case string:
		*t.s = v
	case *string:
		*t.s = *v
	default:
		return fmt.Errorf("scan %T into a string", v)
	}
	return nil
}

// Stats implements usage.Ledger. Sums that no int64 holds end at its limits.
func (l *Ledger) Stats(ctx context.Context, q usage.StatsQuery) (usage.Stats, error) {
	if err := l.ready(ctx); err != nil {
		return usage.Stats{}, err
	}
	stats, err := l.stats(ctx, q)
	if err != nil {
		return usage.Stats{}, l.failed("sum up usage", err)
	}
	return stats, nil
}

func (l *Ledger) stats(ctx context.Context, q usage.StatsQuery) (usage.Stats, error) {
	q.From, q.To = q.Span()
	s := usage.Stats{Days: q.Days, TopTools: []usage.ToolUsage{}, TopTables: []usage.TableUsage{}}

	total := new(big.Int)
	byDate := make(map[string]usage.DailyUsage)
	err := l.sums(ctx, q.Filter, "toString(toDate32(ts))", math.MaxInt32, func(date string, calls int64, records *big.Int) {
		byDate[date] = usage.DailyUsage{Calls: calls, Records: clamp(records)}
		s.TotalCalls += calls
		total.Add(total, records)
	})
	if err != nil {
		return s, err
	}
	s.TotalRecords = clamp(total)
	s.Daily = q.FillDaily(byDate)

	err = l.sums(ctx, q.Filter, "tool_name", usage.TopLimit, func(tool string, calls int64, records *big.Int) {
		s.TopTools = append(s.TopTools, usage.ToolUsage{Tool: tool, Calls: calls, Records: clamp(records)})
	})
	if err != nil {
		return s, err
	}
	err = l.sums(ctx, q.Filter, "arrayJoin(tables)", usage.TopLimit, func(table string, calls int64, records *big.Int) {
		s.TopTables = append(s.TopTables, usage.TableUsage{Table: table, Calls: calls, Records: clamp(records)})
	})
	return s, err
}

// sums yields calls and records for each value of the expression, at most limit
// of them, those with most calls first, then by name.
func (l *Ledger) sums(ctx context.Context, f usage.Filter, by string, limit int, yield func(name string, calls int64, records *big.Int)) error {
	condition, params := where(f)
	rows, err := l.conn.Query(ctx, fmt.Sprintf(`SELECT %s AS name, count() AS calls, sum(toInt128(ifNull(record_count, 0)))
		FROM mcp_tool_usage_log WHERE %s GROUP BY name ORDER BY calls DESC, name LIMIT %d`, by, condition, limit), params...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what it says, Err has said
	for rows.Next() {
		var (
			name    string
			calls   uint64
			records big.Int
		)
		if err := rows.Scan(&name, &calls, &records); err != nil {
			return err
		}
		yield(name, int64(calls), &records)
	}
	return rows.Err()
}

// clamp is the int64 nearest to n.
func clamp(n *big.Int) int64 {
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.Sign() < 0:
		return math.MinInt64
	default:
		return math.MaxInt64
	}
}
