package mcp

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Outcome is how a call ended, as a message says it.
type Outcome struct {
	// RPCError tells that this is an error, and not a result; RPCCode is its
	// code when HasCode, that is, when it is an integer.
	RPCError bool
	HasCode  bool
	RPCCode  int64
	// ToolError is the result's isError.
	ToolError bool
}

// Reply is a JSON-RPC response as it passed: an object with an id and a result
// or an error (one that is not null), and no method. In the scope Tasks it may
// also be a notification about a task. Where a name occurs twice in an object,
// the first counts that gives an answer.
type Reply struct {
	// ID is the id as it is written, a JSON string, number or null. It is nil
	// when the id is anything else or longer than 512 bytes.
	ID []byte
	// Outcome is the reply's own; Inner is that of a task.
	Outcome
	// Notification tells that this is no reply, but an object with the method
	// notifications/tasks/status (2025-11-25) or notifications/tasks (the tasks
	// extension) and no id.
	Notification bool
	// ResultType is the result's resultType (since revision 2026-07-28):
	// "complete", "input_required", "task". It is empty when there is none, or
	// none of at most 64 bytes.
	ResultType string
	// TaskID is the id of the task that the message is about: the result's
	// task.taskId (2025-11-25) or else taskId (2025-11-25's tasks/get, and the
	// tasks extension), or the taskId of a notification's params. It is nil when
	// there is none, or none of 1 to 512 bytes.
	TaskID []byte
	// TaskStatus is the status beside TaskID: "working", "input_required",
	// "completed", "failed", "cancelled". It is empty when there is none, or none
	// of at most 64 bytes.
	TaskStatus string
	// TaskTTL is how long the task is kept, in milliseconds, when HasTTL: the ttl
	// (2025-11-25) or ttlMs (the tasks extension) beside TaskID.
	TaskTTL int64
	HasTTL  bool
	// State is the SHA-256 of the result's requestState, unescaped and of any
	// length, when HasState.
	State    [sha256.Size]byte
	HasState bool
	// Size is the length of the message in bytes.
	Size int64

	caught *caught
}

// Inner is the outcome of the call that a task runs, as the state of the task
// tells it in a reply to tasks/get or a notification (the tasks extension): a
// result or an error that is not null. It is not ok when the state has neither,
// and outside the scope Tasks.
func (r *Reply) Inner() (o Outcome, ok bool) {
	found := &r.caught.outcomes[r.stateAt()]
	return found.Outcome, found.result || found.RPCError
}

// stateAt is where the state of a task stands, if it does.
func (r *Reply) stateAt() uint8 {
	if r.Notification {
		return atNotice
	}
	return atState
}

// Facts returns what e finds in the reply. It has to be one of the extractors
// that the Scanner was told to look for; of any other, nothing is known. For
// an error there are no facts.
func (r *Reply) Facts(e *Extractor) Facts { return r.caught.factsAt(e, atReply) }

// InnerFacts returns what e finds in the result that Inner speaks of.
func (r *Reply) InnerFacts(e *Extractor) Facts { return r.caught.factsAt(e, r.stateAt()) }

func (c *caught) factsAt(e *Extractor, at uint8) Facts {
	if e == nil {
		return Facts{}
	}
	for i := range c.plan.askers {
		if a := &c.plan.askers[i]; a.extractor == e && a.first[at] >= 0 {
			return c.facts(e.result, a.first[at])
		}
	}
	return Facts{}
}

// Caps on what of a reply is kept while it passes.
const (
	maxID   = 512
	maxWord = 64 // a resultType or a status
)

