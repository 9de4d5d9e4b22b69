package sql

import "bytes"

// clause is where in a query a frame is.
type clause uint8

const (
	clauseStart clause = iota // at its begin
	clauseWith                // before the name of a common table expression
	clauseSelect
	clauseFrom
	clauseOn    // in the condition of a join: a comma ends it
	clauseSet   // behind UNION and the like, where another query begins
	clauseOther // in an expression, whose commas mean nothing
	clauseDDL   // in a definition
)

// frame is the statement or an open bracket.
type frame struct {
	closing    byte // the bracket that ends it; 0 for the statement
	clause     clause
	isQuery    bool // it has begun as a query, so that FROM and JOIN mean something
	isColumns  bool // of a definition: REFERENCES means something, and nothing else
	expect     bool // a table's name comes next
	isTarget   bool // of which a bracket behind it lists columns
	list       bool // a comma brings another table
	source     bool // it stands in the place of a table
	afterTable uint8
	run        int // plain words in a row
	tables     int // len(reader.tables) when its WITH began
	names      int // len(reader.names) when it began
	aliases    int // len(reader.aliases) when it began
	cte        span
	recursive  bool
	onTable    bool // ON brings the table of an index
	scalars    bool // the part of WITH that passes is an expression of ClickHouse
}

// What may follow a table.
const (
	afterNothing uint8 = iota // there is no table before
	afterName                 // an alias
	afterAs                   // an alias, behind AS
	afterAlias                // no further word
	afterFree                 // anything
)

// span is a piece of the query.
type span struct{ start, end int }

// reader reads one query.
type reader struct {
	lex     lexer
	dialect Dialect
	status  Status
	frames  []frame
	tables  []span // in names of text
	text    []byte // the names of tables, their parts joined
	names   []span // of common table expressions, in the query
	aliases []span // of tables
	own     []span // the last parts of tables' names, where columns are named by them
	prev    [2]keyword
	punctOf byte // the last token, if it is a tokenPunct

	// Of the statement.
	verb       keyword
	kind       Kind
	explained  bool
	returning  bool
	writes     bool // a statement does, and returns rows
	using      bool // USING has brought the source of MERGE or DELETE
	tokens     int
	plain      bool // all of them are words
	first      int  // len(tables) when it began
	target     int  // how many tables from first on are its targets
	hasFrom    bool
	created    bool // CREATE, whose AS begins a query
	body       bool // it has a bracket, or a word that a body begins with
	equals     bool // it has =
	notAlter   bool // what follows the table of ALTER TABLE is nothing that it does
	statements int
	weak       bool
	total      Kind
}

func (r *reader) read(s syntax, d Dialect, query []byte) {
	*r = reader{
		frames: append(r.frames[:0], frame{}), tables: r.tables[:0], text: r.text[:0],
		names: r.names[:0], aliases: r.aliases[:0], own: r.own[:0], dialect: d, plain: true,
	}
	r.lex = lexer{syntax: s, src: query}
	for r.status == Known {
		t := r.lex.next()
		if t.kind == tokenEnd {
			break
		}
		r.tokens++
		r.plain = r.plain && t.kind == tokenWord
		r.step(t)
		r.prev[1], r.prev[0] = r.prev[0], t.word
		if r.punctOf = 0; t.kind == tokenPunct {
			r.punctOf = t.punct
		}
	}
	switch {
	case r.status != Known:
	case r.lex.broken, len(r.frames) > 1:
		r.status = Unread
	default:
		r.endStatement()
		if r.status == Known && r.statements == 0 {
			r.status = NotSQL
		}
	}
}

// result is what has been read.
func (r *reader) result() Result {
	if r.status != Known {
		return Result{Status: r.status, Statements: r.statements}
	}
	res := Result{Kind: r.total, Statements: r.statements, Returning: r.writes, Weak: r.weak}
	if len(r.tables) > 0 {
		res.Tables = make([]string, len(r.tables))
		for i, s := range r.tables {
			res.Tables[i] = string(r.text[s.start:s.end])
		}
	}
	return res
}

func (r *reader) fail(s Status) { r.status = max(r.status, s) }

func (r *reader) top() *frame { return &r.frames[len(r.frames)-1] }

