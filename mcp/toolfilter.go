package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// ToolFilter takes the tools that may not be called out of the tools/list
// results in a response's body while it passes. Every other byte stays as it
// came, in its place, and goes on at once: what is held back is the tool that
// is passing, until its end, and what separates it from the one before.
//
// Every result counts that has an array by the name of tools, whatever it
// answers and whatever ID it has, in a batch too, and by every spelling of the
// names that some decoder takes for theirs. A tool stays when it is an object
// with a name that is allowed; where it has several names, when all are. A body
// or an event that begins with neither an object nor an array holds no message
// and passes as it is.
//
// It has to read a list as every client does. So what is no JSON on the way to
// a tool, or between tools, is an error, and so is a tool longer than 4 MiB:
// nothing more of the body may go on then.
//
// A ToolFilter is ready after Reset. It is for one body and one goroutine.
type ToolFilter struct {
	format  Format
	allowed func(tool string) bool
	err     error
	out     []byte // what may go on

	state   toolState
	place   toolPlace   // of the value that comes or passes
	open    []toolPlace // the objects and arrays around it
	skip    skipper
	escape  bool // in a string: the next byte is escaped
	name    []byte
	unescap unescaper
	fold    []byte

	// Behind the [ of a list, what comes is held until it is decided.
	holding bool
	held    []byte
	frames  [][2]int // the parts of held that are no data but the event stream's
	comma   int      // where held has the comma before the tool; -1 for none
	tool    int      // where the tool begins in held
	kept    bool     // a tool of the list has gone on

	sse toolStream
}

// toolPlace is what a value is, by where it stands.
type toolPlace uint8

const (
	placeTop toolPlace = iota // the body, or an event's data
	placeBatch
	placeMessage
	placeResult
	placeTools
	placeTool
	placeElsewhere
)

type toolState uint8

const (
	toolValue     toolState = iota // a value is to come
	toolFirst                      // behind [
	toolFirstName                  // behind {
	toolName                       // behind the comma in an object
	toolInName                     // in a name
	toolSkipName                   // in a name that is longer than any that counts
	toolColon                      // behind a name
	toolSkip                       // in an object or array that is not followed
	toolString                     // in a string
	toolScalar                     // in a number, true, false or null
	toolNext                       // behind a value in an object or array
	toolText                       // in what holds no message
)

const (
	maxHeldTool = 4 << 20
	maxToolName = 64 // more than any spelling of result or tools
)

// Errors of a ToolFilter.
var (
	errNoToolList  = errors.New("a list of tools cannot be read: it is not valid JSON in UTF-8")
	errToolTooLong = fmt.Errorf("a list of tools cannot be read: a tool is longer than %d bytes", maxHeldTool)
)

// Reset makes the filter ready for the first byte of a body. allowed tells
// whether a tool, by its name, may be called.
func (f *ToolFilter) Reset(format Format, allowed func(tool string) bool) {
	*f = ToolFilter{
		format: format, allowed: allowed, comma: -1,
		open: f.open[:0], name: f.name[:0], fold: f.fold[:0], held: f.held[:0], frames: f.frames[:0],
	}
}

// Filter takes in the next bytes of the body and appends to dst what may go on.
// After an error it returns the same error again. What is held at the end of a
// body is a part of a tool, and of a message that has no end.
func (f *ToolFilter) Filter(dst, p []byte) ([]byte, error) {
	f.out = dst
	if f.err == nil {
		if f.format == SSE {
			f.events(p)
		} else {
			f.document(p)
		}
	}
	dst, f.out = f.out, nil
	return dst, f.err
}

// emit lets data go on, or holds it.
func (f *ToolFilter) emit(p []byte) {
	if !f.holding {
		f.out = append(f.out, p...)
		return
	}
	if f.held = append(f.held, p...); len(f.held) > maxHeldTool {
		f.err = errToolTooLong
	}
}

// document takes in a piece of a body or of an event's data: messages, one
// after the other.
func (f *ToolFilter) document(p []byte) {
	for len(p) > 0 && f.err == nil {
		n, ended := 1, false
		switch f.state {
		case toolSkip:
			n, ended = f.skip.skip(p)
		case toolString, toolSkipName:
			if n = quoteOrEnd(p, &f.escape); n < len(p) {
				n, ended = n+1, true
			}
		case toolInName:
			n, ended = f.readName(p)
		case toolScalar:
			for n = 0; n < len(p) && !endsScalar(p[n]); {
				n++
			}
			ended = n < len(p)
		case toolText:
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
		case f.state == toolInName || f.state == toolSkipName:
			f.state = toolColon
		default:
			f.endValue()
		}
	}
}

// endsScalar is generous, for what is no number in JSON but in some decoder.
func endsScalar(c byte) bool {
	return isSpace(c) || c == ',' || c == ':' || c == '"' || c == '[' || c == ']' || c == '{' || c == '}'
}

// token takes in a byte that is no white space where a token begins.
func (f *ToolFilter) token(c byte) {
	one := [1]byte{c}
	switch {
	case f.state == toolValue, f.state == toolFirst && c != ']':
		f.value(one[:])
	case f.state == toolColon && c == ':':
		f.emit(one[:])
		f.state = toolValue
	case (f.state == toolName || f.state == toolFirstName) && c == '"':
		f.emit(one[:])
		f.state, f.name, f.unescap = toolInName, f.name[:0], unescaper{}
	case f.state == toolFirst, f.state == toolFirstName && c == '}':
		f.close(one[:])
	case f.state == toolNext && c == ',':
		f.comma = len(f.held)
		f.emit(one[:])
		if f.state = toolName; f.inArray() {
			f.beginElement()
		}
	case f.state == toolNext && (c == ']' && f.inArray() || c == '}' && !f.inArray()):
		f.close(one[:])
	default:
		f.err = errNoToolList
	}
}

