package mcp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Rule says where the tools it is for name their tables and their record
// count, as an operator writes it.
type Rule struct {
	// Tool is a glob that a tool's whole name has to match: * stands for any
	// characters, ? for any one, everything else for itself.
	Tool string
	// Tables are the paths of table names: of a string, of an array of
	// strings, or of one string in each element of an array.
	Tables []string
	// Records is the path of the number of records: the length of an array
	// (a path that ends in #), or a number.
	Records string
}

// Extractors are the rules of a gate. They are safe for concurrent use.
type Extractors struct {
	rules []*Extractor
	// byPrefix finds the rules whose glob begins with the same literal
	// characters, in their order; lengths are those of its keys. So a look-up
	// does not grow with the number of rules, but for those that share a prefix.
	byPrefix map[string][]int
	lengths  []int
}

// NewExtractors reads rules. Its errors name the rule and the path.
func NewExtractors(rules []Rule) (*Extractors, error) {
	x := &Extractors{byPrefix: map[string][]int{}}
	for i, r := range rules {
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

// For returns the extractor of the first rule that the tool's name matches, or
// nil when there is none.
func (x *Extractors) For(tool string) *Extractor {
	first := len(x.rules)
	for _, n := range x.lengths {
		if n > len(tool) {
			continue
		}
		for _, i := range x.byPrefix[tool[:n]] {
			if i >= first {
				break
			}
			if matchGlob(x.rules[i].tool, tool) {
				first = i
			}
		}
	}
	if first == len(x.rules) {
		return nil
	}
	return x.rules[first]
}

// All returns the extractors of all rules, for a Scanner of a stream that may
// answer any call.
func (x *Extractors) All() []*Extractor { return x.rules }

// matchGlob takes time in proportion to both lengths at most, whatever the
// name is: only the last * is ever gone back to.
func matchGlob(glob, name string) bool {
	g, n := 0, 0
	star, again := -1, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, again = g, n
			g++
		case g < len(glob) && glob[g] == '?':
			g++
			n += runeLen(name[n:])
		case g < len(glob) && glob[g] == name[n]:
			g++
			n++
		case star >= 0:
			again += runeLen(name[again:])
			g, n = star+1, again
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}

func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// Extractor is a rule made ready. The nil Extractor looks for nothing.
type Extractor struct {
	tool       string
	params     []wanted // what to look for in the request's params
	result     []wanted // what to look for in the reply
	paramsPlan *plan
	replyPlans [2]*plan // by Scope
}

func newExtractor(r Rule) (*Extractor, error) {
	if r.Tool == "" {
		return nil, errors.New("the tool's name or glob is empty")
	}
	e := &Extractor{tool: r.Tool}
	add := func(what want, text string) error {
		p, err := ParsePath(text)
		if err != nil {
			return err
		}
		if what == wantTable && p.counts() {
			return fmt.Errorf("path %q: it gives a number, no table name; write #.name for a name in each element", text)
		}
		if what == wantRecords && p.several() {
			return fmt.Errorf("path %q: it gives a value for each element, no one number; end it in # for the number of elements", text)
		}
		w := wanted{want: what, path: p}
		if p.root == rootArguments {
			e.params = append(e.params, w)
		} else {
			e.result = append(e.result, w)
		}
		return nil
	}
	if len(r.Tables) > maxTablePaths {
		return nil, fmt.Errorf("more than %d table paths", maxTablePaths)
	}
	for _, text := range r.Tables {
		if err := add(wantTable, text); err != nil {
			return nil, fmt.Errorf("table: %w", err)
		}
	}
	if r.Records != "" {
		if err := add(wantRecords, r.Records); err != nil {
			return nil, fmt.Errorf("records: %w", err)
		}
	}
	if len(e.params) > 0 {
		e.paramsPlan = newParamsPlan(e)
	}
	for _, scope := range []Scope{Calls, Tasks} {
		e.replyPlans[scope] = newReplyPlan(scope, []*Extractor{e})
	}
	return e, nil
}

// FromParams returns what the request says: params is the JSON text of its
// params, an object.
func (e *Extractor) FromParams(params []byte) Facts {
	if e == nil || e.paramsPlan == nil {
		return Facts{}
	}
	s := paramsScanners.Get().(*Scanner)
	defer paramsScanners.Put(s)
	s.caught.reset(e.paramsPlan)
	s.doc.begin(&s.caught, e.paramsPlan.root)
	s.doc.feedLast(params)
	if !s.doc.end() {
		return Facts{}
	}
	return s.caught.facts(e.params, 0)
}

var paramsScanners = sync.Pool{New: func() any { return new(Scanner) }}

// Caps on facts. What is over a cap is unknown: never cut, never guessed.
const (
	maxTables     = 64  // of one call
	maxTableBytes = 256 // of one name
	maxTablePaths = 16  // of one rule
)

// Facts are what is known of a call: from its request, from its reply, or from
// both.
type Facts struct {
	// Tables are the names of the tables, without repeats: in the order of the
	// rule's paths, and of one path in the order found. Nil when unknown.
	Tables []string
	// Records is the number of records, when RecordsKnown.
	Records      int64
	RecordsKnown bool
	// TablesUnknown and RecordsUnknown say why there is no answer; Known, when
	// there is one.
	TablesUnknown, RecordsUnknown Reason

	over bool // there are tables, but more or longer ones than the caps allow
}

// Merge returns what f and then later tell together.
func (f Facts) Merge(later Facts) Facts {
	if !f.RecordsKnown {
		f.Records, f.RecordsKnown = later.Records, later.RecordsKnown
	}
	f.over = f.over || later.over
	f.Tables = slices.Clip(f.Tables) // what is added does not show in the f of the caller
	for _, t := range later.Tables {
		if !slices.Contains(f.Tables, t) {
			f.Tables = append(f.Tables, t)
		}
	}
	f.settle()
	return f
}

func (f *Facts) addTable(name []byte) {
	for _, t := range f.Tables {
		if t == string(name) {
			return
		}
	}
	f.Tables = append(f.Tables, string(name))
}

// settle gives up the tables when they are over a cap.
func (f *Facts) settle() {
	if f.over || len(f.Tables) > maxTables {
		f.Tables, f.over = nil, true
	}
}
