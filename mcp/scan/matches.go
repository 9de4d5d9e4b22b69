package scan

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Caps, in bytes, on the fields of a reply.
const (
	maxID   = 512
	maxWord = 64 // a resultType or a status
)

// matches collects what is found in the current document: an answer for each
// target, and the fields of the reply. document and textReader report values to
// it; Reply.Facts reads the answers.
type matches struct {
	plan    *plan
	answers []answer // by the number of the target; kept small, since a reply has about a hundred
	names   []tableName
	text    []byte // the bytes of all names
	reply   Reply

	statuses []status // one for each answer that counts arrays; see answer.status

	id []byte // the buffer of reply.ID

	habit     Habit // of the tool whose result this is
	unchecked bool  // the JSON in a text was not checked; see Habit

	statement  statement // the kind of the request's query
	statements int       // how many statements the query has

	hasID, hasMethod, taskMethod bool

	texts int // open texts around the current value

	outcomes [outcomes]outcome
	tasks    [descriptions]task
}

// outcome is the outcome at one of the positions where a result or an error may
// stand.
type outcome struct {
	Outcome
	result bool // there is a result
}

// task is the task described at one of the positions where a message may have
// one.
type task struct {
	id     []byte // empty if there is none
	status string
	ttl    int64
	hasTTL bool
}

// answer is what has been found for one target so far.
type answer struct {
	done       bool // closed: later values do not count
	inElement  bool // closed until the next element, for a path through all elements
	collecting bool // the strings of the current array are its tables
	known      bool
	weak       bool   // the statement that names the tables may be prose
	why        Reason // the most specific reason so far why there is no answer
	status     uint16 // an index into matches.statuses, plus one; 0 if there is no status
	number     int64
}

// tableName is one table name found for a target.
type tableName struct {
	target     int
	start, end int // in matches.text
}

func (m *matches) reset(p *plan) {
	m.plan = p
	m.answers = slices.Grow(m.answers[:0], len(p.targets))[:len(p.targets)]
	clear(m.answers)
	m.names, m.text, m.statuses = m.names[:0], m.text[:0], m.statuses[:0]
	m.reply = Reply{matches: m}
	m.statement, m.statements = statementNone, 0
	m.hasID, m.hasMethod, m.taskMethod, m.texts, m.unchecked = false, false, false, 0, false
	m.outcomes = [outcomes]outcome{}
	for i := range m.tasks {
		m.tasks[i] = task{id: m.tasks[i].id[:0]}
	}
}

