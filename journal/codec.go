package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// A record's payload is one event as a line of text: its values in the order of
// usage.StoredColumns, separated by tabs.
//
//   - A value that is unknown is empty.
//   - In text, a control character, a backslash and a byte that is not UTF-8 are
//     escaped: the first two as \x and two hex digits, the last as U+FFFD, as
//     encoding/json does it.
//   - A list has a comma after each element; a comma in an element is \x2c. An
//     unknown list is \N, which is not the same as an empty one.
//
// A record may end early: it was written before its last columns were added.

const (
	// unknownList stands for a nil list.
	unknownList = `\N`

	// fewestColumns is how many columns the first release had. No record has
	// fewer values.
	fewestColumns = 22
)

var errNotAnEvent = errors.New("the record is intact, but it holds no event")

// appendEvent appends e in the form that eventReader reads. It fails only where
// json.Marshal does: on a time that RFC 3339 cannot express.
func appendEvent(b []byte, e *usage.Event) ([]byte, error) {
	for i := range usage.StoredColumns {
		if i > 0 {
			b = append(b, '\t')
		}
		switch v := usage.StoredColumns[i].Field(e).(type) {
		case *string:
			b = appendText(b, *v)
		case *int64:
			b = strconv.AppendInt(b, *v, 10)
		case *usage.NullInt64:
			if v.Valid {
				b = strconv.AppendInt(b, v.Int64, 10)
			}
		case *[]string:
			b = appendList(b, *v)
		case *uuid.UUID:
			b = appendUUID(b, *v)
		case *time.Time:
			var err error
			if b, err = v.AppendText(b); err != nil {
				return b, fmt.Errorf("event %s: %w", e.ID, err)
			}
		default:
			panic(unsupported(i, v))
		}
	}
	return b, nil
}

func unsupported(column int, field any) string {
	return fmt.Sprintf("column %s: the journal cannot hold a %T", usage.StoredColumns[column].Name, field)
}

func appendUUID(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(b, id[:4])
	for _, group := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = hex.AppendEncode(append(b, '-'), group)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	if isPlain(s) {
		return append(b, s...)
	}
	for _, r := range s { // U+FFFD for each byte that is not UTF-8
		if needsEscape(r) {
			b = appendEscape(b, byte(r))
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

func appendEscape(b []byte, c byte) []byte {
	return hex.AppendEncode(append(b, `\x`...), []byte{c})
}

func appendList(b []byte, list []string) []byte {
	if list == nil {
		return append(b, unknownList...)
	}
	for _, s := range list {
		start := len(b)
		b = appendText(b, s)
		if bytes.IndexByte(b[start:], ',') >= 0 {
			escaped := bytes.ReplaceAll(b[start:], []byte{','}, appendEscape(nil, ','))
			b = append(b[:start], escaped...)
		}
		b = append(b, ',')
	}
	return b
}

func needsEscape(r rune) bool { return r < ' ' || r == '\\' }

// isPlain reports whether s is ASCII without characters that need an escape.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || needsEscape(rune(c)) {
			return false
		}
	}
	return true
}

// readEvent reads one event from a record's payload.
func readEvent(payload []byte, e *usage.Event) error {
	return newEventReader().read(payload, e)
}

// eventID returns the ID of the event in a record's payload.
func eventID(payload []byte) (uuid.UUID, bool) {
	value, _, more := bytes.Cut(payload, []byte{'\t'})
	id, err := uuid.ParseBytes(value)
	return id, err == nil && more
}

// eventReader reads events from records. Texts and lists that occur in several
// records (the user, the tool, the tables) share memory.
type eventReader struct {
	last  []string            // the text read last in each column
	texts map[string]string   // by their spelling in a record
	lists map[string][]string // by their spelling in a record
}

func newEventReader() *eventReader {
	return &eventReader{
		last:  make([]string, len(usage.StoredColumns)),
		texts: make(map[string]string),
		lists: make(map[string][]string),
	}
}

// read reads the event of a payload into e. After an error, e is undefined.
func (r *eventReader) read(payload []byte, e *usage.Event) error {
	if !utf8.Valid(payload) {
		return errNotAnEvent
	}
	*e = usage.Event{}
	value, more := []byte(nil), true
	for i := range usage.StoredColumns {
		if !more {
			if i < fewestColumns {
				return errNotAnEvent
			}
			return nil
		}
		value, payload, more = bytes.Cut(payload, []byte{'\t'})
		if err := r.readValue(i, value, usage.StoredColumns[i].Field(e)); err != nil {
			return errNotAnEvent
		}
	}
	if more {
		return errNotAnEvent
	}
	return nil
}

// readValue reads a value of a column into its field.
func (r *eventReader) readValue(column int, value []byte, field any) (err error) {
	switch v := field.(type) {
	case *string:
		*v, err = r.text(column, value)
	case *int64:
		*v, err = strconv.ParseInt(string(value), 10, 64)
	case *usage.NullInt64:
		if len(value) > 0 {
			v.Valid = true
			v.Int64, err = strconv.ParseInt(string(value), 10, 64)
		}
	case *[]string:
		*v, err = r.list(value)
	case *uuid.UUID:
		*v, err = uuid.ParseBytes(value)
	case *time.Time:
		err = v.UnmarshalText(value)
	default:
		panic(unsupported(column, field))
	}
	return err
}

// text returns the text that a value spells. Most often it is that of the record
// before.
func (r *eventReader) text(column int, value []byte) (string, error) {
	if string(value) == r.last[column] {
		return r.last[column], nil
	}
	s, known := r.texts[string(value)]
	if !known {
		text, err := unescape(value)
		if err != nil {
			return "", err
		}
		s = string(text)
		r.texts[string(value)] = s
	}
	if len(s) == len(value) { // it has no escapes, so s is the spelling too
		r.last[column] = s
	}
	return s, nil
}

func unescape(value []byte) ([]byte, error) {
	if bytes.IndexByte(value, '\\') < 0 {
		return value, nil
	}
	text := make([]byte, 0, len(value))
	for {
		plain, escape, found := bytes.Cut(value, []byte{'\\'})
		text = append(text, plain...)
		if !found {
			return text, nil
		}
		if len(escape) < 3 || escape[0] != 'x' {
			return nil, errNotAnEvent
		}
		var c [1]byte
		if _, err := hex.Decode(c[:], escape[1:3]); err != nil || c[0] != ',' && !needsEscape(rune(c[0])) {
			return nil, errNotAnEvent
		}
		text = append(text, c[0])
		value = escape[3:]
	}
}

// list returns the list that a value spells. Appending to it does not change the
// list of another event.
func (r *eventReader) list(value []byte) ([]string, error) {
	if string(value) == unknownList {
		return nil, nil
	}
	list, known := r.lists[string(value)]
	if !known {
		list = []string{}
		for rest := value; len(rest) > 0; {
			element, after, found := bytes.Cut(rest, []byte{','})
			text, err := unescape(element)
			if !found || err != nil {
				return nil, errNotAnEvent
			}
			list = append(list, string(text))
			rest = after
		}
		r.lists[string(value)] = list
	}
	return list[:len(list):len(list)], nil
}
