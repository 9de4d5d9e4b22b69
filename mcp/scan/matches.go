package scan

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Caps on what of a reply is kept while it passes.
const (
	maxID   = 512
	maxWord = 64 // a resultType or a status
)

// matches is what has been found in the document that passes.
type matches struct {
	plan    *plan
	answers []answer // by the target's number; small, since a reply has a hundred
	names   []tableName
	text    []byte // of the names
	reply   Reply

	statuses []status // of the answers that counted arrays

	id []byte // memory of reply.ID

	habit     Habit // of the tool whose result passes
	unchecked bool  // a text was taken for JSON without a check

	statement  statement // that the request's query is
	statements int       // in it

	hasID, hasMethod, taskMethod bool

	texts int // around what passes

	outcomes [outcomes]outcome
	tasks    [descriptions]task
}

// outcome is what is said at one of the places where a result or an error may
// stand.
type outcome struct {
	Outcome
	result bool // there is a result
}

// task is what is said at one of the places where a task may be described.
type task struct {
	id     []byte // empty: none
	status string
	ttl    int64
	hasTTL bool
}

// answer is what has been found of one target.
type answer struct {
	done      bool // it has its answer; what comes later does not count
	inElement bool // the same for this element, of a path through each
	taking    bool // the strings of the array that passes are its tables
	known     bool
	weak      bool   // of tables: the statement that names them may be prose
	why       Reason // the most telling of what was in the way
	status    uint16 // of the arrays counted: an index of matches.statuses, plus one
	number    int64
}

// tableName is a table name that answers one target.
type tableName struct {
	target     int
	start, end int // in matches.text
}

func (c *matches) reset(p *plan) {
	c.plan = p
	c.answers = slices.Grow(c.answers[:0], len(p.targets))[:len(p.targets)]
	clear(c.answers)
	c.names, c.text, c.statuses = c.names[:0], c.text[:0], c.statuses[:0]
	c.reply = Reply{matches: c}
	c.statement, c.statements = statementNone, 0
	c.hasID, c.hasMethod, c.taskMethod, c.texts, c.unchecked = false, false, false, 0, false
	c.outcomes = [outcomes]outcome{}
	for i := range c.tasks {
		c.tasks[i] = task{id: c.tasks[i].id[:0]}
	}
}

// message is what the whole document is: a reply or a notification, or nil.
func (c *matches) message() *Reply {
	r, t := &c.reply, &c.tasks[atOwn]
	own := &c.outcomes[atReply]
	switch {
	case !c.hasMethod && (own.RPCError || c.hasID && own.result): // an error may come without an id
		if len(c.tasks[atTask].id) > 0 {
			t = &c.tasks[atTask]
		}
		r.Outcome = own.Outcome
	case c.taskMethod && !c.hasID:
		t = &c.tasks[atParams]
		r.Notification = true
		r.ResultType, r.HasState = "", false
	default:
		return nil
	}
	if len(t.id) > 0 {
		r.TaskID = t.id
	}
	r.TaskStatus, r.TaskTTL, r.HasTTL = t.status, t.ttl, t.hasTTL
	return r
}

// open reports whether anything is still to be found at the node or below.
func (c *matches) open(n *node) bool { return c.openAny(n.all) }

func (c *matches) openAny(targets []int) bool {
	for _, w := range targets {
		if s := &c.answers[w]; !s.done && !s.inElement || s.taking {
			return true
		}
	}
	return false
}

// closed reports whether w has its answer, for now.
func (c *matches) closed(w int) bool {
	s := &c.answers[w]
	return s.done || s.inElement
}

// note remembers what was in the way of those that have no answer.
func (c *matches) note(targets []int, why Reason) {
	for _, w := range targets {
		if s := &c.answers[w]; !s.done && !s.inElement {
			s.why = max(s.why, why)
		}
	}
}

// noArray is for a value that is none where a path goes through each element.
// The array of a sum is looked for once.
func (c *matches) noArray(n *node) {
	for _, through := range n.eachOf {
		w := through.target
		switch {
		case c.closed(w):
		case c.plan.targets[w].kind.isNumber():
			c.fail(w, WrongType)
		default:
			c.answers[w].why = max(c.answers[w].why, WrongType)
		}
	}
}

// fail is the answer that there is none. Of an element, it is the answer for
// the sum of all.
func (c *matches) fail(w int, why Reason) {
	s := &c.answers[w]
	s.why = max(s.why, why)
	s.done, s.taking = true, false
	if c.plan.targets[w].kind.isNumber() {
		s.known = false
	}
}

// passOver is for a text that holds nothing of what is wanted in it: a sum goes
// on with the next.
func (c *matches) passOver(targets []int) {
	for _, w := range targets {
		switch {
		case c.closed(w):
		case c.plan.targets[w].several:
			c.answers[w].why = max(c.answers[w].why, NotFound)
		default:
			c.fail(w, WrongFormat)
		}
	}
}

