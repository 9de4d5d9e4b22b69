package sql

// beginStatement takes in the first word of a statement, or the first behind
// WITH or EXPLAIN.
func (r *reader) beginStatement(f *frame, t token) {
	f.isQuery = true
	if r.verb == kwNone {
		r.verb = t.word
	}
	switch t.word {
	case kwSelect, kwWith, kwValues:
		r.query(f, t)
		if t.word != kwWith {
			r.verb = t.word
			r.setKind(KindQuery)
		} else {
			r.verb = kwNone
		}
	case kwFrom:
		if r.dialect == Generic {
			r.fail(NotSQL)
			return
		}
		r.setKind(KindQuery)
		f.clause, f.expect, f.list = clauseFrom, true, true
	case kwTable:
		r.setKind(KindQuery)
		f.clause, f.expect = clauseFrom, true
	case kwInsert, kwReplace, kwUpdate, kwDelete, kwMerge:
		r.verb = t.word
		r.setKind(KindWrite)
		r.write(f, t)
	case kwCopy:
		r.copy(f)
	case kwTruncate:
		r.setKind(KindNone)
		if r.dialect == Generic && r.lex.peek(0).word != kwTable {
			r.fail(NotSQL)
			return
		}
		r.targets(f)
	case kwCreate, kwAlter, kwDrop:
		r.setKind(KindNone)
		r.define(f, t)
	case kwExplain, kwDescribe, kwDesc:
		r.explain(f)
	case kwShow:
		r.show(f)
	case kwBegin, kwCommit, kwRollback:
		r.setKind(KindNone)
		f.clause, f.isQuery = clauseOther, false
	case kwUse, kwSet:
		r.setKind(KindNone)
		if t.word == kwUse && r.lex.peek(1).kind == tokenWord {
			r.fail(NotSQL)
			return
		}
		f.clause, f.isQuery = clauseOther, false
	case kwSummarize:
		r.setKind(KindQuery)
		if r.lex.peek(0).word == kwSelect {
			f.clause = clauseSet
			return
		}
		if r.lex.peek(0).word == kwTable {
			r.fail(Unread)
			return
		}
		f.clause, f.expect = clauseFrom, true
	case kwAnalyze, kwVacuum, kwOptimize, kwRefresh, kwCache:
		r.setKind(KindNone)
		if r.lex.peek(0).word != kwTable || t.word == kwCache {
			r.fail(Unread) // most of these words begin other texts as well
			return
		}
		r.targets(f)
	case kwNone:
		if t.kind == tokenWord {
			r.fail(NotSQL)
		} else {
			r.fail(Unread)
		}
	default:
		r.fail(Unread) // CALL, EXEC, GRANT, PRAGMA, COPY, COMMENT, …
	}
}

func (r *reader) setKind(k Kind) {
	if r.kind == KindUnknown {
		r.kind = k
	}
}

// targets expects a list of tables and then little else.
func (r *reader) targets(f *frame) {
	f.clause, f.expect, f.list, f.isTarget = clauseFrom, true, true, true
}

// skipWords reads the next words as long as they are in the set.
func (r *reader) skipWords(w words) {
	for {
		t := r.lex.peek(0)
		if t.kind != tokenWord || !w.has(r.lex.text(t)) {
			return
		}
		r.lex.next()
		r.tokens++
	}
}

var (
	insertWords = wordSet("OR IGNORE REPLACE ABORT FAIL ROLLBACK LOW_PRIORITY HIGH_PRIORITY DELAYED QUICK")
	tableWords  = wordSet("OR REPLACE TEMP TEMPORARY GLOBAL LOCAL UNLOGGED TRANSIENT VOLATILE EXTERNAL MATERIALIZED ALTER REFRESH SCOPED RECURSIVE VIRTUAL UNIQUE CLUSTERED NONCLUSTERED COLUMNSTORE FULLTEXT SPATIAL BITMAP FOREIGN HYBRID DYNAMIC ICEBERG STREAMING LIVE SECURE FORCE NO ALGORITHM EDITIONABLE NONEDITIONABLE")
	otherThings = wordSet("SCHEMA DATABASE SEQUENCE ROLE USER EXTENSION CATALOG WAREHOUSE STAGE TABLESPACE DOMAIN COLLATION")
	explainHow  = wordSet("ANALYZE VERBOSE EXTENDED FORMATTED COST CODEGEN LOGICAL PLAN QUERY AST SYNTAX PIPELINE ESTIMATE FORMAT JSON TREE TRADITIONAL TEXT XML YAML BUFFERS COSTS TIMING SETTINGS PARTITIONS")
	showTables  = wordSet("TABLES DATABASES SCHEMAS VIEWS WAREHOUSES CATALOGS")
	ifExists    = wordSet("IF NOT EXISTS ONLY")
)

