package sql

// readTable takes in a token where a table is expected.
func (r *reader) readTable(f *frame, t *token) {
	next := r.ahead(1)
	switch t.kind {
	case tokenPunct:
		if t.is('(') {
			f.state, f.behind = afterTable, behindName
			r.open(frame{source: true})
			return
		}
		r.fail(NotSQL)
		return
	case tokenParameter:
		// A variable of SQL Server and a stage of Snowflake are no tables. What
		// another parameter stands for is not said.
		if t.char != '@' || r.dialect == MySQL || r.dialect == BigQuery {
			r.fail(Unread)
			return
		}
		r.i++
		f.state, f.behind = afterTable, behindName
		r.skipBracket()
		return
	case tokenString, tokenEnd:
		r.fail(Unread) // a file
		return
	case tokenNumber:
		if c := r.src[t.end-1]; class[c] != letter {
			r.fail(NotSQL)
			return
		}
		r.mention(f)
		return
	}
	if t.kind == tokenWord && t.word != kwNone && r.readTableWord(f, t) {
		return
	}
	if next.is(':') && (r.dialect == DuckDB || r.dialect == Generic) && r.ahead(2).isName() { // FROM alias: t
		r.pushName(&r.aliases, t, scopeName{from: f.start, to: f.until})
		r.i += 2
		return
	}
	if r.isTrailingComma(t) {
		f.state, f.behind = afterTable, behindOption
		return
	}
	r.mention(f)
}

// readTableWord reads a keyword where a table is expected. It reports false for
// a keyword that is the name of the table.
func (r *reader) readTableWord(f *frame, t *token) bool {
	next := r.ahead(1)
	switch t.word {
	case kwLateral:
		if next.isName() || next.is('(') {
			r.i++
			return true
		}
	case kwOnly:
		if next.isName() && next.like&reserved == 0 {
			r.i++
			return true
		}
		if next.is('(') {
			r.i++
			f.state, f.behind = afterTable, behindName
			r.open(frame{source: true})
			return true
		}
	case kwRows:
		if next.word == kwFrom {
			r.i += 2
			r.openFunction(f)
			return true
		}
	case kwTable:
		if !next.isName() && !next.is('(') || next.like&reserved != 0 || next.word >= kwQualify && next.word <= kwFormat {
			t.like &^= reserved // a table called "table"
			r.mention(f)
			return true
		}
		if next.is('(') {
			r.i++
			r.openFunction(f)
			return true
		}
		if next.isName() && f.target {
			r.i++
			return true
		}
	case kwValues:
		if next.is('(') {
			r.i++
			f.rows = true
			r.openFunction(f)
			return true
		}
		if r.ahead(1).kind == tokenNumber || r.ahead(1).kind == tokenString {
			r.fail(Unread)
			return true
		}
	case kwSelect:
		if r.before(1).is(',') && f.fromFirst {
			f.state = inExpression
			return true
		}
	case kwAll, kwAny, kwDistinct:
		r.fail(NotSQL)
		return true
	case kwUnpivot:
		if next.isName() && next.word != kwAs { // the fields of a column of Redshift
			r.i++
			if m, ok := r.readName(); ok {
				r.text = r.text[:m.start]
				f.state, f.behind = afterTable, behindName
			}
			return true
		}
	}
	return false
}

// isTrailingComma reports whether a comma ended the tables, as BigQuery and
// DuckDB allow.
func (r *reader) isTrailingComma(t *token) bool {
	return r.before(1).is(',') && t.kind == tokenWord &&
		(t.word == kwWhere || t.word == kwGroup || t.word == kwOrder && r.ahead(1).word == kwBy)
}

// openFunction opens the arguments of a function in the place of a table.
func (r *reader) openFunction(f *frame) {
	f.state, f.behind = afterTable, behindName
	if !r.ahead(0).is('(') {
		r.fail(Unread)
		return
	}
	n := frame{state: inExpression, call: true}
	switch next := r.ahead(1); {
	case next.word == kwSelect || next.word == kwWith && r.ahead(2).isName():
		n.state = atStart
	case next.is('('):
		n.nested = true
	}
	r.open(n)
}

// readBehindTable takes in a token behind a table.
func (r *reader) readBehindTable(f *frame, t *token) {
	switch t.kind {
	case tokenWord:
		if t.word == kwNone && r.isOption() {
			f.behind = behindOption
			r.i++
			return
		}
		if t.word == kwNone && r.ahead(1).word == kwJoin && r.isOneOf(0, joinHints) {
			r.readJoin(f)
			return
		}
		if t.word == kwNone || t.like&(reserved|starts) == 0 && f.behind <= behindAs && r.isAlias(f, t) {
			r.alias(f, t)
			return
		}
		r.readBehindKeyword(f, t)
		return
	case tokenName, tokenDouble:
		r.alias(f, t)
		return
	case tokenPunct:
		switch t.char {
		case '(', '[', '{':
			if f.behind == behindAs {
				f.behind = behindAlias
			}
			r.open(frame{state: inExpression, call: true})
			return
		case ',':
			r.readComma(f)
			return
		case pipe:
			r.beginPipe(f)
			return
		case '*':
			if f.behind == behindName {
				f.behind = behindOption
			}
		}
	case tokenString:
		if f.behind == behindAs {
			f.behind = behindAlias
			r.i++
			return
		}
	case tokenParameter:
		if f.behind == behindName && t.char == ':' { // a path
			f.behind = behindOption
		}
	}
	if f.behind != behindOption {
		r.fail(NotSQL)
		return
	}
	f.run = 0
	r.i++
}

