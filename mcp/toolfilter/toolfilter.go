// Package toolfilter takes tools out of the tools/list results in a response
// while it passes, so that a client sees only the tools that it may call.
package toolfilter

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/tallygate/tallygate/internal/jsonskip"
	"github.com/tallygate/tallygate/internal/sse"
	"github.com/tallygate/tallygate/mcp"
)

// Filter takes the tools that may not be called out of the tools/list results
// in a response's body while it passes. Every other byte stays as it came, in
// its place, and is passed on at once. What is held back is the tool that is
// passing, until its end, and the separator before it.
//
// Every result with an array named tools is filtered, whatever request it
// answers, in a batch too, and under every spelling of the names that some
// decoder accepts. A tool stays if it is an object with a name that is allowed;
// if it has several names, all must be allowed. A body or an event that begins
// with neither an object nor an array holds no message and passes unchanged.
//
// The filter must read a list as every client does. So invalid JSON on the way
// to a tool or between tools is an error, and so is a tool longer than 4 MiB:
// nothing more of the body may be passed on then.
//
// A Filter is ready after Reset. It is for one body and one goroutine.
type Filter struct {
	allowed func(tool string) bool
	err     error
	out     []byte // what may be passed on

	state    state
	position position   // of the value that comes or passes
	open     []position // the objects and arrays around it
	skip     jsonskip.Skipper
	escape   bool // in a string: the next byte is escaped
	name     []byte
	unescape jsonskip.Unescaper
	fold     []byte

	// From the [ of a list on, bytes are held until it is decided whether they
	// are passed on.
	holding bool
	held    []byte
	framing [][2]int // the parts of held that belong to the event stream, not to its data
	comma   int      // index in held of the comma before the tool; -1 for none
	tool    int      // index in held of the tool's first byte
	kept    bool     // a tool of the list has been passed on

	isStream bool
	stream   sse.Reader
	hasData  bool // the event has a line of data
}

// position says what a value is by where it stands.
type position uint8

const (
	atTop position = iota // the body, or the data of an event
	inBatch
	atMessage
	atResult
	atTools
	atTool
	elsewhere
)

type state uint8

const (
	beforeValue     state = iota
	beforeFirst           // behind [
	beforeFirstName       // behind {
	beforeName            // behind the comma in an object
	inName                // in a member's name
	inLongName            // in a name longer than any that matters
	beforeColon           // behind a name
	inSkipped             // in an object or array that is not followed
	inString              // in a string
	inScalar              // in a number, true, false or null
	afterValue            // behind a value in an object or array
	inOther               // in text that holds no message
)

const (
	maxTool = 4 << 20 // bytes
	maxName = 64      // bytes; more than any spelling of result or tools
)

const byteOrderMark = "\xef\xbb\xbf"

// The errors of a Filter.
var (
	errNoToolList  = errors.New("a list of tools cannot be read: it is not valid JSON in UTF-8")
	errToolTooLong = fmt.Errorf("a list of tools cannot be read: a tool is longer than %d bytes", maxTool)
)

// Reset makes the filter ready for the first byte of a body: an event stream or
// JSON. allowed reports whether the tool of that name may be called.
func (f *Filter) Reset(isStream bool, allowed func(tool string) bool) {
	*f = Filter{
		isStream: isStream, allowed: allowed, comma: -1,
		open: f.open[:0], name: f.name[:0], fold: f.fold[:0], held: f.held[:0], framing: f.framing[:0],
	}
}

// Append takes the next bytes of the body and appends to dst what may be passed
// on. After an error it returns the same error again. If something is held at
// the end of a body, that body ended within a tool.
func (f *Filter) Append(dst, p []byte) ([]byte, error) {
	f.out = dst
	if f.err == nil {
		if f.isStream {
			f.readStream(p)
		} else {
			f.readJSON(p)
		}
	}
	dst, f.out = f.out, nil
	return dst, f.err
}

