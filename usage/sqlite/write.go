package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// rowsPerInsert is how many rows one statement inserts. More do not pay.
const rowsPerInsert = 50

// insertRows returns the statement that inserts a number of rows. A constraint
// that one of them breaks ends the statement without undoing it (OR FAIL): the
// transaction is rolled back anyway, and to undo the statement alone SQLite would
// first copy each page that it changes.
func insertRows(rows int) string {
	row := "(?" + strings.Repeat(", ?", len(usage.Columns)-1) + ")"
	return "INSERT OR FAIL INTO mcp_tool_usage_log (" + strings.Join(usage.ColumnNames(usage.Columns), ", ") + ") VALUES " + row +
		strings.Repeat(", "+row, rows-1) + " ON CONFLICT (ts, event_id) DO NOTHING"
}

// Write implements usage.Ledger, as one transaction. A stored event is recognized
// by its event_id and ts, whatever batch it comes in. Since events that are
// stored already are rare, the batch is first written many rows at a time, and
// row by row only if some of them were.
func (l *Ledger) Write(ctx context.Context, b usage.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	db, _, err := l.open(ctx)
	if err != nil {
		return err
	}
	err = write(ctx, db, b.Events, rowsPerInsert)
	if errors.Is(err, errSomeStored) {
		err = write(ctx, db, b.Events, 1)
	}
	if err != nil {
		return l.failed(fmt.Sprintf("write batch %q of %d events, from %s on", b.Token, len(b.Events), b.Events[0].ID), err)
	}
	return nil
}

// errSomeStored says that some of the events, it is not known which, are stored
// already.
var errSomeStored = errors.New("some of the events are stored already")

// write stores the events that are not stored yet, a number of rows with each
// statement, and adds them to the roll-up. It stores nothing and returns
// errSomeStored when a statement of several rows met an event that is stored.
func write(ctx context.Context, db *sql.DB, events []usage.Event, perInsert int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	added := make(daily)
	full := len(events) / perInsert * perInsert
	if err := insert(ctx, tx, events[:full], perInsert, added); err != nil {
		return err
	}
	if err := insert(ctx, tx, events[full:], 1, added); err != nil {
		return err
	}
	if err := added.write(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// insert inserts events, a multiple of perInsert, and counts the new ones.
func insert(ctx context.Context, tx *sql.Tx, events []usage.Event, perInsert int, added daily) error {
	if len(events) == 0 {
		return nil
	}
	// With ctx, the driver would start a goroutine for each statement.
	background := context.WithoutCancel(ctx)
	statement, err := tx.PrepareContext(background, insertRows(perInsert))
	if err != nil {
		return err
	}
	defer func() { _ = statement.Close() }()
	values := make([]any, 0, perInsert*len(usage.Columns))
	for rows := range slices.Chunk(events, perInsert) {
		if err := ctx.Err(); err != nil {
			return err
		}
		values = values[:0]
		for i := range rows {
			if values, err = appendValues(values, &rows[i]); err != nil {
				return err
			}
		}
		result, err := statement.ExecContext(background, values...)
		if err != nil {
			return err
		}
		inserted, err := result.RowsAffected()
		switch {
		case err != nil:
			return err
		case inserted == int64(len(rows)):
			for i := range rows {
				if err := added.count(&rows[i]); err != nil {
					return err
				}
			}
		case perInsert > 1:
			return errSomeStored
		}
	}
	return nil
}

// appendValues appends an event's values for usage.Columns.
func appendValues(values []any, e *usage.Event) ([]any, error) {
	for i := range usage.Columns {
		c := &usage.Columns[i]
		value := c.Value(e)
		switch v := value.(type) {
		case []string:
			text, err := listText(v)
			if err != nil {
				return nil, fmt.Errorf("event %s: column %s: %w", e.ID, c.Name, err)
			}
			if value = text; text == "" {
				value = nil
			}
		case uuid.UUID:
			value = v.String()
		case time.Time:
			value = v.UnixMicro()
		}
		values = append(values, value)
	}
	return values, nil
}

// listText returns a list as a JSON array, or "" when it is empty or unknown.
func listText(list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	for _, s := range list {
		if !utf8.ValidString(s) {
			return "", fmt.Errorf("%w: %q is not UTF-8", usage.ErrRejected, s)
		}
	}
	text, err := json.Marshal(list)
	return string(text), err
}
