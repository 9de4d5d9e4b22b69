package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/internal/pace"
	"github.com/tallygate/tallygate/usage"
)

// columns are the columns of an event, in the order of row.fill and of
// History's Scan. Beside them the table has table_name, which a Write fills.
const columns = `event_id, ts, user_id, user_email, key_id, key_name, tool_name,
	tables, record_count, outcome, http_status, rpc_code,
	duration_us, request_bytes, response_bytes, session_id, request_id,
	protocol_version, client_name, client_version, remote_ip`

// width is how many values a row has, of columns and of table_name, and
// tablesColumn which of them is tables.
const (
	width        = 22
	tablesColumn = 7
)

// rowsPerInsert is how many rows a statement inserts, as far as it pays.
const rowsPerInsert = 50

// insert inserts so many rows. A constraint that one of them breaks fails the
// statement as it stands (OR FAIL): the transaction is rolled back anyway, and
// for undoing the statement alone SQLite would first copy each page it changes.
func insert(rows int) string {
	row := "(?" + strings.Repeat(", ?", width-1) + ")"
	return "INSERT OR FAIL INTO mcp_tool_usage_log (" + columns + ", table_name) VALUES " + row +
		strings.Repeat(", "+row, rows-1) + " ON CONFLICT (ts, event_id) DO NOTHING"
}

// Write implements usage.Ledger, as one transaction. An event that is stored
// is known by its event_id and ts, whatever the batch that it comes in.
// Events that were sent before are rare: then it begins again, one by one.
func (l *Ledger) Write(ctx context.Context, b usage.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	db, _, err := l.open(ctx)
	if err != nil {
		return err
	}
	err = write(ctx, db, b.Events, rowsPerInsert)
	if errors.Is(err, errKnown) {
		err = write(ctx, db, b.Events, 1)
	}
	if err != nil {
		return l.failed(fmt.Sprintf("write batch %q of %d events, from %s on", b.Token, len(b.Events), b.Events[0].ID), err)
	}
	return nil
}

// errKnown is what write returns of events of which some, it cannot tell which,
// are stored already.
var errKnown = errors.New("some of the events are stored already")

// write stores the events that are not, so many with a statement, and adds them
// to the roll-up. It does nothing where it would have to tell new events from
// stored ones and inserts more than one with a statement.
func write(ctx context.Context, db *sql.DB, events []usage.Event, perInsert int) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a Commit, it does nothing
	// database/sql would convert and check each of twenty-two values an event.
	r := newRows(perInsert)
	err = conn.Raw(func(raw any) error {
		c := raw.(driver.ConnPrepareContext)
		many := len(events) / perInsert * perInsert
		if err := r.insert(ctx, c, events[:many], perInsert); err != nil {
			return err
		}
		return r.insert(ctx, c, events[many:], 1)
	})
	if err != nil {
		return err
	}
	if err := r.daily.add(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// rows turns events into rows.
type rows struct {
	values []driver.NamedValue // of the rows of a statement
	daily  daily               // of the rows that were inserted
	// tables are the values of the column tables that came up, by their keys.
	tables map[string]driver.Value
	key    []byte
	work   pace.Worker
}

func newRows(perInsert int) *rows {
	r := &rows{
		values: make([]driver.NamedValue, perInsert*width),
		daily:  make(daily),
		tables: make(map[string]driver.Value),
	}
	for i := range r.values {
		r.values[i].Ordinal = i + 1
	}
	return r
}

// insert inserts events, a multiple of perInsert. It returns errKnown when some
// of several that go together are stored already.
func (r *rows) insert(ctx context.Context, c driver.ConnPrepareContext, events []usage.Event, perInsert int) (err error) {
	if len(events) == 0 {
		return nil
	}
	prepared, err := c.PrepareContext(ctx, insert(perInsert))
	if err != nil {
		return err
	}
	defer func() { _ = prepared.Close() }()
	statement := prepared.(driver.StmtExecContext)
	values := r.values[:perInsert*width]
	for len(events) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range perInsert {
			if err := r.fill(values[i*width:(i+1)*width], &events[i]); err != nil {
				return err
			}
		}
		// Not ctx: the driver would start a goroutine for each statement.
		result, err := statement.ExecContext(context.WithoutCancel(ctx), values)
		if err != nil {
			return err
		}
		inserted, err := result.RowsAffected()
		switch {
		case err != nil:
			return err
		case inserted == int64(perInsert):
			for i := range perInsert {
				r.daily.count(&events[i], values[i*width+tablesColumn].Value)
			}
		case perInsert > 1:
			return errKnown
		}
		events = events[perInsert:]
		r.work.Rest()
	}
	return nil
}

// fill puts the event's values for columns and table_name into row.
func (r *rows) fill(row []driver.NamedValue, e *usage.Event) error {
	tables, err := r.tablesText(e.Tables)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	row[0].Value = e.ID.String()
	setInt64(&row[1], e.Time.UnixMicro())
	setString(&row[2], e.UserID)
	setString(&row[3], e.UserEmail)
	setString(&row[4], e.KeyID)
	setString(&row[5], e.KeyName)
	setString(&row[6], e.Tool)
	row[tablesColumn].Value = tables
	setNullInt64(&row[8], e.RecordCount)
	setString(&row[9], string(e.Outcome))
	setNullInt64(&row[10], e.HTTPStatus)
	setNullInt64(&row[11], e.RPCCode)
	setInt64(&row[12], e.DurationUS)
	setInt64(&row[13], e.RequestBytes)
	setInt64(&row[14], e.ResponseBytes)
	setNullString(&row[15], e.SessionID)
	setString(&row[16], e.RequestID)
	setNullString(&row[17], e.ProtocolVersion)
	setNullString(&row[18], e.ClientName)
	setNullString(&row[19], e.ClientVersion)
	setString(&row[20], e.RemoteIP)
	setNullString(&row[21], e.TableName())
	return nil
}

// setString makes s the value, without an allocation where it was before.
func setString(v *driver.NamedValue, s string) {
	if was, ok := v.Value.(string); !ok || was != s {
		v.Value = s
	}
}

func setNullString(v *driver.NamedValue, s string) {
	if s == "" {
		v.Value = nil
		return
	}
	setString(v, s)
}

func setInt64(v *driver.NamedValue, n int64) {
	if was, ok := v.Value.(int64); !ok || was != n {
		v.Value = n
	}
}

func setNullInt64(v *driver.NamedValue, n usage.NullInt64) {
	if !n.Valid {
		v.Value = nil
		return
	}
	setInt64(v, n.Int64)
}

// tablesText is the column tables: a JSON array, or nil when they are unknown.
func (r *rows) tablesText(tables []string) (driver.Value, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	r.key = r.key[:0]
	for _, table := range tables {
		r.key = append(binary.AppendUvarint(r.key, uint64(len(table))), table...)
	}
	if text, ok := r.tables[string(r.key)]; ok {
		return text, nil
	}
	for _, table := range tables {
		if !utf8.ValidString(table) {
			return nil, fmt.Errorf("%w: its table %q is not UTF-8", usage.ErrRejected, table)
		}
	}
	text, err := json.Marshal(tables)
	if err != nil {
		return nil, err
	}
	r.tables[string(r.key)] = string(text)
	return r.tables[string(r.key)], nil
}
