package scan

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// pythonText translates a Python list or dict, as repr writes it, into JSON for
// a document, so that paths go on inside it as in any JSON. It accepts the output
// of repr and nothing else:
//
//	[…] (…)             lists and tuples become arrays
//	{k: v} {k}          dicts and sets become objects; a key that is not a string becomes "?"
//	'…' "…" b'…'        become strings
//	None True False     null, true, false
//	1 -2.5 1e-07 nan    numbers; inf and nan become null
//	Decimal('1')        null, like every call with arguments of any of these kinds,
//	                    with or without keywords, and with names such as
//	                    datetime.timezone.utc
//
// repr writes a string in double quotes only if there is a single quote in it,
// so JSON with a string in it is not taken for Python. An object in angle
// brackets, <object at 0x7f…>, could be anything and makes the text unknown.
type pythonText struct {
	state pythonState
	stack []pythonFrame
	quiet int    // open brackets whose content is not emitted
	word  []byte // the current name or number
	quote byte   // of the current string
	inner bool   // that string has a single quote
	hex   int    // digits missing from an escape
	code  rune   // of the escape so far
	out   []byte // JSON of the current chunk
}

// pythonFrame is an open bracket.
type pythonFrame struct {
	kind    byte // '[', '(', '{', or 'f' for the bracket of a call
	silent  bool // its content is not emitted: a call, or a key that is not a string
	items   int  // complete elements; for a dict, keys
	comma   bool // a comma was the last token
	dict    bool // of '{': the first key had a colon
	value   bool // of a dict: after the colon of the current item
	keyword bool // of a call: after the = of the current argument
}

type pythonState uint8

const (
	pythonValue    pythonState = iota // before a value, or the end of a bracket
	pythonAfter                       // after a value
	pythonInString                    // inside a string
	pythonEscape                      // after its backslash
	pythonHex                         // inside the digits of an escape
	pythonWord                        // inside a name or a number
	pythonDone                        // after the list or dict
	pythonBroken                      // not the output of repr
)

const (
	maxPythonNesting = 256
	maxPythonWord    = 512 // bytes of a name or number
)

func (r *pythonText) begin() {
	r.state, r.stack, r.quiet = pythonValue, r.stack[:0], 0
}

// end reports whether the text was a complete list or dict.
func (r *pythonText) end() bool { return r.state == pythonDone }

// feed reads a chunk, passes its translation to the document, and reports
// whether the text may still be Python.
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

// atKey reports whether the next value is a key of a dict, or an element of a
// set.
func (f *pythonFrame) atKey() bool { return f != nil && f.kind == '{' && !f.value }

// token reads the first byte of a token.
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

// startValue is called before each value.
func (r *pythonText) startValue() {
	if f := r.top(); f != nil {
		if f.comma = false; f.items > 0 && !f.value {
			r.emit(",")
		}
	}
}

// endValue is called after each value.
func (r *pythonText) endValue() {
	r.state = pythonAfter
	if f := r.top(); f == nil {
		r.state = pythonDone
	} else if !f.value {
		f.items++
	}
}

// scalar emits a value that is not a string.
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

// close reads a closing bracket, after a value or where a value could begin.
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

// closes reports whether c may close the bracket here. afterValue is whether it
// comes after a value.
func (f *pythonFrame) closes(c byte, afterValue bool) bool {
	switch f.kind {
	case '[':
		return c == ']' && !f.comma
	case '(': // only a tuple of one ends with a comma
		return c == ')' && f.comma == (f.items == 1)
	case '{':
		return c == '}' && !f.comma && f.value == f.dict && (afterValue || f.items == 0)
	default:
		return c == ')' && !f.comma && (afterValue || !f.keyword)
	}
}

// afterValue reads the byte after a value.
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

// readString reads a string up to the next byte that needs translation, and
// returns how many bytes it used.
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
	default: // an unescaped control character, which repr never writes
		r.state = pythonBroken
	}
	return i + 1
}

// escape reads the byte after a backslash.
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

// isName reports whether the word is a name, and not a number.
func (r *pythonText) isName() bool { return r.word[0] != '-' && r.word[0]-'0' > 9 }

// readWord reads a byte of a name or number, or the byte after it, and returns
// how many bytes it used.
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

// endWord is called with the byte after a name or number, which decides what it
// is. It returns 1 if it used that byte.
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