// number is the answer n; of an element, it is added to those of the others.
func (c *matches) number(w int, n int64) {
	s := &c.answers[w]
	if c.plan.targets[w].several {
		s.inElement, s.known = true, true
		if s.number > math.MaxInt64-n {
			c.fail(w, OverCap)
			return
		}
		s.number += n
		return
	}
	s.done, s.known, s.number = true, true, n
	c.settle(w)
}

// settle stops looking for what comes after the answer of w, once that is
// certain.
func (c *matches) settle(w int) {
	if c.texts > 0 {
		return // the text may turn out to be none of that format
	}
	this := &c.plan.targets[w]
	first, end := this.alternatives[0], this.alternatives[1]
	for i := first; i < end; i++ {
		if s := &c.answers[i]; c.plan.targets[i].rank == this.rank && (!s.done || !s.known) {
			return
		}
	}
	for i := first; i < end; i++ {
		if c.plan.targets[i].rank > this.rank {
			c.answers[i].done, c.answers[i].taking = true, false
		}
	}
}

// settleText is called behind a text, for what is wanted in it: where it gave
// no answer, there is none.
func (c *matches) settleText(targets []int, why Reason) {
	for _, w := range targets {
		s := &c.answers[w]
		switch {
		case s.done && s.known:
			c.settle(w)
		case !s.done && !s.inElement:
			c.fail(w, why)
		}
	}
}

// forget drops what was found of a text that turned out to be broken.
func (c *matches) forget(targets []int) {
	for _, w := range targets {
		s := &c.answers[w]
		*s = answer{why: s.why}
	}
	c.names = slices.DeleteFunc(c.names, func(found tableName) bool { return slices.Contains(targets, found.target) })
}

// value is a value at a node where something was looked for.
type value struct {
	kind valueKind
	text []byte // of a string, unescaped, or of a number; of an id, as it is written
	over bool   // the text is longer than any that counts
	sum  []byte // SHA-256 of a string, where it is wanted
}

type valueKind uint8

const (
	isObject valueKind = iota
	isArray
	isString
	isNumber
	isTrue
	isFalse
	isNull
)

// found takes in the value at a node.
func (c *matches) found(n *node, v value) {
	for _, w := range n.leaf {
		if c.closed(w) {
			continue
		}
		s, target := &c.answers[w], &c.plan.targets[w]
		if target.several {
			s.inElement = true
		} else {
			s.done = true
			s.taking = v.kind == isArray && target.kind == targetTable
		}
		c.keep(w, v)
	}
	for _, w := range n.take {
		if c.answers[w].taking && v.kind == isString {
			c.table(w, v)
		}
	}
}

func (c *matches) keep(w int, v value) {
	s, r, target := &c.answers[w], &c.reply, &c.plan.targets[w]
	switch target.kind {
	case targetTable:
		switch v.kind {
		case isString:
			c.table(w, v)
		case isArray:
		default:
			s.why = max(s.why, WrongType)
		}
	case targetRecords, targetAffected:
		if n, ok := v.wholeNumber(); ok {
			c.number(w, n)
		} else {
			c.fail(w, WrongType)
		}
	case targetID:
		c.hasID = true
		if (v.kind == isString || v.kind == isNumber || v.kind == isNull) && !v.over && len(v.text) <= maxID {
			c.id = append(c.id[:0], v.text...)
			r.ID = c.id
		}
	case targetMethod:
		c.hasMethod = true
	case targetTaskMethod:
		switch string(v.text) {
		case "notifications/tasks", "notifications/tasks/status":
			c.taskMethod = v.kind == isString
		}
	case targetResult:
		// A result that is null is the result of a request that has none to give.
		c.outcomes[target.at].result = target.at == atReply || v.kind != isNull
	case targetError:
		c.outcomes[target.at].RPCError = v.kind != isNull
	case targetCode:
		if v.kind == isNumber && !v.over {
			if code, err := strconv.ParseInt(string(v.text), 10, 64); err == nil {
				c.outcomes[target.at].RPCCode, c.outcomes[target.at].HasCode = code, true
			}
		}
	case targetIsError:
		c.outcomes[target.at].ToolError = v.kind == isTrue
	case targetResultType:
		r.ResultType = word(v)
	case targetState:
		if v.kind == isString {
			r.HasState = true
			copy(r.State[:], v.sum)
		}
	case targetTaskID:
		if v.kind == isString && !v.over && len(v.text) <= maxID {
			c.tasks[target.at].id = append(c.tasks[target.at].id[:0], v.text...)
		}
	case targetTaskStatus:
		c.tasks[target.at].status = word(v)
	case targetTaskTTL:
		if t := &c.tasks[target.at]; v.kind == isNumber && !v.over && !t.hasTTL {
			t.ttl, t.hasTTL = wholeNumber(v.text)
		}
	}
}