// message returns the document as a reply or a notification, or nil if it is
// neither.
func (m *matches) message() *Reply {
	r, t := &m.reply, &m.tasks[atOwn]
	own := &m.outcomes[atReply]
	switch {
	case !m.hasMethod && (own.RPCError || m.hasID && own.result): // an error may come without an id
		if len(m.tasks[atTask].id) > 0 {
			t = &m.tasks[atTask]
		}
		r.Outcome = own.Outcome
	case m.taskMethod && !m.hasID:
		t = &m.tasks[atParams]
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

// isOpen reports whether a target at the node or below it still needs a value.
func (m *matches) isOpen(n *node) bool { return m.anyOpen(n.all) }

// anyOpen is isOpen for a list of targets.
func (m *matches) anyOpen(targets []int) bool {
	for _, w := range targets {
		if s := &m.answers[w]; !s.done && !s.inElement || s.collecting {
			return true
		}
	}
	return false
}

// isClosed reports whether the target w needs no further value, in this element
// at least.
func (m *matches) isClosed(w int) bool {
	s := &m.answers[w]
	return s.done || s.inElement
}

// recordReason records why a value was no answer, for each of the targets that
// has none yet.
func (m *matches) recordReason(targets []int, why Reason) {
	for _, w := range targets {
		if s := &m.answers[w]; !s.done && !s.inElement {
			s.why = max(s.why, why)
		}
	}
}

// recordNotArray is called for a value that is not an array although paths go
// through its elements. A sum takes the first value at its path, so it fails.
func (m *matches) recordNotArray(n *node) {
	for _, through := range n.eachTargets {
		w := through.target
		switch {
		case m.isClosed(w):
		case m.plan.targets[w].kind.isNumber():
			m.fail(w, WrongType)
		default:
			m.answers[w].why = max(m.answers[w].why, WrongType)
		}
	}
}

// fail closes the target w without an answer. If w is a sum over elements, one
// element without an answer makes the sum unknown.
func (m *matches) fail(w int, why Reason) {
	s := &m.answers[w]
	s.why = max(s.why, why)
	s.done, s.collecting = true, false
	if m.plan.targets[w].kind.isNumber() {
		s.known = false
	}
}

// skipText is called for a text that has nothing for the targets. A sum goes on
// with the next text.
func (m *matches) skipText(targets []int) {
	for _, w := range targets {
		switch {
		case m.isClosed(w):
		case m.plan.targets[w].several:
			m.answers[w].why = max(m.answers[w].why, NotFound)
		default:
			m.fail(w, WrongFormat)
		}
	}
}

// addNumber answers w with n. For a path through elements it adds n to the
// numbers of the other elements.
func (m *matches) addNumber(w int, n int64) {
	s := &m.answers[w]
	if m.plan.targets[w].several {
		s.inElement, s.known = true, true
		if s.number > math.MaxInt64-n {
			m.fail(w, OverCap)
			return
		}
		s.number += n
		return
	}
	s.done, s.known, s.number = true, true, n
	m.closeAlternatives(w)
}

// closeAlternatives closes the alternatives that rank behind w, once the answer
// of w is final.
func (m *matches) closeAlternatives(w int) {
	if m.texts > 0 {
		return // the text may still turn out not to be of that format
	}
	this := &m.plan.targets[w]
	first, end := this.alternatives[0], this.alternatives[1]
	for i := first; i < end; i++ {
		if s := &m.answers[i]; m.plan.targets[i].rank == this.rank && (!s.done || !s.known) {
			return
		}
	}
	for i := first; i < end; i++ {
		if m.plan.targets[i].rank > this.rank {
			m.answers[i].done, m.answers[i].collecting = true, false
		}
	}
}

// closeText is called after a text with the targets in it. Those that the text
// did not answer fail.
func (m *matches) closeText(targets []int, why Reason) {
	for _, w := range targets {
		s := &m.answers[w]
		switch {
		case s.done && s.known:
			m.closeAlternatives(w)
		case !s.done && !s.inElement:
			m.fail(w, why)
		}
	}
}

// discard removes the answers found in a text that turned out to be malformed.
func (m *matches) discard(targets []int) {
	for _, w := range targets {
		s := &m.answers[w]
		*s = answer{why: s.why}
	}
	m.names = slices.DeleteFunc(m.names, func(found tableName) bool { return slices.Contains(targets, found.target) })
}

// value is the value at a node that has targets.
type value struct {
	kind valueKind
	text []byte // a string, unescaped, or a number; an id as written
	over bool   // the text is longer than maxKept, and cut
	sum  []byte // SHA-256 of a string, if the node asks for it
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

// recordValue records the value at a node.
func (m *matches) recordValue(n *node, v value) {
	for _, w := range n.leaf {
		if m.isClosed(w) {
			continue
		}
		s, target := &m.answers[w], &m.plan.targets[w]
		if target.several {
			s.inElement = true
		} else {
			s.done = true
			s.collecting = v.kind == isArray && target.kind == targetTable
		}
		m.storeValue(w, v)
	}
	for _, w := range n.tableItems {
		if m.answers[w].collecting && v.kind == isString {
			m.addTable(w, v)
		}
	}
}

// storeValue records a value for the target w.
func (m *matches) storeValue(w int, v value) {
	s, r, target := &m.answers[w], &m.reply, &m.plan.targets[w]
	switch target.kind {
	case targetTable:
		switch v.kind {
		case isString:
			m.addTable(w, v)
		case isArray:
		default:
			s.why = max(s.why, WrongType)
		}
	case targetRecords, targetAffected:
		if n, ok := v.wholeNumber(); ok {
			m.addNumber(w, n)
		} else {
			m.fail(w, WrongType)
		}
	case targetID:
		m.hasID = true
		if (v.kind == isString || v.kind == isNumber || v.kind == isNull) && !v.over && len(v.text) <= maxID {
			m.id = append(m.id[:0], v.text...)
			r.ID = m.id
		}
	case targetMethod:
		m.hasMethod = true
	case targetTaskMethod:
		switch string(v.text) {
		case "notifications/tasks", "notifications/tasks/status":
			m.taskMethod = v.kind == isString
		}
	case targetResult:
		// A request without anything to return may have the result null.
		m.outcomes[target.at].result = target.at == atReply || v.kind != isNull
	case targetError:
		m.outcomes[target.at].RPCError = v.kind != isNull
	case targetCode:
		if v.kind == isNumber && !v.over {
			if code, err := strconv.ParseInt(string(v.text), 10, 64); err == nil {
				m.outcomes[target.at].RPCCode, m.outcomes[target.at].HasCode = code, true
			}
		}
	case targetIsError:
		m.outcomes[target.at].ToolError = v.kind == isTrue
	case targetResultType:
		r.ResultType = word(v)
	case targetState:
		if v.kind == isString {
			r.HasState = true
			copy(r.State[:], v.sum)
		}
	case targetTaskID:
		if v.kind == isString && !v.over && len(v.text) <= maxID {
			m.tasks[target.at].id = append(m.tasks[target.at].id[:0], v.text...)
		}
	case targetTaskStatus:
		m.tasks[target.at].status = word(v)
	case targetTaskTTL:
		if t := &m.tasks[target.at]; v.kind == isNumber && !v.over && !t.hasTTL {
			t.ttl, t.hasTTL = wholeNumber(v.text)
		}
	}
}

// word returns a short string, without an allocation for the common ones. It
// returns "" for any other value.
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

// addTable adds a table name. It ignores a string that cannot be one: an empty
// one, or one that is not UTF-8.
func (m *matches) addTable(w int, v value) {
	s := &m.answers[w]
	switch {
	case s.why == OverCap || len(v.text) == 0 && !v.over:
		return
	case v.over || len(v.text) > maxTableBytes:
		s.exceedCap()
		return
	case !utf8.Valid(v.text):
		return
	}
	n := 0
	for _, found := range m.names {
		if found.target == w {
			if bytes.Equal(m.text[found.start:found.end], v.text) {
				return
			}
			n++
		}
	}
	if n == maxTables {
		s.exceedCap()
		return
	}
	start := len(m.text)
	m.text = append(m.text, v.text...)
	m.names = append(m.names, tableName{w, start, len(m.text)})
	s.known = true
	if s.done && !s.collecting {
		m.closeAlternatives(w)
	}
}

// exceedCap closes a target whose answer is over a cap.
func (a *answer) exceedCap() {
	a.why, a.known, a.done, a.collecting = OverCap, false, true, false
}

// recordCount records the number of elements of the array at a node. first is
// its first element, or nil.
func (m *matches) recordCount(n *node, elements int64, first *element) {
	for _, w := range n.count {
		switch {
		case m.isClosed(w):
		case first != nil && first.isContent():
			m.fail(w, WrongType)
		default:
			m.statusOf(w).add(elements, first)
			m.addNumber(w, elements)
		}
	}
}

// statusOf returns the status of the arrays counted for w.
func (m *matches) statusOf(w int) *status {
	s := &m.answers[w]
	if s.status == 0 {
		m.statuses = append(m.statuses, status{})
		s.status = uint16(len(m.statuses))
	}
	return &m.statuses[s.status-1]
}

// nextElement is called before each element of the array at a node.
func (m *matches) nextElement(n *node, index int) {
	for _, through := range n.eachTargets {
		if index > 0 {
			m.endElement(through)
		}
		m.answers[through.target].inElement = false
	}
}

// endElement is called after each element. An element without a number makes a
// sum unknown, unless the number would be in a text and the element has no text.
func (m *matches) endElement(through eachTarget) {
	s, target := &m.answers[through.target], &m.plan.targets[through.target]
	if target.kind.isNumber() && !s.inElement && !s.done && !through.texts {
		m.fail(through.target, NotFound)
	}
}

// endArray is called after the last element.
func (m *matches) endArray(n *node, elements int) {
	for _, through := range n.eachTargets {
		w := through.target
		s, target := &m.answers[w], &m.plan.targets[w]
		if elements > 0 {
			m.endElement(through)
		}
		switch {
		case s.done:
			continue
		case through.inner: // this array is part of an element, which now has its number
			s.inElement, s.known = true, true
			continue
		case elements == 0 && target.kind.isNumber() && (!through.texts || target.countsLines):
			s.known = true // the sum of no elements is 0, and so is the number of lines of no texts
		}
		if s.known && s.number < target.atLeast {
			m.fail(w, WrongFormat)
			continue
		}
		s.inElement, s.done = false, true
		if s.known {
			m.closeAlternatives(w)
		}
	}
	for _, w := range n.leaf {
		if s := &m.answers[w]; s.collecting {
			s.collecting = false
			if s.known {
				m.closeAlternatives(w)
			}
		}
	}
}

// wholeNumber returns the value if it is a whole number.
func (v value) wholeNumber() (n int64, ok bool) {
	if v.kind != isNumber || v.over {
		return 0, false
	}
	return wholeNumber(v.text)
}

// wholeNumber parses a JSON number that is a non-negative integer and fits an
// int64. Zeros after a decimal point are allowed.
func wholeNumber(text []byte) (n int64, ok bool) {
	whole, fraction, point := bytes.Cut(text, []byte("."))
	if point && (len(fraction) == 0 || len(bytes.Trim(fraction, "0")) > 0) {
		return 0, false
	}
	if len(whole) == 0 || !isDigit(whole[0]) {
		return 0, false // checked first because an error of ParseInt is an allocation
	}
	n, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil {
		return 0, false
	}
	return n, true
}