// emit passes bytes on, or holds them.
func (f *Filter) emit(p []byte) {
	if !f.holding {
		f.out = append(f.out, p...)
		return
	}
	if f.held = append(f.held, p...); len(f.held) > maxTool {
		f.err = errToolTooLong
	}
}

// readJSON takes the next bytes of a body or of an event's data: messages, one
// after the other.
func (f *Filter) readJSON(p []byte) {
	for len(p) > 0 && f.err == nil {
		n, ended := 1, false
		switch f.state {
		case inSkipped:
			n, ended = f.skip.Skip(p)
		case inString, inLongName:
			if n = jsonskip.QuoteEnd(p, &f.escape); n < len(p) {
				n, ended = n+1, true
			}
		case inName:
			n, ended = f.readName(p)
		case inScalar:
			for n = 0; n < len(p) && !endsScalar(p[n]); {
				n++
			}
			ended = n < len(p)
		case inOther:
			n = len(p)
		default:
			if !isSpace(p[0]) {
				f.token(p[0])
				p = p[1:]
				continue
			}
		}
		f.emit(p[:n])
		p = p[n:]
		switch {
		case !ended:
		case f.state == inName || f.state == inLongName:
			f.state = beforeColon
		default:
			f.endValue()
		}
	}
}

// endsScalar reports whether c ends a number or literal. It accepts more than
// JSON does inside them, since some decoders do.
func endsScalar(c byte) bool {
	return isSpace(c) || c == ',' || c == ':' || c == '"' || c == '[' || c == ']' || c == '{' || c == '}'
}

// token takes the first byte of a token.
func (f *Filter) token(c byte) {
	one := [1]byte{c}
	switch {
	case f.state == beforeValue, f.state == beforeFirst && c != ']':
		f.value(one[:])
	case f.state == beforeColon && c == ':':
		f.emit(one[:])
		f.state = beforeValue
	case (f.state == beforeName || f.state == beforeFirstName) && c == '"':
		f.emit(one[:])
		f.state, f.name, f.unescape = inName, f.name[:0], jsonskip.Unescaper{}
	case f.state == beforeFirst, f.state == beforeFirstName && c == '}':
		f.close(one[:])
	case f.state == afterValue && c == ',':
		f.comma = len(f.held)
		f.emit(one[:])
		if f.state = beforeName; f.inArray() {
			f.beginElement()
		}
	case f.state == afterValue && (c == ']' && f.inArray() || c == '}' && !f.inArray()):
		f.close(one[:])
	default:
		f.err = errNoToolList
	}
}

// inArray reports whether the innermost open value is an array.
func (f *Filter) inArray() bool {
	in := f.open[len(f.open)-1]
	return in == inBatch || in == atTools
}

// beginElement is called where an element of an array may begin.
func (f *Filter) beginElement() {
	f.state, f.position = beforeValue, atMessage
	if f.open[len(f.open)-1] == atTools {
		f.position = atTool
	}
}

// value takes the first byte of a value.
func (f *Filter) value(c []byte) {
	if f.position == atTop && !f.begins(c) {
		return
	}
	if f.position == atTool {
		f.tool = len(f.held)
	}
	f.emit(c)
	switch {
	case c[0] == '{' && (f.position == atMessage || f.position == atResult):
		f.open = append(f.open, f.position)
		f.state = beforeFirstName
	case c[0] == '[' && (f.position == inBatch || f.position == atTools):
		f.open = append(f.open, f.position)
		f.holding, f.kept, f.comma = f.position == atTools, false, -1
		f.beginElement()
		f.state = beforeFirst
	case c[0] == '{' || c[0] == '[':
		f.state = inSkipped
		f.skip.Begin(false)
	case c[0] == '"':
		f.state, f.escape = inString, false
	case endsScalar(c[0]):
		f.err = errNoToolList
	default:
		f.state = inScalar
	}
}

