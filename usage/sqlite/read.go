package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// where returns the filter's condition on a row of the log or of the roll-up,
// without its times, and the condition's arguments.
func where(f usage.Filter) (condition string, args []any) {
	conditions := []string{"true"}
	add := func(condition, value string) {
		if value != "" {
			conditions, args = append(conditions, condition), append(args, value)
		}
	}
	add("user_id = ?", f.UserID)
	add("key_id = ?", f.KeyID)
	add("server = ?", f.Server)
	add("tool_name = ?", f.Tool)
	if f.Table != "" {
		// A row without these bytes need not be parsed.
		quoted, _ := json.Marshal(f.Table) // cannot fail
		add("instr(tables, ?)", string(quoted))
		add("EXISTS (SELECT 1 FROM json_each(tables) WHERE value = ?)", f.Table)
	}
	add("outcome = ?", string(f.Outcome))
	return strings.Join(conditions, " AND "), args
}

// isForEveryone reports whether the roll-up, which has no users and keys, can answer
// for the filter. The calls of a user or key are found by an index.
func isForEveryone(f usage.Filter) bool { return f.UserID == "" && f.KeyID == "" }

// span is a half-open interval of ts.
type span struct{ from, to int64 }

// spanOf returns the filter's interval.
func spanOf(f usage.Filter) span {
	s := span{math.MinInt64, math.MaxInt64}
	if !f.From.IsZero() {
		s.from = ceilMicro(f.From)
	}
	if !f.To.IsZero() {
		s.to = ceilMicro(f.To)
	}
	return s
}

// ceilMicro returns t in microseconds of Unix time, rounded up.
func ceilMicro(t time.Time) int64 {
	return t.Add(time.Microsecond - time.Nanosecond).UnixMicro()
}

// moments returns the condition that a row of the log lies in the span.
func (s span) moments() string { return fmt.Sprintf("ts >= %d AND ts < %d", s.from, s.to) }

// days returns the condition that a row of the roll-up lies in the span, which has
// whole days.
func (s span) days() string {
	return fmt.Sprintf("day >= %d AND day < %d", dayOf(s.from), dayOf(s.to))
}

// byWholeDays splits the span at its first and at its last midnight: between the
// two are its whole days.
func (s span) byWholeDays() (head, whole, tail span) {
	first, last := dayOf(s.from), dayOf(s.to)
	if s.from%dayMicros != 0 {
		first++
	}
	if first >= last {
		return s, span{}, span{}
	}
	whole = span{first * dayMicros, last * dayMicros}
	return span{s.from, whole.from}, whole, span{whole.to, s.to}
}

// bucket is the number of a filter's events in a span.
type bucket struct {
	span
	events int64
}

// buckets counts the filter's events, newest first. Everyone's are counted for each
// day that has some, from the roll-up, except for the days that From and To split.
// Those of a user or key are one bucket, counted along their index.
func buckets(ctx context.Context, tx *sql.Tx, f usage.Filter) (found []bucket, err error) {
	condition, args := where(f)
	var selects []string
	var all []any
	add := func(s span, format string, numbers ...any) {
		if s.from < s.to {
			selects, all = append(selects, fmt.Sprintf(format, numbers...)), append(all, args...)
		}
	}
	rows := func(s span) {
		add(s, "SELECT %d AS start, %d AS stop, count(*) AS events FROM mcp_tool_usage_log WHERE %s AND %s", s.from, s.to, condition, s.moments())
	}
	if s := spanOf(f); isForEveryone(f) {
		head, whole, tail := s.byWholeDays()
		rows(head)
		add(whole, "SELECT day * %d, (day + 1) * %d, sum(calls) FROM mcp_tool_usage_daily WHERE %s AND %s GROUP BY day",
			dayMicros, dayMicros, condition, whole.days())
		rows(tail)
	} else {
		rows(s)
	}
	if len(selects) == 0 {
		return nil, nil
	}
	query := "SELECT * FROM (" + strings.Join(selects, " UNION ALL ") + ") ORDER BY 1 DESC"
	err = each(ctx, tx, query, all, func(scan func(...any) error) error {
		var b bucket
		err := scan(&b.from, &b.to, &b.events)
		if b.events > 0 {
			found = append(found, b)
		}
		return err
	})
	return found, err
}

// History implements usage.Ledger.
func (l *Ledger) History(ctx context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	return ask(ctx, l, "read the history", q, history)
}

