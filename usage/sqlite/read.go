package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// where is the condition that the filter puts on a row, and its arguments.
func where(f usage.Filter) (condition string, args []any) {
	conditions := []string{"true"}
	add := func(condition string, arg any) {
		conditions, args = append(conditions, condition), append(args, arg)
	}
	if f.UserID != "" {
		add("user_id = ?", f.UserID)
	}
	if f.KeyID != "" {
		add("key_id = ?", f.KeyID)
	}
	if f.Tool != "" {
		add("tool_name = ?", f.Tool)
	}
	if f.Table != "" {
		add("EXISTS (SELECT 1 FROM json_each(tables) WHERE value = ?)", f.Table)
	}
	if f.Outcome != "" {
		add("outcome = ?", string(f.Outcome))
	}
	if !f.From.IsZero() {
		add("ts >= ?", ceilMicro(f.From))
	}
	if !f.To.IsZero() {
		add("ts < ?", ceilMicro(f.To))
	}
	return strings.Join(conditions, " AND "), args
}

// ceilMicro is the first whole microsecond, in Unix time, that is not before t.
func ceilMicro(t time.Time) int64 {
	return t.Add(time.Microsecond - time.Nanosecond).UnixMicro()
}

// History implements usage.Ledger.
func (l *Ledger) History(ctx context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	_, db, err := l.open(ctx)
	if err != nil {
		return usage.HistoryPage{}, err
	}
	page, err := history(ctx, db, q)
	if err != nil {
		return usage.HistoryPage{}, l.failed("read the history", err)
	}
	return page, nil
}

func history(ctx context.Context, db *sql.DB, q usage.HistoryQuery) (page usage.HistoryPage, err error) {
	condition, args := where(q.Filter)
	var total int64
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM mcp_tool_usage_log WHERE "+condition, args...).Scan(&total); err != nil {
		return page, err
	}
	place, placeArgs, err := placeOf(q, total, condition, args)
	if place == "" || err != nil {
		return usage.HistoryPage{Total: total}, err
	}
	events, err := events(ctx, db, fmt.Sprintf("SELECT %s FROM mcp_tool_usage_log WHERE %s AND %s ORDER BY ts DESC, event_id DESC LIMIT %d",
		columns, condition, place, q.PageSize+1), append(args[:len(args):len(args)], placeArgs...))
	return usage.NewHistoryPage(events, q.PageSize, total), err
}

// placeOf is the condition that an event is not before its page, and its
// arguments; "" when the page is past the end. A page by number begins at an
// event that is found by counting along the index, from the nearer end.
func placeOf(q usage.HistoryQuery, total int64, condition string, args []any) (place string, placeArgs []any, err error) {
	if q.Cursor != "" {
		c, err := usage.ParseCursor(q.Cursor)
		return "(ts, event_id) < (?, ?)", []any{c.Time.UnixMicro(), c.ID.String()}, err
	}
	if int64(q.Page-1) > total/int64(q.PageSize) {
		return "", nil, nil // by however far
	}
	skip := int64(q.Page-1) * int64(q.PageSize)
	order := "ts DESC, event_id DESC"
	switch {
	case skip == 0:
		return "true", nil, nil
	case skip >= total:
		return "", nil, nil
	case skip > total/2:
		skip, order = total-1-skip, "ts, event_id"
	}
	return fmt.Sprintf("(ts, event_id) <= (SELECT ts, event_id FROM mcp_tool_usage_log WHERE %s ORDER BY %s LIMIT 1 OFFSET %d)",
		condition, order, skip), args, nil
}

