package scan

import (
	"crypto/sha256"
	"hash"

	"github.com/tidwall/gjson"

	"github.com/tallygate/tallygate/internal/jsonskip"
)

// document follows one JSON value along the nodes of a plan, chunk by chunk. Its
// stack holds only the objects and arrays that a path leads through, so it is no
// deeper than the longest path. All other values are skipped, at any depth.
// JSON's syntax is checked in what is followed; in what is skipped, only that
// strings and brackets end.
//
// Call begin, then feed for each chunk, then end. What is found goes to matches.
type document struct {
	state    docState
	matches  *matches
	node     *node   // node of the current value; nil if no path leads to it
	open     []frame // objects and arrays around it, the innermost last
	skip     jsonskip.Skipper
	unescape jsonskip.Unescaper
	scalar   bool        // no path leads into an object or array
	escape   bool        // the next byte of a skipped string is escaped
	kept     []byte      // the name, string or scalar so far
	over     bool        // it is longer than maxKept
	text     *textReader // reads the current string
	chunk    []byte      // its current chunk, unescaped
	hash     hash.Hash   // of the current string
	sum      [sha256.Size]byte
}

// frame is an open object or array that is being followed.
type frame struct {
	node    *node
	array   bool
	counted bool    // only the number of further elements is needed
	index   int     // of the current element of an array
	element element // the first element of an array; or this object, if it is a first element
}

type docState uint8

const (
	docValue      docState = iota // before a value
	docFirstName                  // after {
	docName                       // after the comma in an object
	docInName                     // inside a name
	docSkipName                   // inside a name that is longer than any in the plan
	docColon                      // after a name
	docFirst                      // after [
	docCountFirst                 // after [ of an array that is only counted
	docCount                      // inside such an array
	docSkip                       // inside an object or array that is skipped
	docSkipString                 // inside a string that is skipped
	docRawString                  // inside a string that is kept as written, escapes included
	docString                     // inside a string that is kept unescaped
	docText                       // inside a string that is unescaped in chunks, for a textReader or a hash
	docScalar                     // inside a number, true, false or null
	docNext                       // after a value in an object or array
	docDone                       // after the whole value
	docBroken                     // malformed
)

// maxKept is one more than the longest name, string or scalar that is needed.
const maxKept = maxID + 2 + 1

func (d *document) begin(m *matches, root *node) {
	d.state, d.matches, d.node, d.open = docValue, m, root, d.open[:0]
	d.scalar = root.members == nil && root.index == nil && root.each == nil && root.count == nil
	if d.kept == nil {
		d.kept = make([]byte, 0, maxKept+16)
	}
}

// end is called after the last chunk. It reports whether the document was one
// complete value.
func (d *document) end() bool {
	if d.state == docScalar && len(d.open) == 0 {
		d.endScalar()
	}
	return d.state == docDone
}

// feed reads a chunk and returns how many bytes it used: all of them, unless the
// value ends earlier or is malformed.
func (d *document) feed(p []byte) int {
	i := 0
	for i < len(p) {
		switch d.state {
		case docValue, docFirst, docCountFirst, docFirstName, docName, docColon, docNext:
			switch c := p[i]; {
			case isSpace(c):
				i++
			case c == ',' && d.state == docNext && len(p)-i > 1 && p[i+1] == '"' && !d.open[len(d.open)-1].array:
				d.beginName()
				i += 2
			default:
				i += d.token(c)
			}
		case docInName:
			i += d.readName(p[i:])
			if d.state == docColon && len(p)-i > 1 && p[i] == ':' && !isSpace(p[i+1]) {
				i += 1 + d.value(p[i+1])
			}
		case docSkipName, docSkipString, docRawString:
			n := jsonskip.QuoteEnd(p[i:], &d.escape)
			if closed := i+n < len(p); closed {
				i += d.skipString(p[i:i+n+1], true)
			} else {
				i += d.skipString(p[i:], false)
			}
		case docString:
			i += d.readString(p[i:])
		case docText:
			i += d.readText(p[i:])
		case docScalar:
			i += d.readScalar(p[i:])
		case docSkip, docCount:
			n, closed := d.skip.Skip(p[i:])
			if i += n; closed {
				d.endSkip()
			}
		case docDone, docBroken:
			return i
		}
	}
	return i
}

// feedLast is feed for the last chunk, when nothing but white space may follow
// the value.
func (d *document) feedLast(p []byte) {
	n := d.feed(p)
	for n < len(p) && isSpace(p[n]) {
		n++
	}
	if n < len(p) {
		d.state = docBroken
	}
}

