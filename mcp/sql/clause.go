package sql

// readFrom reads the word FROM.
func (r *reader) readFrom(f *frame) {
	switch {
	case r.isDistinctFrom(), r.isWord(-1, "FILL"): // ORDER BY a WITH FILL FROM 1 of ClickHouse
		r.i++
		return
	case r.isWord(1, "FIRST") || r.isWord(1, "LAST"):
		if r.isWord(2, "OVER") || r.isWord(2, "IGNORE") || r.isWord(2, "RESPECT") { // NTH_VALUE(…) FROM FIRST
			r.i += 2
			return
		}
	}
	if f.clause != beforeFrom {
		r.fail(NotSQL)
		return
	}
	if f.verb == kwDelete && f.sources == 0 {
		r.beginSources(f)
	}
	r.expectTable(f)
	f.clause = inFrom
	r.i++
}

// isDistinctFrom reports whether FROM is that of IS DISTINCT FROM.
func (r *reader) isDistinctFrom() bool {
	not := r.before(2)
	return r.before(1).word == kwDistinct && (not.word == kwIs || not.word == kwNot && r.before(3).word == kwIs)
}

// readOn reads ON: of a join, or of ON CONFLICT and ON DUPLICATE KEY.
func (r *reader) readOn(f *frame) {
	r.i++
	f.state, f.run = inExpression, 0
	switch {
	case r.isOneOf(0, onWords):
		f.commas, f.joins, f.clause = false, false, inFrom
	case f.verb == kwMerge:
		f.commas, f.joins, f.clause, f.verb = false, false, inFrom, kwInsert
	}
}

var onWords = []string{"CONFLICT", "DUPLICATE"}

// readSelect reads SELECT where a clause may begin: FROM t SELECT a.
func (r *reader) readSelect(f *frame) {
	switch {
	case f.fromFirst:
		f.fromFirst, f.commas, f.joins, f.state, f.run = false, false, false, inExpression, 0
		r.i++
	default:
		r.fail(NotSQL)
	}
}

// readSetOperation reads UNION and the like, behind which a query stands.
func (r *reader) readSetOperation(f *frame, t *token) {
	i := r.i
	r.i++
	for n := 0; n < 6; n++ {
		next := r.ahead(0)
		switch {
		case next.word == kwSelect, next.word == kwValues, next.word == kwWith, next.word == kwFrom, next.word == kwTable,
			next.is('(') && (t.word != kwExcept || !r.tokens[i-1].is('*')) && r.before(1).word != kwBy && r.before(1).word != kwOn:
			r.endScope(f)
			f.state, f.commas, f.joins, f.run = atStart, false, false, 0
			return
		case next.is('(') && (r.before(1).word == kwBy || r.before(1).word == kwOn): // CORRESPONDING BY (a)
			r.skipBracket()
		case next.kind != tokenWord:
			n = 6
		default:
			r.i++
		}
	}
	r.i = i + 1
	switch {
	case t.word == kwMinus || t.word == kwExcept && (r.tokens[i-1].is('*') || r.tokens[i-1].is(')')):
		if f.state == afterTable {
			r.alias(f, t)
		}
	default:
		r.fail(NotSQL)
	}
}

// endScope ends the range in which the aliases of a query can be seen.
func (r *reader) endScope(f *frame) {
	for i := f.aliases; i < r.aliases.len(); i++ {
		if n := &r.aliases.names[i]; n.from == f.start {
			n.to = min(n.to, r.i)
		}
	}
	f.aliases = r.aliases.len()
}

// readClause reads the word that begins a clause behind FROM.
func (r *reader) readClause(f *frame, t *token) {
	r.i++
	f.run = 0
	next := r.ahead(0)
	var clause uint8
	switch t.word {
	case kwWhere, kwPrewhere:
		clause = inWhere
		if f.clause > inWhere {
			r.fail(NotSQL)
			return
		}
	case kwFor:
		if !r.isWord(-2, "VALUE") { // NEXT VALUE FOR a sequence
			f.state = inRest
		}
		return
	case kwGroup:
		if next.word == kwAnd { // GROUP AND ORDER BY of BigQuery
			return
		}
		if next.is('(') && r.before(2).word == kwExpression {
			return // WITHIN GROUP (ORDER BY …)
		}
		if next.word != kwBy {
			r.fail(NotSQL)
			return
		}
		clause = inGroup
	case kwHaving, kwQualify:
		clause = inGroup
	case kwOrder, kwCluster, kwDistribute, kwSort, kwConnect, kwStart:
		if f.clause == beforeFrom && t.word != kwOrder {
			return // the name of a column
		}
		if t.word == kwOrder && next.word != kwBy && !r.isWord(0, "SIBLINGS") {
			r.fail(NotSQL)
			return
		}
		if t.word == kwStart || t.word == kwConnect {
			clause = max(f.clause, inWhere)
		} else {
			clause = inOrder
		}
	default:
		if f.clause == beforeFrom && (t.word != kwLimit && t.word != kwOption || next.word == kwAs || next.word == kwFrom || next.is(',')) {
			return
		}
		clause = max(f.clause, inFrom)
	}
	f.clause, f.state, f.commas, f.joins = max(f.clause, clause), inExpression, false, false
}