func (r *reader) step(t token) {
	f := r.top()
	switch {
	case t.word == kwHistoryTable:
		r.fail(Unread) // SQL Server names a second table there
		return
	case t.kind == tokenPunct:
		r.body = r.body || t.punct == '('
		r.equals = r.equals || t.punct == '='
	case t.word == kwValues, t.word == kwSelect, t.word == kwSet, t.word == kwTable && r.verb == kwInsert, t.word == kwFormat, t.word == kwLike, t.word == kwClone, t.word == kwCopy, t.word == kwOf, t.word == kwTo:
		r.body = true
	}
	if t.kind == tokenPunct {
		switch t.punct {
		case ';':
			if len(r.frames) > 1 {
				r.fail(Unread)
				return
			}
			r.endStatement()
			return
		case '(', '[', '{':
			r.open(t.punct)
			return
		case ')', ']', '}':
			r.close(t.punct)
			return
		}
	}
	if f.clause == clauseStart {
		r.begin(t)
		return
	}
	if f.clause == clauseWith {
		r.readWith(t)
		return
	}
	if f.expect {
		r.readTable(t)
		return
	}
	if f.isColumns {
		if t.word == kwReferences || t.word == kwLike && r.punctOf == ',' {
			f.expect, f.isTarget = true, true
		}
		return
	}
	switch t.kind {
	case tokenPunct:
		f.run = 0
		r.punct(f, t)
	case tokenWord:
		r.word(f, t)
	case tokenName:
		r.alias(f, t)
		f.run = 0
	default:
		f.run = 0
		if f.afterTable != afterNothing {
			f.afterTable = afterFree
		}
	}
}

func (r *reader) punct(f *frame, t token) {
	if t.punct == ',' {
		f.afterTable = afterNothing
		if f.scalars {
			a := r.lex.peek(0)
			if (a.kind == tokenWord || a.kind == tokenName) && (r.lex.peek(1).punct == '(' || r.lex.peek(1).word == kwAs) && r.lex.peek(1).kind != tokenName {
				f.clause, f.cte, f.scalars = clauseWith, span{}, false
			}
			return
		}
		switch {
		case f.list && (f.clause == clauseFrom || f.clause == clauseOn):
			f.expect, f.clause = true, clauseFrom
		case f.clause == clauseFrom:
			r.fail(Unread)
		}
		return
	}
	if t.punct == '|' && r.lex.peek(0).kind == tokenPunct && r.lex.peek(0).punct == '>' && f.isQuery {
		r.fail(Unread) // the pipes of BigQuery
	}
	if f.afterTable == afterName || f.afterTable == afterAlias {
		r.fail(Unread)
	}
}

// open begins a bracket.
func (r *reader) open(bracket byte) {
	if len(r.frames) == maxDepth {
		r.fail(OverCap)
		return
	}
	f := r.top()
	closing := byte(')')
	if bracket != '(' {
		closing = bracket + 2
	}
	n := frame{closing: closing, names: len(r.names), aliases: len(r.aliases)}
	switch {
	case f.clause == clauseStart && bracket == '(' && (len(r.frames) == 1 || f.source):
		// A query in brackets, or a join in brackets.
		n.source = f.source
		if f.source {
			f.expect, f.clause, f.list, f.isQuery = false, clauseFrom, true, true
			f.afterTable = afterName
		} else {
			f.clause, f.isQuery = clauseOther, true
			if r.verb == kwNone {
				r.verb, r.kind = kwSelect, KindQuery
			}
		}
	case f.clause == clauseStart:
		f.clause = clauseOther
	case f.clause == clauseWith:
		if f.cte != (span{}) && r.prev[0] != kwAs && r.prev[0] != kwMaterialized {
			n.clause = clauseOther // the columns
		} else if f.cte == (span{}) {
			r.withExpression(f)
		}
	case f.expect:
		if f.isTarget {
			r.fail(Unread)
			return
		}
		n.source = true
		f.expect, f.afterTable = false, afterName
	case f.clause == clauseSet:
		f.clause = clauseOther
	case f.clause == clauseDDL && r.prev[0] == kwInherits:
		n.clause, n.expect, n.list, n.isTarget = clauseFrom, true, true, true
	case f.clause == clauseDDL:
		n.isColumns, n.clause = true, clauseOther
		if r.lex.peek(0).word == kwLike {
			n.expect, n.isTarget = true, true
			r.lex.next()
		}
		if w := r.lex.peek(0).word; w == kwSelect || w == kwWith {
			n.isColumns, n.clause = false, clauseStart
		}
	}
	f.run = 0
	r.frames = append(r.frames, n)
}

