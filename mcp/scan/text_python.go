package scan

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// pythonText reads what Python's repr writes of a list or a dict, and writes it
// on as JSON for a document to read, so that paths go on inside it as in any
// JSON. It takes what repr writes and nothing else:
//
//	[…] (…)             lists and tuples become arrays
//	{k: v} {k}          dicts and sets become objects; a key that is no string is "?"
//	'…' "…" b'…'        become strings
//	None True False     null, true, false
//	1 -2.5 1e-07 nan    numbers; inf and nan become null
//	Decimal('1')        null, as every call with arguments of any of these kinds,
//	                    with or without keywords, and in these names such as
//	                    datetime.timezone.utc
//
// repr writes a string in double quotes only if there is a single quote in it,
// so JSON with a string in it is no Python. An object in angle brackets,
// <object at 0x7f…>, can be anything, and the text is unknown.
type pythonText struct {
	state pythonState
	stack []pythonFrame
	quiet int    // open brackets whose inside is not written on
	word  []byte // the name or number that passes
	quote byte   // of the string that passes
	inner bool   // a single quote is in that string
	hex   int    // digits of an escape that are still to come
	code  rune   // of the escape so far
	out   []byte // JSON of the piece that passes
}

// pythonFrame is a bracket that is open.
type pythonFrame struct {
	kind    byte // '[', '(', '{', or 'f' for the bracket of a call
	silent  bool // nothing inside is written on: a call, or a key that is no string
	items   int  // elements that have ended; of a dict, keys
	comma   bool // a comma was the last token
	dict    bool // of '{': the first key had a colon
	value   bool // of a dict: behind the colon of this item
	keyword bool // of a call: behind the = of this argument
}

type pythonState uint8

const (
	pythonValue    pythonState = iota // a value comes, or the end of a bracket
	pythonAfter                       // behind a value
	pythonInString                    // in a string
	pythonEscape                      // behind its backslash
	pythonHex                         // in the digits of an escape
	pythonWord                        // in a name or a number
	pythonDone                        // behind the whole
	pythonBroken                      // this is not what repr writes
)

const (
	maxPythonNesting = 256
	maxPythonWord    = 512 // bytes of a name or number
)

func (r *pythonText) begin() {
	r.state, r.stack, r.quiet = pythonValue, r.stack[:0], 0
}

// end reports whether the text was a whole list or dict.
func (r *pythonText) end() bool { return r.state == pythonDone }

// feed takes in a piece, hands it on to the document, and reports whether the
// text can still be Python's.
func (r *pythonText) feed(p []byte, to *document) bool {
	r.out = r.out[:0]
	for i := 0; i < len(p) && r.state != pythonBroken; {
		c := p[i]
		switch r.state {
		case pythonInString:
			i += r.readString(p[i:])
		case pythonEscape:
			i++
			r.escape(c)
		case pythonHex:
			i++
			r.hexDigit(c)
		case pythonWord:
			i += r.readWord(c)
		default:
			if i++; !isSpace(c) {
				r.token(c)
			}
		}
	}
	if r.state == pythonBroken {
		return false
	}
	to.feed(r.out)
	return true
}

func (r *pythonText) emit(json string) {
	if r.quiet == 0 {
		r.out = append(r.out, json...)
	}
}

func (r *pythonText) top() *pythonFrame {
	if len(r.stack) == 0 {
		return nil
	}
	return &r.stack[len(r.stack)-1]
}

// atKey reports whether what comes is a key of a dict, or an element of a set.
func (f *pythonFrame) atKey() bool { return f != nil && f.kind == '{' && !f.value }

// token takes in the first byte of a token.
func (r *pythonText) token(c byte) {
	switch {
	case r.state == pythonDone:
		r.state = pythonBroken
	case r.state == pythonAfter:
		r.afterValue(c)
	case len(r.stack) == 0 && c != '[' && c != '{':
		r.state = pythonBroken
	case c == '[' || c == '(' || c == '{':
		r.open(c, r.top().atKey())
	case c == ']' || c == ')' || c == '}':
		r.close(c)
	case c == '\'' || c == '"':
		r.startString(c)
	case isWordByte(c) || c == '-':
		r.state, r.word = pythonWord, append(r.word[:0], c)
	default:
		r.state = pythonBroken
	}
}

// startValue is called where a value begins.
func (r *pythonText) startValue() {
	if f := r.top(); f != nil {
		if f.comma = false; f.items > 0 && !f.value {
			r.emit(",")
		}
	}
}

// endValue is called behind one.
func (r *pythonText) endValue() {
	r.state = pythonAfter
	if f := r.top(); f == nil {
		r.state = pythonDone
	} else if !f.value {
		f.items++
	}
}

// scalar writes a value that is no string.
func (r *pythonText) scalar(json []byte) {
	r.startValue()
	switch {
	case r.quiet > 0:
	case r.top().atKey():
		r.emit(`"?"`)
	default:
		r.out = append(r.out, json...)
	}
	r.endValue()
}

func (r *pythonText) open(kind byte, silent bool) {
	if len(r.stack) == maxPythonNesting {
		r.state = pythonBroken
		return
	}
	r.state = pythonValue
	switch {
	case silent:
		r.quiet++
	case kind == '{':
		r.startValue()
		r.emit("{")
	default:
		r.startValue()
		r.emit("[")
	}
	r.stack = append(r.stack, pythonFrame{kind: kind, silent: silent})
}

