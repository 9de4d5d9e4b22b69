package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/tallygate/tallygate/usage"
)

// where returns the filter's condition on a row, without its times, and the
// condition's parameters.
func where(f usage.Filter) (condition string, params []any) {
	conditions := []string{"true"}
	add := func(condition, name, value string) {
		if value != "" {
			conditions = append(conditions, condition)
			params = append(params, clickhouse.Named(name, value))
		}
	}
	add("user_id = {user_id:String}", "user_id", f.UserID)
	add("key_id = {key_id:String}", "key_id", f.KeyID)
	add("server = {server:String}", "server", f.Server)
	add("tool_name = {tool:String}", "tool", f.Tool)
	add("has(tables, {table:String})", "table", f.Table)
	add("outcome = {outcome:String}", "outcome", string(f.Outcome))
	return strings.Join(conditions, " AND "), params
}

// span is a half-open interval of time, in whole microseconds.
type span struct{ from, to time.Time }

// spanOf returns the filter's interval, within the times that the table can hold.
func spanOf(f usage.Filter) span {
	s := span{clampTime(ceilMicro(f.From)), maxTime}
	if !f.To.IsZero() {
		s.to = clampTime(ceilMicro(f.To))
	}
	return s
}

// clampTime returns the time nearest to t that the table can hold, or the end of those.
func clampTime(t time.Time) time.Time {
	switch {
	case t.Before(minTime):
		return minTime
	case t.After(maxTime):
		return maxTime
	default:
		return t
	}
}

// ceilMicro returns t rounded up to a whole microsecond.
func ceilMicro(t time.Time) time.Time {
	return t.Add(time.Microsecond - time.Nanosecond).Truncate(time.Microsecond).UTC()
}

// cut returns the part of s that lies in all.
func (s span) cut(all span) span {
	if s.from.Before(all.from) {
		s.from = all.from
	}
	if s.to.After(all.to) {
		s.to = all.to
	}
	return s
}

// moments returns the condition that a row lies in the span. With it the rows are
// found by the table's key.
func (s span) moments() string {
	return fmt.Sprintf("ts >= fromUnixTimestamp64Micro(%d, 'UTC') AND ts < fromUnixTimestamp64Micro(%d, 'UTC')",
		s.from.UnixMicro(), s.to.UnixMicro())
}

// days returns the condition that a row lies in a span of whole days. With it the
// query can use the roll-up.
func (s span) days() string {
	return fmt.Sprintf("toDate32(ts) >= toDate32('%s') AND toDate32(ts) < toDate32('%s')",
		s.from.Format(time.DateOnly), s.to.Format(time.DateOnly))
}

const day = 24 * time.Hour

// byWholeDays splits the span at its first and at its last midnight: between the
// two are its whole days.
func (s span) byWholeDays() (head, whole, tail span) {
	midnights := span{s.from.Add(day - time.Microsecond).Truncate(day), s.to.Truncate(day)}
	if !midnights.from.Before(midnights.to) {
		return s, span{}, span{}
	}
	return span{s.from, midnights.from}, midnights, span{midnights.to, s.to}
}

// query runs a SELECT and calls yield for each row, with the function that scans it.
func (l *Ledger) query(ctx context.Context, sql string, params []any, yield func(scan func(...any) error) error) error {
	rows, err := l.conn.Query(ctx, sql, params...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err has its error
	for rows.Next() {
		if err := yield(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// History implements usage.Ledger.
func (l *Ledger) History(ctx context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	return ask(ctx, l, "read the history", q, l.history)
}

// history counts the events of each day in the roll-up. From that it knows the total
// and where the page is, and reads little more than the page.
func (l *Ledger) history(ctx context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	days, err := l.days(ctx, q.Filter)
	if err != nil {
		return usage.HistoryPage{}, err
	}
	var total int64
	for _, d := range days {
		total += d.events
	}

	p := place{events: int64(q.PageSize) + 1} // one more: does another page follow?
	switch {
	case q.Cursor != "":
		c, err := usage.ParseCursor(q.Cursor)
		if err != nil {
			return usage.HistoryPage{}, err
		}
		c.Time = clampTime(c.Time)
		p.behind = &c
	case int64(q.Page-1) > total/int64(q.PageSize):
		return usage.HistoryPage{Total: total}, nil // after the end
	default:
		p.skip = int64(q.Page-1) * int64(q.PageSize)
	}
	if p = p.in(days); p.found > cheap {
		minutes, err := l.minutes(ctx, q.Filter, p.span)
		if err != nil {
			return usage.HistoryPage{}, err
		}
		p = p.in(minutes)
	}
	events, err := l.events(ctx, q.Filter, p)
	return usage.NewHistoryPage(events, q.PageSize, total), err
}

// events reads the events of a place.
func (l *Ledger) events(ctx context.Context, f usage.Filter, p place) (events []usage.Event, err error) {
	condition, params := where(f)
	fields := make([]any, len(usage.StoredColumns))
	// ClickHouse orders UUIDs by their second half, hence UUIDToNum.
	err = l.query(ctx, fmt.Sprintf(`SELECT %s FROM %s WHERE %s AND %s
		ORDER BY ts DESC, UUIDToNum(event_id) DESC LIMIT %d OFFSET %d`,
		columnNames, logTable, condition, p.condition(), p.events, p.skip), params,
		func(scan func(...any) error) error {
			events = append(events, usage.Event{})
			e := &events[len(events)-1]
			for i, c := range usage.StoredColumns {
				fields[i] = c.Field(e)
				if text, ok := fields[i].(*string); ok {
					fields[i] = nullText{text}
				}
			}
			if err := scan(fields...); err != nil {
				return err
			}
			e.Time = e.Time.UTC()
			if len(e.Tables) == 0 {
				e.Tables = nil
			}
			return nil
		})
	return events, err
}

// nullText scans a string, NULL as "".
type nullText struct{ s *string }

// Scan implements sql.Scanner.
func (t nullText) Scan(v any) error {
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