func (r *reader) close(bracket byte) {
	f := r.top()
	if f.closing != bracket || f.expect && !f.isColumns {
		r.fail(Unread)
		return
	}
	if f.clause == clauseWith || f.clause == clauseSet {
		r.fail(Unread)
		return
	}
	r.names, r.aliases = r.names[:f.names], r.aliases[:f.aliases]
	r.frames = r.frames[:len(r.frames)-1]
	r.top().run = 0
}

// alias takes in a name behind a table.
func (r *reader) alias(f *frame, t token) {
	switch f.afterTable {
	case afterName, afterAs:
		if len(r.aliases) < maxNames {
			r.aliases = append(r.aliases, span{t.start, t.end})
		}
		f.afterTable = afterAlias
	case afterAlias:
		r.fail(NotSQL)
	}
}

// begin takes in the first token of a statement or a bracket.
func (r *reader) begin(t token) {
	f := r.top()
	if len(r.frames) == 1 {
		r.beginStatement(f, t)
		return
	}
	switch t.word {
	case kwSelect, kwWith, kwValues:
		f.isQuery = true
		r.query(f, t)
		return
	case kwFrom:
		f.isQuery = true
		f.clause, f.expect, f.list = clauseFrom, true, true
		return
	case kwTable:
		if next := r.lex.peek(0); next.kind == tokenWord || next.kind == tokenName {
			f.isQuery, f.clause, f.expect = true, clauseFrom, true
			return
		}
	case kwInsert, kwUpdate, kwDelete, kwMerge:
		if !f.source && r.inWith() {
			f.isQuery = true
			r.write(f, t)
			return
		}
	}
	switch t.word {
	case kwInsert, kwUpdate, kwDelete, kwMerge, kwPivot, kwUnpivot, kwSummarize, kwDescribe, kwDesc, kwShow:
		if next := r.lex.peek(0); next.kind == tokenWord || next.kind == tokenName {
			r.fail(Unread)
			return
		}
	}
	if f.source {
		f.clause, f.expect, f.list, f.isQuery = clauseFrom, true, true, true
		r.readTable(t)
		return
	}
	f.clause = clauseOther
	if t.kind == tokenWord {
		r.word(f, t)
	}
}

// inWith reports whether the innermost bracket is the body of a common table
// expression.
func (r *reader) inWith() bool { return r.frames[len(r.frames)-2].clause == clauseWith }

// query takes in the first word of a query.
func (r *reader) query(f *frame, t token) {
	f.expect, f.list, f.afterTable, f.run = false, false, afterNothing, 0
	switch t.word {
	case kwSelect:
		f.clause = clauseSelect
	case kwWith:
		f.clause, f.recursive = clauseWith, false
		f.cte, f.tables = span{}, len(r.tables)
		if r.lex.peek(0).word == kwRecursive {
			r.lex.next()
			f.recursive = true
		}
	case kwValues:
		f.clause = clauseOther
	}
}

// readWith reads the head of a common table expression, and what follows it.
func (r *reader) readWith(t token) {
	f := r.top()
	switch {
	case f.cte == (span{}): // its name
		next := r.lex.peek(0)
		if t.kind != tokenWord && t.kind != tokenName || next.word != kwAs && (next.kind != tokenPunct || next.punct != '(') ||
			next.word == kwAs && r.lex.peek(1).punct != '(' && r.lex.peek(1).word != kwMaterialized && r.lex.peek(1).word != kwNot {
			r.withExpression(f)
			return
		}
		f.cte = span{t.start, t.end}
		if f.recursive || r.dialect == SQLite || r.dialect == SQLServer || r.dialect == Oracle {
			f.recursive = true // in these, every expression may refer to itself
			r.addName(f.cte)
			if r.dialect != SQLServer && r.dialect != Oracle {
				r.dropForward(f)
			}
		}
	case t.word == kwAs, t.word == kwMaterialized, t.word == kwNot:
	case t.kind == tokenPunct && t.punct == ',':
		r.endCTE(f)
		f.cte = span{}
	case t.word == kwSelect, t.word == kwInsert, t.word == kwUpdate, t.word == kwDelete, t.word == kwMerge, t.word == kwValues, t.word == kwFrom, t.word == kwReplace, t.word == kwTable:
		r.endCTE(f)
		f.clause = clauseStart
		if len(r.frames) == 1 {
			r.beginStatement(f, t)
		} else {
			r.begin(t)
		}
	default:
		r.fail(Unread)
	}
}

