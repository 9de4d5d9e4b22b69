package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/usage"
)

// columns are the columns that a Write fills, in the order of values and of
// History's Scan. The table derives table_name.
const columns = `event_id, ts, user_id, user_email, key_id, key_name, tool_name,
	tables, record_count, outcome, http_status, rpc_code,
	duration_us, request_bytes, response_bytes, session_id, request_id,
	protocol_version, client_name, client_version, remote_ip`

var insert = "INSERT INTO mcp_tool_usage_log (" + columns + ") VALUES (?" +
	strings.Repeat(", ?", strings.Count(columns, ",")) + ") ON CONFLICT (event_id) DO NOTHING"

// values are the event's values for columns.
func values(e *usage.Event) ([]any, error) {
	tables, err := tablesText(e.Tables)
	if err != nil {
		return nil, err
	}
	return []any{
		e.ID.String(), e.Time.UnixMicro(), e.UserID, e.UserEmail, e.KeyID, e.KeyName, e.Tool,
		tables, e.RecordCount.NullInt64, string(e.Outcome), e.HTTPStatus.NullInt64, e.RPCCode.NullInt64,
		e.DurationUS, e.RequestBytes, e.ResponseBytes, nullString(e.SessionID), e.RequestID,
		nullString(e.ProtocolVersion), nullString(e.ClientName), nullString(e.ClientVersion), e.RemoteIP,
	}, nil
}

// tablesText is the column tables: a JSON array, or nil when they are unknown.
func tablesText(tables []string) (any, error) {
	if len(tables) == 0 {
		return nil, nil
	}
	for _, table := range tables {
		if !utf8.ValidString(table) {
			return nil, fmt.Errorf("%w: its table %q is not UTF-8", usage.ErrRejected, table)
		}
	}
	text, err := json.Marshal(tables)
	return string(text), err
}

func nullString(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Write implements usage.Ledger, as one transaction. An event that is stored
// is known by its event_id, whatever the batch that it comes in.
func (l *Ledger) Write(ctx context.Context, b usage.Batch) error {
	if len(b.Events) == 0 {
		return nil
	}
	db, _, err := l.open(ctx)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return l.failed("begin a write", err)
	}
	defer func() { _ = tx.Rollback() }() // after a Commit, it does nothing
	statement, err := tx.PrepareContext(ctx, insert)
	if err != nil {
		return l.failed("prepare a write", err)
	}
	defer func() { _ = statement.Close() }()
	for i := range b.Events {
		e := &b.Events[i]
		row, err := values(e)
		if err == nil {
			_, err = statement.ExecContext(ctx, row...)
		}
		if err != nil {
			return l.failed(fmt.Sprintf("write event %s of batch %q", e.ID, b.Token), err)
		}
	}
	if err := tx.Commit(); err != nil {
		return l.failed(fmt.Sprintf("write batch %q of %d events", b.Token, len(b.Events)), err)
	}
	return nil
}
