package usage

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// An event in a record is a line of values between tabs: the ledger's columns in
// their order, but for the tables, which come last, a value each. table_name,
// the first of them, is not there. That is less than half of the event in JSON,
// and each call pays for what goes to the disk.
//
// What is unknown is empty; unknown tables are \N. A control character or a
// backslash in a text is \x and two hex digits, as PostgreSQL's COPY has it; a
// byte that is not UTF-8 is U+FFFD, as in encoding/json.
//
// In what earlier versions left, a record is the event's JSON.

// unknownTables stands for no tables, where none would be an empty list of them.
const unknownTables = `\N`

var errNoEvent = errors.New("the record is intact, but no event")

// appendEvent appends e as readEvent reads it. It fails only where json.Marshal
// does, on a time that RFC 3339 cannot express.
func appendEvent(b []byte, e *Event) ([]byte, error) {
	b = appendUUID(b, e.ID)
	b = append(b, '\t')
	b, err := e.Time.AppendText(b)
	if err != nil {
		return b, fmt.Errorf("event %s: %w", e.ID, err)
	}
	b = appendText(b, e.UserID)
	b = appendText(b, e.UserEmail)
	b = appendText(b, e.KeyID)
	b = appendText(b, e.KeyName)
	b = appendText(b, e.Tool)
	b = appendNullInt64(b, e.RecordCount)
	b = appendText(b, string(e.Outcome))
	b = appendNullInt64(b, e.HTTPStatus)
	b = appendNullInt64(b, e.RPCCode)
	b = appendInt64(b, e.DurationUS)
	b = appendInt64(b, e.RequestBytes)
	b = appendInt64(b, e.ResponseBytes)
	b = appendText(b, e.SessionID)
	b = appendText(b, e.RequestID)
	b = appendText(b, e.ProtocolVersion)
	b = appendText(b, e.ClientName)
	b = appendText(b, e.ClientVersion)
	b = appendText(b, e.RemoteIP)
	if e.Tables == nil {
		return append(b, "\t"+unknownTables...), nil
	}
	for _, table := range e.Tables {
		b = appendText(b, table)
	}
	return b, nil
}

func appendUUID(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(b, id[:4])
	for _, group := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = hex.AppendEncode(append(b, '-'), group)
	}
	return b
}

func appendInt64(b []byte, n int64) []byte {
	return strconv.AppendInt(append(b, '\t'), n, 10)
}

func appendNullInt64(b []byte, n NullInt64) []byte {
	if !n.Valid {
		return append(b, '\t')
	}
	return appendInt64(b, n.Int64)
}

