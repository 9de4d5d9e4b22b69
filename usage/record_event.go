package usage

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/google/uuid"
)

// appendEvent appends e as the JSON that Event.UnmarshalJSON reads. It means
// the same as what json.Marshal writes, at a tenth of the cost: every call
// pays for it. It fails only where json.Marshal does, on a time that RFC 3339
// cannot express.
func appendEvent(b []byte, e *Event) ([]byte, error) {
	b = append(b, `{"event_id":"`...)
	b = appendUUID(b, e.ID)
	b = append(b, `","ts":"`...)
	b, err := e.Time.AppendText(b)
	if err != nil {
		return b, fmt.Errorf("event %s: %w", e.ID, err)
	}
	b = append(b, `","user_id":`...)
	b = appendString(b, e.UserID)
	b = append(b, `,"user_email":`...)
	b = appendString(b, e.UserEmail)
	b = append(b, `,"key_id":`...)
	b = appendString(b, e.KeyID)
	b = append(b, `,"key_name":`...)
	b = appendString(b, e.KeyName)
	b = append(b, `,"tool_name":`...)
	b = appendString(b, e.Tool)
	b = append(b, `,"table_name":`...)
	b = appendNullable(b, e.TableName())
	b = append(b, `,"tables":`...)
	b = appendStrings(b, e.Tables)
	b = append(b, `,"record_count":`...)
	b = appendNullInt64(b, e.RecordCount)
	b = append(b, `,"outcome":`...)
	b = appendString(b, string(e.Outcome))
	b = append(b, `,"http_status":`...)
	b = appendNullInt64(b, e.HTTPStatus)
	b = append(b, `,"rpc_code":`...)
	b = appendNullInt64(b, e.RPCCode)
	b = append(b, `,"duration_us":`...)
	b = strconv.AppendInt(b, e.DurationUS, 10)
	b = append(b, `,"request_bytes":`...)
	b = strconv.AppendInt(b, e.RequestBytes, 10)
	b = append(b, `,"response_bytes":`...)
	b = strconv.AppendInt(b, e.ResponseBytes, 10)
	b = append(b, `,"session_id":`...)
	b = appendNullable(b, e.SessionID)
	b = append(b, `,"request_id":`...)
	b = appendString(b, e.RequestID)
	b = append(b, `,"protocol_version":`...)
	b = appendNullable(b, e.ProtocolVersion)
	b = append(b, `,"client_name":`...)
	b = appendNullable(b, e.ClientName)
	b = append(b, `,"client_version":`...)
	b = appendNullable(b, e.ClientVersion)
	b = append(b, `,"remote_ip":`...)
	b = appendString(b, e.RemoteIP)
	return append(b, '}'), nil
}

// eventID is the ID of an event in JSON. It reads what appendEvent wrote; what
// somebody else wrote, it decodes.
func eventID(payload []byte) (uuid.UUID, bool) {
	const before = `{"event_id":"`
	if rest, ok := bytes.CutPrefix(payload, []byte(before)); ok && len(rest) > 36 && rest[36] == '"' {
		id, err := uuid.ParseBytes(rest[:36])
		return id, err == nil
	}
	var e Event
	err := readEvent(payload, &e)
	return e.ID, err == nil
}

func appendUUID(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(b, id[:4])
	for _, group := range [][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = hex.AppendEncode(append(b, '-'), group)
	}
	return b
}

// appendString appends s as a JSON string. A byte that is not UTF-8 becomes
// U+FFFD, as in encoding/json.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	if isPlain(s) {
		return append(append(b, s...), '"')
	}
	plain := 0 // s[plain:i] is still to be copied
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, s[plain:i]...)
				b = utf8.AppendRune(b, utf8.RuneError)
				plain = i + 1
			}
			i += n
			continue
		}
		b = append(b, s[plain:i]...)
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		} else {
			b = append(b, '\\', c)
		}
		i++
		plain = i
	}
	b = append(b, s[plain:]...)
	return append(b, '"')
}

// isPlain tells, of most strings that are, that nothing in s is escaped: eight
// bytes at a time, in which a character below a space, a quote or a backslash
// borrows into its high bit, which those beyond ASCII have.
func isPlain(s string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if (w|(w-' '*ones)|((w^'"'*ones)-ones)|((w^'\\'*ones)-ones))&highs != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendStrings(b []byte, ss []string) []byte {
	if ss == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range ss {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

func appendNullable(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendString(b, s)
}

func appendNullInt64(b []byte, n NullInt64) []byte {
	if !n.Valid {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, n.Int64, 10)
}
