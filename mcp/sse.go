package mcp

import "bytes"

// eventStream is where the bytes stand in an event stream (WHATWG HTML, section
// 9.2). Of its fields only data, event and id mean anything here.
type eventStream struct {
	line   lineState
	field  fieldName
	word   [len("message") + 1]byte // the field's name, then the event's type
	length int                      // of word, up to what is longer than any that counts
	data   bool                     // the event has a line of data
	other  bool                     // the event's type is not message
	cr     bool                     // the last byte was a CR; an LF would belong to it

	idBytes   bool // the id line that passes has a value
	idNUL     bool // with a NUL, which makes it count for nothing
	hasID     bool // what the last id line that counts gave is not empty
	resumable bool // an event with an id has passed
}

type lineState uint8

const (
	lineName  lineState = iota // before the colon
	lineColon                  // behind it, where one space does not count
	lineValue
)

type fieldName uint8

const (
	fieldOther fieldName = iota
	fieldData
	fieldEvent
	fieldID
)

// lineFeed stands between the lines of an event's data.
var lineFeed = []byte{'\n'}

// events takes in a piece of an event stream.
func (s *Scanner) events(p []byte, found func(*Reply)) {
	e := &s.sse
	lf := -1 // the next LF: looked for once, however many CRs stand before it
	for i := 0; i < len(p); {
		c := p[i]
		if e.cr {
			e.cr = false
			if c == '\n' {
				i++
				continue
			}
		}
		if e.line != lineValue {
			switch {
			case c == '\n' || c == '\r':
				s.endLine(c)
				i++
			case e.line == lineColon:
				e.line = lineValue
				if c == ' ' {
					i++
				}
			case c == ':':
				s.beginValue()
				i++
			default:
				e.add(p[i : i+1])
				i++
			}
			continue
		}
		if lf < i {
			if lf = bytes.IndexByte(p[i:], '\n'); lf < 0 {
				lf = len(p)
			} else {
				lf += i
			}
		}
		end := lf
		if cr := bytes.IndexByte(p[i:end], '\r'); cr >= 0 {
			end = i + cr
		}
		switch {
		case e.field == fieldData && !e.other:
			s.messages(p[i:end], found)
		case e.field == fieldEvent:
			e.add(p[i:end])
		case e.field == fieldID && i < end:
			e.idBytes = true
			e.idNUL = e.idNUL || bytes.IndexByte(p[i:end], 0) >= 0
		}
		if end < len(p) {
			s.endLine(p[end])
			end++
		}
		i = end
	}
}

// add appends to the word as much as can count.
func (e *eventStream) add(p []byte) {
	e.length += copy(e.word[e.length:], p)
}

// beginValue is called behind the field's name.
func (s *Scanner) beginValue() {
	e := &s.sse
	e.line, e.field = lineColon, fieldOther
	switch string(e.word[:e.length]) {
	case "data":
		e.field = fieldData
		if e.data && !e.other {
			s.messages(lineFeed, nil) // which completes no reply
		}
		e.data = true
	case "event":
		e.field = fieldEvent
	case "id":
		e.field, e.idBytes, e.idNUL = fieldID, false, false
	}
	e.length = 0
}

// endLine is called with the byte that ends a line: an empty one ends the event.
func (s *Scanner) endLine(c byte) {
	e := &s.sse
	switch {
	case e.line == lineName && e.length == 0:
		s.state, s.batch = scanFirst, false
		e.data, e.other = false, false
		e.resumable = e.resumable || e.hasID
		s.whole = true
	case e.line == lineName:
		s.beginValue() // there is no colon
		fallthrough
	default:
		switch {
		case e.field == fieldEvent:
			kind := string(e.word[:e.length])
			e.other = kind != "" && kind != "message"
		case e.field == fieldID && !e.idNUL:
			e.hasID = e.idBytes
		}
	}
	e.line, e.field, e.length = lineName, fieldOther, 0
	e.cr = c == '\r'
}