// withExpression reads WITH expression AS name of ClickHouse: SELECT ends it, or
// a comma and the name of a table expression.
func (r *reader) withExpression(f *frame) {
	if r.dialect != ClickHouse && r.dialect != Generic {
		r.fail(Unread)
		return
	}
	f.clause, f.scalars = clauseOther, true
}

// dropForward takes back what stood in an earlier expression of the same WITH
// and turns out to be the name of a later one.
func (r *reader) dropForward(f *frame) {
	name := r.lex.src[f.cte.start:f.cte.end]
	for i := f.tables; i < len(r.tables); i++ {
		if t := r.tables[i]; equalFoldBytes(r.text[t.start:t.end], name) {
			r.tables = append(r.tables[:i], r.tables[i+1:]...)
			return
		}
	}
}

func (r *reader) endCTE(f *frame) {
	if !f.recursive {
		r.addName(f.cte)
	}
}

func (r *reader) addName(s span) {
	if len(r.names) == maxNames {
		r.fail(OverCap)
		return
	}
	r.names = append(r.names, s)
}

// word takes in a word where no table is expected.
func (r *reader) word(f *frame, t token) {
	if f.afterTable == afterAs {
		r.alias(f, t)
		return
	}
	switch t.word {
	case kwNone:
		if f.afterTable == afterName || f.afterTable == afterAlias {
			r.alias(f, t)
			return
		}
		if f.run++; f.run > 2 && f.isQuery && f.afterTable != afterFree {
			r.fail(NotSQL)
		}
		return
	case kwOther:
		f.run = 0
		if f.afterTable != afterNothing {
			f.afterTable = afterFree
		}
		return
	}
	f.run = 0
	r.keyword(f, t)
}