// close takes in a closing bracket, behind a value or where one could begin.
func (r *pythonText) close(c byte) {
	f := r.top()
	if !f.closes(c, r.state == pythonAfter) {
		r.state = pythonBroken
		return
	}
	if f.kind == '{' && f.items > 0 && !f.dict {
		r.emit(":0")
	}
	silent := f.silent
	switch {
	case silent:
		r.quiet--
	case f.kind == '{':
		r.emit("}")
	default:
		r.emit("]")
	}
	if r.stack = r.stack[:len(r.stack)-1]; silent {
		r.scalar([]byte("null"))
		return
	}
	r.endValue()
}

// closes reports whether c closes the bracket, behind a value or not.
func (f *pythonFrame) closes(c byte, behindValue bool) bool {
	switch f.kind {
	case '[':
		return c == ']' && !f.comma
	case '(': // a tuple of one has a comma, and no other has one at its end
		return c == ')' && f.comma == (f.items == 1)
	case '{':
		return c == '}' && !f.comma && f.value == f.dict && (behindValue || f.items == 0)
	default:
		return c == ')' && !f.comma && (behindValue || !f.keyword)
	}
}

// afterValue takes in what follows a value.
func (r *pythonText) afterValue(c byte) {
	f := r.top()
	switch {
	case c == ':' && f.atKey() && (f.dict || f.items == 1):
		f.dict, f.value = true, true
		r.state = pythonValue
		r.emit(":")
	case c != ',':
		r.close(c)
	case f.dict && !f.value:
		r.state = pythonBroken
	default:
		if f.kind == '{' && !f.dict {
			r.emit(":0")
		}
		f.comma, f.value, f.keyword = true, false, false
		r.state = pythonValue
	}
}

func (r *pythonText) startString(quote byte) {
	r.startValue()
	r.state, r.quote, r.inner = pythonInString, quote, false
	r.emit(`"`)
}

// readString takes in a string up to its next byte that is not itself.
func (r *pythonText) readString(p []byte) int {
	i := 0
	for i < len(p) && p[i] >= ' ' && p[i] != '\\' && p[i] != '\'' && p[i] != '"' {
		i++
	}
	if r.quiet == 0 {
		r.out = append(r.out, p[:i]...)
	}
	if i == len(p) {
		return i
	}
	switch c := p[i]; {
	case c == '"' && r.quote == '"' && !r.inner:
		r.state = pythonBroken
	case c == r.quote:
		r.emit(`"`)
		r.endValue()
	case c == '\\':
		r.state = pythonEscape
	case c == '\'':
		r.inner = true
		r.emit(`'`)
	case c == '"':
		r.emit(`\"`)
	default: // repr writes control characters as escapes
		r.state = pythonBroken
	}
	return i + 1
}

// escape takes in the byte behind a backslash.
func (r *pythonText) escape(c byte) {
	r.state, r.code = pythonInString, 0
	switch c {
	case '\\', 'n', 'r', 't':
		if r.quiet == 0 {
			r.out = append(r.out, '\\', c)
		}
	case '\'':
		r.emit(`'`)
	case 'x':
		r.state, r.hex = pythonHex, 2
	case 'u':
		r.state, r.hex = pythonHex, 4
	case 'U':
		r.state, r.hex = pythonHex, 8
	default:
		r.state = pythonBroken
	}
}

func (r *pythonText) hexDigit(c byte) {
	digit, ok := hexDigit(c)
	if !ok {
		r.state = pythonBroken
		return
	}
	r.code = r.code<<4 | digit
	if r.hex--; r.hex > 0 {
		return
	}
	r.state = pythonInString
	switch {
	case r.quiet > 0:
	case r.code < ' ' || r.code == '"' || r.code == '\\':
		r.out = fmt.Appendf(r.out, `\u%04x`, r.code)
	default:
		r.out = utf8.AppendRune(r.out, r.code)
	}
}

func isWordByte(c byte) bool {
	return c-'0' <= 9 || c|0x20-'a' < 26 || c == '_' || c == '.' || c >= 0x80
}

// isName reports whether the word is no number.
func (r *pythonText) isName() bool { return r.word[0] != '-' && r.word[0]-'0' > 9 }

// readWord takes in a byte of a name or number, or what follows it.
func (r *pythonText) readWord(c byte) int {
	sign := (c == '+' || c == '-') && r.word[len(r.word)-1] == 'e' && !r.isName() // 1e-07
	if isWordByte(c) || sign {
		if r.word = append(r.word, c); len(r.word) > maxPythonWord {
			r.state = pythonBroken
		}
		return 1
	}
	return r.endWord(c)
}

// endWord decides what a name or number is by what follows it, and returns 1 if
// that is used up.
func (r *pythonText) endWord(c byte) int {
	word, f, name := r.word, r.top(), r.isName()
	switch {
	case string(word) == "b" && (c == '\'' || c == '"'):
		r.startString(c)
		return 1
	case name && c == '(':
		r.open('f', true)
		return 1
	case name && c == '=' && f.kind == 'f' && !f.keyword:
		f.keyword, r.state = true, pythonValue
		return 1
	}
	switch string(word) {
	case "None", "inf", "-inf", "nan":
		r.scalar([]byte("null"))
	case "True":
		r.scalar([]byte("true"))
	case "False":
		r.scalar([]byte("false"))
	default:
		var number jsonCheck
		switch number.begin(); {
		case !name && number.feed(word) == len(word) && number.end():
			r.scalar(word)
		case name && f.kind == 'f' && strings.Contains(string(word), "."):
			r.scalar([]byte("null"))
		default:
			r.state = pythonBroken
		}
	}
	return 0
}
