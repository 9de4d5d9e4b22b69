package mcp

import "slices"

// want is what a value is looked for as.
type want uint8

const (
	wantTable    want = iota // a string, or strings in an array
	wantRecords              // an integer, or the length of an array
	wantAffected             // the same, of the rows that a statement affected
	// What every reply is looked through for.
	wantID
	wantMethod
	wantTaskMethod // the method of a notification about a task
	wantResult
	wantError
	wantCode
	wantIsError
	wantResultType
	wantTaskID
	wantTaskStatus
	wantTaskTTL
	wantState
)

// isNumber reports whether the value is a count.
func (w want) isNumber() bool { return w == wantRecords || w == wantAffected }

// wanted is a value to look for. Its place in plan.wanted is its number; what
// has been found of it is the answer of that number.
type wanted struct {
	want want
	at   uint8 // which of several places in a message it stands at
	path Path
	// The answer that it belongs to: of tables, which term of the rule, and of
	// the alternatives for it (for records, for the question) which one, from
	// the best on. What has the same of both is added up.
	term, rank int
	source     source
	operator   bool // of an operator's rule
	boxed      bool // rows under a name, in an object that may have their number too
	asker      int  // in plan.askers, at that place
	// What the path tells of itself, which a document asks again and again.
	several     bool
	countsLines bool  // of NDJSON
	atLeast     int64 // lines of NDJSON, in all texts together
}

// Where in a message a result or an error stands.
const (
	atReply  uint8 = iota // as the message's own
	atState               // in the state of a task that is a reply's result
	atNotice              // in the state of a task that is a notification's params
	outcomes              // how many there are
)

// Where in a message a task is described.
const (
	atTask       uint8 = iota // result.task (2025-11-25)
	atOwn                     // result itself
	atParams                  // a notification's params
	descriptions              // how many there are
)

// need is a member of a message that its reading itself needs.
type need struct {
	want  want
	at    uint8
	names []string
}

// replyWants are what every reply is looked through for.
var replyWants = []need{
	{wantID, 0, []string{"id"}},
	{wantMethod, 0, []string{"method"}},
	{wantResult, atReply, []string{"result"}},
	{wantError, atReply, []string{"error"}},
	{wantCode, atReply, []string{"error", "code"}},
	{wantIsError, atReply, []string{"result", "isError"}},
	{wantResultType, 0, []string{"result", "resultType"}},
	{wantState, 0, []string{"result", "requestState"}},
	{wantTaskID, atTask, []string{"result", "task", "taskId"}},
	{wantTaskStatus, atTask, []string{"result", "task", "status"}},
	{wantTaskTTL, atTask, []string{"result", "task", "ttl"}},
	{wantTaskID, atOwn, []string{"result", "taskId"}},
	{wantTaskStatus, atOwn, []string{"result", "status"}},
	{wantTaskTTL, atOwn, []string{"result", "ttl"}},
	{wantTaskTTL, atOwn, []string{"result", "ttlMs"}}, // tasks extension, 2026-07-28
}

// taskWants are what comes on top for tasks.
var taskWants = []need{
	{wantTaskMethod, 0, []string{"method"}},
	{wantTaskID, atParams, []string{"params", "taskId"}},
	{wantTaskStatus, atParams, []string{"params", "status"}},
	{wantTaskTTL, atParams, []string{"params", "ttl"}},
	{wantTaskTTL, atParams, []string{"params", "ttlMs"}},
	{wantResult, atState, []string{"result", "result"}},
	{wantError, atState, []string{"result", "error"}},
	{wantCode, atState, []string{"result", "error", "code"}},
	{wantIsError, atState, []string{"result", "result", "isError"}},
	{wantResult, atNotice, []string{"params", "result"}},
	{wantError, atNotice, []string{"params", "error"}},
	{wantCode, atNotice, []string{"params", "error", "code"}},
	{wantIsError, atNotice, []string{"params", "result", "isError"}},
}

// resultOf is where the result at each place stands.
var resultOf = [outcomes][]string{atReply: {"result"}, atState: {"result", "result"}, atNotice: {"params", "result"}}

// plan is what to look for in one document, as a tree that is walked along
// with the bytes.
type plan struct {
	root   *place
	wanted []wanted
	askers []asker
}