// keyword takes in a keyword that is no name here.
func (r *reader) keyword(f *frame, t token) {
	if len(r.frames) == 1 {
		switch t.word {
		case kwReturning, kwOutput:
			r.returning = true
		}
	}
	switch t.word {
	case kwAs:
		if f.afterTable == afterName {
			f.afterTable = afterAs
		}
		if r.created && len(r.frames) == 1 {
			f.clause, f.afterTable = clauseSet, afterNothing
		}
	case kwSelect:
		if f.isQuery || f.clause == clauseSet || f.clause == clauseDDL && r.created {
			if f.scalars && len(r.frames) == 1 {
				r.verb = kwSelect
				r.setKind(KindQuery)
			}
			f.isQuery, f.scalars = true, false
			r.query(f, t)
		}
	case kwWith:
		a, b := r.lex.peek(0), r.lex.peek(1)
		named := a.kind == tokenWord || a.kind == tokenName
		if (f.isQuery || f.clause == clauseSet) && (a.word == kwRecursive || named && b.word == kwAs && r.lex.peek(2).punct == '(' || named && b.punct == '(' && (f.isTarget || f.clause == clauseSet)) {
			f.isQuery = true
			r.query(f, t)
			return
		}
		if f.clause == clauseDDL && r.verb == kwAlter && named && b.kind == tokenEnd { // SWAP WITH t
			f.expect, f.isTarget = true, true
			return
		}
		if f.afterTable != afterNothing {
			f.afterTable = afterFree
		}
	case kwFrom:
		r.from(f)
	case kwJoin, kwStraight, kwApply:
		switch {
		case f.clause == clauseSelect: // SELECT STRAIGHT_JOIN
		case !f.isQuery, r.prev[0] == kwFor, t.word == kwApply && r.prev[0] != kwCross && r.prev[0] != kwOuter:
		case r.prev[0] == kwArray || r.prev[1] == kwArray:
			f.clause, f.list, f.afterTable = clauseOther, false, afterFree
		default:
			f.clause, f.expect, f.list, f.afterTable, f.isTarget = clauseFrom, true, true, afterNothing, false
		}
	case kwUsing:
		if len(r.frames) == 1 && (r.verb == kwMerge || r.verb == kwDelete && (!r.hasFrom || r.lex.peek(0).punct != '(')) && !r.using {
			r.using = true
			f.clause, f.expect, f.list, f.isTarget, f.afterTable = clauseFrom, true, r.verb == kwDelete, false, afterNothing
			return
		}
		if f.clause == clauseFrom {
			f.clause, f.afterTable = clauseOn, afterNothing
			if r.lex.peek(0).punct != '(' { // columns without brackets
				f.clause, f.list = clauseOther, false
			}
		}
	case kwOn:
		f.afterTable = afterNothing
		if f.onTable {
			f.expect, f.isTarget, f.onTable = true, true, false
			return
		}
		if f.clause == clauseFrom {
			f.clause = clauseOn
			f.list = f.list && !f.isTarget
		}
	case kwInto:
		switch next := r.lex.peek(0); {
		case !f.isQuery:
		case next.kind == tokenParam || equalFold(r.lex.text(next), "OUTFILE") || equalFold(r.lex.text(next), "DUMPFILE"):
		case r.verb == kwSelect && len(r.frames) > 1:
			r.fail(Unread)
		default:
			if r.verb == kwSelect {
				r.skipWords(tableWords)
				r.kind = KindNone
			}
			f.expect, f.isTarget, f.list, f.afterTable = true, true, false, afterNothing
			r.returning = false
		}
	case kwUnion, kwIntersect, kwExcept, kwMinus:
		if next := r.lex.peek(0); t.word == kwExcept && next.kind == tokenPunct && next.punct == '(' && f.clause == clauseSelect {
			return // SELECT * EXCEPT (…)
		}
		f.clause, f.list, f.afterTable, f.isQuery = clauseSet, false, afterNothing, true
	case kwValues:
		f.clause, f.list, f.afterTable = clauseOther, false, afterNothing
	case kwOf:
		if f.clause == clauseDDL && r.prev[0] == kwPartition {
			f.expect, f.isTarget = true, true
		}
	case kwIn:
		if f.afterTable != afterNothing {
			f.afterTable = afterFree
		}
		if next := r.lex.peek(0); f.clause != clauseDDL && (next.kind == tokenName || next.kind == tokenWord && next.word == kwNone) && r.lex.peek(1).punct != '(' {
			if r.dialect != SQLite {
				r.fail(Unread) // a table in SQLite, and more in ClickHouse
				return
			}
			f.expect, f.isTarget = true, false
		}
	case kwInherit:
		if f.clause == clauseDDL {
			f.expect, f.isTarget = true, true
		}
	case kwPartition, kwInherits:
		if f.afterTable != afterNothing {
			f.afterTable = afterFree
		}
		next := r.lex.peek(0)
		if f.clause == clauseDDL && r.verb == kwAlter && t.word == kwPartition && (r.dialect == Postgres || r.dialect == Redshift || r.dialect == Generic) &&
			next.word == kwNone && (next.kind == tokenWord || next.kind == tokenName) && r.lex.peek(1).punct != '(' {
			if r.dialect == Generic {
				r.fail(Unread)
			}
			f.expect, f.isTarget = true, true
		}
	case kwTo:
		if f.clause == clauseDDL && r.verb == kwCreate {
			f.expect, f.isTarget = true, true
		}
	case kwTable:
		if f.clause == clauseSet || f.isTarget && (f.clause == clauseFrom || f.clause == clauseDDL) {
			f.clause, f.expect, f.isQuery, f.isTarget = clauseFrom, true, true, false
			return
		}
		if next := r.lex.peek(0); f.clause == clauseOther && !f.isQuery && len(r.frames) > 1 && (next.kind == tokenWord || next.kind == tokenName) {
			r.fail(Unread) // an argument of a table function
		}
	case kwLateral:
		if f.clause == clauseFrom { // LATERAL VIEW
			f.clause, f.afterTable = clauseOther, afterFree
		}
	case kwFor:
		if w := r.lex.text(r.lex.peek(0)); equalFold(w, "XML") || equalFold(w, "JSON") || equalFold(w, "BROWSE") {
			f.clause, f.list = clauseOther, false
		} else if r.lex.peek(1).word == kwFrom && equalFold(w, "SYSTEM_TIME") {
			r.fail(Unread)
		}
		if w := r.lex.peek(0); f.clause == clauseFrom && (w.word == kwUpdate || w.word == kwOther && !equalFold(r.lex.text(w), "SYSTEM_TIME") && !equalFold(r.lex.text(w), "TIMESTAMP") && !equalFold(r.lex.text(w), "VERSION")) {
			f.clause, f.list = clauseOther, false
		} else if f.clause == clauseFrom {
			f.clause = clauseOn
		}
		f.afterTable = afterFree
	case kwWhere, kwGroup, kwHaving, kwOrder, kwLimit, kwWindow, kwQualify, kwPrewhere, kwSet, kwConnect, kwFetch, kwOffset, kwSettings, kwFormat, kwReturning, kwOutput:
		if f.clause == clauseFrom || f.clause == clauseOn || f.clause == clauseDDL && t.word != kwSet || f.clause == clauseSelect {
			f.clause, f.list, f.afterTable = clauseOther, false, afterNothing
		}
	case kwFinal, kwSample, kwTablesample, kwPivot, kwUnpivot:
		if f.afterTable != afterNothing {
			f.afterTable = afterFree
		}
	case kwReferences:
		if f.clause == clauseDDL {
			f.expect, f.isTarget = true, true
		}
	case kwRename:
		next := r.lex.peek(0)
		switch {
		case f.clause != clauseDDL:
		case next.word == kwTo, next.word == kwAs:
			r.lex.next()
			f.expect, f.isTarget = true, true
		case next.word == kwNone && r.lex.peek(1).word != kwTo:
			f.expect, f.isTarget = true, true
		}
	case kwBy:
		f.afterTable = afterNothing
		if f.clause == clauseFrom || f.clause == clauseOn {
			f.clause, f.list = clauseOther, false
		}
	case kwInsert:
		if len(r.frames) == 1 && f.isQuery && r.prev[0] != kwThen {
			r.fail(Unread) // FROM t INSERT … of Hive
		}
	case kwClone, kwLike, kwCopy:
		if next := r.lex.text(r.lex.peek(0)); equalFold(next, "GRANTS") || equalFold(next, "TAGS") {
			return
		}
		if f.clause == clauseDDL && r.created {
			f.expect, f.isTarget = true, true
		}
	case kwLeft, kwRight, kwFull, kwInner, kwOuter, kwCross, kwNatural, kwAnti, kwSemi, kwAsof, kwGlobal, kwAny, kwAll, kwArray:
		if f.afterTable != afterNothing {
			f.afterTable = afterFree
		}
	case kwWhen, kwThen, kwElse, kwCase, kwEnd, kwDistinct, kwIs, kwNot, kwOr, kwExists, kwUpdate, kwDelete, kwIf, kwIgnore, kwReplace, kwAnalyze, kwTop, kwOnly, kwDesc:
		if f.afterTable != afterNothing {
			f.afterTable = afterFree
		}
	default:
		// A word that is a keyword elsewhere.
		if f.afterTable == afterName || f.afterTable == afterAlias {
			r.alias(f, t)
		}
	}
}

