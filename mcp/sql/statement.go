package sql

// beginStatement reads the head of a statement that is not a query.
func (r *reader) beginStatement(f *frame, t *token) {
	r.i++
	f.statement = false
	switch t.word {
	case kwInsert, kwReplace:
		r.beginInsert(f, t)
	case kwUpdate:
		r.beginUpdate(f)
	case kwDelete:
		r.beginDelete(f)
	case kwMerge:
		r.beginMerge(f)
	case kwCreate, kwAlter, kwDrop:
		r.beginDefinition(f, t.word)
	case kwCopy:
		r.beginCopy(f)
	case kwExplain:
		r.beginExplain(f)
	case kwDescribe, kwDesc:
		r.beginDescribe(f)
	case kwSummarize, kwPivot, kwUnpivot:
		r.setKind(KindQuery)
		if next := r.ahead(0); t.word == kwSummarize && (next.word == kwSelect || next.word == kwFrom || next.word == kwWith || next.word == kwValues) {
			f.state = atStart
			return
		}
		r.expectTable(f)
		f.commas, f.joins, f.clause, f.verb = false, false, inFrom, kwPivot
	case kwSet:
		r.beginSet(f)
	case kwUse, kwStart, kwEnd:
		r.setKind(KindNone)
		r.short(f, 4)
	case kwRename:
		r.beginRename(f)
	case kwExchange:
		r.setKind(KindNone)
		if !r.accept("TABLES") {
			r.fail(Unread)
			return
		}
		r.expectTarget(f)
		if r.status == Known && r.accept("AND") {
			r.expectTarget(f)
		}
		r.tail(f, dropTail)
	case kwAttach, kwDetach:
		r.beginAttach(f)
	case kwCluster:
		r.beginMaintenance(f)
	case kwStatement:
		r.beginCommand(f, t)
	default:
		r.fail(NotSQL)
	}
}

// short reads the rest of a statement that names no table and has at most n
// tokens.
func (r *reader) short(f *frame, n int) {
	f.state, f.query = inRest, false
	for ; n >= 0; n-- {
		if t := r.ahead(n); t.kind == tokenEnd || t.is(';') {
			return
		}
	}
	n = 0
	for t := r.ahead(n); n < 8 && t.kind != tokenEnd && !t.is(';'); n++ {
		t = r.ahead(n)
		if t.kind != tokenWord { // longer, but not prose
			return
		}
	}
	r.fail(NotSQL)
}

