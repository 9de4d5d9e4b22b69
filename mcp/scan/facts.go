package scan

import (
	"cmp"
	"math"
	"slices"

	"github.com/tallygate/tallygate/mcp"
)

// Facts are what is known of a call: from its request, from its reply, or from
// both.
type Facts struct {
	// Tables are the names of the tables, without repeats: in the order of the
	// rule's paths, and of one path in the order found. Nil when unknown, and when
	// a query is known to name none.
	Tables []string
	// Records is the number of records, when RecordsKnown.
	Records      int64
	RecordsKnown bool
	// TablesUnknown and RecordsUnknown say why there is no answer; Known, when
	// there is one.
	TablesUnknown, RecordsUnknown Reason

	terms  terms // of tables; what is plainly not found is left out
	counts counts
	// The place that Records is from, among the rule's, and whether the rule is an
	// operator's.
	rank     int
	operator bool
}

// foundTerm is what is known of one term of a rule's tables.
type foundTerm struct {
	term, rank int
	why        Reason // Known: names are the answer
	names      []string
	// A statement of two or three bare words may be prose. It counts only beside
	// rows, or affected rows, in the answer.
	weak bool
}

// terms are what is known of the terms of a rule's tables, by term. The usual,
// one, takes no memory of its own.
type terms struct {
	some  bool // there is one
	first foundTerm
	more  []foundTerm
}

func (t *terms) add(f foundTerm) {
	if !t.some {
		t.some, t.first = true, f
	} else {
		t.more = append(t.more, f)
	}
}

func (t *terms) appendTo(b []foundTerm) []foundTerm {
	if !t.some {
		return b
	}
	return append(append(b, t.first), t.more...)
}

// noRule are the facts where no rule says where to look.
var noRule = Facts{TablesUnknown: NoRule, RecordsUnknown: NoRule}

// unknown are the facts where e has looked and there is nothing.
func (e *Extractor) unknown() Facts {
	f := noRule
	if len(e.tables) > 0 {
		f.TablesUnknown = NotFound
	}
	if len(e.records)+len(e.affected) > 0 {
		f.RecordsUnknown, f.counts.Looked = NotFound, true
	}
	return f
}

// Merge returns what f and later, of the same rule, tell together.
func (f Facts) Merge(later Facts) Facts {
	f.counts = f.counts.merge(later.counts)
	f.TablesUnknown = max(f.TablesUnknown, later.TablesUnknown)
	if later.terms.some {
		f.terms.more = slices.Clip(f.terms.more) // not to be shared with what f was
		f.terms.add(later.terms.first)
		for _, t := range later.terms.more {
			f.terms.add(t)
		}
	}
	f.sumUp()
	return f
}

// sumUp decides the tables and the records.
func (f *Facts) sumUp() {
	f.sumUpTables()
	decided := f.counts.decide()
	f.Records, f.RecordsKnown, f.rank, f.operator = decided.Number, decided.Known, decided.Rank, decided.Operator
	switch {
	case decided.Known:
		f.RecordsUnknown = Known
	case f.counts.Looked:
		f.RecordsUnknown = max(decided.Why, NotFound)
	default:
		f.RecordsUnknown = NoRule
	}
}

// sumUpTables makes the tables of the terms. Of each, the best that is known
// counts; one that there is an answer to, but not to be had, makes all unknown.
func (f *Facts) sumUpTables() {
	var few [4]foundTerm
	terms := f.terms.appendTo(few[:0])
	for i := range terms {
		if t := &terms[i]; t.weak && !f.counts.answered() {
			t.why = WrongFormat
		}
	}
	if len(terms) > 1 {
		slices.SortStableFunc(terms, func(a, b foundTerm) int {
			return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(min(a.why, NoRule), min(b.why, NoRule)), cmp.Compare(a.rank, b.rank))
		})
	}
	why := min(f.TablesUnknown, NotFound)
	known := false
	f.Tables = nil
	for i, t := range terms {
		switch {
		case i > 0 && terms[i-1].term == t.term && terms[i-1].why == Known:
			// This is another alternative for what is known.
		case t.why == Known && f.Tables == nil:
			known = true
			f.Tables = slices.Clip(t.names) // which repeats none
		case t.why == Known:
			for _, name := range t.names {
				if !slices.Contains(f.Tables, name) {
					f.Tables = append(f.Tables, name)
				}
			}
		default:
			why = max(why, t.why)
		}
	}
	if len(f.Tables) > maxTables {
		why = OverCap
	}
	switch {
	case why >= SQLUnread:
		f.Tables = nil
	case known:
		why = Known
	}
	f.TablesUnknown = why
}

