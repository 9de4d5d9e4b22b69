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

// Rule says where the tools it is for name their tables and their record
// count, as an operator writes it.
type Rule struct {
	// Tool is a glob that a tool's whole name has to match: * stands for any
	// characters, ? for any one, everything else for itself.
	Tool string
	// Tables are where table names stand, all of which count: paths of a
	// string, of an array of strings, of one string in each element of an array,
	// or of a query (@sql); constants (=name); or first(…) of several of these,
	// of which the first that is known counts.
	Tables []string
	// Records are where the number of records may stand, of which the first that
	// is known counts: paths of the length of an array (they end in #) or of a
	// number; constants (=1); or sum(…) of several paths, which may go through
	// each element of an array.
	Records []string
	// Affected are where the number of rows may stand that a statement affected
	// which writes and returns none, likewise.
	Affected []string

	lines []*Line // by Records, of DefaultRule; nil: an operator's rule
}

// Extractors are the rules of a gate. They are safe for concurrent use.
type Extractors struct {
	rules []*Extractor
	// byPrefix finds the rules whose glob begins with the same literal
	// characters, in their order; lengths are those of its keys. So a look-up
	// does not grow with the number of rules, but for those that share a prefix.
	byPrefix map[string][]int
	lengths  []int
	// found are extractors, each at the place that its tool's hash says, where the
	// next one takes it over. So rules that do share a prefix do not show either,
	// and what clients may ask for takes no more room.
	found  [1024]atomic.Pointer[foundFor]
	habits habits
}

// foundFor is the extractor of a tool.
type foundFor struct {
	tool      string
	extractor *Extractor
}

// maxFound bounds in bytes the names of tools whose extractors are remembered.
const maxFound = 256

// NewExtractors reads rules. Where none of them matches a tool, DefaultRule is
// used. Its errors name the rule and the path.
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

// hashSeed makes the indexes in Extractors.found unpredictable.
var hashSeed = maphash.MakeSeed()

// fewRules are those that are tried one by one sooner than looked up.
const fewRules = 4

// For returns the extractor of the first rule that the tool's name matches.
func (x *Extractors) For(tool string) *Extractor {
	if len(x.rules) <= fewRules {
		return x.rules[slices.IndexFunc(x.rules, func(e *Extractor) bool { return glob.Match(e.tool, tool) })]
	}
	if len(tool) > maxFound {
		return x.search(tool)
	}
	place := &x.found[maphash.String(hashSeed, tool)%uint64(len(x.found))]
	if a := place.Load(); a != nil && a.tool == tool {
		return a.extractor
	}
	e := x.search(tool)
	place.Store(&foundFor{strings.Clone(tool), e})
	return e
}

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
	return x.rules[first] // DefaultRule matches all
}

// All returns the extractors of all rules, for a Scanner of a stream that may
// answer any call.
func (x *Extractors) All() []*Extractor { return x.rules }

// Extractor is a rule made ready. The nil Extractor looks for nothing.
type Extractor struct {
	tool      string
	rule      Rule
	tables    []term
	records   []term
	affected  []term
	constants []constant
	params    []target // what to look for in the request's params
	result    []target // what to look for in the reply

	paramsPlan *plan
	replyPlans [2]func() *plan // by Scope; they take tens of KB, so each is made when it is needed
}

// constant is an answer that a rule gives itself.
type constant struct {
	kind       targetKind
	term, rank int
	name       string
	number     int64
}

// isDefault reports whether the rule is DefaultRule.
func (e *Extractor) isDefault() bool { return e.rule.lines != nil }

// Rule is the rule that the extractor was made of.
func (e *Extractor) Rule() Rule { return e.rule }

// Caps on facts. What is over a cap is unknown: never cut, never guessed.
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

// addNumbers looks for numbers at places of which the first that is known
// counts; w says of which kind, and the rank of the first.
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

// FromParams returns what the request says: params is the JSON text of its
// params, an object.
func (e *Extractor) FromParams(params []byte) Facts {
	if e == nil {
		return noRule
	}
	if e.paramsPlan == nil {
		return e.withConstants(e.unknown())
	}
	return e.withConstants(e.from(params, e.paramsPlan.root))
}

// FromCall is FromParams for a tools/call.
func (e *Extractor) FromCall(m *mcp.Message) Facts {
	if e == nil {
		return noRule
	}
	if e.paramsPlan == nil || m.Arguments() == nil {
		return e.withConstants(e.unknown())
	}
	// All paths lead there.
	return e.withConstants(e.from(m.Arguments(), e.paramsPlan.root.child([]byte(rootArguments))))
}

// from is what is found of the params at a node and below, given as JSON text.
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

// withConstants adds what the rule says itself.
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

// Split returns rules of one path or constant each, in their order: what the
// rule is made of, to be tried one by one. What stands in sum(…) stays in a sum,
// since it may go through the elements of an array.
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
