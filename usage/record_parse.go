package usage

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// readEvent reads one event out of a record.
func readEvent(payload []byte, e *Event) error {
	return newEventReader().read(payload, e)
}

// eventReader reads events out of records. A text that occurs in several of
// them (the user, the tool, the tables) is one string in memory, or one slice:
// that, and not encoding/json, is what keeps reading cheaper than a call is.
type eventReader struct {
	rest []byte
	bad  bool // rest is not what appendEvent writes

	texts  map[string]string
	tables map[string][]string // by their JSON
	names  []string            // of the tables that are being read
	// last holds the texts that were read last, where their JSON is the text
	// itself in quotes, and lastTable the column table_name.
	last      Event
	lastTable string
}

func newEventReader() *eventReader {
	return &eventReader{texts: make(map[string]string), tables: make(map[string][]string)}
}

// read reads an event. What appendEvent wrote, as nearly all is, costs a small
// part of what encoding/json takes, which would otherwise set the pace of the
// shipper; anything else is left to encoding/json.
func (r *eventReader) read(payload []byte, e *Event) error {
	r.rest, r.bad = payload, false
	r.event(e)
	if r.bad || len(r.rest) > 0 || !utf8.Valid(payload) {
		*e = Event{}
		return e.UnmarshalJSON(payload)
	}
	return nil
}

// event reads what appendEvent writes, and turns bad at anything else.
func (r *eventReader) event(e *Event) {
	e.ID = r.uuid(`{"event_id":"`)
	e.Time = r.time(`,"ts":"`)
	e.UserID = r.text(`,"user_id":"`, &r.last.UserID)
	e.UserEmail = r.text(`,"user_email":"`, &r.last.UserEmail)
	e.KeyID = r.text(`,"key_id":"`, &r.last.KeyID)
	e.KeyName = r.text(`,"key_name":"`, &r.last.KeyName)
	e.Tool = r.text(`,"tool_name":"`, &r.last.Tool)
	r.nullable(`,"table_name":`, &r.lastTable) // the first of tables
	e.Tables = r.list(`,"tables":`)
	e.RecordCount = r.nullInt64(`,"record_count":`)
	e.Outcome = Outcome(r.text(`,"outcome":"`, (*string)(&r.last.Outcome)))
	e.HTTPStatus = r.nullInt64(`,"http_status":`)
	e.RPCCode = r.nullInt64(`,"rpc_code":`)
	e.DurationUS = r.int64(`,"duration_us":`)
	e.RequestBytes = r.int64(`,"request_bytes":`)
	e.ResponseBytes = r.int64(`,"response_bytes":`)
	e.SessionID = r.nullable(`,"session_id":`, &r.last.SessionID)
	e.RequestID = r.text(`,"request_id":"`, &r.last.RequestID)
	e.ProtocolVersion = r.nullable(`,"protocol_version":`, &r.last.ProtocolVersion)
	e.ClientName = r.nullable(`,"client_name":`, &r.last.ClientName)
	e.ClientVersion = r.nullable(`,"client_version":`, &r.last.ClientVersion)
	e.RemoteIP = r.text(`,"remote_ip":"`, &r.last.RemoteIP)
	r.skip("}")
}

// took tells whether the rest begins with s, and moves beyond it.
func (r *eventReader) took(s string) bool {
	if len(r.rest) < len(s) || string(r.rest[:len(s)]) != s {
		return false
	}
	r.rest = r.rest[len(s):]
	return true
}

// skip moves beyond s, which has to be there.
func (r *eventReader) skip(s string) {
	if !r.took(s) {
		r.fail()
	}
}

func (r *eventReader) fail() {
	r.bad, r.rest = true, nil
}

// text reads a string that comes after before, which ends with its quote. It
// looks first whether it is the last one again.
func (r *eventReader) text(before string, last *string) string {
	r.skip(before)
	if n := len(*last); n < len(r.rest) && r.rest[n] == '"' && string(r.rest[:n]) == *last {
		r.rest = r.rest[n+1:]
		return *last
	}
	raw, plain := r.raw()
	if !plain {
		return r.unescaped(raw)
	}
	*last = r.string(raw)
	return *last
}

// raw reads a string whose quote has been read, up to its end, and tells
// whether it stands for itself.
func (r *eventReader) raw() (raw []byte, plain bool) {
	plain = true
	for i := 0; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == '"':
			raw, r.rest = r.rest[:i], r.rest[i+1:]
			return raw, plain
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			r.fail()
		}
	}
	r.fail()
	return nil, true
}

// string is raw as a string, the same one each time.
func (r *eventReader) string(raw []byte) string {
	s, known := r.texts[string(raw)]
	if !known {
		s = string(raw)
		r.texts[s] = s
	}
	return s
}

// unescaped is the string that raw, which has a backslash, stands for.
func (r *eventReader) unescaped(raw []byte) string {
	b := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		c := raw[0]
		raw = raw[1:]
		switch {
		case c != '\\':
			b = append(b, c)
		case len(raw) > 0 && (raw[0] == '"' || raw[0] == '\\'):
			b, raw = append(b, raw[0]), raw[1:]
		case len(raw) >= 5 && string(raw[:3]) == "u00":
			// A control character; anything above stands for itself.
			var v [1]byte
			if _, err := hex.Decode(v[:], raw[3:5]); err != nil || v[0] >= ' ' {
				r.fail()
				return ""
			}
			b, raw = append(b, v[0]), raw[5:]
		default:
			r.fail()
			return ""
		}
	}
	return r.string(b)
}

func (r *eventReader) nullable(before string, last *string) string {
	r.skip(before)
	if r.took("null") {
		return ""
	}
	return r.text(`"`, last)
}

// list reads the tables.
func (r *eventReader) list(before string) []string {
	r.skip(before)
	if r.took("null") {
		return nil
	}
	start := r.rest
	r.skip("[")
	r.names = r.names[:0]
	for before := `"`; !r.took("]") && !r.bad; before = `,"` {
		r.skip(before)
		raw, plain := r.raw()
		if plain {
			r.names = append(r.names, r.string(raw))
		} else {
			r.names = append(r.names, r.unescaped(raw))
		}
	}
	if r.bad {
		return nil
	}
	text := start[:len(start)-len(r.rest)]
	tables, known := r.tables[string(text)]
	if !known {
		tables = append([]string{}, r.names...)
		r.tables[string(text)] = tables
	}
	return tables[:len(tables):len(tables)] // so that who appends does so to a copy
}

func (r *eventReader) uuid(before string) uuid.UUID {
	r.skip(before)
	raw, plain := r.raw()
	id, err := uuid.ParseBytes(raw)
	if err != nil || !plain {
		r.fail()
	}
	return id
}

func (r *eventReader) time(before string) (t time.Time) {
	r.skip(before)
	raw, plain := r.raw()
	if t.UnmarshalText(raw) != nil || !plain {
		r.fail()
	}
	return t
}

func (r *eventReader) int64(before string) int64 {
	r.skip(before)
	end := 0
	for end < len(r.rest) && r.rest[end] != ',' && r.rest[end] != '}' {
		end++
	}
	n, err := strconv.ParseInt(string(r.rest[:end]), 10, 64)
	digits := bytes.TrimPrefix(r.rest[:end], []byte{'-'})
	if err != nil || digits[0] == '+' || digits[0] == '0' && len(digits) > 1 { // which are no JSON
		r.fail()
		return 0
	}
	r.rest = r.rest[end:]
	return n
}

func (r *eventReader) nullInt64(before string) NullInt64 {
	r.skip(before)
	if r.took("null") {
		return NullInt64{}
	}
	return Int64(r.int64(""))
}
