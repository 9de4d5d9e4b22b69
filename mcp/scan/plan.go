package scan

import "slices"

// targetKind is what the value of a target is used for.
type targetKind uint8

const (
	targetTable    targetKind = iota // a string, or strings in an array
	targetRecords                    // an integer, or the length of an array
	targetAffected                   // the same, of the rows that a statement affected
	// The fields of a reply.
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

// target is one value to look for: a place of a rule, or a field of every reply.
// Its index in plan.targets is its number, and matches.answers has the answer of
// the same number.
type target struct {
	kind targetKind
	at   uint8 // which position of an outcome or a task it belongs to
	path Path
	// term is the index of a table term in the rule, and rank the index among
	// the alternatives, the best first. Records and affected rows have ranks
	// only. Numbers with the same term and rank are added up.
	term, rank int
	source     source
	operator   bool // from an operator's rule
	inText     bool // a modifier reads it out of a text
	boxed      bool // rows under a name, in an object that may also have their number
	consumer   int  // its index in plan.consumers
	// Properties of the path, kept because the document needs them often.
	several     bool
	countsLines bool  // of NDJSON
	atLeast     int64 // lines of NDJSON, in all texts together
	// The numbers of the first alternative and of the one after the last; the
	// target itself is among them.
	alternatives [2]int
}

// The positions of an outcome (a result or an error) in a message.
const (
	atReply  uint8 = iota // that of the message itself
	atState               // in the state of a task that is a reply's result
	atNotice              // in the state of a task that is a notification's params
	outcomes              // how many there are
)

// The positions of a task in a message.
const (
	atTask       uint8 = iota // result.task (2025-11-25)
	atOwn                     // result itself
	atParams                  // a notification's params
	descriptions              // how many there are
)

// fieldSpec is a field of a message that the scanner itself needs.
type fieldSpec struct {
	kind  targetKind
	at    uint8
	names []string
}

// replyFields are the fields of every reply.
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

// taskFields are the additional fields in the scope Tasks.
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

// resultOf maps each position of an outcome to the members that lead to its
// result.
var resultOf = [outcomes][]string{atReply: {"result"}, atState: {"result", "result"}, atNotice: {"params", "result"}}

// plan is everything to look for in one document, as a trie. document walks the
// trie while it reads. A plan does not change once it is made.
type plan struct {
	root      *node
	targets   []target
	consumers []consumer
}

// consumer is an extractor of a plan. first has the number of its first target,
// for each position of a result, or -1 if that position is not searched.
type consumer struct {
	extractor *Extractor
	first     [outcomes]int
}

// node is a node of the trie: one position in the document, with the targets
// that can be reached from it. Paths with the same beginning share nodes. An
// element of an array may be reached by # and by its index; its node then has
// the targets of both, so that there is only ever one node to follow.
type node struct {
	leaf       []int // targets that end here
	tableItems []int // targets that take a string here as one of an array of table names
	count      []int // targets that end in # here: the number of elements
	keep       bool  // the text of a string or scalar here is needed
	raw        bool  // it is needed as written, escapes included
	hash       bool  // the SHA-256 of a string here is needed

	members     []edge       // of an object
	index       []edge       // of an array, by index
	each        *node        // of an array: every element that is not in index
	eachTargets []eachTarget // targets whose paths go through each
	belowEach   []int        // targets at each and below it

	isFirst bool  // this is the first element of an array whose elements are counted
	probe   probe // what a member of such an element reveals
	last    int   // the greatest index in index, or -1

	text        *textNode // what is inside a string here
	textTargets []int     // targets whose paths go into text

	all []int // targets here and below
}

// eachTarget is a target whose path goes through each element of an array.
type eachTarget struct {
	target int
	inner  bool // the array is itself part of an element of another #
	texts  bool // a modifier follows: an element without a text is skipped
}

// edge leads to the node of a member, by name, or of an element, by index.
type edge struct {
	name  string
	index int
	node  *node
}

// child returns the node of a member, or nil.
func (n *node) child(name []byte) *node {
	for i := range n.members {
		if n.members[i].name == string(name) {
			return n.members[i].node
		}
	}
	return nil
}

// element returns the node of an element, or nil.
func (n *node) element(index int) *node {
	for i := range n.index {
		if n.index[i].index == index {
			return n.index[i].node
		}
	}
	return n.each
}

// newParamsPlan returns the plan for a request's params, with the targets of e.
func newParamsPlan(e *Extractor) *plan {
	p := &plan{}
	p.consumers = []consumer{{extractor: e}}
	p.root = p.compile(p.addTargets(nil, e.params, []string{rootArguments}, 0, 0), nil)
	return p
}

// newReplyPlan returns the plan for replies, with the targets of every
// extractor.
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

// memberSteps returns the steps into nested members of these names.
func memberSteps(names []string) (steps []step) {
	for _, name := range names {
		steps = append(steps, step{name: name, index: -1})
	}
	return steps
}

// plainReplyPlans are the plans for replies without any extractor, by Scope.
var plainReplyPlans = [...]*plan{newReplyPlan(Calls, nil), newReplyPlan(Tasks, nil)}

// replyPlan returns the plan for replies with these extractors. With at most one
// extractor, as nearly always, the plan is cached.
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

// pathSuffix is the rest of a target's path below a node.
type pathSuffix struct {
	target int
	steps  []step
}

// addTargets adds an extractor's targets, whose paths begin at root, to the
// plan. It returns suffixes with theirs appended.
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

// isAlternativeTo reports whether two targets of an extractor are places of the
// same value.
func (w *target) isAlternativeTo(o *target) bool {
	return w.kind == o.kind && w.term == o.term && w.source == o.source
}

// compile returns the node at which the suffixes begin. tableItems are the
// targets for which the node is an element of an array of table names.
func (p *plan) compile(suffixes []pathSuffix, tableItems []int) *node {
	n := &node{tableItems: tableItems, all: slices.Clone(tableItems), keep: len(tableItems) > 0}
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
	// A path that ends at an array takes its strings as tables. A path through
	// each element does not: it takes one name from each.
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

// distinct returns the different names or indexes of the next steps of the
// suffixes, in order.
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

// suffixesBelow returns the suffixes whose next step satisfies in, without that
// step.
func suffixesBelow(suffixes []pathSuffix, in func(step) bool) []pathSuffix {
	var rest []pathSuffix
	for _, w := range suffixes {
		if len(w.steps) > 0 && w.steps[0].kind == stepInto && in(w.steps[0]) {
			rest = append(rest, pathSuffix{w.target, w.steps[1:]})
		}
	}
	return rest
}
