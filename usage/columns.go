package usage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Column is one column of mcp_tool_usage_log: one field of an Event.
type Column struct {
	Name string // in the ledger, in JSON and in CSV
	Doc  string // one sentence or more for the admin API's description

	// Nullable says that the field's zero value means unknown: NULL in a ledger,
	// null in JSON. A *NullInt64 says so itself.
	Nullable bool
	// Derived says that the value follows from another column. Writers that have
	// a place for it may read it, and nobody may write it.
	Derived bool

	// Field returns a pointer to the column's field of the event. Its type is
	// one of *uuid.UUID, *time.Time, *string, *[]string, *int64 and *NullInt64,
	// and it is the same for every event.
	Field func(*Event) any
}

// Columns are all columns of mcp_tool_usage_log. This is the only list of them:
// the journal's records, the ledgers, the exports and the admin API's
// description follow it. CONTRIBUTING.md says how to add a column.
//
// A new column goes to the end, since the journal writes the values in this
// order. A record that ends early, because an earlier version wrote it, leaves
// the columns that it lacks unknown.
var Columns = []Column{
	{Name: "event_id", Doc: "The event's ID, a UUIDv7.", Field: func(e *Event) any { return &e.ID }},
	{Name: "ts", Doc: "When the call came, in UTC, to the microsecond.", Field: func(e *Event) any { return &e.Time }},
	{Name: "server", Doc: "The name of the MCP server that was called.", Field: func(e *Event) any { return &e.Server }},
	{Name: "user_id", Doc: "The ID of the user who called.", Field: func(e *Event) any { return &e.UserID }},
	{Name: "user_email", Doc: "The user's email address at the time of the call.", Field: func(e *Event) any { return &e.UserEmail }},
	{Name: "key_id", Doc: "The ID of the key that the call was made with.", Field: func(e *Event) any { return &e.KeyID }},
	{Name: "key_name", Doc: "The key's name at the time of the call.", Field: func(e *Event) any { return &e.KeyName }},
	{Name: "tool_name", Doc: "The tool that was called.", Field: func(e *Event) any { return &e.Tool }},
	{Name: "table_name", Doc: "The first table that the call touched; null when unknown.", Nullable: true, Derived: true, Field: func(e *Event) any { return e.firstTable() }},
	{Name: "tables", Doc: "All tables that the call touched; null when unknown.", Nullable: true, Field: func(e *Event) any { return &e.Tables }},
	{Name: "record_count", Doc: "Records that the call returned; null when unknown.", Field: func(e *Event) any { return &e.RecordCount }},
	{Name: "outcome", Doc: "How the call ended.", Field: func(e *Event) any { return (*string)(&e.Outcome) }},
	{Name: "http_status", Doc: "The HTTP status that the upstream answered; null when it did not answer.", Field: func(e *Event) any { return &e.HTTPStatus }},
	{Name: "rpc_code", Doc: "The code of the JSON-RPC error; null when there was none.", Field: func(e *Event) any { return &e.RPCCode }},
	{Name: "duration_us", Doc: "Microseconds from the call's arrival to its final result.", Field: func(e *Event) any { return &e.DurationUS }},
	{Name: "request_bytes", Doc: "Length of the call's message.", Field: func(e *Event) any { return &e.RequestBytes }},
	{Name: "response_bytes", Doc: "Length of the message that answered the call, or of what came of it.", Field: func(e *Event) any { return &e.ResponseBytes }},
	{Name: "session_id", Doc: "The MCP session; null outside one.", Nullable: true, Field: func(e *Event) any { return &e.SessionID }},
	{Name: "request_id", Doc: "The JSON-RPC id of the call, as JSON text: `1` and `\"1\"` differ.", Field: func(e *Event) any { return &e.RequestID }},
	{Name: "protocol_version", Doc: "The MCP revision that the client spoke; null when unknown.", Nullable: true, Field: func(e *Event) any { return &e.ProtocolVersion }},
	{Name: "client_name", Doc: "The name that the client gave itself; null when unknown.", Nullable: true, Field: func(e *Event) any { return &e.ClientName }},
	{Name: "client_version", Doc: "The version that the client gave itself; null when unknown.", Nullable: true, Field: func(e *Event) any { return &e.ClientVersion }},
	{Name: "remote_ip", Doc: "The client's IP address.", Field: func(e *Event) any { return &e.RemoteIP }},
}

// StoredColumns are the columns that are not derived from others.
var StoredColumns = slices.DeleteFunc(slices.Clone(Columns), func(c Column) bool { return c.Derived })

// ColumnNames returns the names of columns, in their order.
func ColumnNames(columns []Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// noTable is the table_name of events whose tables are unknown. It is only read.
var noTable string

// firstTable returns a pointer to the first table, or to an empty string when
// the tables are unknown.
func (e *Event) firstTable() *string {
	if len(e.Tables) == 0 {
		return &noTable
	}
	return &e.Tables[0]
}

// Value returns the column's value of an event: nil when it is unknown, and
// otherwise a uuid.UUID, a time.Time, a string, a []string or an int64.
func (c *Column) Value(e *Event) any {
	switch v := c.Field(e).(type) {
	case *string:
		if c.Nullable && *v == "" {
			return nil
		}
		return *v
	case *int64:
		return *v
	case *NullInt64:
		if !v.Valid {
			return nil
		}
		return v.Int64
	case *[]string:
		if *v == nil {
			return nil
		}
		return *v
	case *uuid.UUID:
		return *v
	case *time.Time:
		return *v
	default:
		panic(fmt.Sprintf("column %s: no value is a %T", c.Name, v))
	}
}

// MarshalJSON writes the event as an object of its columns.
func (e Event) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	values := json.NewEncoder(&b)
	separator := byte('{')
	for i := range Columns {
		c := &Columns[i]
		b.WriteByte(separator)
		separator = ','
		b.WriteString(`"` + c.Name + `":`)
		if err := values.Encode(c.Value(&e)); err != nil {
			return nil, fmt.Errorf("event %s: %s: %w", e.ID, c.Name, err)
		}
		b.Truncate(b.Len() - 1) // the newline that Encode adds
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON wrote. Columns that are missing stay
// unknown, and names that are no column's are ignored.
func (e *Event) UnmarshalJSON(data []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	*e = Event{}
	for _, c := range StoredColumns {
		if value, ok := values[c.Name]; ok {
			if err := json.Unmarshal(value, c.Field(e)); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	return nil
}