// inArray tells whether what is open is an array, and not an object.
func (f *ToolFilter) inArray() bool {
	in := f.open[len(f.open)-1]
	return in == placeBatch || in == placeTools
}

// beginElement is called where an array's element may begin.
func (f *ToolFilter) beginElement() {
	f.state, f.place = toolValue, placeMessage
	if f.open[len(f.open)-1] == placeTools {
		f.place = placeTool
	}
}

// value takes in the first byte of a value.
func (f *ToolFilter) value(c []byte) {
	if f.place == placeTop && !f.begins(c) {
		return
	}
	if f.place == placeTool {
		f.tool = len(f.held)
	}
	f.emit(c)
	switch {
	case c[0] == '{' && (f.place == placeMessage || f.place == placeResult):
		f.open = append(f.open, f.place)
		f.state = toolFirstName
	case c[0] == '[' && (f.place == placeBatch || f.place == placeTools):
		f.open = append(f.open, f.place)
		f.holding, f.kept, f.comma = f.place == placeTools, false, -1
		f.beginElement()
		f.state = toolFirst
	case c[0] == '{' || c[0] == '[':
		f.state = toolSkip
		f.skip.begin(false)
	case c[0] == '"':
		f.state, f.escape = toolString, false
	case endsScalar(c[0]):
		f.err = errNoToolList
	default:
		f.state = toolScalar
	}
}

// begins takes in the first byte of a body or of an event's data, and tells
// whether it begins with a message, or several.
func (f *ToolFilter) begins(c []byte) bool {
	switch c[0] {
	case '{':
		f.place = placeMessage
		return true
	case '[':
		f.place = placeBatch
		return true
	case byteOrderMark[0], byteOrderMark[1], byteOrderMark[2]:
		f.emit(c)
	case 0, 0xfe, 0xff:
		f.err = errNoToolList // UTF-16 and UTF-32, which some clients detect
	default:
		f.emit(c)
		f.state = toolText
	}
	return false
}

// readName reads a piece of a member's name and, at its end, finds the place of
// the member.
func (f *ToolFilter) readName(p []byte) (n int, closed bool) {
	var ok bool
	f.name, n, closed, ok = f.unescap.read(f.name, p, maxToolName)
	switch {
	case !ok:
		f.err = errNoToolList
	case !closed && len(f.name) < maxToolName:
		return n, false
	case !closed:
		f.state, f.escape = toolSkipName, f.unescap.at == 1
	}
	f.place = placeElsewhere
	f.fold = appendFolded(f.fold[:0], f.name)
	switch in := f.open[len(f.open)-1]; {
	case in == placeMessage && string(f.fold) == "result":
		f.place = placeResult
	case in == placeResult && string(f.fold) == "tools":
		f.place = placeTools
	}
	return n, closed
}

// close leaves the object or array that is open.
func (f *ToolFilter) close(c []byte) {
	if f.holding {
		f.out = append(f.out, f.held...)
		f.unhold()
		f.holding = false
	}
	f.emit(c)
	f.open = f.open[:len(f.open)-1]
	f.place = placeElsewhere // not a tool, whatever was in it
	f.endValue()
}

// endValue is called behind a value.
func (f *ToolFilter) endValue() {
	f.state = toolNext
	switch {
	case len(f.open) == 0:
		f.state, f.place = toolValue, placeTop
	case f.place == placeTool:
		f.endTool()
	}
}

// endTool decides what becomes of the tool that is held.
func (f *ToolFilter) endTool() {
	keep, ok := f.keeps(f.toolText())
	switch {
	case !ok:
		f.err = errNoToolList
		return
	case !keep:
		f.emitFrames()
	case f.comma >= 0 && !f.kept:
		f.out = append(append(f.out, f.held[:f.comma]...), f.held[f.comma+1:]...)
	default:
		f.out = append(f.out, f.held...)
	}
	f.kept = f.kept || keep
	f.unhold()
}

func (f *ToolFilter) unhold() {
	f.held, f.frames, f.comma = f.held[:0], f.frames[:0], -1
}

// toolText is the tool that is held. Between lines of an event's data stands a
// line feed.
func (f *ToolFilter) toolText() []byte {
	if len(f.frames) == 0 {
		return f.held[f.tool:]
	}
	var text []byte
	at := f.tool
	for _, frame := range f.frames {
		if frame[0] >= at {
			text = append(append(text, f.held[at:frame[0]]...), '\n')
			at = frame[1]
		}
	}
	return append(text, f.held[at:]...)
}

// keeps tells whether a tool may go on; not ok when it is no JSON.
func (f *ToolFilter) keeps(tool []byte) (keep, ok bool) {
	if !json.Valid(tool) {
		return false, false
	}
	if tool[0] != '{' {
		return false, true
	}
	named, all := false, true
	gjson.ParseBytes(tool).ForEach(func(member, value gjson.Result) bool {
		name, whole := decoded([]byte(member.Raw))
		if f.fold = appendFolded(f.fold[:0], name); string(f.fold) != "name" {
			return true
		}
		text, isText := decoded([]byte(value.Raw))
		named = named || whole && string(name) == "name"
		all = isText && utf8.Valid(text) && f.allowed(string(text))
		return all
	})
	return named && all, true
}