var (
	opaqueCommands = []string{"CALL", "EXEC", "EXECUTE", "DO", "PREPARE", "IF", "WHILE", "HANDLER", "SYSTEM", "UNLOAD", "LOAD", "DECLARE", "IMPORT", "UPSERT", "OPEN", "CLOSE"}
	maintenance    = []string{"ANALYZE", "ANALYSE", "VACUUM", "OPTIMIZE", "REINDEX", "LOCK", "CHECK", "CHECKSUM", "REPAIR", "UNCACHE", "MSCK", "UNDROP", "REFRESH"}
	transactions   = []string{"TRANSACTION", "TRAN", "WORK", "ISOLATION", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", "CONCURRENT", "READ", "DISTRIBUTED", "NOT"}
)

// beginCommand reads the head of one of the smaller statements.
func (r *reader) beginCommand(f *frame, t *token) {
	r.i--
	switch {
	case r.isOneOf(0, opaqueCommands):
		r.i++
		switch {
		case t.like&starts != 0 && r.isWord(-1, "PREPARE") && r.ahead(0).isName():
			r.i++
			r.skipBracket()
			if r.ahead(0).word == kwAs {
				r.i++
				r.setKind(KindNone)
				f.state, f.statement = atStart, true
				return
			}
			r.fail(Unread)
		case r.isWord(-1, "LOAD") && r.isWord(0, "DATA"):
			r.beginLoad(f)
		case r.isWord(-1, "DECLARE"):
			r.beginDeclare(f)
		default:
			r.fail(Unread)
		}
		return
	case r.isOneOf(0, maintenance):
		r.i++
		r.beginMaintenance(f)
		return
	}
	r.i++
	switch word := r.textOf(t); {
	case equalFold(word, "SHOW"):
		r.beginShow(f)
	case equalFold(word, "PRAGMA"):
		r.beginPragma(f)
	case equalFold(word, "TRUNCATE"):
		r.beginTruncate(f)
	case equalFold(word, "COMMENT"):
		r.beginComment(f)
	case equalFold(word, "GRANT"), equalFold(word, "REVOKE"):
		r.beginGrant(f)
	case equalFold(word, "CACHE"):
		r.beginCache(f)
	case equalFold(word, "EXPORT"):
		r.beginExport(f)
	case equalFold(word, "BEGIN"):
		r.setKind(KindNone)
		if next := r.ahead(0); next.kind != tokenEnd && !next.is(';') && !r.isOneOf(0, transactions) {
			r.fail(Unread) // a block of a procedure
			return
		}
		r.short(f, 6)
	case equalFold(word, "PUT"), equalFold(word, "GET"), equalFold(word, "LIST"), equalFold(word, "LS"), equalFold(word, "RM"), equalFold(word, "REMOVE"):
		r.setKind(KindNone)
		if next := r.ahead(0); next.kind != tokenParameter && next.kind != tokenString && !next.is('@') {
			r.fail(NotSQL)
			return
		}
		f.state = inRest
	default: // COMMIT, ROLLBACK, RESET, KILL, …
		r.setKind(KindNone)
		r.short(f, 4)
	}
}

// beginDeclare reads DECLARE: a cursor for a query, or variables.
func (r *reader) beginDeclare(f *frame) {
	r.setKind(KindNone)
	for n := 0; n < 60; n++ {
		switch t := r.ahead(n); {
		case t.kind == tokenEnd, t.is(';'):
			if r.ahead(0).kind != tokenParameter {
				r.fail(Unread)
			}
			f.state, f.query = inRest, false
			return
		case t.word == kwFor && r.ahead(n+1).word == kwSelect, t.word == kwFor && r.ahead(n+1).word == kwWith:
			r.i += n + 1
			f.state = atStart
			return
		case t.like&starts != 0 && t.word != kwTable && t.word != kwSet && t.word != kwStatement:
			r.fail(Unread)
			return
		}
	}
	r.fail(Unread)
}

// beginLoad reads LOAD DATA … INTO TABLE t.
func (r *reader) beginLoad(f *frame) {
	r.setKind(KindWrite)
	for n := 0; n < 12; n++ {
		if w := r.ahead(n).word; w == kwInto || r.isWord(n, "OVERWRITE") && r.ahead(n+1).word != kwInto {
			r.i += n + 1
			r.skipWords(temporaryWords)
			if r.ahead(0).word == kwTable {
				r.i++
			}
			r.expectTarget(f)
			f.state, f.query = inRest, false
			return
		}
	}
	r.fail(Unread)
}

// beginExport reads EXPORT DATA … AS query of BigQuery.
func (r *reader) beginExport(f *frame) {
	r.setKind(KindNone)
	if !r.accept("DATA") {
		r.fail(Unread)
		return
	}
	for n := 0; n < 20; n++ {
		switch t := r.ahead(0); {
		case t.is('('):
			r.skipBracket()
		case t.word == kwAs:
			r.i++
			f.state = atStart
			return
		case t.kind == tokenEnd, t.is(';'):
			n = 20
		default:
			r.i++
		}
	}
	r.fail(Unread)
}

// beginSet reads SET.
func (r *reader) beginSet(f *frame) {
	r.setKind(KindNone)
	f.state, f.query = inRest, false
	if r.isWord(0, "IDENTITY_INSERT") {
		r.fail(Unread)
		return
	}
	for n := 0; n < 12; n++ {
		t := r.ahead(n)
		if t.kind == tokenEnd || t.is(';') {
			break
		}
		if t.is('=') || t.word == kwTo || r.isOneOf(n, settable) {
			return
		}
	}
	r.short(f, 3)
}

var settable = []string{"TRANSACTION", "NAMES", "ROLE", "SCHEMA", "SESSION", "CONSTRAINTS", "CATALOG", "TIME", "AUTHORIZATION", "CHARACTER", "CHARSET", "SECRET", "PATH", "STATISTICS"}

// beginRename reads RENAME TABLE a TO b, c TO d.
func (r *reader) beginRename(f *frame) {
	r.setKind(KindNone)
	if r.ahead(0).word != kwTable && !r.isWord(0, "VIEW") {
		r.fail(Unread)
		return
	}
	r.i++
	r.skipWords(ifNotExists)
	for r.status == Known {
		r.expectTarget(f)
		if r.ahead(0).word != kwTo {
			r.fail(NotSQL)
			return
		}
		r.i++
		r.expectTarget(f)
		if !r.ahead(0).is(',') {
			break
		}
		r.i++
	}
	r.tail(f, dropTail)
}

// beginAttach reads ATTACH and DETACH: of a table of ClickHouse, or of a database.
func (r *reader) beginAttach(f *frame) {
	r.setKind(KindNone)
	switch {
	case r.isWord(-1, "DETACH") && (r.ahead(0).word == kwTable || r.ahead(0).word == kwView):
		r.fail(Unread)
	case r.ahead(0).word == kwTable, r.ahead(0).word == kwView:
		r.i++
		r.skipWords(ifNotExists)
		r.expectTarget(f)
		f.state, f.query = inDefinition, false
	case r.isWord(0, "DICTIONARY"), r.isWord(0, "TEMPORARY"), r.isWord(0, "MATERIALIZED"):
		r.fail(Unread)
	default:
		r.short(f, 5)
	}
}

// beginCopy reads COPY: of a table or a query into files, or back.
func (r *reader) beginCopy(f *frame) {
	f.query = true
	into := r.ahead(0).word == kwInto
	if into {
		r.i++
	}
	t := r.ahead(0)
	switch {
	case t.is('('):
		r.setKind(KindNone)
		r.open(frame{state: atStart, statement: true})
		f = &r.frames[len(r.frames)-2]
		f.state, f.query = inRest, false
		return
	case into && (t.kind == tokenParameter || t.kind == tokenString || t.is('@')): // INTO @stage FROM t
		r.setKind(KindNone)
		for n := 0; n < 40; n++ {
			if r.ahead(n).word == kwFrom {
				r.i += n + 1
				r.copyFrom(f)
				return
			}
		}
		r.fail(Unread)
		return
	case r.isWord(0, "BINARY") && r.ahead(1).isName():
		r.i++
	}
	r.expectTarget(f)
	r.skipBracket()
	f.state, f.query, f.run = inRest, false, 0
	switch next := r.ahead(0); {
	case next.word == kwTo:
		r.setKind(KindNone)
		r.i++
	case next.word == kwFrom:
		r.setKind(KindWrite)
		r.i++
		if into && r.ahead(0).is('(') {
			r.copyFrom(f)
			return
		}
	case into && (r.before(1).is(')') || r.ahead(1).is('=') || next.kind == tokenEnd || r.dialect == Spark):
		r.setKind(KindWrite)
	default:
		r.fail(NotSQL)
		return
	}
	if t := r.ahead(0); t.kind == tokenWord && t.word == kwNone && !r.ahead(1).is('(') && !r.isOneOf(0, []string{"STDIN", "STDOUT", "PROGRAM", "FILES"}) && r.dialect == Generic {
		r.fail(NotSQL)
	}
}

// copyFrom reads what stands behind FROM in COPY INTO.
func (r *reader) copyFrom(f *frame) {
	if r.ahead(0).is('(') {
		f.state, f.query = inRest, false
		r.open(frame{state: atStart})
		return
	}
	if r.ahead(0).isName() {
		r.expectTarget(f)
	}
	f.state, f.query = inRest, false
}

// beginTruncate reads TRUNCATE.
func (r *reader) beginTruncate(f *frame) {
	r.setKind(KindNone)
	if r.isWord(0, "DATABASE") || r.ahead(0).word == kwAll {
		r.fail(Unread)
		return
	}
	if r.ahead(0).word == kwTable || r.isWord(0, "TABLES") && r.ahead(1).isName() {
		r.i++
	}
	r.skipWords(ifNotExists)
	r.namesOf(f)
	if r.ahead(0).word == kwPartition || r.ahead(0).word == kwWith {
		f.state, f.query = inRest, false
		return
	}
	r.tail(f, lockTail)
}

// namesOf reads the names of tables between commas.
func (r *reader) namesOf(f *frame) {
	for r.status == Known {
		if r.ahead(0).word == kwOnly && r.ahead(1).isName() {
			r.i++
		}
		r.expectTarget(f)
		if r.ahead(0).is('*') {
			r.i++
		}
		if !r.ahead(0).is(',') {
			break
		}
		r.i++
	}
	f.state, f.query = inRest, false
}

// beginComment reads COMMENT ON.
func (r *reader) beginComment(f *frame) {
	r.setKind(KindNone)
	r.skipWords(ifNotExists)
	if r.ahead(0).word != kwOn {
		r.fail(NotSQL)
		return
	}
	r.i++
	r.skipWords([]string{"MATERIALIZED", "FOREIGN", "EXTERNAL", "DYNAMIC"})
	switch {
	case r.isOneOf(0, tableKinds):
		r.i++
		r.expectTarget(f)
	case r.isOneOf(0, []string{"COLUMN", "POLICY", "TRIGGER", "RULE", "CONSTRAINT"}):
		r.fail(Unread)
	}
	f.state, f.query = inRest, false
}

// grantable are things other than tables of GRANT … ON.
var grantable = []string{"SCHEMA", "DATABASE", "FUNCTION", "PROCEDURE", "ROUTINE", "SEQUENCE", "SEQUENCES", "WAREHOUSE", "LANGUAGE", "TYPE", "DOMAIN", "ROLE", "USER",
	"CATALOG", "STAGE", "INTEGRATION", "ACCOUNT", "FOREIGN", "TABLESPACE", "FUTURE", "ALL", "LARGE", "PARAMETER", "FILE", "PIPE", "TASK", "STREAM", "SHARE", "EXTERNAL",
	"CONNECTION", "RESOURCE", "MODEL", "SERVER", "OBJECT", "VOLUME", "STORAGE", "CREDENTIAL", "METASTORE", "ANY", "ANONYMOUS", "COMPUTE", "FAILOVER", "REPLICATION", "NAMED"}

// beginGrant reads GRANT and REVOKE.
func (r *reader) beginGrant(f *frame) {
	r.setKind(KindNone)
	f.state, f.query = inRest, false
	for n := 0; n < 80; n++ {
		t := r.ahead(n)
		switch {
		case t.kind == tokenEnd, t.is(';'):
			if n < 3 {
				r.fail(NotSQL)
			}
			return
		case t.word == kwTo, t.word == kwFrom:
			return // a role
		case t.word == kwOn && r.ahead(n+1).word != kwCluster:
			r.i += n + 1
			r.grantOn(f)
			return
		}
	}
	r.fail(Unread)
}

func (r *reader) grantOn(f *frame) {
	if r.isOneOf(0, grantable) && !r.ahead(1).is('.') && r.ahead(1).word != kwTo && r.ahead(1).word != kwFrom {
		return
	}
	r.skipWords([]string{"MATERIALIZED"})
	if w := r.ahead(0); (w.word == kwTable || w.word == kwView || r.isWord(0, "DYNAMIC")) && r.ahead(1).isName() {
		r.i++
		if r.ahead(0).word == kwTable {
			r.i++
		}
	}
	for n := 0; n < 12; n++ { // db.* and *.* are more than a table
		t := r.ahead(n)
		if t.is('*') || t.is(':') || t.kind == tokenEnd {
			r.fail(Unread)
			return
		}
		if t.word == kwTo || t.word == kwFrom {
			break
		}
	}
	r.namesOf(f)
	if w := r.ahead(0).word; w != kwTo && w != kwFrom {
		r.fail(Unread)
	}
}