// token reads the first byte of a token, which is not white space. It returns 1
// if it used the byte, and 0 if the new state has to read it.
func (d *document) token(c byte) int {
	switch d.state {
	case docFirst:
		if c == ']' {
			d.endArray(0)
			return 1
		}
		d.nextElement(0)
		return d.value(c)
	case docCountFirst:
		if c == ']' {
			d.matches.recordCount(d.node, 0, nil)
			d.endValue()
			return 1
		}
		d.state = docCount
		d.skip.Begin(true)
		return 0
	case docValue:
		return d.value(c)
	case docColon:
		if c == ':' {
			d.state = docValue
			return 1
		}
	case docFirstName, docName:
		switch {
		case c == '"':
			d.beginName()
			return 1
		case c == '}' && d.state == docFirstName:
			d.close()
			return 1
		}
	case docNext:
		top := &d.open[len(d.open)-1]
		switch {
		case c == ',' && top.array:
			d.nextElement(top.index + 1)
			d.state = docValue
			// Often the first element decides everything but the number.
			if top.index == 1 && top.node.last < 1 && !d.matches.anyOpen(top.node.belowEach) {
				top.counted = true
				d.state = docCount
				d.skip.Begin(true)
			}
			return 1
		case c == ',':
			d.state = docName
			return 1
		case c == ']' && top.array:
			d.endArray(top.index + 1)
			return 1
		case c == '}' && !top.array:
			d.close()
			return 1
		}
	}
	d.state = docBroken
	return 0
}

// beginName is called after the opening quote of a name.
func (d *document) beginName() {
	d.state, d.kept, d.unescape = docInName, d.kept[:0], jsonskip.Unescaper{}
}

// value reads the first byte of a value. Like token, it returns how many bytes
// it used.
func (d *document) value(c byte) int {
	n := d.node
	if n != nil && n.probe == probeNone && !n.isFirst && !d.matches.isOpen(n) {
		n, d.node = nil, nil
	}
	if n != nil {
		d.recordMismatch(n, c)
	}
	switch c {
	case '{':
		d.report(value{kind: isObject})
		if n == nil || n.members == nil {
			d.state = docSkip
			d.skip.Begin(false)
			return 1
		}
		d.open = append(d.open, frame{node: n})
		d.state = docFirstName
		return 1
	case '[':
		d.report(value{kind: isArray})
		switch {
		case n == nil || n.count == nil && n.index == nil && n.each == nil:
			d.state = docSkip
			d.skip.Begin(false)
		case n.index == nil && n.each == nil:
			d.state = docCountFirst
		default:
			d.open = append(d.open, frame{node: n, array: true})
			d.state = docFirst
		}
		return 1
	case '"':
		d.kept, d.over, d.escape, d.unescape = d.kept[:0], false, false, jsonskip.Unescaper{}
		switch {
		case n != nil && (n.hash || n.text != nil && d.matches.anyOpen(n.text.all)):
			d.state = docText
			d.beginText()
		case n == nil || !n.keep:
			d.state = docSkipString
		case n.raw:
			d.state = docRawString
			d.kept = append(d.kept, c)
		default:
			d.state = docString
		}
		return 1
	}
	if c != '-' && !isDigit(c) && c != 't' && c != 'f' && c != 'n' && c != 'N' && c != 'I' {
		d.state = docBroken
		return 0
	}
	d.state, d.kept, d.over = docScalar, d.kept[:0], false
	return 0
}

// recordMismatch records that a value beginning with c is not of the type that
// some targets need.
func (d *document) recordMismatch(n *node, c byte) {
	if c != '"' {
		for _, w := range n.textTargets {
			if !d.matches.isClosed(w) {
				d.matches.fail(w, WrongType)
			}
		}
	}
	if c != '[' {
		d.matches.recordReason(n.count, WrongType)
		d.matches.recordNotArray(n)
	}
}

// report passes the value at the current node to the element around it and to
// matches.
func (d *document) report(v value) {
	if d.node == nil {
		return
	}
	switch {
	case d.node.probe != probeNone:
		d.open[len(d.open)-1].element.observeMember(d.node.probe, v)
	case d.node.isFirst:
		d.open[len(d.open)-1].element.observe(v)
	}
	d.matches.recordValue(d.node, v)
}

// endValue is called after each value.
func (d *document) endValue() {
	d.state = docNext
	if len(d.open) == 0 {
		d.state = docDone
	}
}

