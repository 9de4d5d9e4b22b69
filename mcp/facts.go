package mcp

import (
	"cmp"
	"math"
	"slices"
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

	terms terms // of tables; what is plainly not found is left out
	rank  int   // of Records among the rule's alternatives
}

// foundTerm is what is known of one term of a rule's tables.
type foundTerm struct {
	term, rank int
	why        Reason // Known: names are the answer
	names      []string
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
	if len(e.records) > 0 {
		f.RecordsUnknown = NotFound
	}
	return f
}

// Merge returns what f and later, of the same rule, tell together.
func (f Facts) Merge(later Facts) Facts {
	switch {
	case later.RecordsKnown && (!f.RecordsKnown || later.rank < f.rank):
		f.Records, f.RecordsKnown, f.rank, f.RecordsUnknown = later.Records, true, later.rank, Known
	case !f.RecordsKnown:
		f.RecordsUnknown = max(f.RecordsUnknown, later.RecordsUnknown)
	}
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

// sumUp makes the tables of the terms. Of each, the best that is known counts;
// one that there is an answer to, but not to be had, makes all unknown.
func (f *Facts) sumUp() {
	var few [4]foundTerm
	terms := f.terms.appendTo(few[:0])
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
func (c *caught) facts(e *Extractor, ws []wanted, first int) Facts {
	f := e.unknown()
	for i := 0; i < len(ws); {
		if ws[i].want == wantTable {
			if s := &c.answers[first+i]; s.known || s.why > NotFound {
				f.terms.add(c.foundTerm(&ws[i], first+i))
			}
			i++
			continue
		}
		sum, why := int64(0), Known
		rank := ws[i].rank
		for ; i < len(ws) && ws[i].want == wantRecords && ws[i].rank == rank; i++ {
			s := &c.answers[first+i]
			switch {
			case !s.known:
				why = max(why, s.why, NotFound)
			case s.number > math.MaxInt64-sum:
				why = OverCap
			default:
				sum += s.number
			}
		}
		switch {
		case f.RecordsKnown:
		case why == Known:
			f.Records, f.RecordsKnown, f.rank, f.RecordsUnknown = sum, true, rank, Known
		default:
			f.RecordsUnknown = max(f.RecordsUnknown, why)
		}
	}
	f.sumUp()
	return f
}

// foundTerm is what is known of one wanted of a term.
func (c *caught) foundTerm(w *wanted, number int) foundTerm {
	s := &c.answers[number]
	t := foundTerm{term: w.term, rank: w.rank}
	switch {
	case s.known && s.why < SQLUnread:
		for _, n := range c.names {
			if n.wanted != number {
				continue
			}
			if name := alone(c.text[n.start:n.end]); t.names == nil {
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
