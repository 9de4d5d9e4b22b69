// Package toolfilter takes elements out of the lists in a response while it
// passes, so that a client sees only the tools that it may call and the tasks that
// are its own, and no prompts or resources if it may not use them. It also takes
// notifications about others' tasks out of event streams.
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

// List says what stays of an array in the results of a response.
type List struct {
	Name    string                    // of the array in the result, as in tools
	ID      string                    // the member of an element that identifies it, as in name
	Allowed func(element string) bool // reports whether the element with this ID stays
}

// folded is a list with the folded spellings of its names.
type folded struct {
	List
	name, id string
}

// Filter takes elements out of the lists in a response's body while it passes:
// the tools of a tools/list result that may not be called, for example. Every
// other byte stays as it came, in its place, and is passed on at once. What is
// held back is the element that is passing, until its end, and the separator
// before it. Of an event stream without others' tasks (OnlyTasks) it is also the
// begin of a message, until it shows that the message is no notification about a
// task, or about which.
//
// Every result with an array of a list's name is filtered, whatever request it
// answers, in a batch too, and under every spelling of the names that some
// decoder accepts. An element stays if it is an object with an ID that is
// allowed; if it has several, all must be allowed. A body or an event that begins
// with neither an object nor an array holds no message and passes unchanged.
//
// The filter must read a list as every client does. So invalid JSON on the way
// to an element or between elements is an error, and so is an element longer than
// 4 MiB: nothing more of the body may be passed on then, unless PassUnreadable says
// otherwise.
//
// An event stream of the older HTTP+SSE transport is an error, ErrLegacyTransport.
//
// A Filter is ready after Reset. It is for one body and one goroutine.
type Filter struct {
	lists          []folded
	list           *folded // whose name the result's member has
	isMine         func(task string) bool
	passUnreadable bool
	err            error
	out            []byte // what may be passed on

	state    state
	position position   // of the value that comes or passes
	open     []position // the objects and arrays around it
	skip     jsonskip.Skipper
	escape   bool // in a string: the next byte is escaped
	name     []byte
	unescape jsonskip.Unescaper
	fold     []byte

	// From the [ of a list on, and from the { of a message that may be a notification
	// about a task, bytes are held until it is decided whether they
	// are passed on.
	holding bool
	held    []byte
	framing [][2]int // the parts of held that belong to the event stream, not to its data
	comma   int      // index in held of the comma before the element; -1 for none
	element int      // index in held of the first byte of the element, or of another value that matters
	kept    bool     // an element of the list has been passed on

	message  heldMessage
	dropping bool // the rest of the message is dropped

	isStream bool
	stream   sse.Reader
	hasData  bool   // the event has a line of data
	event    []byte // the event's type, cut where it is longer than the one that matters
}

// position says what a value is by where it stands.
type position uint8

const (
	atTop position = iota // the body, or the data of an event
	inBatch
	atMessage
	atResult
	atList
	atElement
	atMethod
	atParams
	atTaskID
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
	maxElement = 4 << 20 // bytes
	maxName    = 64      // bytes; more than any spelling of result or of a list's name
)

const byteOrderMark = "\xef\xbb\xbf"

// The errors of a Filter.
var (
	errNoList  = errors.New("a list cannot be read: it is not valid JSON in UTF-8")
	errTooLong = fmt.Errorf("a list cannot be read: an element is longer than %d bytes", maxElement)
)

// Reset makes the filter ready for the first byte of a body: an event stream or
// JSON. Other lists than these pass unchanged.
func (f *Filter) Reset(isStream bool, lists ...List) {
	*f = Filter{
		isStream: isStream, comma: -1, lists: f.lists[:0],
		open: f.open[:0], name: f.name[:0], fold: f.fold[:0], held: f.held[:0], framing: f.framing[:0], event: f.event[:0],
	}
	clear(f.lists[:cap(f.lists)])
	for _, l := range lists {
		f.lists = append(f.lists, folded{l, string(mcp.AppendFolded(nil, []byte(l.Name))), string(mcp.AppendFolded(nil, []byte(l.ID)))})
	}
}

// PassUnreadable makes the filter pass the rest of a body, or of an event, that it
// cannot read. It is for after Reset.
func (f *Filter) PassUnreadable() { f.passUnreadable = true }

// Append takes the next bytes of the body and appends to dst what may be passed
// on. After an error it returns the same error again.
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

// Rest appends to dst what is still to be passed on when the body has ended. A body
// that ended within the element of a list has no rest.
func (f *Filter) Rest(dst []byte) []byte {
	if f.message.held {
		dst = append(dst, f.held...)
	}
	return dst
}

// emit passes bytes on, holds them, or drops them.
func (f *Filter) emit(p []byte) {
	switch {
	case f.dropping:
	case f.holding:
		f.held = append(f.held, p...)
	default:
		f.out = append(f.out, p...)
	}
}

// fail gives up a body that cannot be read, or passes the rest of it, or of its
// event, unchanged.
func (f *Filter) fail(err error) {
	if !f.passUnreadable {
		f.err = err
		return
	}
	f.release()
	f.dropping = false
	f.state, f.position, f.open = inOther, atTop, f.open[:0]
}

// release passes on what is held.
func (f *Filter) release() {
	f.out = append(f.out, f.held...)
	f.dropHeld()
	f.holding, f.message.held = false, false
}

