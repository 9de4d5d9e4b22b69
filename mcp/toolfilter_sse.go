package mcp

import "bytes"

// toolStream is where the bytes stand in an event stream, for a ToolFilter. It
// filters the data of every event, whatever its type: clients differ in which
// they read.
type toolStream struct {
	line   lineState
	field  [len("data") + 1]byte // the field's name
	length int                   // of field, up to what is longer than any that counts
	isData bool
	data   bool // the event has a line of data
	cr     bool // the last byte was a CR; an LF would belong to it
	bom    int  // bytes of a byte-order mark that have come; len(byteOrderMark) behind it
}

// events takes in a piece of an event stream. Each line goes on as it comes,
// except for data.
func (f *ToolFilter) events(p []byte) {
	e := &f.sse
	for len(p) > 0 && f.err == nil {
		n := 1
		switch c := p[0]; {
		case e.bom < len(byteOrderMark):
			if c != byteOrderMark[e.bom] {
				e.length += copy(e.field[e.length:], byteOrderMark[:e.bom]) // no mark, but a field's name
				e.bom = len(byteOrderMark)
				continue
			}
			e.bom++
			f.frame(p[:n])
		case e.cr && c == '\n':
			e.cr = false
			f.frame(p[:n])
		case e.line != lineValue && (c == '\n' || c == '\r'):
			f.endLine(c)
		case e.line == lineName:
			if c == ':' {
				f.beginValue()
				e.line = lineColon
			} else {
				e.length += copy(e.field[e.length:], p[:n])
			}
			e.cr = false
			f.frame(p[:n])
		case e.line == lineColon:
			if e.line = lineValue; c != ' ' {
				continue
			}
			f.frame(p[:n])
		default:
			if n = bytes.IndexAny(p, "\r\n"); n < 0 {
				n = len(p)
			}
			if e.isData {
				f.document(p[:n])
			} else {
				f.frame(p[:n])
			}
			if n < len(p) && f.err == nil {
				f.endLine(p[n])
				n++
			}
		}
		p = p[n:]
	}
}

// frame lets what is no data go on, or holds it until the data before it does.
func (f *ToolFilter) frame(p []byte) {
	at := len(f.held)
	f.emit(p)
	switch last := len(f.frames) - 1; {
	case !f.holding:
	case last >= 0 && f.frames[last][1] == at:
		f.frames[last][1] = len(f.held)
	default:
		f.frames = append(f.frames, [2]int{at, len(f.held)})
	}
}

// emitFrames lets go on what is held and is no data: without it, the lines
// around would run into each other.
func (f *ToolFilter) emitFrames() {
	for _, frame := range f.frames {
		f.out = append(f.out, f.held[frame[0]:frame[1]]...)
	}
}

// beginValue is called behind the field's name.
func (f *ToolFilter) beginValue() {
	e := &f.sse
	e.isData = string(e.field[:e.length]) == "data"
	if e.isData && e.data && f.state == toolScalar {
		f.endValue() // by the line feed between lines of data
	}
	e.data = e.data || e.isData
}

// endLine takes in the byte that ends a line: an empty one ends the event.
func (f *ToolFilter) endLine(c byte) {
	e := &f.sse
	f.frame([]byte{c})
	e.cr = c == '\r'
	switch {
	case e.line != lineName:
	case e.length > 0:
		f.beginValue() // there is no colon
	default:
		e.data = false
		f.endEvent()
	}
	e.line, e.length, e.isData = lineName, 0, false
}

// endEvent gets ready for another event. What is held is a part of a tool then:
// it is dropped, and the message has no end.
func (f *ToolFilter) endEvent() {
	if f.holding {
		f.emitFrames()
		f.unhold()
		f.holding = false
	}
	f.state, f.place, f.open = toolValue, placeTop, f.open[:0]
}
