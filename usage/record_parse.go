package usage

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// readEvent reads an event out of a record. What appendEvent wrote, as nearly
// all is, costs a tenth of what encoding/json takes, which would otherwise set
// the pace of the shipper; anything else is left to encoding/json.
func readEvent(payload []byte, e *Event) error {
	text := string(payload) // one allocation, of which the fields are parts
	p := eventParser{rest: text}
	*e = p.event()
	if p.bad || p.rest != "" || !utf8.ValidString(text) {
		return e.UnmarshalJSON(payload)
	}
	return nil
}

// eventParser reads what appendEvent writes, and turns bad at anything else.
type eventParser struct {
	rest string
	bad  bool
}

func (p *eventParser) event() (e Event) {
	e.ID = p.uuid(`{"event_id":`)
	e.Time = p.time(`,"ts":`)
	e.UserID = p.text(`,"user_id":`)
	e.UserEmail = p.text(`,"user_email":`)
	e.KeyID = p.text(`,"key_id":`)
	e.KeyName = p.text(`,"key_name":`)
	e.Tool = p.text(`,"tool_name":`)
	p.nullable(`,"table_name":`) // the first of tables
	e.Tables = p.texts(`,"tables":`)
	e.RecordCount = p.nullInt64(`,"record_count":`)
	e.Outcome = Outcome(p.text(`,"outcome":`))
	e.HTTPStatus = p.nullInt64(`,"http_status":`)
	e.RPCCode = p.nullInt64(`,"rpc_code":`)
	e.DurationUS = p.int64(`,"duration_us":`)
	e.RequestBytes = p.int64(`,"request_bytes":`)
	e.ResponseBytes = p.int64(`,"response_bytes":`)
	e.SessionID = p.nullable(`,"session_id":`)
	e.RequestID = p.text(`,"request_id":`)
	e.ProtocolVersion = p.nullable(`,"protocol_version":`)
	e.ClientName = p.nullable(`,"client_name":`)
	e.ClientVersion = p.nullable(`,"client_version":`)
	e.RemoteIP = p.text(`,"remote_ip":`)
	p.skip("}")
	return e
}

// took tells whether the rest begins with s, and moves beyond it.
func (p *eventParser) took(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	p.rest = rest
	return ok
}

// skip moves beyond s, which has to be there.
func (p *eventParser) skip(s string) {
	if !p.took(s) {
		p.fail()
	}
}

func (p *eventParser) fail() {
	p.bad, p.rest = true, ""
}

func (p *eventParser) text(name string) string {
	p.skip(name + `"`)
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			return s
		case c == '\\':
			return p.escaped(i)
		case c < ' ':
			p.fail()
		}
	}
	p.fail()
	return ""
}

// escaped reads a string whose first backslash is at i.
func (p *eventParser) escaped(i int) string {
	b := []byte(p.rest[:i])
	for p.rest = p.rest[i:]; p.rest != ""; {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case c == '"':
			return string(b)
		case c < ' ':
			p.fail()
		case c != '\\':
			b = append(b, c)
		case p.took(`"`):
			b = append(b, '"')
		case p.took(`\`):
			b = append(b, '\\')
		case p.took("u00") && len(p.rest) >= 2:
			// A control character; anything above stands for itself.
			var v [1]byte
			if _, err := hex.Decode(v[:], []byte(p.rest[:2])); err != nil || v[0] >= ' ' {
				p.fail()
				break
			}
			b = append(b, v[0])
			p.rest = p.rest[2:]
		default:
			p.fail()
		}
	}
	p.fail()
	return ""
}

func (p *eventParser) nullable(name string) string {
	if p.took(name + "null") {
		return ""
	}
	return p.text(name)
}

func (p *eventParser) texts(name string) []string {
	if p.took(name + "null") {
		return nil
	}
	p.skip(name + "[")
	texts := []string{}
	if p.took("]") {
		return texts
	}
	for separator := ""; !p.bad; separator = "," {
		texts = append(texts, p.text(separator))
		if p.took("]") {
			break
		}
	}
	return texts
}

func (p *eventParser) uuid(name string) uuid.UUID {
	id, err := uuid.Parse(p.text(name))
	if err != nil {
		p.fail()
	}
	return id
}

func (p *eventParser) time(name string) (t time.Time) {
	if t.UnmarshalText([]byte(p.text(name))) != nil {
		p.fail()
	}
	return t
}

func (p *eventParser) int64(name string) int64 {
	p.skip(name)
	end := 0
	for end < len(p.rest) && p.rest[end] != ',' && p.rest[end] != '}' {
		end++
	}
	digits := p.rest[:end]
	n, err := strconv.ParseInt(digits, 10, 64)
	var plain [20]byte
	if err != nil || string(strconv.AppendInt(plain[:0], n, 10)) != digits { // +1 and 01 are no JSON
		p.fail()
		return 0
	}
	p.rest = p.rest[end:]
	return n
}

func (p *eventParser) nullInt64(name string) NullInt64 {
	if p.took(name + "null") {
		return NullInt64{}
	}
	return Int64(p.int64(name))
}
