package scan

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tallygate/tallygate/internal/glob"
	"github.com/tallygate/tallygate/mcp"
)

// Rule is where tools have their table names and their record count, as an
// operator writes it.
type Rule struct {
	// Tool is a glob that has to match the whole name of a tool: * matches any
	// characters, ? any one character, and everything else itself.
	Tool string
	// Tables are the places of table names. All of them count. A place is a path, a
	// constant (=name), or first(…) of several, of which the first that is known
	// counts. A path may lead to a string, to an array of strings, to one string in
	// each element of an array, or to a query (@sql).
	Tables []string
	// Records are the places of the number of records, of which the first that is
	// known counts. A place is a path of the length of an array (ending in #) or of
	// a number, a constant (=1), or sum(…) of several paths, which may go through
	// each element of an array.
	Records []string
	// Affected are the places of the number of affected rows, in the same form. It
	// counts for statements that write and return no rows.
	Affected []string

	lines []*Line // the line of each of Records; nil for an operator's rule
}

// Extractors are the extractors of all rules of a gate. They are safe for
// concurrent use.
type Extractors struct {
	rules []*Extractor
	// byPrefix maps the literal beginning of a glob to the indexes of its rules,
	// in order; lengths are the lengths of its keys. So the cost of a look-up
	// grows only with the number of rules that share a prefix.
	byPrefix map[string][]int
	lengths  []int
	// found is a fixed-size cache: the hash of a tool's name is its slot, and
	// the next tool in the slot replaces it. So rules that share a prefix cost
	// little, too, and clients cannot make it grow by asking for many tools.
	found  [1024]atomic.Pointer[foundFor]
	habits habits
}

// foundFor is the extractor of one tool.
type foundFor struct {
	tool      string
	extractor *Extractor
}

// maxFound is the length in bytes of the longest tool name that is cached.
const maxFound = 256

// NewExtractors compiles rules. DefaultRule is used for tools that no rule
// matches. An error names the rule and the path.
func NewExtractors(rules []Rule) (*Extractors, error) {
	x := &Extractors{byPrefix: map[string][]int{}}
	for i, r := range append(slices.Clip(rules), DefaultRule) {
		e, err := newExtractor(r)
		if err != nil {
			return nil, fmt.Errorf("tool %q: %w", r.Tool, err)
		}
		x.rules = append(x.rules, e)
		prefix := r.Tool
		if wild := strings.IndexAny(prefix, "*?"); wild >= 0 {
			prefix = prefix[:wild]
		}
		x.byPrefix[prefix] = append(x.byPrefix[prefix], i)
		if !slices.Contains(x.lengths, len(prefix)) {
			x.lengths = append(x.lengths, len(prefix))
		}
	}
	return x, nil
}

// hashSeed makes the slots in Extractors.found unpredictable.
var hashSeed = maphash.MakeSeed()

// fewRules is up to how many rules are tried one by one, which is then faster
// than the cache.
const fewRules = 4

// For returns the extractor of the first rule that matches the tool's name.
func (x *Extractors) For(tool string) *Extractor {
	if len(x.rules) <= fewRules {
		return x.rules[slices.IndexFunc(x.rules, func(e *Extractor) bool { return glob.Match(e.tool, tool) })]
	}
	if len(tool) > maxFound {
		return x.search(tool)
	}
	slot := &x.found[maphash.String(hashSeed, tool)%uint64(len(x.found))]
	if a := slot.Load(); a != nil && a.tool == tool {
		return a.extractor
	}
	e := x.search(tool)
	slot.Store(&foundFor{strings.Clone(tool), e})
	return e
}

// search is For without the cache.
func (x *Extractors) search(tool string) *Extractor {
	first := len(x.rules)
	for _, n := range x.lengths {
		if n > len(tool) {
			continue
		}
		for _, i := range x.byPrefix[tool[:n]] {
			if i >= first {
				break
			}
			if glob.Match(x.rules[i].tool, tool) {
				first = i
			}
		}
	}
	return x.rules[first] // DefaultRule matches every tool
}

// All returns the extractors of all rules, for a Scanner of a stream that may
// answer any call.
func (x *Extractors) All() []*Extractor { return x.rules }

// Extractor is a compiled rule. The nil Extractor looks for nothing.
type Extractor struct {
	tool      string
	rule      Rule
	tables    []term
	records   []term
	affected  []term
	constants []constant
	params    []target // in the request's params
	result    []target // in the reply

	paramsPlan *plan
	replyPlans [2]func() *plan // by Scope; each is made when first needed, since it takes tens of KB
}

// constant is a value that the rule itself gives.
type constant struct {
	kind       targetKind
	term, rank int
	name       string
	number     int64
}

// isDefault reports whether the rule is DefaultRule.
func (e *Extractor) isDefault() bool { return e.rule.lines != nil }

// Rule returns the rule that the extractor was compiled from.
func (e *Extractor) Rule() Rule { return e.rule }

// Caps on facts. Whatever exceeds a cap is unknown, never truncated.
const (
	maxTables     = 64  // of one call
	maxTableBytes = 256 // of one name
)