// from takes in FROM.
func (r *reader) from(f *frame) {
	switch {
	case r.verb == kwCopy && (f.clause == clauseDDL || r.lex.peek(0).kind == tokenString):
		if f.clause == clauseDDL && r.lex.peek(0).punct != '(' {
			f.clause, f.isQuery = clauseOther, false
			return
		}
		if f.clause != clauseDDL {
			return
		}
	case f.clause == clauseDDL && r.verb == kwAlter: // partitions of another table
		f.expect, f.isTarget = true, true
		return
	case !f.isQuery:
		return // EXTRACT(day FROM d)
	case r.prev[0] == kwDistinct && (r.prev[1] == kwIs || r.prev[1] == kwNot):
		return
	case f.clause == clauseSelect && r.prev[0] == kwSelect && r.dialect == Generic:
		r.fail(NotSQL) // nothing is selected
		return
	}
	if next := r.lex.text(r.lex.peek(0)); equalFold(next, "FIRST") || equalFold(next, "LAST") { // NTH_VALUE(…) FROM FIRST
		if w := r.lex.text(r.lex.peek(1)); equalFold(w, "OVER") || equalFold(w, "IGNORE") || equalFold(w, "RESPECT") {
			return
		}
	}
	r.hasFrom = r.hasFrom || len(r.frames) == 1
	f.clause, f.expect, f.list, f.isTarget, f.afterTable, f.run = clauseFrom, true, true, false, afterNothing, 0
}