// write reads the head of a statement that writes.
func (r *reader) write(f *frame, t token) {
	f.list, f.isTarget, f.expect = false, true, true
	f.clause, f.isQuery = clauseFrom, true
	switch t.word {
	case kwInsert, kwReplace:
		r.skipWords(insertWords)
		next := r.lex.peek(0)
		if next.word != kwInto && next.word != kwOverwrite && next.kind != tokenName && t.word == kwInsert && r.dialect == Generic && r.lex.peek(1).punct != '(' {
			r.fail(NotSQL)
		}
		if next.word == kwAll || equalFold(r.lex.text(next), "FIRST") {
			r.fail(Unread)
		}
		if where := r.lex.text(r.lex.peek(1)); equalFold(where, "LOCAL") || equalFold(where, "DIRECTORY") {
			r.fail(Unread)
		}
		into := 1
		if r.lex.peek(1).word == kwTable {
			into = 2
		}
		if r.lex.peek(into).kind == tokenWord && equalFold(r.lex.text(r.lex.peek(into)), "FUNCTION") && r.lex.peek(into+1).punct != '(' {
			for range into + 1 { // a table function of ClickHouse is no table
				r.lex.next()
			}
			f.isTarget = false
		}
	case kwUpdate:
		r.skipWords(insertWords)
		r.skipTop()
		f.list, f.isTarget = true, false
		r.target = -1
	case kwMerge:
		if r.lex.peek(0).word == kwInto {
			r.lex.next()
		}
		f.isTarget = false
	case kwDelete:
		r.skipWords(insertWords)
		r.skipTop()
		f.isTarget = false
		if r.lex.peek(0).word == kwFrom {
			r.lex.next()
			f.list = r.dialect == MySQL || r.dialect == Generic
			r.target = -1 // SQL Server: DELETE FROM alias FROM t alias
			return
		}
		f.list = true
		r.target = -1
	}
}

// copy reads COPY: of a table or a query into a file, or back.
func (r *reader) copy(f *frame) {
	r.setKind(KindNone)
	t := r.lex.peek(0)
	if t.word == kwInto {
		r.lex.next()
		if t = r.lex.peek(0); t.kind == tokenString || t.kind == tokenParam {
			f.clause = clauseOther // FROM brings the table
			return
		}
	}
	if t.kind == tokenPunct && t.punct == '(' {
		f.clause = clauseSet
		return
	}
	f.clause, f.expect, f.isTarget = clauseDDL, true, true
	r.setKind(KindWrite)
}

// skipTop reads TOP (n).
func (r *reader) skipTop() {
	if r.lex.peek(0).word != kwTop {
		return
	}
	r.lex.next()
	for range 3 {
		t := r.lex.peek(0)
		if t.kind != tokenNumber && t.kind != tokenPunct {
			return
		}
		r.lex.next()
	}
}

// define reads the head of a definition.
func (r *reader) define(f *frame, verb token) {
	r.skipWords(tableWords)
	f.isQuery, f.clause = false, clauseDDL
	thing := r.lex.next()
	text := r.lex.text(thing)
	switch {
	case thing.word == kwTable || thing.word == kwView:
		r.skipWords(ifExists)
		f.expect, f.isTarget, f.list = true, true, verb.word == kwDrop
		if f.list {
			f.clause = clauseFrom
		}
		r.created = verb.word == kwCreate
		if verb.word == kwAlter && thing.word == kwView {
			r.created = true
		}
	case thing.word == kwIndex && verb.word != kwAlter:
		f.onTable = true // ON brings the table
	case thing.kind == tokenWord && otherThings.has(text):
		f.clause = clauseOther
		if n := r.lex.peek(0); n.kind != tokenWord && n.kind != tokenName {
			r.fail(Unread)
		}
	default:
		r.fail(Unread) // functions, triggers, policies and all that have a body
	}
}

// explain reads EXPLAIN or DESCRIBE: of a statement, or of a table.
func (r *reader) explain(f *frame) {
	r.setKind(KindNone)
	r.explained = true
	for {
		r.skipWords(explainHow)
		t := r.lex.peek(0)
		if t.kind != tokenPunct || t.punct != '(' && t.punct != '=' {
			break
		}
		if t.punct == '(' && r.lex.peek(1).word == kwSelect {
			break
		}
		r.lex.next()
		if t.punct == '=' && r.lex.peek(0).kind == tokenWord {
			r.lex.next()
		}
		if t.punct == '(' {
			for range 40 {
				if n := r.lex.next(); n.kind == tokenEnd || n.kind == tokenPunct && n.punct == ')' {
					break
				}
			}
		}
	}
	if t := r.lex.peek(0); t.kind == tokenWord && tableWords.has(r.lex.text(t)) && t.word != kwReplace {
		r.skipWords(tableWords)
	}
	switch t := r.lex.peek(0); {
	case t.word == kwSelect, t.word == kwWith, t.word == kwInsert, t.word == kwUpdate, t.word == kwDelete, t.word == kwMerge, t.word == kwReplace, t.word == kwCreate, t.word == kwValues,
		t.kind == tokenPunct && t.punct == '(':
		r.verb = kwNone
		f.clause = clauseStart
	case t.kind == tokenWord || t.kind == tokenName:
		for range 2 {
			if w := r.lex.peek(0).word; w == kwTable || w == kwHistory || w == kwExtended || w == kwFormatted || w == kwView {
				if n := r.lex.peek(1); n.kind == tokenWord || n.kind == tokenName {
					r.lex.next()
				}
			}
		}
		f.clause, f.expect, f.isTarget = clauseFrom, true, true
		r.kind = KindQuery
	default:
		r.fail(Unread)
	}
}

