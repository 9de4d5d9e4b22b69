package scan

import (
	"bytes"

	"github.com/tallygate/tallygate/internal/jsonskip"
)

// jsonText reads a text for the JSON in it, in the three forms that a path may
// ask for: one value from end to end (@fromstr), an object or array on each line
// (@ndjson), and one object or array that begins a line and ends one, alone or
// among lines of prose (@embedded). If there is prose before it, that has to end
// with a colon: after any other line, such as the header of CSV, the value is
// part of something else. Which forms the text has is known at its end.
type jsonText struct {
	check  jsonCheck
	skip   jsonskip.Skipper // for a value that is neither checked nor followed
	checks bool
	state  jsonTextState
	values int64 // complete objects and arrays so far

	whole     bool // the text may still be one value
	lines     bool // the text may still be NDJSON
	embedded  bool // the text may still be prose with one object or array in it
	scalar    bool // the text begins with a string, number or literal
	prose     bool // there is a line of prose
	unchecked bool // an object or array was not checked
	last      byte // the last byte of the last line of prose, without white space
}

type jsonTextState uint8

const (
	textLineStart   jsonTextState = iota // at the beginning of a line, or after its white space
	textProse                            // inside a line of prose
	textInValue                          // inside an object or array
	textScalar                           // inside a string, number or literal at the beginning of the text
	textAfterValue                       // after an object or array, in the same line
	textAfterScalar                      // after the scalar
)

// begin prepares for a text. checks is whether its objects and arrays are
// checked, or only skipped by their quotes and brackets.
func (r *jsonText) begin(checks bool) {
	r.state, r.values, r.checks = textLineStart, 0, checks
	r.whole, r.lines, r.embedded = true, true, true
	r.scalar, r.prose, r.unchecked, r.last = false, false, false, 0
}

// feed reads a chunk and passes the value in it to two documents, which read it
// as the whole text and as a part of the text. Either is nil if there are no
// targets in it.
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
			default: // directly after a value
				r.fail()
			}
			p = p[1:]
		}
	}
}

// startLine is called with the first byte of a line that is not white space.
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
	switch {
	case !r.whole:
		whole = nil
	case whole != nil && whole.scalar && r.state == textInValue:
		whole.state = docDone // it has nothing to find in an object or array
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

// skipUnchecked reads a chunk of an object or array that is not checked. If d is
// nil, only quotes and brackets are looked at.
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

// fail is called if the text has what looks like a value but is malformed.
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

// isProse reports whether the text has no line that begins with an object or
// array.
func (r *jsonText) isProse() bool { return r.embedded && r.values == 0 && !r.inValue() }

// rows returns the number of lines of NDJSON.
func (r *jsonText) rows() (found rowsFound, ok bool) {
	return rowsFound{rows: r.values}, r.lines && !r.inValue()
}
