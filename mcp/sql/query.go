package sql

// readStart takes in the first token of a query or of another statement.
func (r *reader) readStart(f *frame, t *token) {
	switch {
	case t.is('('):
		r.openQuery(f)
		return
	case t.kind != tokenWord:
		if f.source && (t.isName() || t.kind == tokenParameter) {
			r.expectTable(f)
			return
		}
		r.fail(NotSQL)
		return
	}
	switch t.word {
	case kwSelect:
		r.setKind(KindQuery)
		r.beginSelect(f)
	case kwWith:
		r.beginWith(f)
	case kwValues:
		if f.source && !r.ahead(1).is('(') && !r.ahead(1).is('{') && !r.isWord(1, "ROW") {
			r.expectTable(f)
			return
		}
		r.setKind(KindQuery)
		r.beginSelect(f)
	case kwFrom:
		r.setKind(KindQuery)
		r.beginSelect(f)
		f.fromFirst, f.clause = true, inFrom
		r.expectTable(f)
	case kwTable:
		if f.source && r.ahead(1).is('(') {
			r.expectTable(f)
			return
		}
		r.setKind(KindQuery)
		r.beginSelect(f)
		r.expectTable(f)
		f.commas, f.joins, f.clause = false, false, inFrom
	default:
		switch {
		case f.statement:
			f.statement = false
			r.beginStatement(f, t)
		case f.source:
			r.beginInSource(f, t)
		default:
			r.fail(NotSQL)
		}
	}
}

// beginInSource begins what stands in brackets in the place of a table and is
// neither a query nor another bracket: a table, or a statement that returns rows.
func (r *reader) beginInSource(f *frame, t *token) {
	next := r.ahead(1)
	if t.like&starts != 0 && next.kind == tokenWord && next.like&reserved == 0 || t.word == kwDescribe && next.is('(') {
		switch t.word {
		case kwPivot, kwUnpivot, kwSummarize, kwDescribe, kwDesc:
			r.beginStatement(f, t)
		default:
			r.fail(Unread)
		}
		return
	}
	r.expectTable(f)
}

// beginSelect begins a query at its first word.
func (r *reader) beginSelect(f *frame) {
	f.query, f.state, f.clause, f.run, f.statement = true, inExpression, beforeFrom, 0, false
	f.commas, f.joins, f.rows, f.fromFirst = false, false, false, false
	f.start, f.until = r.i, f.end
	r.i++
	r.skipWords(selectWords)
}

// selectWords are MySQL's words behind SELECT.
var selectWords = []string{"HIGH_PRIORITY", "SQL_CALC_FOUND_ROWS", "SQL_NO_CACHE", "SQL_CACHE", "SQL_SMALL_RESULT", "SQL_BIG_RESULT", "SQL_BUFFER_RESULT", "STRAIGHT_JOIN", "DISTINCTROW"}

// openQuery opens a bracket at the place of a query.
func (r *reader) openQuery(f *frame) {
	source := f.source
	r.setKind(KindQuery)
	f.query, f.run, f.statement = true, 0, false
	if source { // ((a JOIN b) JOIN c) or ((SELECT …) UNION …)
		f.state, f.behind, f.commas, f.joins, f.clause = afterTable, behindName, true, true, inFrom
	} else {
		f.state, f.clause, f.commas, f.joins = inExpression, inGroup, false, false
	}
	r.open(frame{source: source})
}

// expectTable makes a frame wait for a table, of perhaps several.
func (r *reader) expectTable(f *frame) {
	f.query, f.state, f.commas, f.joins, f.rows, f.run, f.target, f.statement = true, atTable, true, true, false, 0, false, false
}

// readExpression takes in a token of an expression, or the word that begins the
// next clause.
func (r *reader) readExpression(f *frame, t *token) {
	switch t.kind {
	case tokenWord:
		if t.word == kwNone {
			r.i++
			r.countWord(f)
			return
		}
		r.readKeyword(f, t)
		return
	case tokenPunct:
		f.run = 0
		switch t.char {
		case '(', '[', '{':
			r.openExpression()
			return
		case ',':
			if f.commas {
				f.state = atTable
			}
		case pipe:
			r.beginPipe(f)
			return
		}
	case tokenName, tokenDouble:
		if f.run > 0 {
			r.countWord(f)
		}
	default:
		f.run = 0
	}
	r.i++
}

// countWord counts plain words in a row, the last of which was just read.
// Expressions have not many: prose has.
func (r *reader) countWord(f *frame) {
	f.run++
	most := uint8(6)
	next := r.ahead(0)
	operand := next.is('(') || next.kind != tokenWord && next.kind != tokenPunct && next.kind != tokenEnd
	switch {
	case !f.query || r.created && len(r.frames) == 1:
	case !operand && (f.run == 1 && r.behindStar() || f.run > 1 && f.state == inExpression && f.verb == kwNone && f.clause >= inWhere):
		most = 0 // SELECT * FRM t, WHERE a b
	default:
		most = 2
	}
	if f.run > most {
		r.fail(NotSQL)
	}
}

// behindStar reports whether the word before the current token stands behind the
// star that selects everything.
func (r *reader) behindStar() bool {
	before := r.before(3)
	return r.before(1).word == kwNone && r.before(2).is('*') && (before.word == kwSelect || before.is(',') || before.is('.'))
}

