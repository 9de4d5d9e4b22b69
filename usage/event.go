// Package usage defines what calls leave behind: the event, its columns, and the
// Ledger interface that events are written to and read from. It knows neither
// Caddy nor a database driver; ledgers live in sub-packages and pass
// usagetest.Run. Package journal brings events to a ledger.
package usage

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/internal/uuidv7"
)

// Outcome is how a call ended, on the level where it ended.
type Outcome string

// The outcomes. HTTP comes before JSON-RPC, and JSON-RPC before the tool: a
// 500 with a JSON-RPC error in its body is an http_error that has an rpc_code.
const (
	OK        Outcome = "ok"         // a result without isError
	ToolError Outcome = "tool_error" // a result with isError true
	RPCError  Outcome = "rpc_error"  // a JSON-RPC error, HTTP below 400
	HTTPError Outcome = "http_error" // HTTP 400 or above
	Aborted   Outcome = "aborted"    // no final result reached the gate
)

// Outcomes lists every outcome, in the order above.
var Outcomes = []Outcome{OK, ToolError, RPCError, HTTPError, Aborted}

// Event is the row that one call leaves in mcp_tool_usage_log. Columns says which
// column each field is. Arguments and results are never part of it.
type Event struct {
	ID        uuid.UUID // UUIDv7
	Time      time.Time // when the gate had read the call; UTC, microseconds
	Server    string    // the name in the gate's config
	UserID    string
	UserEmail string
	KeyID     string
	KeyName   string
	Tool      string
	// Tables that the call touched, in the order found, without repeats; nil
	// when unknown. The column table_name is the first of them.
	Tables          []string
	RecordCount     NullInt64 // records the call returned; invalid when unknown
	Outcome         Outcome
	HTTPStatus      NullInt64 // invalid when the upstream sent no status
	RPCCode         NullInt64 // code of the JSON-RPC error, if there was one
	DurationUS      int64     // from the call's arrival to its final result, microseconds
	RequestBytes    int64     // length of the call's own JSON-RPC message
	ResponseBytes   int64     // length of the JSON-RPC message that answered it; for an aborted call, of the body so far
	SessionID       string    // Mcp-Session-Id
	RequestID       string    // the JSON-RPC id as JSON text: 1 and "1" differ
	ProtocolVersion string
	ClientName      string
	ClientVersion   string
	RemoteIP        string
}

// NewID makes the ID of an event of that time.
func NewID(now time.Time) uuid.UUID { return uuidv7.New(now) }

// TableName returns the first of the event's tables, or "" when none is known.
func (e *Event) TableName() string { return *e.firstTable() }

// NullInt64 is an integer that may be unknown: NULL in SQL, null in JSON.
type NullInt64 struct{ sql.NullInt64 }

// Int64 returns the known integer v.
func Int64(v int64) NullInt64 {
	return NullInt64{sql.NullInt64{Int64: v, Valid: true}}
}

// MarshalJSON writes the integer, or null when it is unknown.
func (n NullInt64) MarshalJSON() ([]byte, error) {
	if !n.Valid {
		return []byte("null"), nil
	}
	return json.Marshal(n.Int64)
}

// UnmarshalJSON reads an integer, or null for unknown.
func (n *NullInt64) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = NullInt64{}
		return nil
	}
	n.Valid = true
	return json.Unmarshal(b, &n.Int64)
}