// facts sums up the answers from first on, which are those of ws.
func (c *matches) facts(e *Extractor, ws []target, first int) Facts {
	f := e.unknown()
	for i := 0; i < len(ws); {
		w := &ws[i]
		if w.kind == targetTable {
			if s := &c.answers[first+i]; s.known || s.why > NotFound {
				f.terms.add(c.foundTerm(w, first+i))
			}
			i++
			continue
		}
		into := &f.counts.Rows[w.source]
		if w.kind == targetAffected {
			into = &f.counts.Affected
		}
		n, why := i, Known
		if c.unchecked && w.inText && !w.isWitness() {
			why = Unchecked
		}
		for ; i < len(ws) && ws[i].kind == w.kind && ws[i].rank == w.rank; i++ {
			if s := &c.answers[first+i]; !s.known {
				why = max(why, s.why, NotFound)
			}
		}
		switch {
		case into.Known && (why != Known || into.Rank < w.rank):
		case why != Known:
			into.Why = max(into.Why, why)
		default:
			*into = into.better(c.sum(ws[n:i], first+n))
		}
	}
	f.counts.Statement, f.counts.Statements = c.statement, c.statements
	c.useHabit(&f.counts)
	f.sumUp()
	return f
}

// isWitness reports whether the target counts rows of a text, which have to be
// as many as those of the structured content.
func (w *target) isWitness() bool {
	return w.kind == targetRecords && (w.source == sourceText || w.source == sourceTextLists)
}

// useHabit has the tool's habit learn from a result, and drops what texts say
// that were not checked, where there is no structured content to agree with.
func (c *matches) useHabit(rows *counts) {
	structured, text := rows.Rows[sourceStructured], rows.Rows[sourceText]
	if !c.outcomes[atReply].ToolError { // which has no structured content
		c.habit.learn(structured, text, c.unchecked)
	}
	if c.unchecked && !structured.Known {
		rows.Rows[sourceText], rows.Rows[sourceTextLists] = count{Why: Unchecked}, count{Why: Unchecked}
	}
}

// sum adds up the answers from first on, which are known, of ws that have one
// rank.
func (c *matches) sum(ws []target, first int) count {
	sum := count{Known: true, Rank: ws[0].rank, Operator: ws[0].operator}
	var all status
	for i := range ws {
		s := &c.answers[first+i]
		if s.number > math.MaxInt64-sum.Number {
			return count{Why: OverCap}
		}
		sum.Number += s.number
		sum.Named = sum.Named || ws[0].operator && !ws[i].path.counts()
		if s.status > 0 {
			all.join(c.statuses[s.status-1])
		}
	}
	sum.Status, sum.Weak, sum.Of = all.is(), all.doubtful, all.affected
	sum.Bare = all.arrays == 1 && all.bare
	if !ws[0].operator {
		sum.Lists, sum.Flat, sum.Scalars, sum.Boxed = all.lists, all.flat, all.scalars, ws[0].boxed
	}
	return sum
}

// foundTerm is what is known of one target of a term.
func (c *matches) foundTerm(w *target, number int) foundTerm {
	s := &c.answers[number]
	t := foundTerm{term: w.term, rank: w.rank, weak: s.weak}
	switch {
	case s.known && s.why < SQLUnread:
		for _, n := range c.names {
			if n.target != number {
				continue
			}
			if name := mcp.Intern(c.text[n.start:n.end]); t.names == nil {
				t.names = name[:1:1]
			} else {
				t.names = append(t.names, name...)
			}
		}
	default:
		t.why = max(s.why, NotFound)
	}
	return t
}