// readInto reads SELECT … INTO t.
func (r *reader) readInto(f *frame) {
	r.i++
	f.run = 0
	next := r.ahead(0)
	switch {
	case f.verb == kwPivot:
		return // INTO NAME month VALUE sales
	case f.verb != kwNone:
		r.readOutputInto(f)
		return
	case next.kind == tokenParameter, r.isWord(0, "OUTFILE"), r.isWord(0, "DUMPFILE"):
		return // files and variables
	case r.dialect == Oracle, r.dialect == MySQL, r.dialect == BigQuery, r.dialect == Snowflake:
		r.fail(Unread) // a variable of a procedure
		return
	case len(r.frames) > 1:
		r.fail(Unread)
		return
	}
	if r.isOneOf(0, temporaryWords) && r.ahead(1).isName() {
		r.skipWords(temporaryWords)
	}
	if r.ahead(0).word == kwTable {
		r.i++
	}
	r.forceKind(KindWrite)
	state := f.state
	f.target = true
	r.mention(f)
	f.state = state
}

var temporaryWords = []string{"TEMP", "TEMPORARY", "UNLOGGED"}

// readReturning reads RETURNING, which hands out what was written.
func (r *reader) readReturning(f *frame) {
	r.i++
	f.state, f.commas, f.joins, f.run = inExpression, false, false, 0
	if len(r.frames) == 1 {
		r.returning = true
	}
}

// readOutput reads OUTPUT of SQL Server, which does the same.
func (r *reader) readOutput(f *frame) {
	r.i++
	next := r.ahead(0)
	if f.verb == kwNone || r.dialect != SQLServer && !r.isWord(0, "INSERTED") && !r.isWord(0, "DELETED") && next.kind != tokenParameter {
		return
	}
	f.commas, f.joins, f.run = false, false, 0
	if f.state == afterTable {
		f.state = inExpression
	}
	if len(r.frames) == 1 {
		r.returning = true
	}
}

// readOutputInto reads INTO behind OUTPUT or RETURNING.
func (r *reader) readOutputInto(f *frame) {
	if len(r.frames) == 1 {
		r.returning = false
	}
	if r.ahead(0).kind == tokenParameter {
		return
	}
	if r.dialect == Oracle {
		r.fail(Unread)
		return
	}
	state := f.state
	f.target = true
	r.mention(f)
	f.state = state
	r.skipBracket()
}

// readVerb reads the verb of a statement that writes inside of another: in
// WHEN MATCHED THEN UPDATE, in ON CONFLICT DO UPDATE, or behind FROM t of Hive.
func (r *reader) readVerb(f *frame, t *token) {
	prev := r.before(1)
	switch {
	case (f.fromFirst || f.several) && t.word == kwInsert:
		f.several = true
		r.forceKind(KindWrite)
		r.i++
		r.beginInsert(f, t)
	case prev.word == kwThen, f.verb != kwNone && f.verb != kwSelect, r.ahead(1).is('('), f.clause == beforeFrom && prev.word != kwAs && t.word == kwReplace:
		r.i++
		f.run = 0
	case prev.is('.') || prev.word == kwFor:
		r.i++
	default:
		r.fail(NotSQL)
	}
}

// beginPipe reads |> of BigQuery, behind which an operator stands.
func (r *reader) beginPipe(f *frame) {
	if !f.query {
		r.fail(Unread)
		return
	}
	r.i++
	f.state, f.behind, f.commas, f.joins, f.run, f.clause, f.fromFirst = inExpression, behindOption, false, true, 0, inFrom, false
	switch next := r.ahead(0); next.word {
	case kwSelect, kwSet, kwDrop, kwRename, kwOrder, kwReplace:
		r.i++
		if next.word == kwSelect && r.ahead(0).word == kwDistinct {
			r.i++
		}
	case kwUnion, kwIntersect, kwExcept:
		r.i++ // brackets with queries follow
	case kwLeft, kwRight, kwInner, kwFull, kwCross, kwJoin:
		f.state = afterTable
	case kwWhere, kwLimit, kwOffset, kwTablesample, kwPivot, kwUnpivot, kwWindow, kwAs, kwDistinct, kwNatural, kwMatchRecognize, kwDescribe:
	default:
		if !r.isOneOf(0, pipeWords) {
			r.fail(Unread) // one that writes, or none of BigQuery's
		}
	}
}

// pipeWords are the operators behind |> that begin with no keyword.
var pipeWords = []string{"EXTEND", "AGGREGATE", "CALL", "ASSERT", "STATIC_DESCRIBE"}
