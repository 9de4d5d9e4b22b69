package scan

import (
	"crypto/sha256"
	"hash"

	"github.com/tidwall/gjson"

	"github.com/tallygate/tallygate/internal/jsonskip"
)

// document follows one JSON value that comes in pieces, along the nodes of a
// plan. It remembers the objects and arrays that a path goes through, at most
// as many as a path has steps; all others it skips, however deep they are. It
// checks JSON's syntax in what it follows, and in what it skips no more than
// that strings and brackets end.
type document struct {
	state    docState
	matches  *matches
	node     *node   // what is wanted of the value that begins or passes; nil: nothing
	open     []frame // around it
	skip     jsonskip.Skipper
	unescape jsonskip.Unescaper
	escape   bool        // in a string that is skipped: the next byte is escaped
	kept     []byte      // of a name, string or scalar that is read
	over     bool        // it is longer than any that counts
	text     *textReader // of a string
	piece    []byte      // of that string, unescaped
	hash     hash.Hash   // of that string
	sum      [sha256.Size]byte
}

// frame is an object or array that is being followed.
type frame struct {
	node    *node
	array   bool
	counted bool    // of the array's elements nothing but the number is wanted any more
	index   int     // of the array's element
	element element // of an array, the first; or this, if it is one
}

type docState uint8

const (
	docValue      docState = iota // a value is to come
	docFirstName                  // behind {
	docName                       // behind the comma in an object
	docInName                     // in a name
	docSkipName                   // in a name that is longer than any wanted
	docColon                      // behind a name
	docFirst                      // behind [
	docCountFirst                 // behind [ of an array that is only counted
	docCount                      // in it
	docSkip                       // in an object or array that nothing is wanted of
	docSkipString                 // in a string that nothing more is wanted of
	docRawString                  // in a string that is wanted as it is written
	docString                     // in a string that is wanted
	docText                       // in a string that is unescaped piece by piece: its JSON is followed, or it is hashed
	docScalar                     // in a number, true, false or null
	docNext                       // behind a value in an object or array
	docDone                       // behind the whole value
	docBroken                     // this is no JSON
)

// maxKept is more than what is looked for in a name, string or scalar has.
const maxKept = maxID + 2 + 1

func (d *document) begin(c *matches, root *node) {
	d.state, d.matches, d.node, d.open = docValue, c, root, d.open[:0]
	if d.kept == nil {
		d.kept = make([]byte, 0, maxKept+16)
	}
}

// end is called when nothing more comes, and reports whether it was
// one whole value.
func (d *document) end() bool {
	if d.state == docScalar && len(d.open) == 0 {
		d.endScalar()
	}
	return d.state == docDone
}

// feed takes in the next bytes and returns how many: all of them, unless the
// value ends before or turns out to be none.
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
				i += d.passString(p[i:i+n+1], true)
			} else {
				i += d.passString(p[i:], false)
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

// feedLast is feed for what has the document to itself: behind the value only
// white space may come.
func (d *document) feedLast(p []byte) {
	n := d.feed(p)
	for n < len(p) && isSpace(p[n]) {
		n++
	}
	if n < len(p) {
		d.state = docBroken
	}
}

// token takes in a byte that is no white space where a token begins, and
// returns 1 if it is used up.
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
			d.matches.counted(d.node, 0, nil)
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
			// Often the first element settles all but the number.
			if top.index == 1 && top.node.last < 1 && !d.matches.openAny(top.node.eachAll) {
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

// beginName is called behind the quote that a name begins with.
func (d *document) beginName() {
	d.state, d.kept, d.unescape = docInName, d.kept[:0], jsonskip.Unescaper{}
}

// value takes in the first byte of a value.
func (d *document) value(c byte) int {
	n := d.node
	if n != nil && n.probe == probeNone && !n.isFirst && !d.matches.open(n) {
		n, d.node = nil, nil
	}
	if n != nil {
		d.mismatch(n, c)
	}
	switch c {
	case '{':
		d.found(value{kind: isObject})
		if n == nil || n.members == nil {
			d.state = docSkip
			d.skip.Begin(false)
			return 1
		}
		d.open = append(d.open, frame{node: n})
		d.state = docFirstName
		return 1
	case '[':
		d.found(value{kind: isArray})
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
		case n != nil && (n.hash || n.text != nil && d.matches.openAny(n.text.all)):
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

// mismatch notes what a value that begins with c cannot give.
func (d *document) mismatch(n *node, c byte) {
	if c != '"' {
		for _, w := range n.textOf {
			if !d.matches.closed(w) {
				d.matches.fail(w, WrongType)
			}
		}
	}
	if c != '[' {
		d.matches.note(n.count, WrongType)
		d.matches.noArray(n)
	}
}

// found hands the value at the node on.
func (d *document) found(v value) {
	if d.node == nil {
		return
	}
	switch {
	case d.node.probe != probeNone:
		d.open[len(d.open)-1].element.take(d.node.probe, v)
	case d.node.isFirst:
		d.open[len(d.open)-1].element.takeFirst(v)
	}
	d.matches.found(d.node, v)
}

// endValue is called behind a value.
func (d *document) endValue() {
	d.state = docNext
	if len(d.open) == 0 {
		d.state = docDone
	}
}

// endSkip is called behind an object or array that was skipped or counted.
func (d *document) endSkip() {
	switch {
	case d.state == docSkip:
		d.endValue()
	case len(d.open) > 0 && d.open[len(d.open)-1].counted:
		d.endArray(d.open[len(d.open)-1].index + int(d.skip.Commas()) + 1)
	default:
		d.matches.counted(d.node, d.skip.Commas()+1, nil)
		d.endValue()
	}
}

// close leaves the object or array that is open.
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
	d.matches.counted(n, int64(elements), &top.element)
	if n.isFirst {
		d.open[len(d.open)-2].element.takeArray(elements, &top.element)
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
				d.named(parent.child(p[:i]))
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
		d.named(parent.child(kept))
	case len(kept) > maxName:
		d.named(nil)
		d.escape = d.unescape.BehindBackslash()
		d.state = docSkipName
	}
	return n
}

// named is called behind a member's name, with the node of the member.
func (d *document) named(member *node) {
	d.node, d.state = member, docColon
	if f := &d.open[len(d.open)-1]; f.node.isFirst {
		f.element.members++
		f.element.payload = f.element.payload || member != nil && member.probe == probePayload
	}
}

// passString takes in a piece of a string that is not unescaped.
func (d *document) passString(p []byte, closed bool) int {
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
		d.found(value{kind: isString, text: d.kept, over: d.over})
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
		d.found(value{kind: isString, text: kept})
		d.endValue()
	case len(kept) >= maxKept:
		d.over, d.escape = true, d.unescape.BehindBackslash()
		d.state = docSkipString
	}
	return n
}

// readScalar reads a number, true, false or null, up to what follows it.
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
	d.found(v)
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
