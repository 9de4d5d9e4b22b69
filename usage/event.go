// Package usage is what calls leave behind: the event, the journal that holds
// events on disk until the ledger has them, the shipper that carries them
// there, and the Ledger interface they are read from. It knows neither Caddy
// nor a database driver; ledgers live in sub-packages and pass usagetest.Run.
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

// Event is the row that one call leaves in mcp_tool_usage_log. Its JSON names
// are the columns; in JSON, what is unknown (an empty string, no tables, an
// invalid NullInt64) is null. Arguments and results are never part of it.
type Event struct {
	ID        uuid.UUID // event_id: UUIDv7
	Time      time.Time // ts: when the gate had read the call; UTC, microseconds
	UserID    string
	UserEmail string
	KeyID     string
	KeyName   string
	Tool      string // tool_name
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

// TableName is the first of the event's tables, or "" when none is known.
func (e *Event) TableName() string {
	if len(e.Tables) == 0 {
		return ""
	}
	return e.Tables[0]
}

// NullInt64 is an integer that may be unknown: NULL in SQL, null in JSON.
type NullInt64 struct{ sql.NullInt64 }

// Int64 is the known integer v.
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

// row is an Event in JSON: one field a column, in the columns' order.
type row struct {
	EventID         uuid.UUID `json:"event_id"`
	TS              time.Time `json:"ts"`
	UserID          string    `json:"user_id"`
	UserEmail       string    `json:"user_email"`
	KeyID           string    `json:"key_id"`
	KeyName         string    `json:"key_name"`
	ToolName        string    `json:"tool_name"`
	TableName       *string   `json:"table_name"`
	Tables          []string  `json:"tables"`
	RecordCount     NullInt64 `json:"record_count"`
	Outcome         Outcome   `json:"outcome"`
	HTTPStatus      NullInt64 `json:"http_status"`
	RPCCode         NullInt64 `json:"rpc_code"`
	DurationUS      int64     `json:"duration_us"`
	RequestBytes    int64     `json:"request_bytes"`
	ResponseBytes   int64     `json:"response_bytes"`
	SessionID       *string   `json:"session_id"`
	RequestID       string    `json:"request_id"`
	ProtocolVersion *string   `json:"protocol_version"`
	ClientName      *string   `json:"client_name"`
	ClientVersion   *string   `json:"client_version"`
	RemoteIP        string    `json:"remote_ip"`
}

// MarshalJSON writes the event under its columns' names.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(row{
		e.ID, e.Time, e.UserID, e.UserEmail, e.KeyID, e.KeyName, e.Tool,
		nullable(e.TableName()), e.Tables, e.RecordCount, e.Outcome, e.HTTPStatus, e.RPCCode,
		e.DurationUS, e.RequestBytes, e.ResponseBytes, nullable(e.SessionID), e.RequestID,
		nullable(e.ProtocolVersion), nullable(e.ClientName), nullable(e.ClientVersion), e.RemoteIP,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Event) UnmarshalJSON(b []byte) error {
	var r row
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	*e = Event{
		r.EventID, r.TS, r.UserID, r.UserEmail, r.KeyID, r.KeyName, r.ToolName,
		r.Tables, r.RecordCount, r.Outcome, r.HTTPStatus, r.RPCCode,
		r.DurationUS, r.RequestBytes, r.ResponseBytes, deref(r.SessionID), r.RequestID,
		deref(r.ProtocolVersion), deref(r.ClientName), deref(r.ClientVersion), r.RemoteIP,
	}
	return nil
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
