package journal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// appendEvent appends e in the form that readEvent reads. It fails only where
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

// eventID returns the ID of the event in a record's payload.
func eventID(payload []byte) (uuid.UUID, bool) {
	value, _, more := bytes.Cut(payload, []byte{'\t'})
	id, err := uuid.ParseBytes(value)
	return id, err == nil && more
}

// readEvent reads the event of a payload into e. Its texts share memory. After an
// error, e is undefined.
func readEvent(payload []byte, e *usage.Event) error {
	if !utf8.Valid(payload) {
		return errNotAnEvent
	}
	*e = usage.Event{}
	value, rest, more := "", string(payload), true
	for i := range usage.StoredColumns {
		if !more {
			if i < fewestColumns {
				return errNotAnEvent
			}
			return nil
		}
		value, rest, more = strings.Cut(rest, "\t")
		if err := readValue(i, value, usage.StoredColumns[i].Field(e)); err != nil {
			return errNotAnEvent
		}
	}
	if more {
		return errNotAnEvent
	}
	return nil
}

// readValue reads a value of a column into its field.
func readValue(column int, value string, field any) (err error) {
	switch v := field.(type) {
	case *string:
		*v, err = unescape(value)
	case *int64:
		*v, err = strconv.ParseInt(value, 10, 64)
	case *usage.NullInt64:
		if value != "" {
			v.Valid = true
			v.Int64, err = strconv.ParseInt(value, 10, 64)
		}
	case *[]string:
		*v, err = readList(value)
	case *uuid.UUID:
		*v, err = uuid.Parse(value)
	case *time.Time:
		err = v.UnmarshalText([]byte(value))
	default:
		panic(unsupported(column, field))
	}
	return err
}

func unescape(value string) (string, error) {
	var text strings.Builder
	for {
		plain, escape, found := strings.Cut(value, `\`)
		if !found && text.Len() == 0 {
			return value, nil
		}
		text.WriteString(plain)
		if !found {
			return text.String(), nil
		}
		if len(escape) < 3 || escape[0] != 'x' {
			return "", errNotAnEvent
		}
		c, err := hex.DecodeString(escape[1:3])
		if err != nil || c[0] != ',' && !needsEscape(rune(c[0])) {
			return "", errNotAnEvent
		}
		text.Write(c)
		value = escape[3:]
	}
}

func readList(value string) ([]string, error) {
	if value == unknownList {
		return nil, nil
	}
	list := []string{}
	for value != "" {
		element, rest, found := strings.Cut(value, ",")
		text, err := unescape(element)
		if !found || err != nil {
			return nil, errNotAnEvent
		}
		list = append(list, text)
		value = rest
	}
	return list, nil
}