// word is a string of few bytes, without an allocation for the usual ones.
func word(v value) string {
	if v.kind != isString || v.over || len(v.text) > maxWord {
		return ""
	}
	switch string(v.text) {
	case "complete":
		return "complete"
	case "input_required":
		return "input_required"
	case "task":
		return "task"
	case "working":
		return "working"
	case "completed":
		return "completed"
	case "failed":
		return "failed"
	case "cancelled":
		return "cancelled"
	}
	return string(v.text)
}

// table takes in one table name. What no table can be called is passed over.
func (c *matches) table(w int, v value) {
	s := &c.answers[w]
	switch {
	case s.why == OverCap || len(v.text) == 0 && !v.over:
		return
	case v.over || len(v.text) > maxTableBytes:
		s.giveUp()
		return
	case !utf8.Valid(v.text):
		return
	}
	n := 0
	for _, found := range c.names {
		if found.target == w {
			if bytes.Equal(c.text[found.start:found.end], v.text) {
				return
			}
			n++
		}
	}
	if n == maxTables {
		s.giveUp()
		return
	}
	start := len(c.text)
	c.text = append(c.text, v.text...)
	c.names = append(c.names, tableName{w, start, len(c.text)})
	s.known = true
	if s.done && !s.taking {
		c.settle(w)
	}
}

// giveUp is for what is over a cap: it is looked for no more.
func (a *answer) giveUp() {
	a.why, a.known, a.done, a.taking = OverCap, false, true, false
}

// counted takes in the number of elements of the array at a node, and what the
// first of them is.
func (c *matches) counted(n *node, elements int64, first *element) {
	for _, w := range n.count {
		switch {
		case c.closed(w):
		case first != nil && first.isContent():
			c.fail(w, WrongType)
		default:
			c.statusOf(w).add(elements, first)
			c.number(w, elements)
		}
	}
}

// statusOf returns what the arrays counted for w say of affected rows.
func (c *matches) statusOf(w int) *status {
	s := &c.answers[w]
	if s.status == 0 {
		c.statuses = append(c.statuses, status{})
		s.status = uint16(len(c.statuses))
	}
	return &c.statuses[s.status-1]
}

// nextElement is called before each element of the array at a node.
func (c *matches) nextElement(n *node, index int) {
	for _, through := range n.eachOf {
		if index > 0 {
			c.endElement(through)
		}
		c.answers[through.target].inElement = false
	}
}

// endElement is called behind each element. One that gives no number makes the
// sum unknown, unless there is nothing that a modifier could be told.
func (c *matches) endElement(through through) {
	s, target := &c.answers[through.target], &c.plan.targets[through.target]
	if target.kind.isNumber() && !s.inElement && !s.done && !through.texts {
		c.fail(through.target, NotFound)
	}
}

// endArray is called after the last.
func (c *matches) endArray(n *node, elements int) {
	for _, through := range n.eachOf {
		w := through.target
		s, target := &c.answers[w], &c.plan.targets[w]
		if elements > 0 {
			c.endElement(through)
		}
		switch {
		case s.done:
			continue
		case through.inner: // the element of the array around has its number
			s.inElement, s.known = true, true
			continue
		case elements == 0 && target.kind.isNumber() && (!through.texts || target.countsLines):
			s.known = true // nothing to add is 0, and no text has no lines
		}
		if s.known && s.number < target.atLeast {
			c.fail(w, WrongFormat)
			continue
		}
		s.inElement, s.done = false, true
		if s.known {
			c.settle(w)
		}
	}
	for _, w := range n.leaf {
		if s := &c.answers[w]; s.taking {
			s.taking = false
			if s.known {
				c.settle(w)
			}
		}
	}
}

// wholeNumber is the number that the value is, if it is whole.
func (v value) wholeNumber() (n int64, ok bool) {
	if v.kind != isNumber || v.over {
		return 0, false
	}
	return wholeNumber(v.text)
}

// wholeNumber reads a JSON number that is an integer, not negative, and fits:
// digits, and zeros alone behind a point.
func wholeNumber(text []byte) (n int64, ok bool) {
	whole, fraction, point := bytes.Cut(text, []byte("."))
	if point && (len(fraction) == 0 || len(bytes.Trim(fraction, "0")) > 0) {
		return 0, false
	}
	if len(whole) == 0 || !isDigit(whole[0]) {
		return 0, false // before ParseInt, whose errors are allocated
	}
	n, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil {
		return 0, false
	}
	return n, true
}
