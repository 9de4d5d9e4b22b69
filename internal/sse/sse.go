// Package sse takes event streams apart (server-sent events; WHATWG HTML,
// section 9.2.6, "Interpreting an event stream") while they pass, in chunks of
// any size. It keeps nothing of them but the name of a field.
package sse

import "bytes"

// Part is what a piece of an event stream is.
type Part uint8

// The parts. Their bytes put together are the stream.
const (
	// Framing is anything but the parts below: a byte-order mark at the begin of
	// the stream, names of fields with their colon and space, comments, and the LF
	// of a CRLF.
	Framing Part = iota
	// ValueStart is the byte that ends the name of a field: its colon, or the end
	// of the line where there is none. Field says which field it is.
	ValueStart
	// Value is a piece of the value of Field. A value comes in any number of
	// pieces, also none.
	Value
	// LineEnd is the CR or LF that ends a line with a field.
	LineEnd
	// EventEnd is the CR or LF of an empty line, which ends an event.
	EventEnd
)

// Field is the name of a field, as far as it means anything here.
type Field uint8

// The fields. Other also stands for comments, which have an empty name.
const (
	Other Field = iota
	Data
	Event
	ID
)

const byteOrderMark = "\xef\xbb\xbf"

// Reader takes an event stream apart. The zero value is ready for the first
// byte of a stream.
type Reader struct {
	state  state
	field  Field
	name   [len("event") + 1]byte
	length int // of name; a longer name is cut, and so is none that is known
	cr     bool
	bom    int // bytes of the byte-order mark seen; its length once that is settled
	plain  int // bytes from the next one on that are known to have no LF
}

type state uint8

const (
	inName     state = iota
	nameEnded        // at a line end that ends a name without a colon
	afterColon       // where one space is not part of the value
	inValue
)

// Field returns the field of the line that passes, from its ValueStart to its
// LineEnd.
func (r *Reader) Field() Field { return r.field }

// Next returns the part that p begins with, and its length, which is at least 1
// unless p is empty or the part is a ValueStart without a colon: that has length
// 0. Calls with what is left of p, and then with the next chunk, give the parts
// of the stream in their order.
func (r *Reader) Next(p []byte) (Part, int) {
	if len(p) == 0 {
		return Framing, 0
	}
	part, n := r.next(p)
	r.plain = max(r.plain-n, 0)
	return part, n
}

func (r *Reader) next(p []byte) (Part, int) {
	c := p[0]
	if r.bom < len(byteOrderMark) {
		if c == byteOrderMark[r.bom] {
			r.bom++
			return Framing, 1
		}
		r.addName(byteOrderMark[:r.bom]) // it was no mark, but the begin of a name
		r.bom = len(byteOrderMark)
	}
	if r.cr {
		r.cr = false
		if c == '\n' {
			return Framing, 1
		}
	}
	lineEnd := c == '\n' || c == '\r'
	switch r.state {
	case inName:
		switch {
		case lineEnd && r.length == 0:
			r.cr = c == '\r'
			return EventEnd, 1
		case lineEnd:
			r.endName()
			r.state = nameEnded
			return ValueStart, 0
		case c == ':':
			r.endName()
			r.state = afterColon
			return ValueStart, 1
		}
		r.addName(string(p[:1]))
		return Framing, 1
	case afterColon:
		r.state = inValue
		if c == ' ' {
			return Framing, 1
		}
	}
	if lineEnd {
		r.state, r.cr = inName, c == '\r'
		return LineEnd, 1
	}
	return Value, r.valueLength(p)
}

// valueLength returns how far p goes without the end of the line. It looks for
// the next LF once, however many CRs stand before it.
func (r *Reader) valueLength(p []byte) int {
	if r.plain == 0 {
		if r.plain = bytes.IndexByte(p, '\n'); r.plain < 0 {
			r.plain = len(p)
		}
	}
	if cr := bytes.IndexByte(p[:r.plain], '\r'); cr >= 0 {
		return cr
	}
	return r.plain
}

func (r *Reader) addName(s string) {
	r.length += copy(r.name[r.length:], s)
}

func (r *Reader) endName() {
	switch string(r.name[:r.length]) {
	case "data":
		r.field = Data
	case "event":
		r.field = Event
	case "id":
		r.field = ID
	default:
		r.field = Other
	}
	r.length = 0
}