// hints are words in brackets behind a table of SQL Server.
var hints = wordSet("NOLOCK READPAST ROWLOCK UPDLOCK HOLDLOCK TABLOCK TABLOCKX READUNCOMMITTED READCOMMITTED REPEATABLEREAD SERIALIZABLE XLOCK PAGLOCK NOWAIT SNAPSHOT NOEXPAND FORCESEEK FORCESCAN")

// cannotName reports whether a keyword cannot be the name of a table without
// quotes.
func cannotName(k keyword) bool {
	switch k {
	case kwAs, kwSelect, kwFrom, kwWhere, kwJoin, kwOn, kwOrder, kwGroup, kwUnion, kwIntersect, kwExcept, kwHaving, kwSet, kwInto, kwBy,
		kwWhen, kwThen, kwElse, kwCase, kwEnd, kwIs, kwIn, kwNot, kwOr, kwInner, kwCross, kwNatural, kwUsing, kwWith, kwCreate, kwDrop,
		kwInsert, kwUpdate, kwDelete, kwLike, kwLimit, kwDistinct, kwTable, kwValues, kwAll, kwReturning:
		return true
	}
	return false
}

// readTable takes in a token where a table's name is expected.
func (r *reader) readTable(t token) {
	f := r.top()
	next := r.lex.peek(0)
	opens := next.kind == tokenPunct && next.punct == '('
	switch t.kind {
	case tokenWord:
		switch t.word {
		case kwOnly, kwLateral, kwInto, kwOverwrite, kwIf, kwNot, kwExists, kwIgnore, kwUnnest:
			if t.word == kwUnnest || t.word == kwOnly && opens || t.word == kwIf && opens {
				f.expect, f.afterTable = false, afterName
			}
			if t.word == kwOnly && !opens || t.word == kwLateral || t.word != kwUnnest && f.isTarget {
				return
			}
			if t.word == kwUnnest {
				if !opens {
					r.fail(Unread)
				}
				return
			}
			r.fail(Unread)
			return
		case kwTable:
			if f.isTarget && !opens {
				return
			}
			if t.word == kwTable && (next.kind == tokenWord && next.word == kwNone || next.kind == tokenName) {
				r.fail(Unread)
				return
			}
			if t.word == kwTable && opens {
				f.expect, f.afterTable = false, afterName
				return
			}
		case kwSelect, kwValues:
			if f.isTarget || f.clause != clauseFrom {
				r.fail(Unread)
				return
			}
		}
		if cannotName(t.word) && t.word != kwTable {
			r.fail(NotSQL)
			return
		}
	case tokenName:
	case tokenNumber:
		if !r.namesByDigits(t) {
			r.fail(Unread)
			return
		}
	case tokenParam:
		if t.punct == '@' { // a stage or a variable is no table
			f.expect, f.afterTable = false, afterFree
			return
		}
		r.fail(Unread)
		return
	default:
		r.fail(Unread)
		return
	}
	r.readName(f, t)
}

// namesByDigits reports whether a number is a name that begins with digits, as
// ClickHouse, MySQL and Hive allow.
func (r *reader) namesByDigits(t token) bool {
	switch r.dialect {
	case Generic, ClickHouse, MySQL, Spark:
	default:
		return false
	}
	text := r.lex.text(t)
	last := text[len(text)-1]
	return (bytes.IndexByte(text, '_') > 0 || isWordStart(text[min(1, len(text)-1)])) && last != '.' && text[0] != '.' && !equalFold(text[:min(2, len(text))], "0X")
}

