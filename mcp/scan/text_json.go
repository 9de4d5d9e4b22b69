package scan

import (
	"bytes"

	"github.com/tallygate/tallygate/internal/jsonskip"
)

// jsonText reads a text for the JSON in it, in the three ways that a path may
// ask for: one value from end to end (@fromstr), objects and arrays on a line
// each (@ndjson), and one object or array that begins a line and ends one,
// alone or among lines of prose (@embedded). The prose before it, if there is
// any, ends with a colon: below a line of another kind, such as the header of
// CSV, the value is a part of something else. What the text is, is known when it has
// ended.
type jsonText struct {
	check  jsonCheck
	skip   jsonskip.Skipper // of a value that is not checked, and that nothing is wanted of
	checks bool
	state  jsonTextState
	values int64 // objects and arrays that have ended

	whole     bool // the text can still be one value
	lines     bool // the text can still be NDJSON
	embedded  bool // the text can still be prose with one object or array in it
	scalar    bool // the text begins with a string, number or literal
	prose     bool // there is a line of prose
	unchecked bool // an object or array was passed over without a check
	last      byte // the last byte of the last line of prose that is no white space
}

type jsonTextState uint8

const (
	textLineStart   jsonTextState = iota // at the beginning of a line, or behind its white space
	textProse                            // in a line of prose
	textInValue                          // in an object or array
	textScalar                           // in a string, number or literal that the text begins with
	textAfterValue                       // behind an object or array, in the same line
	textAfterScalar                      // behind the scalar
)

// begin gets ready for a text. The objects and arrays in it are checked, or only
// passed over by their quotes and brackets.
func (r *jsonText) begin(checks bool) {
	r.state, r.values, r.checks = textLineStart, 0, checks
	r.whole, r.lines, r.embedded = true, true, true
	r.scalar, r.prose, r.unchecked, r.last = false, false, false, 0
}

// feed takes in a piece and hands the value in it to the documents that read
// it: as the whole text, and as a part of it. They are nil where nothing of it
// is wanted.
func (r *jsonText) feed(p []byte, whole, embedded *document) {
	for len(p) > 0 && (r.whole || r.lines || r.embedded) {
		switch r.state {
		case textInValue, textScalar:
			p = r.feedValue(p, whole, embedded)
		case textProse:
			line, rest, ended := bytes.Cut(p, []byte{'\n'})
			if line = bytes.TrimRight(line, " \t\r"); len(line) > 0 {
				r.last = line[len(line)-1]
			}
			if p = rest; ended {
				r.state = textLineStart
			}
		default:
			c := p[0]
			switch {
			case r.state == textLineStart && !isSpace(c):
				r.startLine(c)
				continue
			case c == '\n':
				r.state = textLineStart
			case isSpace(c):
			case r.state == textAfterScalar:
				r.startProse()
				r.last = c
			default: // right behind a value
				r.fail()
			}
			p = p[1:]
		}
	}
}

// startLine decides what the first byte of a line begins.
func (r *jsonText) startLine(c byte) {
	if r.scalar {
		r.whole, r.prose = false, true
	}
	first := r.values == 0 && !r.prose
	switch {
	case c == '{' || c == '[':
		r.state = textInValue
		if !first {
			r.whole = false
		}
		if r.values > 0 || !first && r.last != ':' {
			r.embedded = false
		}
	case first && (c == '"' || c == '-' || c-'0' <= 9 || c == 't' || c == 'f' || c == 'n'):
		r.state, r.lines = textScalar, false
	default:
		r.startProse()
		return
	}
	r.check.begin()
	r.skip = jsonskip.Skipper{}
}

func (r *jsonText) startProse() {
	r.state, r.whole, r.lines, r.prose, r.last = textProse, false, false, true, 0
}

func (r *jsonText) feedValue(p []byte, whole, embedded *document) (rest []byte) {
	if !r.whole {
		whole = nil
	}
	if !r.embedded || r.state == textScalar {
		embedded = nil
	}
	var n int
	var done, broken bool
	if r.checks || r.state == textScalar {
		n = r.check.feed(p)
		done, broken = r.check.state == checkDone, r.check.state == checkBroken
	} else {
		n, done, broken = r.skipUnchecked(p, embedded)
		embedded = nil
	}
	if r.lines && bytes.IndexByte(p[:n], '\n') >= 0 {
		r.lines = false // a value over several lines
	}
	if whole != nil {
		whole.feed(p[:n])
	}
	if embedded != nil {
		embedded.feed(p[:n])
	}
	switch {
	case done && r.state == textInValue:
		r.values++
		r.state = textAfterValue
	case done:
		r.state, r.scalar = textAfterScalar, true
	case broken && r.state == textInValue:
		r.fail()
	case broken:
		r.startProse()
	}
	return p[n:]
}

// passUnchecked takes in the next bytes of an object or array that is not
// checked, by the document that follows it, or without one by its quotes and
// brackets.
func (r *jsonText) skipUnchecked(p []byte, d *document) (n int, done, broken bool) {
	r.unchecked = true
	if d != nil {
		n = d.feed(p)
		return n, d.state == docDone, d.state == docBroken
	}
	if r.skip == (jsonskip.Skipper{}) { // p begins with its bracket
		r.skip.Begin(false)
		n = 1
	}
	m, done := r.skip.Skip(p[n:])
	return n + m, done, false
}

// fail is called where the text has what looks like a value and is none.
func (r *jsonText) fail() { r.whole, r.lines, r.embedded = false, false, false }

// inValue reports whether the text ends inside an object or array.
func (r *jsonText) inValue() bool { return r.state == textInValue }

func (r *jsonText) isWhole() bool {
	if r.state == textScalar {
		return r.whole && r.check.end()
	}
	return r.whole && !r.inValue() && (r.scalar || r.values == 1)
}

func (r *jsonText) isEmbedded() bool { return r.embedded && r.values == 1 && !r.inValue() }

// isNote reports whether the text is prose, or nothing, with no line that an
// object or array begins.
func (r *jsonText) isProse() bool { return r.embedded && r.values == 0 && !r.inValue() }

// rows counts the lines of NDJSON.
func (r *jsonText) rows() (found rowsFound, ok bool) {
	return rowsFound{rows: r.values}, r.lines && !r.inValue()
}