// isOption reports whether a word that is no keyword goes on with a table.
func (r *reader) isOption() bool {
	next := r.ahead(1)
	switch {
	case next.is('('):
		return r.isWord(0, "SUBPARTITION") || r.isWord(0, "MATCH_CONDITION")
	case next.kind == tokenNumber || r.isWord(1, "NEAREST"):
		return r.isWord(0, "NEAREST") || r.isWord(0, "APPROX")
	case next.word == kwIn:
		return r.isWord(0, "LOCK")
	}
	return false
}

// isAlias reports whether a keyword is the alias of the table before it: nothing
// that goes on with the table, or a clause, follows.
func (r *reader) isAlias(f *frame, t *token) bool {
	if f.behind == behindAs {
		return t.word != kwOf || r.ahead(1).kind != tokenWord
	}
	if t.like&inside != 0 {
		return t.word != kwPartition && t.word != kwAt && t.word != kwIgnore && t.word != kwRows && t.word != kwAny && t.word != kwAll && t.word != kwArray && t.word != kwTimestamp
	}
	switch next := r.ahead(1); {
	case next.kind == tokenEnd, next.is(','), next.is(')'), next.is(';'):
		return t.word != kwFinal
	default:
		return next.kind == tokenWord && (next.word == kwOn || next.word == kwWhere || next.word == kwJoin && t.word < kwJoin ||
			next.word == kwSet || next.word == kwUsing && t.word != kwLateral)
	}
}

// alias takes in the alias of a table.
func (r *reader) alias(f *frame, t *token) {
	r.i++
	switch f.behind {
	case behindName, behindAs:
		if n := r.aliases.len(); n > 0 && r.aliases.names[n-1].implicit && (r.isNamed(r.before(2)) || r.before(2).word == kwAs && r.isNamed(r.before(3))) {
			r.aliases.truncate(n - 1) // the alias hides the table's own name
		}
		r.pushName(&r.aliases, t, scopeName{from: f.start, to: f.until})
		f.behind = behindAlias
	case behindAlias:
		r.fail(NotSQL)
	default:
		r.countWord(f)
	}
}

// isNamed reports whether a token is the last implicit alias.
func (r *reader) isNamed(t *token) bool {
	return r.aliases.names[r.aliases.len()-1].start == int(t.start)
}

// readComma reads a comma behind a table.
func (r *reader) readComma(f *frame) {
	r.i++
	f.run = 0
	switch {
	case f.rows && r.ahead(0).is('('):
		r.openFunction(f)
	case f.commas:
		f.state, f.rows = atTable, false
	default:
		r.fail(NotSQL)
	}
}

// readBehindKeyword takes in a keyword behind a table.
func (r *reader) readBehindKeyword(f *frame, t *token) {
	switch t.word {
	case kwJoin, kwStraightJoin, kwApply, kwLeft, kwRight, kwFull, kwInner, kwOuter, kwCross, kwNatural, kwSemi, kwAnti, kwAsof,
		kwAny, kwAll, kwGlobal, kwPositional, kwArray:
		r.readJoin(f)
	case kwOn:
		r.readOn(f)
	case kwUsing:
		r.readUsing(f)
	case kwAs:
		r.i++
		f.behind = behindAs
		if next := r.ahead(1); r.isWord(0, "OF") && (next.kind == tokenString || next.kind == tokenDouble || next.kind == tokenNumber || next.kind == tokenParameter || next.is('(') ||
			next.kind == tokenWord && next.like&reserved == 0) {
			f.behind = behindOption
		}
	case kwWhere, kwPrewhere, kwGroup, kwHaving, kwQualify, kwWindow, kwOrder, kwLimit, kwFetch,
		kwSettings, kwFormat, kwOption, kwConnect, kwStart, kwCluster, kwDistribute, kwSort:
		r.readClause(f, t)
	case kwOffset:
		if f.behind == behindOption && r.before(1).kind == tokenNumber { // SAMPLE 1/10 OFFSET 1/2 of ClickHouse
			r.i++
			return
		}
		r.readClause(f, t)
	case kwFor:
		r.readFor(f)
	case kwFrom: // DELETE FROM alias FROM t alias of SQL Server
		if f.verb != kwDelete || f.sources > 0 {
			r.fail(NotSQL)
			return
		}
		r.i++
		r.beginSources(f)
	case kwSelect:
		r.readSelect(f)
	case kwUnion, kwIntersect, kwExcept, kwMinus:
		r.readSetOperation(f, t)
	case kwInto:
		r.readInto(f)
	case kwReturning:
		r.readReturning(f)
	case kwOutput:
		r.readOutput(f)
		if f.state == afterTable {
			r.i--
			r.alias(f, t)
		}
	case kwSet:
		r.readSet(f)
	case kwInsert:
		r.readVerb(f, t)
	case kwLateral:
		r.i++
		f.state, f.commas = inExpression, false
		if f.run = 0; r.ahead(0).word != kwView {
			r.fail(NotSQL)
		}
	case kwAt: // AT (TIMESTAMP => …) of Snowflake
		if !r.ahead(1).is('(') && f.behind != behindOption {
			r.fail(NotSQL)
			return
		}
		f.behind, f.run = behindOption, 0
		r.i++
	case kwWith, kwFinal, kwSample, kwTablesample, kwPivot, kwUnpivot, kwMatchRecognize, kwPartition, kwUse, kwForce, kwIgnore,
		kwIndexed, kwNot, kwBefore, kwChanges, kwVersion, kwTimestamp:
		f.behind, f.run = behindOption, 0
		r.i++
	default:
		switch {
		case r.isWord(0, "LOCK") && r.ahead(1).word == kwIn:
			f.state, f.run = inRest, 0
			r.i++
		case f.behind == behindOption:
			r.i++
			if t.like&inside == 0 {
				r.countWord(f)
			}
		case t.like&reserved != 0:
			r.fail(NotSQL)
		default:
			r.alias(f, t)
		}
	}
}