// caught is what has been found in the document that passes.
type caught struct {
	plan    *plan
	answers []answer // by wanted
	names   []tableName
	text    []byte // of the names
	reply   Reply
	id      []byte // memory of reply.ID

	hasID, hasMethod, taskMethod bool

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

// answer is what has been found of one wanted.
type answer struct {
	sealed    bool // it has its answer; what comes later does not count
	inElement bool // the same for this element, of a path through each
	taking    bool // the strings of the array that passes are its tables
	over      bool // over a cap
	known     bool
	number    int64
}

// tableName is a table name that answers one wanted.
type tableName struct {
	wanted     int
	start, end int // in caught.text
}

func (c *caught) reset(p *plan) {
	c.plan = p
	c.answers = slices.Grow(c.answers[:0], len(p.wanted))[:len(p.wanted)]
	clear(c.answers)
	c.names, c.text = c.names[:0], c.text[:0]
	c.reply = Reply{caught: c}
	c.hasID, c.hasMethod, c.taskMethod = false, false, false
	c.outcomes = [outcomes]outcome{}
	for i := range c.tasks {
		c.tasks[i] = task{id: c.tasks[i].id[:0]}
	}
}

// message is what the whole document is: a reply or a notification, or nil.
func (c *caught) message() *Reply {
	r, t := &c.reply, &c.tasks[atOwn]
	own := &c.outcomes[atReply]
	switch {
	case c.hasID && !c.hasMethod && (own.result || own.RPCError):
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

// open tells whether anything is still to be found at the place or below.
func (c *caught) open(n *place) bool {
	for _, w := range n.all {
		if s := &c.answers[w]; !s.sealed && !s.inElement || s.taking {
			return true
		}
	}
	return false
}

func (c *caught) seal(wanted []int) {
	for _, w := range wanted {
		c.answers[w].sealed = true
	}
}

// forget drops what was found of a document that turned out to be broken.
func (c *caught) forget(n *place) {
	for _, w := range n.all {
		c.answers[w] = answer{sealed: true}
	}
	c.names = slices.DeleteFunc(c.names, func(found tableName) bool { return slices.Contains(n.all, found.wanted) })
}

// value is a value at a place where something was looked for.
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

// found takes in the value at a place.
func (c *caught) found(n *place, v value) {
	for _, w := range n.leaf {
		s := &c.answers[w]
		if s.sealed || s.inElement {
			continue
		}
		wanted := &c.plan.wanted[w]
		if wanted.path.several() {
			s.inElement = true
		} else {
			s.sealed = true
			s.taking = v.kind == isArray && wanted.want == wantTable
		}
		c.keep(w, v)
	}
	for _, w := range n.take {
		if c.answers[w].taking && v.kind == isString {
			c.table(w, v)
		}
	}
}

func (c *caught) keep(w int, v value) {
	s, r, wanted := &c.answers[w], &c.reply, &c.plan.wanted[w]
	switch wanted.want {
	case wantTable:
		if v.kind == isString {
			c.table(w, v)
		}
	case wantRecords:
		if v.kind == isNumber && !v.over {
			s.number, s.known = wholeNumber(v.text)
		}
	case wantID:
		c.hasID = true
		if (v.kind == isString || v.kind == isNumber || v.kind == isNull) && !v.over && len(v.text) <= maxID {
			c.id = append(c.id[:0], v.text...)
			r.ID = c.id
		}
	case wantMethod:
		c.hasMethod = true
	case wantTaskMethod:
		switch string(v.text) {
		case "notifications/tasks", "notifications/tasks/status":
			c.taskMethod = v.kind == isString
		}
	case wantResult:
		// A result that is null is the result of a request that has none to give.
		c.outcomes[wanted.at].result = wanted.at == atReply || v.kind != isNull
	case wantError:
		c.outcomes[wanted.at].RPCError = v.kind != isNull
	case wantCode:
		if v.kind == isNumber && !v.over {
			if code, err := strconv.ParseInt(string(v.text), 10, 64); err == nil {
				c.outcomes[wanted.at].RPCCode, c.outcomes[wanted.at].HasCode = code, true
			}
		}
	case wantIsError:
		c.outcomes[wanted.at].ToolError = v.kind == isTrue
	case wantResultType:
		r.ResultType = word(v)
	case wantState:
		if v.kind == isString {
			r.HasState = true
			copy(r.State[:], v.sum)
		}
	case wantTaskID:
		if v.kind == isString && !v.over && len(v.text) <= maxID {
			c.tasks[wanted.at].id = append(c.tasks[wanted.at].id[:0], v.text...)
		}
	case wantTaskStatus:
		c.tasks[wanted.at].status = word(v)
	case wantTaskTTL:
		if t := &c.tasks[wanted.at]; v.kind == isNumber && !v.over && !t.hasTTL {
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
func (c *caught) table(w int, v value) {
	s := &c.answers[w]
	switch {
	case s.over || len(v.text) == 0 && !v.over:
		return
	case v.over || len(v.text) > maxTableBytes:
		s.giveUp()
		return
	case !utf8.Valid(v.text):
		return
	}
	n := 0
	for _, found := range c.names {
		if found.wanted == w {
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
}

// giveUp is for what is over a cap: it is looked for no more.
func (a *answer) giveUp() {
	a.over, a.sealed, a.taking = true, true, false
}

// counted takes in the number of elements of the array at a place.
func (c *caught) counted(n *place, elements int64) {
	for _, w := range n.count {
		if s := &c.answers[w]; !s.sealed {
			s.sealed, s.known, s.number = true, true, elements
		}
	}
}

// nextElement is called before each element of the array at a place.
func (c *caught) nextElement(n *place) {
	for _, w := range n.eachOf {
		c.answers[w].inElement = false
	}
}

// endArray is called after the last.
func (c *caught) endArray(n *place) {
	for _, w := range n.eachOf {
		c.answers[w].inElement = false
		c.answers[w].sealed = true
	}
	for _, w := range n.leaf {
		c.answers[w].taking = false
	}
}

// facts sums up the answers from first on, which are those of ws.
func (c *caught) facts(ws []wanted, first int) Facts {
	var f Facts
	for i := range ws {
		s := &c.answers[first+i]
		if ws[i].want == wantRecords {
			f.Records, f.RecordsKnown = s.number, s.known
			continue
		}
		f.over = f.over || s.over
		for _, n := range c.names {
			if n.wanted == first+i {
				f.addTable(c.text[n.start:n.end])
			}
		}
	}
	f.settle()
	return f
}

// wholeNumber reads a JSON number that is an integer, not negative, and fits:
// digits, and zeros alone behind a point.
func wholeNumber(text []byte) (n int64, ok bool) {
	whole, fraction, point := bytes.Cut(text, []byte("."))
	if point && (len(fraction) == 0 || len(bytes.Trim(fraction, "0")) > 0) {
		return 0, false
	}
	n, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil || whole[0] == '-' {
		return 0, false
	}
	return n, true
}