// readName reads a name of several parts.
func (r *reader) readName(f *frame, t token) {
	start, parts := len(r.text), 1
	first := span{t.start, t.end}
	last := first
	r.appendPart(t)
	for {
		next := r.lex.peek(0)
		dash := next.kind == tokenPunct && next.punct == '-' && !next.space && (r.dialect == BigQuery || r.dialect == Generic) && t.kind == tokenWord
		if !dash && (next.kind != tokenPunct || next.punct != '.') {
			break
		}
		part := r.lex.peek(1)
		if dash && (part.space || part.kind != tokenWord && part.kind != tokenNumber) {
			break
		}
		r.lex.next()
		if dash {
			r.text = append(r.text, '-')
		} else {
			r.text = append(r.text, '.')
			parts++
			if part.kind == tokenPunct && part.punct == '.' {
				continue
			}
			if part.kind != tokenWord && part.kind != tokenName {
				r.fail(Unread)
				return
			}
		}
		r.lex.next()
		r.appendPart(part)
		last = span{part.start, part.end}
	}
	name := span{start, len(r.text)}
	f.expect, f.afterTable = false, afterNothing
	if f.clause == clauseFrom {
		f.afterTable = afterName
	}
	next := r.lex.peek(0)
	if next.kind == tokenParam && next.punct == '@' && !next.space { // a link of Oracle's
		r.lex.next()
		r.text = append(r.text, r.lex.text(next)...)
		name.end = len(r.text)
	}
	if next.punct == '(' && f.isTarget && equalFold(r.lex.src[first.start:first.end], "IDENTIFIER") {
		r.fail(Unread)
		return
	}
	if next.kind == tokenPunct && next.punct == '(' && !f.isTarget {
		hint := r.lex.peek(1)
		if hint.kind != tokenWord || !hints.has(r.lex.text(hint)) || r.dialect != Generic && r.dialect != SQLServer {
			r.text = r.text[:start] // a function
			if equalFold(r.lex.src[first.start:first.end], "IDENTIFIER") {
				r.fail(Unread)
			}
			return
		}
	}
	if f.clause == clauseDDL && r.verb == kwAlter && len(r.tables) == r.first && next.kind == tokenWord && !alterWords.has(r.lex.text(next)) {
		r.notAlter = true
	}
	if parts == 1 && !f.isTarget && r.isOwnName(first) {
		r.fail(Unread) // of an expression that may or may not refer to itself
		return
	}
	if parts == 1 && !f.isTarget && r.inScope(r.names, first) || parts > 1 && !f.isTarget && (r.inScope(r.aliases, first) || r.inScope(r.own, first)) {
		r.text = r.text[:start]
		return
	}
	r.addTable(name)
	if (r.dialect == BigQuery || r.dialect == Redshift || r.dialect == Generic) && len(r.own) < maxNames {
		r.own = append(r.own, last) // its columns may be named by it
	}
}

// appendPart appends a part of a name, in which two quotes stand for one.
func (r *reader) appendPart(t token) {
	text := r.lex.text(t)
	if t.kind == tokenName && t.start > 0 {
		quote := r.lex.src[t.start-1]
		if quote == '[' {
			quote = ']'
		}
		if (quote == '"' || quote == '`' || quote == ']') && bytes.IndexByte(text, quote) >= 0 {
			for i := 0; i < len(text); i++ {
				r.text = append(r.text, text[i])
				if text[i] == quote && i+1 < len(text) && text[i+1] == quote {
					i++
				}
			}
			return
		}
	}
	r.text = append(r.text, text...)
}

// isOwnName reports whether a name is that of an expression whose body it stands
// in, where dialects differ in what that means.
func (r *reader) isOwnName(name span) bool {
	if r.dialect != Generic {
		return false
	}
	for i := range r.frames {
		f := &r.frames[i]
		if f.clause == clauseWith && !f.recursive && f.cte != (span{}) && equalFoldBytes(r.lex.src[f.cte.start:f.cte.end], r.lex.src[name.start:name.end]) {
			return true
		}
	}
	return false
}

func (r *reader) inScope(names []span, name span) bool {
	text := r.lex.src[name.start:name.end]
	for _, n := range names {
		if equalFoldBytes(r.lex.src[n.start:n.end], text) {
			return true
		}
	}
	return false
}

// addTable adds a name, unless it is there already.
func (r *reader) addTable(name span) {
	text := r.text[name.start:name.end]
	if len(text) == 0 {
		r.fail(Unread)
		return
	}
	for _, old := range r.tables {
		if bytes.Equal(r.text[old.start:old.end], text) {
			r.text = r.text[:name.start]
			return
		}
	}
	if len(r.tables) == maxTables {
		r.fail(OverCap)
		return
	}
	r.tables = append(r.tables, name)
}