// begins takes the first byte of a body or of an event's data. It reports
// whether a message or a batch begins with it.
func (f *Filter) begins(c []byte) bool {
	switch c[0] {
	case '{':
		f.position = atMessage
		return true
	case '[':
		f.position = inBatch
		return true
	case byteOrderMark[0], byteOrderMark[1], byteOrderMark[2]:
		f.emit(c)
	case 0, 0xfe, 0xff:
		f.err = errNoToolList // UTF-16 and UTF-32, which some clients detect
	default:
		f.emit(c)
		f.state = inOther
	}
	return false
}

// readName reads a chunk of a member's name and, at its end, finds the position
// of the member.
func (f *Filter) readName(p []byte) (n int, closed bool) {
	var ok bool
	f.name, n, closed, ok = f.unescape.Read(f.name, p, maxName)
	switch {
	case !ok:
		f.err = errNoToolList
	case !closed && len(f.name) < maxName:
		return n, false
	case !closed:
		f.state, f.escape = inLongName, f.unescape.BehindBackslash()
	}
	f.position = elsewhere
	f.fold = mcp.AppendFolded(f.fold[:0], f.name)
	switch in := f.open[len(f.open)-1]; {
	case in == atMessage && string(f.fold) == "result":
		f.position = atResult
	case in == atResult && string(f.fold) == "tools":
		f.position = atTools
	}
	return n, closed
}

// close leaves the object or array that is open.
func (f *Filter) close(c []byte) {
	if f.holding {
		f.out = append(f.out, f.held...)
		f.dropHeld()
		f.holding = false
	}
	f.emit(c)
	f.open = f.open[:len(f.open)-1]
	f.position = elsewhere // a list is no tool
	f.endValue()
}

// endValue is called behind a value.
func (f *Filter) endValue() {
	f.state = afterValue
	switch {
	case len(f.open) == 0:
		f.state, f.position = beforeValue, atTop
	case f.position == atTool:
		f.endTool()
	}
}

// endTool decides whether the tool that is held is passed on.
func (f *Filter) endTool() {
	keep, ok := f.keeps(f.toolText())
	switch {
	case !ok:
		f.err = errNoToolList
		return
	case !keep:
		f.emitFraming()
	case f.comma >= 0 && !f.kept:
		f.out = append(append(f.out, f.held[:f.comma]...), f.held[f.comma+1:]...)
	default:
		f.out = append(f.out, f.held...)
	}
	f.kept = f.kept || keep
	f.dropHeld()
}

func (f *Filter) dropHeld() {
	f.held, f.framing, f.comma = f.held[:0], f.framing[:0], -1
}

// toolText returns the tool that is held, with a line feed between the lines of
// an event's data.
func (f *Filter) toolText() []byte {
	if len(f.framing) == 0 {
		return f.held[f.tool:]
	}
	var text []byte
	at := f.tool
	for _, frame := range f.framing {
		if frame[0] >= at {
			text = append(append(text, f.held[at:frame[0]]...), '\n')
			at = frame[1]
		}
	}
	return append(text, f.held[at:]...)
}

// keeps reports whether a tool may be passed on. ok is false if it is not valid
// JSON.
func (f *Filter) keeps(tool []byte) (keep, ok bool) {
	if !json.Valid(tool) {
		return false, false
	}
	if tool[0] != '{' {
		return false, true
	}
	named, all := false, true
	gjson.ParseBytes(tool).ForEach(func(member, value gjson.Result) bool {
		name, whole := mcp.DecodeString([]byte(member.Raw))
		if f.fold = mcp.AppendFolded(f.fold[:0], name); string(f.fold) != "name" {
			return true
		}
		text, isText := mcp.DecodeString([]byte(value.Raw))
		named = named || whole && string(name) == "name"
		all = isText && utf8.Valid(text) && f.allowed(string(text))
		return all
	})
	return named && all, true
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}