// history reads in one transaction, so that counts and events agree.
func history(ctx context.Context, db *sql.DB, q usage.HistoryQuery) (page usage.HistoryPage, err error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return page, err
	}
	defer func() { _ = tx.Rollback() }() // there is nothing to commit
	found, err := buckets(ctx, tx, q.Filter)
	if err != nil {
		return page, err
	}
	var total int64
	for _, b := range found {
		total += b.events
	}
	found, place, err := placeOf(ctx, tx, q, found, total)
	if err != nil {
		return page, err
	}
	condition, args := where(q.Filter)
	var events []usage.Event
	for _, b := range found {
		missing := q.PageSize + 1 - len(events) // one more: does another page follow?
		if missing == 0 {
			break
		}
		query := fmt.Sprintf("SELECT %s FROM mcp_tool_usage_log WHERE %s AND %s AND %s ORDER BY ts DESC, event_id DESC LIMIT %d",
			columnNames, condition, b.moments(), place, missing)
		err := each(ctx, tx, query, args, func(scan func(...any) error) error {
			events = append(events, usage.Event{})
			return scanEvent(scan, &events[len(events)-1])
		})
		if err != nil {
			return page, err
		}
		place = "true" // the page continues with the newest event of the next bucket
	}
	return usage.NewHistoryPage(events, q.PageSize, total), nil
}

// placeOf returns the buckets that the page may lie in. The first of them ends in
// the microsecond in which the page begins; place is the condition that an event
// of that microsecond is not before the page. The first event of a page by number
// is found by counting along the index, from the nearer end of the bucket.
func placeOf(ctx context.Context, tx *sql.Tx, q usage.HistoryQuery, found []bucket, total int64) (_ []bucket, place string, err error) {
	if q.Cursor != "" {
		c, err := usage.ParseCursor(q.Cursor)
		if err != nil {
			return nil, "", err
		}
		ts := c.Time.UnixMicro()
		for len(found) > 0 && found[0].from > ts {
			found = found[1:]
		}
		if len(found) > 0 && found[0].to > ts {
			found[0].to = ts + 1
		}
		return found, fmt.Sprintf("(ts < %d OR event_id < '%s')", ts, c.ID), nil
	}
	if int64(q.Page-1) > total/int64(q.PageSize) {
		return nil, "", nil // after the end
	}
	skip := int64(q.Page-1) * int64(q.PageSize)
	for len(found) > 0 && skip >= found[0].events {
		skip -= found[0].events
		found = found[1:]
	}
	if len(found) == 0 || skip == 0 {
		return found, "true", nil
	}
	order := "ts DESC, event_id DESC"
	if events := found[0].events; skip > events/2 {
		skip, order = events-1-skip, "ts, event_id"
	}
	condition, args := where(q.Filter)
	var ts int64
	var id uuid.UUID
	if err := tx.QueryRowContext(ctx, fmt.Sprintf("SELECT ts, event_id FROM mcp_tool_usage_log WHERE %s AND %s ORDER BY %s LIMIT 1 OFFSET %d",
		condition, found[0].moments(), order, skip), args...).Scan(&ts, &id); err != nil {
		return nil, "", err
	}
	found[0].to = ts + 1
	return found, fmt.Sprintf("(ts < %d OR event_id <= '%s')", ts, id), nil
}

// columnNames are the columns that scanEvent reads.
var columnNames = strings.Join(usage.ColumnNames(usage.StoredColumns), ", ")

// scanEvent reads a row of columnNames.
func scanEvent(scan func(...any) error, e *usage.Event) error {
	fields := make([]any, len(usage.StoredColumns))
	for i, c := range usage.StoredColumns {
		fields[i] = field{c.Field(e)}
	}
	return scan(fields...)
}

// field scans a column's value into the field of an event. NULL is the zero value.
type field struct{ to any }

// Scan implements sql.Scanner.
func (f field) Scan(v any) error {
	switch to := f.to.(type) {
	case *string:
		return scanText(to, v)
	case *[]string:
		var text string
		err := scanText(&text, v)
		if err == nil {
			*to, err = parseTables(text)
		}
		return err
	case *uuid.UUID:
		return to.Scan(v)
	case *usage.NullInt64:
		return to.Scan(v)
	}
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("column of type %T, want an integer", v)
	}
	switch to := f.to.(type) {
	case *int64:
		*to = n
	case *time.Time:
		*to = time.UnixMicro(n).UTC()
	default:
		panic(fmt.Sprintf("the SQLite ledger cannot read a %T", to))
	}
	return nil
}

// scanText scans a text, NULL as "".
func scanText(to *string, v any) error {
	var s sql.NullString
	err := s.Scan(v)
	*to = s.String
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