// show reads SHOW.
func (r *reader) show(f *frame) {
	r.setKind(KindQuery)
	t := r.lex.next()
	text := r.lex.text(t)
	next := r.lex.peek(0)
	switch {
	case t.kind == tokenWord && showTables.has(text) && next.kind != tokenWord:
		f.clause, f.isQuery = clauseOther, false
	case t.word == kwCreate && (next.word == kwTable || next.word == kwView):
		r.lex.next()
		f.clause, f.expect, f.isTarget = clauseFrom, true, true
	case (t.word == kwColumns || t.word == kwIndex || equalFold(text, "KEYS") || equalFold(text, "FIELDS") || equalFold(text, "INDEXES")) && (next.word == kwFrom || next.word == kwIn):
		r.lex.next()
		f.clause, f.expect, f.isTarget = clauseFrom, true, true
	default:
		r.fail(Unread)
	}
}

// endStatement is called at a semicolon or the end of the query.
func (r *reader) endStatement() {
	f := r.top()
	if r.tokens > 1 || r.tokens == 1 && f.clause != clauseStart {
		switch {
		case f.expect, f.clause == clauseWith, f.clause == clauseSet, f.clause == clauseStart, r.verb == kwNone:
			r.fail(NotSQL)
			return
		case f.clause == clauseSelect && f.run > 2:
			r.fail(NotSQL)
			return
		case r.dialect == Generic && !r.looksWhole():
			r.fail(NotSQL)
			return
		case r.verb == kwMerge && !r.using, r.verb == kwUpdate && !r.sawSet():
			r.fail(NotSQL)
			return
		}
		r.dropAliases()
		r.statements++
		kind := r.kind
		if r.explained {
			kind = r.kind
		} else if r.returning && kind == KindWrite {
			kind, r.writes = KindQuery, true
		}
		if r.statements > 1 && kind != r.total {
			kind = KindMixed
		}
		r.total = kind
		r.weak = r.weak || r.plain && r.tokens <= 4 && r.dialect == Generic
	}
	r.names, r.aliases, r.own = r.names[:0], r.aliases[:0], r.own[:0]
	r.frames[0] = frame{}
	r.verb, r.kind, r.explained, r.returning, r.using, r.tokens, r.plain = kwNone, KindUnknown, false, false, false, 0, true
	r.first, r.target, r.hasFrom, r.created = len(r.tables), 0, false, false
	r.body, r.equals, r.notAlter = false, false, false
}

// alterWords are what an ALTER TABLE does.
var alterWords = wordSet("ADD DROP ALTER RENAME MODIFY CHANGE SET RESET OWNER ENABLE DISABLE ATTACH DETACH REPLACE MOVE DELETE UPDATE FREEZE FETCH CLEAR MATERIALIZE CLUSTER SWAP EXCHANGE VALIDATE INHERIT NO REORGANIZE TRUNCATE REBUILD SWITCH WITH CHECK NOCHECK UNSET SUSPEND RESUME RECLUSTER PARTITION CONVERT ENGINE ORDER COALESCE REMOVE ANALYZE FORCE REPLICA OF APPEND COMMENT DEFAULT CHARACTER LOCK ALGORITHM AUTO_INCREMENT TOUCH UNARCHIVE ARCHIVE RECOVER DYNAMIC EXECUTE")

// looksWhole reports whether a statement of an unknown dialect has what it
// needs: prose may well begin with a verb of SQL.
func (r *reader) looksWhole() bool {
	switch r.verb {
	case kwInsert, kwReplace, kwCreate:
		return r.body
	case kwUpdate:
		return r.equals
	case kwSet:
		return r.equals || r.body
	case kwBegin, kwCommit, kwRollback:
		return r.tokens <= 2
	case kwCopy:
		return r.body || r.tokens > 4
	case kwAlter:
		return !r.notAlter
	case kwExplain, kwDescribe, kwDesc:
		return r.kind != KindQuery || r.tokens <= 4 && r.frames[0].afterTable != afterFree
	}
	return true
}

// sawSet reports whether an UPDATE has come to its SET.
func (r *reader) sawSet() bool { return r.frames[0].clause == clauseOther || r.hasFrom }

// dropAliases takes back the first name of an UPDATE or DELETE, if it turned
// out to be the alias of a table in its FROM.
func (r *reader) dropAliases() {
	if r.target == 0 || !r.hasFrom {
		return
	}
	for i := r.first; i < len(r.tables); {
		t := r.tables[i]
		found := false
		for _, a := range r.aliases {
			if equalFoldBytes(r.lex.src[a.start:a.end], r.text[t.start:t.end]) {
				found = true
			}
		}
		if found {
			r.tables = append(r.tables[:i], r.tables[i+1:]...)
			continue
		}
		i++
	}
}

func equalFoldBytes(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}