// readJSON takes the next bytes of a body or of an event's data: messages, one
// after the other.
func (f *Filter) readJSON(p []byte) {
	for len(p) > 0 && f.err == nil {
		if len(f.held) > maxElement {
			f.tooLong()
			continue
		}
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
		case !ended || f.state == inOther:
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
		if f.fail(errNoList); f.err == nil {
			f.emit(one[:])
		}
	}
}

// inArray reports whether the innermost open value is an array.
func (f *Filter) inArray() bool {
	in := f.open[len(f.open)-1]
	return in == inBatch || in == atList
}

// beginElement is called where an element of an array may begin.
func (f *Filter) beginElement() {
	f.state, f.position = beforeValue, atMessage
	if f.open[len(f.open)-1] == atList {
		f.position = atElement
	}
}

// value takes the first byte of a value.
func (f *Filter) value(c []byte) {
	if f.position == atTop && !f.begins(c) {
		return
	}
	switch {
	case f.position == atElement || f.position == atMethod || f.position == atTaskID:
		f.element = len(f.held)
	case f.position == atMessage && c[0] == '{':
		f.beginMessage()
	}
	f.emit(c)
	switch {
	case c[0] == '{' && (f.position == atMessage || f.position == atResult || f.position == atParams):
		f.open = append(f.open, f.position)
		f.state = beforeFirstName
	case c[0] == '[' && (f.position == inBatch || f.position == atList):
		f.open = append(f.open, f.position)
		f.holding, f.kept, f.comma = f.position == atList, false, -1
		f.beginElement()
		f.state = beforeFirst
	case c[0] == '{' || c[0] == '[':
		f.state = inSkipped
		f.skip.Begin(false)
	case c[0] == '"':
		f.state, f.escape = inString, false
	case endsScalar(c[0]):
		f.fail(errNoList)
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
	case 0, 0xfe, 0xff: // UTF-16 and UTF-32, which some clients detect
		if f.fail(errNoList); f.err == nil {
			f.emit(c)
		}
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
		f.fail(errNoList)
		return n, false
	case !closed && len(f.name) < maxName:
		return n, false
	case !closed:
		f.state, f.escape = inLongName, f.unescape.BehindBackslash()
	}
	f.position = elsewhere
	f.fold = mcp.AppendFolded(f.fold[:0], f.name)
	switch in, name := f.open[len(f.open)-1], string(f.fold); {
	case in == atMessage && name == "result":
		f.position = atResult
		f.answers()
	case in == atMessage && name == "error":
		f.answers()
	case in == atResult && f.beginsList():
		f.position = atList
	case f.message.held && in == atMessage && name == "method":
		f.position = atMethod
	case f.message.held && in == atMessage && name == "params":
		f.position = atParams
	case f.message.held && in == atParams && name == "taskid":
		f.position = atTaskID
	}
	return n, closed
}

// beginsList reports whether the folded name is that of a list, and keeps which.
func (f *Filter) beginsList() bool {
	for i := range f.lists {
		if f.list = &f.lists[i]; string(f.fold) == f.list.name {
			return true
		}
	}
	return false
}

// close leaves the object or array that is open.
func (f *Filter) close(c []byte) {
	last := len(f.open) - 1
	if f.open[last] == atList {
		f.release()
	}
	f.emit(c)
	if last == 0 && f.open[last] == atMessage {
		f.endMessage()
	}
	f.open = f.open[:last]
	f.position = elsewhere // a list is no element
	f.endValue()
}

// endValue is called behind a value.
func (f *Filter) endValue() {
	f.state = afterValue
	switch {
	case len(f.open) == 0:
		f.state, f.position = beforeValue, atTop
	case f.position == atElement:
		f.endElement()
	case f.position == atMethod:
		f.endMethod()
	case f.position == atTaskID:
		f.endTaskID()
	}
}

// endElement decides whether the element that is held is passed on.
func (f *Filter) endElement() {
	keep, ok := f.keeps(f.elementText())
	switch {
	case !ok:
		f.fail(errNoList)
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

// elementText returns the element that is held, with a line feed between the lines of
// an event's data.
func (f *Filter) elementText() []byte {
	if len(f.framing) == 0 {
		return f.held[f.element:]
	}
	var text []byte
	at := f.element
	for _, frame := range f.framing {
		if frame[0] >= at {
			text = append(append(text, f.held[at:frame[0]]...), '\n')
			at = frame[1]
		}
	}
	return append(text, f.held[at:]...)
}

// keeps reports whether an element may be passed on. ok is false if it is not
// valid JSON.
func (f *Filter) keeps(element []byte) (keep, ok bool) {
	if !json.Valid(element) {
		return false, false
	}
	if element[0] != '{' {
		return false, true
	}
	named, all := false, true
	gjson.ParseBytes(element).ForEach(func(member, value gjson.Result) bool {
		name, whole := mcp.DecodeString([]byte(member.Raw))
		if f.fold = mcp.AppendFolded(f.fold[:0], name); string(f.fold) != f.list.id {
			return true
		}
		text, isText := mcp.DecodeString([]byte(value.Raw))
		named = named || whole && string(name) == f.list.ID
		all = isText && utf8.Valid(text) && f.list.Allowed(string(text))
		return all
	})
	return named && all, true
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}
