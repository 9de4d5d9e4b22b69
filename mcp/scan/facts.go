package scan

import (
	"cmp"
	"math"
	"slices"

	"github.com/tallygate/tallygate/mcp"
)

// Facts is what is known about a call: from its request, from its reply, or from
// both (Merge).
type Facts struct {
	// Tables are the names of the tables without repeats, in the order of the
	// rule's paths and, for each path, in the order found. It is nil if they are
	// unknown, and also if a query is known to name none.
	Tables []string
	// Records is the number of records, when RecordsKnown.
	Records      int64
	RecordsKnown bool
	// TablesUnknown and RecordsUnknown are the reasons why they are unknown, or
	// Known.
	TablesUnknown, RecordsUnknown Reason

	terms  terms // of tables, except those that were just not found
	counts counts
	// The rank of the place that Records is from, and whether the rule is an
	// operator's.
	rank     int
	operator bool
}

// foundTerm is what is known about one term of a rule's tables.
type foundTerm struct {
	term, rank int
	why        Reason // Known: names has the tables
	names      []string
	// A statement of two or three bare words may be prose. It counts only if the
	// reply has rows, or affected rows.
	weak bool
}

// terms are what is known about the terms of a rule's tables. Most calls have
// one, which is kept in first and needs no allocation.
type terms struct {
	present bool // there is at least one
	first   foundTerm
	more    []foundTerm
}

func (t *terms) add(f foundTerm) {
	if !t.present {
		t.present, t.first = true, f
	} else {
		t.more = append(t.more, f)
	}
}

func (t *terms) appendTo(b []foundTerm) []foundTerm {
	if !t.present {
		return b
	}
	return append(append(b, t.first), t.more...)
}

// noRule are the facts of a call that no rule is for.
var noRule = Facts{TablesUnknown: NoRule, RecordsUnknown: NoRule}

// unknown returns the facts if e has found nothing.
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

// Merge combines the facts of a request with those of its reply, for the same
// rule.
func (f Facts) Merge(later Facts) Facts {
	f.counts = f.counts.merge(later.counts)
	f.TablesUnknown = max(f.TablesUnknown, later.TablesUnknown)
	if later.terms.present {
		f.terms.more = slices.Clip(f.terms.more) // Merge must not write into the array of the original
		f.terms.add(later.terms.first)
		for _, t := range later.terms.more {
			f.terms.add(t)
		}
	}
	f.summarize()
	return f
}

// summarize decides the tables and the record count from all that was found.
func (f *Facts) summarize() {
	f.summarizeTables()
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

// summarizeTables decides the tables. For each term of the rule, the best
// alternative that is known counts. A term that has a value, but one that cannot
// be used, makes all tables unknown.
func (f *Facts) summarizeTables() {
	var few [4]foundTerm
	terms := f.terms.appendTo(few[:0])
	for i := range terms {
		if t := &terms[i]; t.weak && !f.counts.confirmsStatement() {
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
			// A better alternative of this term is known.
		case t.why == Known && f.Tables == nil:
			known = true
			f.Tables = slices.Clip(t.names) // each is in it once
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

// facts summarizes the answers of an extractor: those of the targets ws, which
// are numbered from first on.
func (m *matches) facts(e *Extractor, ws []target, first int) Facts {
	f := e.unknown()
	for i := 0; i < len(ws); {
		w := &ws[i]
		if w.kind == targetTable {
			if s := &m.answers[first+i]; s.known || s.why > NotFound {
				f.terms.add(m.foundTerm(w, first+i))
			}
			i++
			continue
		}
		into := &f.counts.Rows[w.source]
		if w.kind == targetAffected {
			into = &f.counts.Affected
		}
		n, why := i, Known
		if m.unchecked && w.inText && !w.countsTextRows() {
			why = Unchecked
		}
		for ; i < len(ws) && ws[i].kind == w.kind && ws[i].rank == w.rank; i++ {
			if s := &m.answers[first+i]; !s.known {
				why = max(why, s.why, NotFound)
			}
		}
		switch {
		case into.Known && (why != Known || into.Rank < w.rank):
		case why != Known:
			into.Why = max(into.Why, why)
		default:
			*into = into.better(m.sum(ws[n:i], first+n))
		}
	}
	f.counts.Statement, f.counts.Statements = m.statement, m.statements
	m.useHabit(&f.counts)
	f.summarize()
	return f
}

// countsTextRows reports whether the target counts the rows of a text, which
// have to be as many as those of the structured content.
func (w *target) countsTextRows() bool {
	return w.kind == targetRecords && (w.source == sourceText || w.source == sourceTextLists)
}

// useHabit updates the habit of the tool. If texts were not checked and there is
// no structured content to confirm them, it drops their counts.
func (m *matches) useHabit(rows *counts) {
	structured, text := rows.Rows[sourceStructured], rows.Rows[sourceText]
	if !m.outcomes[atReply].ToolError { // errors have no structured content
		m.habit.learn(structured, text, m.unchecked)
	}
	if m.unchecked && !structured.Known {
		rows.Rows[sourceText], rows.Rows[sourceTextLists] = count{Why: Unchecked}, count{Why: Unchecked}
	}
}

// sum adds up the answers, from first on, of the targets ws. All of them are
// known and have the same rank.
func (m *matches) sum(ws []target, first int) count {
	sum := count{Known: true, Rank: ws[0].rank, Operator: ws[0].operator}
	var all status
	for i := range ws {
		s := &m.answers[first+i]
		if s.number > math.MaxInt64-sum.Number {
			return count{Why: OverCap}
		}
		sum.Number += s.number
		sum.Named = sum.Named || ws[0].operator && !ws[i].path.counts()
		if s.status > 0 {
			all.merge(m.statuses[s.status-1])
		}
	}
	sum.Status, sum.Weak, sum.AffectedRows = all.onlyStatusRows(), all.doubtful, all.affected
	sum.Bare = all.arrays == 1 && all.bare
	if !ws[0].operator {
		sum.Lists, sum.Flat, sum.Scalars, sum.Boxed = all.lists, all.flat, all.scalars, ws[0].boxed
	}
	return sum
}

// foundTerm returns what is known about the target w, whose number is given.
func (m *matches) foundTerm(w *target, number int) foundTerm {
	s := &m.answers[number]
	t := foundTerm{term: w.term, rank: w.rank, weak: s.weak}
	switch {
	case s.known && s.why < SQLUnread:
		for _, n := range m.names {
			if n.target != number {
				continue
			}
			if name := mcp.Intern(m.text[n.start:n.end]); t.names == nil {
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