// asker is an extractor that a plan looks for. Its wants in the result at each
// place are those from wanted number first on; -1: that place is not looked at.
type asker struct {
	extractor *Extractor
	first     [outcomes]int
}

// place is a place in a document: all that is wanted of the value there. Paths
// that go the same way share their places, and an element of an array that two
// paths lead to, one by # and one by its index, has a place with the wants of
// both; so there is never more than one place to follow.
type place struct {
	leaf  []int // wanted that end here
	take  []int // wanted for whose array of strings a string here is an element
	count []int // wanted that end in # here: the number of elements
	keep  bool  // the text of a string or scalar here is needed
	raw   bool  // as it is written
	hash  bool  // the SHA-256 of a string here is needed

	members []edge    // of an object
	index   []edge    // of an array, by index
	each    *place    // of an array: every element that index has not
	eachOf  []through // wanted that go on through each
	eachAll []int     // wanted in it

	isFirst bool  // it is the first element of an array whose elements are counted
	probe   probe // of a member of that
	last    int   // the greatest index in index, or -1

	text   *textPlace // inside a string
	textOf []int      // wanted that go on through text

	all []int // wanted here and below
}

// through is a wanted whose path goes on through each element of an array.
type through struct {
	wanted int
	inner  bool // another # comes before, whose element this array is a part of
	texts  bool // a modifier comes behind: an element without a text gives nothing
}

type edge struct {
	name  string
	index int
	place *place
}

// child returns the place of an object's member, or nil.
func (n *place) child(name []byte) *place {
	for i := range n.members {
		if n.members[i].name == string(name) {
			return n.members[i].place
		}
	}
	return nil
}

// element returns the place of an array's element, or nil.
func (n *place) element(index int) *place {
	for i := range n.index {
		if n.index[i].index == index {
			return n.index[i].place
		}
	}
	return n.each
}

// newParamsPlan looks for what e wants of a request's params.
func newParamsPlan(e *Extractor) *plan {
	p := &plan{}
	p.askers = []asker{{extractor: e}}
	p.root = p.compile(p.add(nil, e.params, []string{rootArguments}, 0, 0), nil)
	return p
}

// newReplyPlan looks through replies, and for what every extractor wants.
func newReplyPlan(scope Scope, extractors []*Extractor) *plan {
	p := &plan{}
	members, places := replyWants, outcomes
	if scope == Tasks {
		members = slices.Concat(replyWants, taskWants)
	} else {
		places = atReply + 1
	}
	var ways []way
	for _, m := range members {
		ways = append(ways, way{len(p.wanted), intoEach(m.names)})
		p.wanted = append(p.wanted, wanted{want: m.want, at: m.at})
	}
	for _, e := range extractors {
		a := asker{extractor: e, first: [outcomes]int{-1, -1, -1}}
		for at := range places {
			a.first[at] = len(p.wanted)
			ways = p.add(ways, e.result, resultOf[at], len(p.askers), at)
		}
		p.askers = append(p.askers, a)
	}
	p.root = p.compile(ways, nil)
	return p
}

// intoEach is the steps into members of these names, one in the other.
func intoEach(names []string) (steps []step) {
	for _, name := range names {
		steps = append(steps, step{name: name, index: -1})
	}
	return steps
}

// plainReplyPlans look through replies and for nothing else.
var plainReplyPlans = [...]*plan{newReplyPlan(Calls, nil), newReplyPlan(Tasks, nil)}

// replyPlan is the plan for replies to calls with these extractors. The usual,
// one extractor or none, is made once.
func replyPlan(scope Scope, want []*Extractor) *plan {
	var one *Extractor
	for _, e := range want {
		switch {
		case e == nil || e == one:
		case one == nil:
			one = e
		default:
			return newReplyPlan(scope, distinctExtractors(want))
		}
	}
	if one == nil {
		return plainReplyPlans[scope]
	}
	return one.replyPlans[scope]()
}

func distinctExtractors(want []*Extractor) []*Extractor {
	seen := make(map[*Extractor]bool, len(want))
	var extractors []*Extractor
	for _, e := range want {
		if e != nil && !seen[e] {
			seen[e] = true
			extractors = append(extractors, e)
		}
	}
	return extractors
}

