package sql

import "bytes"

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
	switch t.word {
	case kwLateral:
		if next.isName() || next.is('(') {
			r.i++
			return
		}
	case kwOnly:
		if next.isName() && next.like&reserved == 0 {
			r.i++
			return
		}
		if next.is('(') {
			r.i++
			f.state, f.behind = afterTable, behindName
			r.open(frame{source: true})
			return
		}
	case kwRows:
		if next.word == kwFrom {
			r.i += 2
			r.openFunction(f)
			return
		}
	case kwTable:
		if !next.isName() && !next.is('(') || next.like&reserved != 0 || next.word >= kwQualify && next.word <= kwFormat {
			t.like &^= reserved // a table called "table"
			r.mention(f)
			return
		}
		if next.is('(') {
			r.i++
			r.openFunction(f)
			return
		}
		if next.isName() && f.target {
			r.i++
			return
		}
	case kwValues:
		if next.is('(') {
			r.i++
			f.rows = true
			r.openFunction(f)
			return
		}
		if r.ahead(1).kind == tokenNumber || r.ahead(1).kind == tokenString {
			r.fail(Unread)
			return
		}
	case kwSelect:
		if r.before(1).is(',') && f.fromFirst {
			f.state = inExpression
			return
		}
	case kwAll, kwAny, kwDistinct:
		r.fail(NotSQL)
		return
	case kwUnpivot:
		if next.isName() && next.word != kwAs { // the fields of a column of Redshift
			r.i++
			if m, ok := r.readName(); ok {
				r.text = r.text[:m.start]
				f.state, f.behind = afterTable, behindName
			}
			return
		}
	}
	if next.is(':') && (r.dialect == DuckDB || r.dialect == Generic) && r.ahead(2).isName() { // FROM alias: t
		r.pushName(&r.aliases, t, scopeName{from: f.start, to: f.until})
		r.i += 2
		return
	}
	if r.isTrailingComma(f, t) {
		f.state, f.behind = afterTable, behindOption
		return
	}
	r.mention(f)
}