// events reads the events that a query selects.
func events(ctx context.Context, db *sql.DB, query string, args []any) (events []usage.Event, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what it says, Err has said
	for rows.Next() {
		var (
			e      usage.Event
			ts     int64
			tables string
		)
		if err := rows.Scan(
			&e.ID, &ts, &e.UserID, &e.UserEmail, &e.KeyID, &e.KeyName, &e.Tool,
			text{&tables}, &e.RecordCount, &e.Outcome, &e.HTTPStatus, &e.RPCCode,
			&e.DurationUS, &e.RequestBytes, &e.ResponseBytes, text{&e.SessionID}, &e.RequestID,
			text{&e.ProtocolVersion}, text{&e.ClientName}, text{&e.ClientVersion}, &e.RemoteIP,
		); err != nil {
			return nil, err
		}
		e.Time = time.UnixMicro(ts).UTC()
		if e.Tables, err = parseTables(tables); err != nil {
			return nil, fmt.Errorf("event %s: %w", e.ID, err)
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

// text scans a nullable string, NULL as "".
type text struct{ s *string }

// Scan implements sql.Scanner.
func (t text) Scan(v any) error {
	var s sql.NullString
	err := s.Scan(v)
	*t.s = s.String
	return err
}

// parseTables reads the column tables.
func parseTables(text string) (tables []string, err error) {
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &tables); err != nil {
		return nil, fmt.Errorf("column tables: %w", err)
	}
	return tables, nil
}

// Stats implements usage.Ledger. Sums that no int64 holds end at its limits.
func (l *Ledger) Stats(ctx context.Context, q usage.StatsQuery) (usage.Stats, error) {
	_, db, err := l.open(ctx)
	if err != nil {
		return usage.Stats{}, err
	}
	stats, err := stats(ctx, db, q)
	if err != nil {
		return usage.Stats{}, l.failed("sum up usage", err)
	}
	return stats, nil
}

// sum is the usage under one name.
type sum struct {
	calls   int64
	records big.Int
}

// sums are those under each name.
type sums map[string]*sum

func (s sums) add(name string, calls int64, records *big.Int) {
	if s[name] == nil {
		s[name] = new(sum)
	}
	s[name].calls += calls
	s[name].records.Add(&s[name].records, records)
}

// top are the names with most calls first, then by name, at most usage.TopLimit.
func (s sums) top() []string {
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(s[b].calls, s[a].calls), strings.Compare(a, b))
	})
	return names[:min(len(names), usage.TopLimit)]
}

// stats reads the rows once, grouped by all that they are summed by.
func stats(ctx context.Context, db *sql.DB, q usage.StatsQuery) (usage.Stats, error) {
	q.From, q.To = q.Span()
	condition, args := where(q.Filter)
	// SQLite's sum() fails when an int64 overflows, the sums of halves do not.
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`SELECT (ts - %d) / %d AS day, tool_name, tables, count(*),
			ifnull(sum(record_count >> 32), 0), ifnull(sum(record_count & 0xffffffff), 0)
		FROM mcp_tool_usage_log WHERE %s GROUP BY day, tool_name, tables`,
		q.From.UnixMicro(), (24*time.Hour).Microseconds(), condition), args...)
	if err != nil {
		return usage.Stats{}, err
	}
	defer func() { _ = rows.Close() }() // what it says, Err has said

	var total sum
	dates, tools, tables := sums{}, sums{}, sums{}
	for rows.Next() {
		var (
			day, high, low, calls int64
			tool, touched         string
		)
		if err := rows.Scan(&day, &tool, text{&touched}, &calls, &high, &low); err != nil {
			return usage.Stats{}, err
		}
		names, err := parseTables(touched)
		if err != nil {
			return usage.Stats{}, err
		}
		records := big.NewInt(high)
		records.Lsh(records, 32).Add(records, big.NewInt(low))
		total.calls += calls
		total.records.Add(&total.records, records)
		dates.add(q.From.AddDate(0, 0, int(day)).Format(time.DateOnly), calls, records)
		tools.add(tool, calls, records)
		for _, table := range names {
			tables.add(table, calls, records)
		}
	}
	if err := rows.Err(); err != nil {
		return usage.Stats{}, err
	}

	s := usage.Stats{
		Days: q.Days, TotalCalls: total.calls, TotalRecords: clamp(&total.records),
		TopTools: []usage.ToolUsage{}, TopTables: []usage.TableUsage{},
	}
	byDate := make(map[string]usage.DailyUsage, len(dates))
	for date, d := range dates {
		byDate[date] = usage.DailyUsage{Calls: d.calls, Records: clamp(&d.records)}
	}
	s.Daily = q.FillDaily(byDate)
	for _, tool := range tools.top() {
		s.TopTools = append(s.TopTools, usage.ToolUsage{Tool: tool, Calls: tools[tool].calls, Records: clamp(&tools[tool].records)})
	}
	for _, table := range tables.top() {
		s.TopTables = append(s.TopTables, usage.TableUsage{Table: table, Calls: tables[table].calls, Records: clamp(&tables[table].records)})
	}
	return s, nil
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
