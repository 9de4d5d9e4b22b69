package sql

// readFor reads FOR behind a table: a version of it, or a lock.
func (r *reader) readFor(f *frame) {
	switch next := r.ahead(1); {
	case r.isWord(-1, "INDEX") || r.isWord(-1, "KEY"): // USE INDEX FOR GROUP BY (i) of MySQL
		r.i += 2
		if r.ahead(0).word == kwBy {
			r.i++
		}
	case next.word == kwVersion, next.word == kwTimestamp, r.isWord(1, "SYSTEM_TIME"), r.isWord(1, "SYSTEM_VERSION"), r.isWord(1, "PORTION"):
		r.i += 2
		f.behind, f.run = behindOption, 0
		if r.accept("OF") {
			r.i++
		}
		if r.ahead(0).word == kwFrom { // FOR SYSTEM_TIME FROM a TO b
			r.i++
		}
	default:
		f.state, f.run = inRest, 0
		r.i++
	}
}

// readUsing reads USING behind a table.
func (r *reader) readUsing(f *frame) {
	r.i++
	f.run = 0
	next := r.ahead(0)
	switch {
	case f.verb == kwPivot:
		f.state, f.commas, f.joins = inExpression, false, false
	case f.verb == kwMerge && f.clause == inFrom: // ON of DuckDB
		f.commas, f.joins, f.state, f.verb = false, false, inExpression, kwInsert
	case f.verb == kwMerge || f.verb == kwDelete && f.clause == beforeFrom:
		r.beginSources(f)
		if f.verb == kwMerge {
			f.commas, f.joins, f.sources = false, false, 0
		}
	case next.is('('):
		f.state = inExpression
	case next.word == kwSample:
		f.behind = behindOption
	case f.joins:
		f.state, f.commas = inExpression, false
	default:
		r.fail(NotSQL)
	}
}

// readJoin reads the words of a join up to the place of its table.
func (r *reader) readJoin(f *frame) {
	array := false
	for n := 0; n < 8; n++ {
		t := r.ahead(n)
		switch t.word {
		case kwJoin, kwStraightJoin, kwApply:
			if !f.joins && !f.fromFirst {
				r.fail(NotSQL)
				return
			}
			r.i += n + 1
			f.run = 0
			if r.ahead(0).word == kwBy && r.ahead(1).is('(') { // JOIN BY (TYPE left)
				r.i++
				r.skipBracket()
			}
			if array {
				f.state, f.commas = inExpression, false
				return
			}
			f.state, f.commas = atTable, true
			return
		case kwArray:
			array = true
		case kwUnion, kwIntersect, kwExcept: // FULL OUTER UNION of BigQuery
			if n > 0 {
				r.i += n
				return
			}
			n = 8
		case kwLeft, kwRight, kwFull, kwInner, kwOuter, kwCross, kwNatural, kwSemi, kwAnti, kwAsof, kwAny, kwAll, kwGlobal, kwPositional:
		default:
			if t.is('(') || !r.isOneOf(n, joinHints) {
				n = 8
			}
		}
	}
	t := r.ahead(0)
	if t.like&reserved == 0 && f.state == afterTable {
		r.alias(f, t)
		return
	}
	r.fail(NotSQL)
}

// joinHints are words of SQL Server and Spark before JOIN.
var joinHints = []string{"LOOP", "HASH", "REMOTE", "MERGE", "LOCAL", "PASTE", "DIRECTED"}