// way is what is left of the path of one wanted below a place.
type way struct {
	wanted int
	steps  []step
}

func (p *plan) add(ways []way, ws []wanted, root []string, asker int, at uint8) []way {
	for _, w := range ws {
		steps := append(intoEach(root), w.path.steps...)
		ways = append(ways, way{len(p.wanted), steps})
		w.asker, w.at = asker, at
		w.several, w.countsLines, w.atLeast = w.path.several(), w.path.countsLines(), w.path.minLines()
		p.wanted = append(p.wanted, w)
	}
	return ways
}

// compile makes the place that the ways set out from.
func (p *plan) compile(ways []way, take []int) *place {
	n := &place{take: take, all: slices.Clone(take), keep: len(take) > 0}
	var each, text []way
	for _, w := range ways {
		n.all = append(n.all, w.wanted)
		if len(w.steps) == 0 {
			n.leaf = append(n.leaf, w.wanted)
			switch want := &p.wanted[w.wanted]; {
			case want.want == wantID:
				n.keep, n.raw = true, true
			case want.want == wantState:
				n.hash = true
			case want.want == wantMethod, want.want == wantResult && want.at == atReply:
			default:
				n.keep = true
			}
			continue
		}
		rest := way{w.wanted, w.steps[1:]}
		switch st := w.steps[0]; {
		case st.kind.isModifier():
			text = append(text, w)
			n.textOf = append(n.textOf, w.wanted)
		case st.kind == stepEach && len(rest.steps) == 0:
			n.count = append(n.count, w.wanted)
		case st.kind == stepEach:
			each = append(each, rest)
			before := p.wanted[w.wanted].path.steps
			before = before[:len(before)-len(w.steps)]
			n.eachOf = append(n.eachOf, through{
				wanted: w.wanted,
				inner:  slices.ContainsFunc(before, func(st step) bool { return st.kind == stepEach }),
				texts:  slices.ContainsFunc(rest.steps, func(st step) bool { return st.kind.isModifier() }),
			})
		}
	}
	if len(text) > 0 {
		n.text = p.compileText(text)
	}
	// The strings of an array are the tables of a path that ends at the array.
	// Not so in each element: there a path gives one name an element.
	var elements []int
	for _, w := range n.leaf {
		if p.wanted[w].want == wantTable && !p.wanted[w].path.several() {
			elements = append(elements, w)
		}
	}
	for _, name := range distinct(ways, func(st step) string { return st.name }) {
		n.members = append(n.members, edge{name: name, place: p.compile(beyond(ways, func(st step) bool { return st.name == name }), nil)})
	}
	for _, index := range distinct(ways, func(st step) int { return st.index }) {
		if index >= 0 {
			below := append(beyond(ways, func(st step) bool { return st.index == index }), each...)
			n.index = append(n.index, edge{index: index, place: p.compile(below, elements)})
		}
	}
	if len(each) > 0 || len(elements) > 0 {
		n.each = p.compile(each, elements)
		n.eachAll = n.each.all
	}
	if slices.ContainsFunc(n.count, func(w int) bool { return !p.wanted[w].path.isContent() }) {
		if i := slices.IndexFunc(n.index, func(e edge) bool { return e.index == 0 }); i < 0 {
			n.index = append(n.index, edge{index: 0, place: p.compile(each, elements)})
		}
		n.probeFirst(n.element(0))
	}
	n.last = -1
	for _, e := range n.index {
		n.last = max(n.last, e.index)
	}
	return n
}

// distinct returns what the ways' next steps into a member or element differ
// in, in their order.
func distinct[T comparable](ways []way, of func(step) T) []T {
	var found []T
	for _, w := range ways {
		if len(w.steps) > 0 && w.steps[0].kind == stepInto {
			if t := of(w.steps[0]); !slices.Contains(found, t) {
				found = append(found, t)
			}
		}
	}
	return found
}

// beyond returns the ways beyond the next step, of those whose next step is in.
func beyond(ways []way, in func(step) bool) []way {
	var rest []way
	for _, w := range ways {
		if len(w.steps) > 0 && w.steps[0].kind == stepInto && in(w.steps[0]) {
			rest = append(rest, way{w.wanted, w.steps[1:]})
		}
	}
	return rest
}