// endSkip is called after an object or array that was skipped or counted.
func (d *document) endSkip() {
	switch {
	case d.state == docSkip:
		d.endValue()
	case len(d.open) > 0 && d.open[len(d.open)-1].counted:
		d.endArray(d.open[len(d.open)-1].index + int(d.skip.Commas()) + 1)
	default:
		d.matches.recordCount(d.node, d.skip.Commas()+1, nil)
		d.endValue()
	}
}

// close leaves the innermost open object or array.
func (d *document) close() {
	last := len(d.open) - 1
	if closed := &d.open[last]; closed.node.isFirst && !closed.array {
		closed.element.object = true
		d.open[last-1].element = closed.element
	}
	d.open = d.open[:last]
	d.endValue()
}

func (d *document) endArray(elements int) {
	top := &d.open[len(d.open)-1]
	n := top.node
	d.matches.recordCount(n, int64(elements), &top.element)
	if n.isFirst {
		d.open[len(d.open)-2].element.observeArray(elements, &top.element)
	}
	d.matches.endArray(n, elements)
	d.close()
}

func (d *document) nextElement(index int) {
	top := &d.open[len(d.open)-1]
	top.index = index
	d.matches.nextElement(top.node, index)
	d.node = top.node.element(index)
}

// readName reads a member's name and finds the node of the member.
func (d *document) readName(p []byte) int {
	parent := d.open[len(d.open)-1].node
	if len(d.kept) == 0 && d.unescape == (jsonskip.Unescaper{}) {
		for i, c := range p {
			if c == '"' { // the usual: whole, and without an escape
				d.endName(parent.child(p[:i]))
				return i + 1
			}
			if c == '\\' {
				break
			}
		}
	}
	kept, n, closed, ok := d.unescape.Read(d.kept, p, maxName+1)
	d.kept = kept
	switch {
	case !ok:
		d.state = docBroken
	case closed:
		d.endName(parent.child(kept))
	case len(kept) > maxName:
		d.endName(nil)
		d.escape = d.unescape.BehindBackslash()
		d.state = docSkipName
	}
	return n
}

// endName is called after a member's name. member is the node of that member.
func (d *document) endName(member *node) {
	d.node, d.state = member, docColon
	if f := &d.open[len(d.open)-1]; f.node.isFirst {
		f.element.members++
		f.element.payload = f.element.payload || member != nil && member.probe == probePayload
	}
}

// skipString reads a chunk of a string that is not unescaped.
func (d *document) skipString(p []byte, closed bool) int {
	if d.state == docRawString && !d.over {
		if d.over = len(d.kept)+len(p) > maxKept; !d.over {
			d.kept = append(d.kept, p...)
		}
	}
	switch {
	case !closed:
	case d.state == docSkipName:
		d.state = docColon
	default:
		d.report(value{kind: isString, text: d.kept, over: d.over})
		d.endValue()
	}
	return len(p)
}

func (d *document) readString(p []byte) int {
	kept, n, closed, ok := d.unescape.Read(d.kept, p, maxKept)
	d.kept = kept
	switch {
	case !ok:
		d.state = docBroken
	case closed:
		d.report(value{kind: isString, text: kept})
		d.endValue()
	case len(kept) >= maxKept:
		d.over, d.escape = true, d.unescape.BehindBackslash()
		d.state = docSkipString
	}
	return n
}

// readScalar reads a number, true, false or null, up to the byte after it.
func (d *document) readScalar(p []byte) int {
	n := 0
	for n < len(p) && isScalar(p[n]) {
		n++
	}
	if d.node != nil && d.node.keep && !d.over {
		if d.over = len(d.kept)+n > maxKept; !d.over {
			d.kept = append(d.kept, p[:n]...)
		}
	}
	if n < len(p) {
		d.endScalar()
	}
	return n
}

func (d *document) endScalar() {
	v := value{kind: isNumber, text: d.kept, over: d.over}
	if d.node != nil && d.node.keep {
		switch string(d.kept) {
		case "true":
			v.kind = isTrue
		case "false":
			v.kind = isFalse
		case "null":
			v.kind = isNull
		default:
			if !d.over && !gjson.ValidBytes(d.kept) {
				d.state = docBroken
				return
			}
		}
	}
	d.report(v)
	d.endValue()
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t'
}

// isScalar reports whether c can stand in a number, true, false or null, or in
// Python's NaN and Infinity.
func isScalar(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E' || c == 'N' || c == 'I'
}