func newExtractor(r Rule) (*Extractor, error) {
	if r.Tool == "" {
		return nil, errors.New("the tool's name or glob is empty")
	}
	e := &Extractor{tool: r.Tool, rule: r}
	for i, text := range r.Tables {
		t, err := parseTerm(text, "first")
		if err != nil {
			return nil, fmt.Errorf("table: %w", err)
		}
		for rank, p := range t.parts {
			if err := p.checkTable(); err != nil {
				return nil, fmt.Errorf("table: %w", err)
			}
			e.add(p, target{kind: targetTable, path: p.path, term: i, rank: rank})
		}
		e.tables = append(e.tables, t)
	}
	var err error
	if e.records, err = e.addNumbers(r.Records, target{kind: targetRecords}, r.lines); err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	if e.affected, err = e.addNumbers(r.Affected, target{kind: targetAffected, rank: len(r.Records)}, r.lines); err != nil {
		return nil, fmt.Errorf("affected: %w", err)
	}
	if len(e.params)+len(e.result)+len(e.constants) > maxParts {
		return nil, fmt.Errorf("more than %d paths", maxParts)
	}
	if len(e.params) > 0 {
		e.paramsPlan = newParamsPlan(e)
	}
	for _, scope := range []Scope{Calls, Tasks} {
		e.replyPlans[scope] = sync.OnceValue(func() *plan { return newReplyPlan(scope, []*Extractor{e}) })
	}
	return e, nil
}

// addNumbers adds the places of a number, of which the first that is known
// counts. w has the kind of number and the rank of the first place.
func (e *Extractor) addNumbers(places []string, w target, lines []*Line) (terms []term, err error) {
	w.operator = lines == nil
	for i, text := range places {
		t, err := parseTerm(text, "sum")
		if err != nil {
			return nil, err
		}
		if !w.operator && w.kind == targetRecords {
			w.source, w.boxed = lines[i].source, lines[i].boxed
		}
		for _, p := range t.parts {
			if err := p.checkRecords(t.function == "sum"); err != nil {
				return nil, err
			}
			w.path = p.path
			e.add(p, w)
		}
		w.rank++
		terms = append(terms, t)
	}
	return terms, nil
}

// add adds a constant, or a target in the request or in the result.
func (e *Extractor) add(p part, w target) {
	w.inText = slices.ContainsFunc(p.path.steps, func(st step) bool { return st.kind.isModifier() })
	switch {
	case p.isConstant():
		c := constant{kind: w.kind, term: w.term, rank: w.rank, name: p.constant}
		c.number, _ = wholeNumber([]byte(p.constant))
		e.constants = append(e.constants, c)
	case p.path.root == rootArguments:
		e.params = append(e.params, w)
	default:
		e.result = append(e.result, w)
	}
}

// FromParams returns the facts from a request. params is its params object as
// JSON text.
func (e *Extractor) FromParams(params []byte) Facts {
	if e == nil {
		return noRule
	}
	if e.paramsPlan == nil {
		return e.withConstants(e.unknown())
	}
	return e.withConstants(e.from(params, e.paramsPlan.root))
}

// FromCall is FromParams for a tools/call that has been read.
func (e *Extractor) FromCall(m *mcp.Message) Facts {
	if e == nil {
		return noRule
	}
	if e.paramsPlan == nil || m.Arguments() == nil {
		return e.withConstants(e.unknown())
	}
	// All paths begin with arguments.
	return e.withConstants(e.from(m.Arguments(), e.paramsPlan.root.child([]byte(rootArguments))))
}

// from returns the facts at a node of the params and below. text is the value at
// that node as JSON text.
func (e *Extractor) from(text []byte, at *node) Facts {
	s := paramsScanners.Get().(*Scanner)
	defer paramsScanners.Put(s)
	s.matches.reset(e.paramsPlan)
	s.doc.begin(&s.matches, at)
	s.doc.feedLast(text)
	if !s.doc.end() {
		return e.unknown()
	}
	return s.matches.facts(e, e.params, 0)
}

// withConstants adds the rule's constants to f.
func (e *Extractor) withConstants(f Facts) Facts {
	for _, c := range e.constants {
		var own Facts
		number := count{Known: true, Number: c.number, Rank: c.rank, Named: true, Operator: true}
		switch c.kind {
		case targetTable:
			own.terms = terms{present: true, first: foundTerm{term: c.term, rank: c.rank, names: []string{c.name}}}
		case targetAffected:
			own.counts.Affected = number
		default:
			own.counts.Rows[0] = number
		}
		f = f.Merge(own)
	}
	return f
}

var paramsScanners = sync.Pool{New: func() any { return new(Scanner) }}

// Split returns a rule for each single path or constant, in order, so that each
// can be tried on its own. A path in sum(…) stays in a sum, because only there
// it may go through the elements of an array.
func (r Rule) Split() (parts []Rule, err error) {
	for _, text := range r.Tables {
		t, err := parseTerm(text, "first")
		if err != nil {
			return nil, err
		}
		for _, p := range t.parts {
			parts = append(parts, Rule{Tool: r.Tool, Tables: []string{p.String()}})
		}
	}
	for i, text := range slices.Concat(r.Records, r.Affected) {
		t, err := parseTerm(text, "sum")
		if err != nil {
			return nil, err
		}
		for _, p := range t.parts {
			one := p.String()
			if t.function == "sum" {
				one = "sum(" + one + ")"
			}
			part := Rule{Tool: r.Tool, Records: []string{one}}
			if i >= len(r.Records) {
				part = Rule{Tool: r.Tool, Affected: []string{one}}
			}
			parts = append(parts, part)
		}
	}
	return parts, nil
}