func appendText(b []byte, s string) []byte {
	b = append(b, '\t')
	if isPlain(s) {
		return append(b, s...)
	}
	for _, r := range s { // U+FFFD for each byte that is not UTF-8
		if isEscaped(r) {
			b = hex.AppendEncode(append(b, `\x`...), []byte{byte(r)})
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

func isEscaped(r rune) bool { return r < ' ' || r == '\\' }

// isPlain tells, of most strings that stand for themselves, that s does: eight
// bytes at a time, in which a character below a space or a backslash borrows
// into its high bit, which those beyond ASCII have.
func isPlain(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if (w|(w-' '*ones)|((w^'\\'*ones)-ones))&highs != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; isEscaped(rune(c)) || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// readEvent reads one event out of a record's payload.
func readEvent(payload []byte, e *Event) error {
	return newEventReader().read(payload, e)
}

// eventID is the ID of the event in a record's payload.
func eventID(payload []byte) (uuid.UUID, bool) {
	if isJSON(payload) {
		var e Event
		err := e.UnmarshalJSON(payload)
		return e.ID, err == nil
	}
	value, _, more := bytes.Cut(payload, []byte{'\t'})
	id, err := uuid.ParseBytes(value)
	return id, err == nil && more
}

func isJSON(payload []byte) bool { return bytes.HasPrefix(payload, []byte{'{'}) }

// eventReader reads events out of records. A text that occurs in several of
// them (the user, the tool, the tables) is one string in memory, or one slice:
// that keeps reading, which sets the pace of the shipper, cheaper than a call.
type eventReader struct {
	rest []byte // behind the value last read, from its tab on
	bad  bool   // what was read is not what appendEvent writes

	texts  map[string]string
	tables map[string][]string // by what they stand as in a record
	// last holds the texts that were read last, where they stand for themselves.
	last Event
}

func newEventReader() *eventReader {
	return &eventReader{texts: make(map[string]string), tables: make(map[string][]string)}
}

func (r *eventReader) read(payload []byte, e *Event) error {
	if isJSON(payload) {
		return e.UnmarshalJSON(payload)
	}
	id, _, _ := bytes.Cut(payload, []byte{'\t'})
	r.rest, r.bad = payload[len(id):], !utf8.Valid(payload)
	e.ID = r.uuid(id)
	e.Time = r.time()
	e.UserID = r.text(&r.last.UserID)
	e.UserEmail = r.text(&r.last.UserEmail)
	e.KeyID = r.text(&r.last.KeyID)
	e.KeyName = r.text(&r.last.KeyName)
	e.Tool = r.text(&r.last.Tool)
	e.RecordCount = r.nullInt64()
	e.Outcome = Outcome(r.text((*string)(&r.last.Outcome)))
	e.HTTPStatus = r.nullInt64()
	e.RPCCode = r.nullInt64()
	e.DurationUS = r.int64()
	e.RequestBytes = r.int64()
	e.ResponseBytes = r.int64()
	e.SessionID = r.text(&r.last.SessionID)
	e.RequestID = r.text(&r.last.RequestID)
	e.ProtocolVersion = r.text(&r.last.ProtocolVersion)
	e.ClientName = r.text(&r.last.ClientName)
	e.ClientVersion = r.text(&r.last.ClientVersion)
	e.RemoteIP = r.text(&r.last.RemoteIP)
	e.Tables = r.list()
	if r.bad {
		return errNoEvent
	}
	return nil
}

// value takes the next value, of which there has to be one.
func (r *eventReader) value() []byte {
	if len(r.rest) == 0 {
		r.bad = true
		return nil
	}
	rest := r.rest[1:]
	end := bytes.IndexByte(rest, '\t')
	if end < 0 {
		end = len(rest)
	}
	r.rest = rest[end:]
	return rest[:end]
}

// text reads a text. It looks first whether it is the last one again.
func (r *eventReader) text(last *string) string {
	if n := len(*last) + 1; n < len(r.rest) && r.rest[n] == '\t' && string(r.rest[1:n]) == *last {
		r.rest = r.rest[n:]
		return *last
	}
	value := r.value()
	s := r.string(value)
	if len(s) == len(value) {
		*last = s
	}
	return s
}

// string is the text that a value stands for, the same one each time.
func (r *eventReader) string(value []byte) string {
	if bytes.IndexByte(value, '\\') >= 0 {
		value = r.unescaped(value)
	}
	s, known := r.texts[string(value)]
	if !known {
		s = string(value)
		r.texts[s] = s
	}
	return s
}

func (r *eventReader) unescaped(value []byte) []byte {
	text := make([]byte, 0, len(value))
	for {
		plain, escape, found := bytes.Cut(value, []byte{'\\'})
		text = append(text, plain...)
		if !found {
			return text
		}
		var c [1]byte
		if len(escape) < 3 || escape[0] != 'x' {
			r.bad = true
			return nil
		}
		if _, err := hex.Decode(c[:], escape[1:3]); err != nil || !isEscaped(rune(c[0])) {
			r.bad = true
			return nil
		}
		text = append(text, c[0])
		value = escape[3:]
	}
}

// list reads the tables, all that is left.
func (r *eventReader) list() []string {
	if string(r.rest) == "\t"+unknownTables {
		return nil
	}
	tables, known := r.tables[string(r.rest)]
	if !known {
		all := string(r.rest)
		tables = []string{}
		for len(r.rest) > 0 {
			tables = append(tables, r.string(r.value()))
		}
		if !r.bad {
			r.tables[all] = tables
		}
	}
	return tables[:len(tables):len(tables)] // so that who appends does so to a copy
}

func (r *eventReader) uuid(value []byte) uuid.UUID {
	id, err := uuid.ParseBytes(value)
	r.bad = r.bad || err != nil
	return id
}

func (r *eventReader) time() (t time.Time) {
	err := t.UnmarshalText(r.value())
	r.bad = r.bad || err != nil
	return t
}

func (r *eventReader) int64() int64 {
	n, err := strconv.ParseInt(string(r.value()), 10, 64)
	r.bad = r.bad || err != nil
	return n
}

func (r *eventReader) nullInt64() NullInt64 {
	if len(r.rest) > 1 && r.rest[1] == '\t' {
		r.rest = r.rest[1:]
		return NullInt64{}
	}
	return Int64(r.int64())
}