// openExpression opens a bracket in an expression, which may hold a query.
func (r *reader) openExpression() {
	prev, next := r.before(1), r.ahead(1)
	n := frame{state: inExpression}
	n.call = prev.isName() && (prev.word == kwNone || prev.like&(reserved|inside) == 0 || r.before(2).is('.'))
	switch {
	case next.is('('):
		n.nested = true
	case next.kind != tokenWord:
	case next.word == kwSelect:
		n.state = atStart
	case next.word == kwFrom:
		if !n.call {
			n.state = atStart
		}
	case next.word == kwWith:
		if a, b := r.ahead(2), r.ahead(3); a.word == kwRecursive || a.isName() && (b.word == kwAs || b.is('(')) || a.is('(') {
			n.state = atStart
		}
	case next.word == kwValues:
		if a := r.ahead(2); !n.call && (a.is('(') || a.kind == tokenNumber || a.kind == tokenString) {
			n.state = atStart
		}
	case next.word == kwDescribe || next.word == kwSummarize || next.word == kwPivot:
		if !n.call && r.ahead(2).kind == tokenWord {
			r.fail(Unread)
		}
	}
	r.open(n)
}

// readKeyword takes in a keyword in an expression.
func (r *reader) readKeyword(f *frame, t *token) {
	if t.like&inside != 0 || r.i > r.first && r.before(1).word == kwAs && t.word != kwSelect {
		f.run = 0
		switch {
		case t.word == kwIn && r.before(1).word != kwAs:
			r.readIn(f)
		case t.word == kwArray && r.ahead(1).word == kwJoin && f.query:
			r.readJoin(f)
		default:
			r.i++
		}
		return
	}
	if !f.query {
		r.readInnerKeyword(f, t)
		return
	}
	switch t.word {
	case kwFrom:
		r.readFrom(f)
	case kwSelect:
		r.readSelect(f)
	case kwUnion, kwIntersect, kwExcept, kwMinus:
		r.readSetOperation(f, t)
	case kwWhere, kwPrewhere, kwGroup, kwHaving, kwQualify, kwWindow, kwOrder, kwLimit, kwOffset, kwFetch, kwFor,
		kwSettings, kwFormat, kwOption, kwConnect, kwStart, kwCluster, kwDistribute, kwSort:
		r.readClause(f, t)
	case kwInto:
		r.readInto(f)
	case kwJoin, kwStraightJoin, kwApply:
		if f.state == inExpression && !f.joins && t.word != kwJoin {
			r.i++ // * APPLY(f) of ClickHouse, SELECT STRAIGHT_JOIN of MySQL
			return
		}
		r.readJoin(f)
	case kwLateral:
		if r.ahead(1).word == kwView {
			f.commas = false
		}
		r.i++
	case kwReturning:
		r.readReturning(f)
	case kwOutput:
		r.readOutput(f)
	case kwInsert, kwUpdate, kwDelete, kwReplace, kwMerge:
		r.readVerb(f, t)
	case kwTable:
		r.readTableArgument(f)
	case kwAs:
		r.i++
		if next := r.ahead(0); next.isName() && next.word != kwSelect {
			r.i++
		}
		f.run = 0
	case kwCreate, kwAlter:
		r.fail(NotSQL)
	case kwLeft, kwRight, kwFull, kwInner, kwOuter, kwCross, kwNatural, kwSemi, kwAnti, kwAsof, kwGlobal, kwPositional:
		r.i++
		if f.run = 0; !f.joins {
			f.run = 1
		}
	case kwOn:
		r.readOn(f)
	case kwSet:
		if f.verb == kwUpdate {
			r.readSet(f)
			return
		}
		f.run = 0
		r.i++
	case kwWith, kwValues, kwUsing, kwTo, kwOf:
		f.run = 0
		r.i++
	default:
		r.i++
		r.countWord(f)
	}
}

// readInnerKeyword takes in a keyword in brackets that are not a query.
func (r *reader) readInnerKeyword(f *frame, t *token) {
	switch t.word {
	case kwUnion, kwIntersect, kwExcept, kwMinus:
		if f.nested && r.before(1).is(')') {
			f.query, f.clause = true, inGroup
			r.readSetOperation(f, t)
			return
		}
	case kwOrder, kwLimit, kwOffset, kwFetch:
		// ((SELECT …) ORDER BY 1)
	case kwSelect:
		r.fail(Unread)
		return
	case kwTable:
		r.readTableArgument(f)
		return
	case kwFrom:
		if !f.call && !r.isDistinctFrom() {
			r.fail(NotSQL)
			return
		}
	}
	f.run = 0
	r.i++
}

// readTableArgument reads TABLE t or TABLE(t), which hands a table to a function.
func (r *reader) readTableArgument(f *frame) {
	prev, state := r.before(1), f.state
	r.i++
	argument := prev.is('(') || prev.is(',') || prev.is('>')
	switch next := r.ahead(0); {
	case argument && next.isName() && next.like&reserved == 0 && !r.ahead(1).is('('):
		r.mention(f)
	case argument && next.is('(') && r.ahead(1).isName() && (r.ahead(2).is(')') || r.ahead(2).is('.')):
		if r.dialect == Generic || r.dialect == Snowflake {
			r.fail(Unread)
			return
		}
		end := int(next.link)
		r.i++
		r.mention(f)
		if r.i == end {
			r.i++
		}
	}
	f.run, f.state = 0, state
}

// readIn reads IN. Behind it, SQLite takes the name of a table.
func (r *reader) readIn(f *frame) {
	r.i++
	next := r.ahead(0)
	if r.isWord(-2, "LOCK") && f.query { // LOCK IN SHARE MODE
		f.state, f.run = inRest, 0
		return
	}
	if !next.isName() || next.like&(reserved|inside) != 0 || next.word == kwUnnest || f.call && !f.query {
		return
	}
	switch r.dialect {
	case SQLite:
		state := f.state
		r.mention(f)
		f.state = state
	case ClickHouse, Generic:
		if !r.ahead(1).is('(') {
			r.fail(Unread)
		}
	}
}
