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

	terms []foundTerm // of tables, by term; what is plainly not found is left out
	rank  int         // of Records among the rule's alternatives
}

// foundTerm is what is known of one term of a rule's tables.
type foundTerm struct {
	term, rank int
	why        Reason // Known: names are the answer
	names      []string
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
	if len(later.terms) > 0 {
		f.terms = slices.Concat(f.terms, later.terms)
	}
	f.sumUp()
	return f
}

// sumUp makes the tables of the terms. Of each, the best that is known counts;
// one that there is an answer to, but not to be had, makes all unknown.
func (f *Facts) sumUp() {
	if len(f.terms) > 1 {
		slices.SortStableFunc(f.terms, func(a, b foundTerm) int {
			return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(min(a.why, NoRule), min(b.why, NoRule)), cmp.Compare(a.rank, b.rank))
		})
	}
	why := min(f.TablesUnknown, NotFound)
	known := false
	f.Tables = nil
	for i, t := range f.terms {
		switch {
		case i > 0 && f.terms[i-1].term == t.term && f.terms[i-1].why == Known:
			// This is another alternative for what is known.
		case t.why == Known:
			known = true
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
			if t := c.foundTerm(&ws[i], first+i); t.why > NotFound || t.why == Known {
				f.terms = append(f.terms, t)
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
			if n.wanted == number {
				t.names = append(t.names, string(c.text[n.start:n.end]))
			}
		}
	default:
		t.why = max(s.why, NotFound)
	}
	return t
}
