package scan

import "slices"

// targetKind is what a value is looked for as.
type targetKind uint8

const (
	targetTable    targetKind = iota // a string, or strings in an array
	targetRecords                    // an integer, or the length of an array
	targetAffected                   // the same, of the rows that a statement affected
	// What every reply is looked through for.
	targetID
	targetMethod
	targetTaskMethod // the method of a notification about a task
	targetResult
	targetError
	targetCode
	targetIsError
	targetResultType
	targetTaskID
	targetTaskStatus
	targetTaskTTL
	targetState
)

// isNumber reports whether the value is a count.
func (w targetKind) isNumber() bool { return w == targetRecords || w == targetAffected }

// target is a value to look for. Its index in plan.targets is its number; what has
// been found of it is the answer of that number.
type target struct {
	kind targetKind
	at   uint8 // at which of several places in a message it stands
	path Path
	// The answer that it belongs to: of tables, which term of the rule, and of
	// the alternatives for it (for records, for the question) which one, from
	// the best on. What has the same of both is added up.
	term, rank int
	source     source
	operator   bool // of an operator's rule
	inText     bool // a modifier reads it out of a text
	boxed      bool // rows under a name, in an object that may have their number too
	consumer   int  // its index in plan.consumers
	// What the path says of itself, which a document asks again and again.
	several     bool
	countsLines bool  // of NDJSON
	atLeast     int64 // lines of NDJSON, in all texts together
	// The first and the one behind the last of the targets that answer the same
	// question, among them this.
	alternatives [2]int
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

// fieldSpec is a member of a message that its reading itself needs.
type fieldSpec struct {
	kind  targetKind
	at    uint8
	names []string
}

// replyFields are what every reply is looked through for.
var replyFields = []fieldSpec{
	{targetID, 0, []string{"id"}},
	{targetMethod, 0, []string{"method"}},
	{targetResult, atReply, []string{"result"}},
	{targetError, atReply, []string{"error"}},
	{targetCode, atReply, []string{"error", "code"}},
	{targetIsError, atReply, []string{"result", "isError"}},
	{targetResultType, 0, []string{"result", "resultType"}},
	{targetState, 0, []string{"result", "requestState"}},
	{targetTaskID, atTask, []string{"result", "task", "taskId"}},
	{targetTaskStatus, atTask, []string{"result", "task", "status"}},
	{targetTaskTTL, atTask, []string{"result", "task", "ttl"}},
	{targetTaskID, atOwn, []string{"result", "taskId"}},
	{targetTaskStatus, atOwn, []string{"result", "status"}},
	{targetTaskTTL, atOwn, []string{"result", "ttl"}},
	{targetTaskTTL, atOwn, []string{"result", "ttlMs"}}, // tasks extension, 2026-07-28
}

// taskFields are what comes on top for tasks.
var taskFields = []fieldSpec{
	{targetTaskMethod, 0, []string{"method"}},
	{targetTaskID, atParams, []string{"params", "taskId"}},
	{targetTaskStatus, atParams, []string{"params", "status"}},
	{targetTaskTTL, atParams, []string{"params", "ttl"}},
	{targetTaskTTL, atParams, []string{"params", "ttlMs"}},
	{targetResult, atState, []string{"result", "result"}},
	{targetError, atState, []string{"result", "error"}},
	{targetCode, atState, []string{"result", "error", "code"}},
	{targetIsError, atState, []string{"result", "result", "isError"}},
	{targetResult, atNotice, []string{"params", "result"}},
	{targetError, atNotice, []string{"params", "error"}},
	{targetCode, atNotice, []string{"params", "error", "code"}},
	{targetIsError, atNotice, []string{"params", "result", "isError"}},
}

// resultOf is where the result at each place stands.
var resultOf = [outcomes][]string{atReply: {"result"}, atState: {"result", "result"}, atNotice: {"params", "result"}}

// plan is what to look for in one document, as a tree that is walked along
// with the bytes.
type plan struct {
	root      *node
	targets   []target
	consumers []consumer
}

// consumer is an extractor that a plan looks for. Its targets in the result at
// each place are those from number first on; -1: that place is not looked at.
type consumer struct {
	extractor *Extractor
	first     [outcomes]int
}

// node is a node of a trie: one position in the document, and the targets that
// can be reached from it. Paths that begin alike share their nodes, and an
// element of an array that two paths lead to, one by # and one by its index, has
// a node with the targets of both; so there is never more than one node to
// follow.
type node struct {
	leaf       []int // targets that end here
	tableItems []int // targets for whose array of strings a string here is an element
	count      []int // targets that end in # here: the number of elements
	keep       bool  // the text of a string or scalar here is needed
	raw        bool  // as it is written
	hash       bool  // the SHA-256 of a string here is needed

	members     []edge       // of an object
	index       []edge       // of an array, by index
	each        *node        // of an array: every element that index has not
	eachTargets []eachTarget // targets that go on through each
	belowEach   []int        // targets in it

	isFirst bool  // it is the first element of an array whose elements are counted
	probe   probe // of a member of that
	last    int   // the greatest index in index, or -1

	text        *textNode // inside a string
	textTargets []int     // targets that go on through text

	all []int // targets here and below
}

// through is a target whose path goes on through each element of an array.
type eachTarget struct {
	target int
	inner  bool // another # comes before, whose element this array is a part of
	texts  bool // a modifier comes behind: an element without a text gives nothing
}

type edge struct {
	name  string
	index int
	node  *node
}

// child returns the node of an object's member, or nil.
func (n *node) child(name []byte) *node {
	for i := range n.members {
		if n.members[i].name == string(name) {
			return n.members[i].node
		}
	}
	return nil
}

// element returns the node of an array's element, or nil.
func (n *node) element(index int) *node {
	for i := range n.index {
		if n.index[i].index == index {
			return n.index[i].node
		}
	}
	return n.each
}

// newParamsPlan looks for e's targets in a request's params.
func newParamsPlan(e *Extractor) *plan {
	p := &plan{}
	p.consumers = []consumer{{extractor: e}}
	p.root = p.compile(p.addTargets(nil, e.params, []string{rootArguments}, 0, 0), nil)
	return p
}

// newReplyPlan looks through replies, and for the targets of every extractor.
func newReplyPlan(scope Scope, extractors []*Extractor) *plan {
	p := &plan{}
	members, places := replyFields, outcomes
	if scope == Tasks {
		members = slices.Concat(replyFields, taskFields)
	} else {
		places = atReply + 1
	}
	var suffixes []pathSuffix
	for _, m := range members {
		suffixes = append(suffixes, pathSuffix{len(p.targets), memberSteps(m.names)})
		p.targets = append(p.targets, target{kind: m.kind, at: m.at})
	}
	for _, e := range extractors {
		a := consumer{extractor: e, first: [outcomes]int{-1, -1, -1}}
		for at := range places {
			a.first[at] = len(p.targets)
			suffixes = p.addTargets(suffixes, e.result, resultOf[at], len(p.consumers), at)
		}
		p.consumers = append(p.consumers, a)
	}
	p.root = p.compile(suffixes, nil)
	return p
}

// intoEach is the steps into members of these names, one in the other.
func memberSteps(names []string) (steps []step) {
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

// pathSuffix is what is left of the path of one target below a node.
type pathSuffix struct {
	target int
	steps  []step
}

func (p *plan) addTargets(suffixes []pathSuffix, ws []target, root []string, consumer int, at uint8) []pathSuffix {
	for _, w := range ws {
		steps := append(memberSteps(root), w.path.steps...)
		suffixes = append(suffixes, pathSuffix{len(p.targets), steps})
		w.consumer, w.at = consumer, at
		w.several, w.countsLines, w.atLeast = w.path.several(), w.path.countsLines(), w.path.minLines()
		p.targets = append(p.targets, w)
	}
	added := p.targets[len(p.targets)-len(ws):]
	for i, n := 0, len(p.targets)-len(ws); i < len(added); {
		end := i + 1
		for end < len(added) && added[end].isAlternativeTo(&added[i]) {
			end++
		}
		for first := i; i < end; i++ {
			added[i].alternatives = [2]int{n + first, n + end}
		}
	}
	return suffixes
}

// answersLike reports whether two targets of an extractor answer the same
// question.
func (w *target) isAlternativeTo(o *target) bool {
	return w.kind == o.kind && w.term == o.term && w.source == o.source
}

// compile makes the node that the suffixes begin at.
func (p *plan) compile(suffixes []pathSuffix, take []int) *node {
	n := &node{tableItems: take, all: slices.Clone(take), keep: len(take) > 0}
	var each, text []pathSuffix
	for _, w := range suffixes {
		n.all = append(n.all, w.target)
		if len(w.steps) == 0 {
			n.leaf = append(n.leaf, w.target)
			switch t := &p.targets[w.target]; {
			case t.kind == targetID:
				n.keep, n.raw = true, true
			case t.kind == targetState:
				n.hash = true
			case t.kind == targetMethod, t.kind == targetResult && t.at == atReply:
			default:
				n.keep = true
			}
			continue
		}
		rest := pathSuffix{w.target, w.steps[1:]}
		switch st := w.steps[0]; {
		case st.kind.isModifier():
			text = append(text, w)
			n.textTargets = append(n.textTargets, w.target)
		case st.kind == stepEach && len(rest.steps) == 0:
			n.count = append(n.count, w.target)
		case st.kind == stepEach:
			each = append(each, rest)
			before := p.targets[w.target].path.steps
			before = before[:len(before)-len(w.steps)]
			n.eachTargets = append(n.eachTargets, eachTarget{
				target: w.target,
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
		if p.targets[w].kind == targetTable && !p.targets[w].path.several() {
			elements = append(elements, w)
		}
	}
	for _, name := range distinct(suffixes, func(st step) string { return st.name }) {
		n.members = append(n.members, edge{name: name, node: p.compile(suffixesBelow(suffixes, func(st step) bool { return st.name == name }), nil)})
	}
	for _, index := range distinct(suffixes, func(st step) int { return st.index }) {
		if index >= 0 {
			below := append(suffixesBelow(suffixes, func(st step) bool { return st.index == index }), each...)
			n.index = append(n.index, edge{index: index, node: p.compile(below, elements)})
		}
	}
	if len(each) > 0 || len(elements) > 0 {
		n.each = p.compile(each, elements)
		n.belowEach = n.each.all
	}
	if slices.ContainsFunc(n.count, func(w int) bool { return !p.targets[w].path.isContent() }) {
		if i := slices.IndexFunc(n.index, func(e edge) bool { return e.index == 0 }); i < 0 {
			n.index = append(n.index, edge{index: 0, node: p.compile(each, elements)})
		}
		n.probeFirst(n.element(0))
	}
	n.last = -1
	for _, e := range n.index {
		n.last = max(n.last, e.index)
	}
	return n
}

// distinct returns what the suffixes' next steps into a member or element differ
// in, in their order.
func distinct[T comparable](suffixes []pathSuffix, of func(step) T) []T {
	var found []T
	for _, w := range suffixes {
		if len(w.steps) > 0 && w.steps[0].kind == stepInto {
			if t := of(w.steps[0]); !slices.Contains(found, t) {
				found = append(found, t)
			}
		}
	}
	return found
}

// beyond returns the suffixes behind the next step, of those whose next step is
// in.
func suffixesBelow(suffixes []pathSuffix, in func(step) bool) []pathSuffix {
	var rest []pathSuffix
	for _, w := range suffixes {
		if len(w.steps) > 0 && w.steps[0].kind == stepInto && in(w.steps[0]) {
			rest = append(rest, pathSuffix{w.target, w.steps[1:]})
		}
	}
	return rest
}