// isTrailingComma reports whether a comma ended the tables, as BigQuery and
// DuckDB allow.
func (r *reader) isTrailingComma(_ *frame, t *token) bool {
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

// determiners are words of English that tables are not called.
var determiners = []string{"THE", "THIS", "THAT", "THESE", "THOSE", "MY", "YOUR", "OUR", "THEIR", "ITS", "HIS", "HER", "AN", "EVERY", "EACH", "SOME"}

// opaque are functions whose arguments name tables or hold queries.
var opaque = []string{"REMOTE", "REMOTESECURE", "CLUSTER", "CLUSTERALLREPLICAS", "MERGE", "LOOP", "MERGETREEINDEX", "MERGETREEPROJECTION",
	"OPENQUERY", "DBLINK", "EXTERNAL_QUERY", "QUERY_TABLE", "QUERY", "TABLES"}

// hints are words in brackets behind a table of SQL Server.
var hints = []string{"NOLOCK", "READPAST", "ROWLOCK", "UPDLOCK", "HOLDLOCK", "TABLOCK", "TABLOCKX", "READUNCOMMITTED", "READCOMMITTED",
	"REPEATABLEREAD", "SERIALIZABLE", "XLOCK", "PAGLOCK", "NOWAIT", "SNAPSHOT", "NOEXPAND", "FORCESEEK", "FORCESCAN"}

// mention reads the name of a table at the current token, and what else may
// stand in its place: a function, a common table expression.
func (r *reader) mention(f *frame) {
	target := f.target
	f.target = false
	if r.isWord(0, "IDENTIFIER") && r.ahead(1).is('(') {
		r.readIdentifier(f)
		return
	}
	m, ok := r.readName()
	if !ok {
		return
	}
	m.query = f.start
	f.state, f.behind = afterTable, behindName
	first, last := &r.tokens[m.token], &r.tokens[m.last]
	if m.end-m.start < 6 && first.kind == tokenWord {
		for _, d := range determiners {
			if equalFold(r.textOf(first), d) {
				r.fail(NotSQL)
				return
			}
		}
	}
	switch t := r.ahead(0); {
	case t.is('(') && (!target || f.verb == kwUpdate || f.verb == kwDelete || f.verb == kwMerge) && !r.isHint():
		r.text = r.text[:m.start]
		r.readFunction(f, m)
		return
	case t.kind == tokenParameter && t.char == '@' && t.start == last.end && r.isVersion(t): // of Delta Lake
		r.i++
		if r.dialect != Spark {
			r.fail(Unread)
			return
		}
	case t.kind == tokenParameter && t.char == '@' && t.start == last.end: // a link of Oracle
		for end := t.start; r.ahead(0).start == end && (r.ahead(0).is('.') || end == t.start || r.ahead(0).kind == tokenWord); r.i++ {
			r.text = append(r.text, r.textOf(r.ahead(0))...)
			end = r.ahead(0).end
		}
		m.end = len(r.text)
	case t.is('*') && t.start == last.end && (r.dialect == BigQuery || r.dialect == Generic):
		if r.dialect == Generic { // of PostgreSQL
			r.fail(Unread)
			return
		}
		r.text = append(r.text, '*')
		m.end = len(r.text)
		r.i++
	case t.is('@') && t.start == last.end, t.is('!') && t.start == last.end:
		r.fail(Unread)
		return
	}
	if m.parts == 1 && r.isExpression(f, first, target) {
		r.text = r.text[:m.start]
		r.pushName(&r.aliases, last, scopeName{implicit: true, from: f.start, to: f.until})
		return
	}
	if r.dialect == MySQL && m.parts == 1 && first.kind == tokenWord && equalFold(r.textOf(first), "DUAL") {
		r.text = r.text[:m.start]
		return
	}
	if len(r.mentions) == maxTables {
		r.fail(OverCap)
		return
	}
	r.mentions = append(r.mentions, m)
	if !target {
		r.pushName(&r.aliases, last, scopeName{implicit: true, from: f.start, to: f.until})
	}
}

// isVersion reports whether a parameter is @v123.
func (r *reader) isVersion(t *token) bool {
	text := r.textOf(t)
	return len(text) > 2 && text[1]|0x20 == 'v' && class[text[2]] == digit
}

// isHint reports whether the bracket ahead holds hints of SQL Server.
func (r *reader) isHint() bool {
	return (r.dialect == SQLServer || r.dialect == Generic) && r.isOneOf(1, hints) && (r.ahead(2).is(')') || r.ahead(2).is(','))
}

// readFunction reads a function in the place of a table.
func (r *reader) readFunction(f *frame, m mention) {
	first := &r.tokens[m.token]
	name := r.textOf(&r.tokens[m.last])
	switch {
	case equalFold(name, "IDENTIFIER"):
		r.fail(Unread)
		return
	case first.kind == tokenWord:
		for _, o := range opaque {
			if equalFold(name, o) {
				r.fail(Unread)
				return
			}
		}
	}
	r.openFunction(f)
}

// readIdentifier reads IDENTIFIER('a.b') of Snowflake.
func (r *reader) readIdentifier(f *frame) {
	t := r.ahead(2)
	if t.kind != tokenString || !r.ahead(3).is(')') || r.dialect != Snowflake {
		r.fail(Unread)
		return
	}
	r.i += 2
	r.mentionString(t)
	r.i += 2
	f.state, f.behind = afterTable, behindName
}

// mentionString takes the name of a table from a string.
func (r *reader) mentionString(t *token) {
	start := len(r.text)
	for _, c := range r.textOf(t) {
		if c != '"' && c != '`' {
			r.text = append(r.text, c)
		}
	}
	if len(r.mentions) == maxTables || len(r.text) == start {
		r.fail(Unread)
		return
	}
	r.mentions = append(r.mentions, mention{span: span{start, len(r.text)}, token: r.i, last: r.i, parts: 1})
}

// readName reads a name of one part or several and adds it to the text.
func (r *reader) readName() (mention, bool) {
	m := mention{span: span{len(r.text), len(r.text)}, token: r.i, last: r.i}
	t := r.ahead(0)
	if t.kind != tokenNumber && !t.isName() || t.like&reserved != 0 || t.end == t.start {
		r.fail(NotSQL)
		return m, false
	}
	if t.kind == tokenDouble && r.rules&doubleStrings != 0 && r.dialect != Generic {
		r.fail(Unread)
		return m, false
	}
	for {
		t := r.ahead(0)
		r.appendPart(t)
		m.last, m.parts = r.i, m.parts+1
		r.i++
		r.readDashes(t)
		if !r.ahead(0).is('.') {
			break
		}
		for r.ahead(0).is('.') {
			r.text = append(r.text, '.')
			r.i++
		}
		if next := r.ahead(0); !next.isName() || next.end == next.start {
			r.fail(Unread)
			return m, false
		}
	}
	m.end = len(r.text)
	return m, true
}

// readDashes reads the dashes in the name of a project of BigQuery, and what is
// between them.
func (r *reader) readDashes(t *token) {
	if r.dialect != BigQuery && r.dialect != Generic || t.kind != tokenWord {
		return
	}
	for end := t.end; ; {
		dash, part := r.ahead(0), r.ahead(1)
		if !dash.is('-') || dash.start != end || part.start != dash.end || part.kind != tokenWord && part.kind != tokenNumber {
			return
		}
		r.text = append(r.text, '-')
		text := r.textOf(part)
		r.text = append(r.text, text...)
		end = part.end
		r.i += 2
	}
}

// appendPart adds a part of a name to the text. Two quotes in it stand for one.
func (r *reader) appendPart(t *token) {
	text := r.textOf(t)
	if t.kind == tokenWord || t.kind == tokenNumber || bytes.IndexByte(text, t.char) < 0 {
		r.text = append(r.text, text...)
		return
	}
	for i := 0; i < len(text); i++ {
		r.text = append(r.text, text[i])
		if text[i] == t.char && i+1 < len(text) && text[i+1] == t.char {
			i++
		}
	}
}

// readBehindTable takes in a token behind a table.
func (r *reader) readBehindTable(f *frame, t *token) {
	switch t.kind {
	case tokenWord:
		if t.word == kwNone && r.isOption(f) {
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
func (r *reader) isOption(f *frame) bool {
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
	case kwWith, kwFinal, kwSample, kwTablesample, kwPivot, kwUnpivot, kwMatchRecognize, kwPartition, kwUse, kwForce, kwIgnore,
		kwIndexed, kwNot, kwAt, kwBefore, kwChanges, kwVersion, kwTimestamp:
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
