package sql

var (
	// adjectives stand between CREATE, ALTER or DROP and the thing.
	adjectives = []string{"OR", "REPLACE", "ALTER", "REFRESH", "TEMP", "TEMPORARY", "GLOBAL", "LOCAL", "PRIVATE", "UNLOGGED", "TRANSIENT", "VOLATILE", "EXTERNAL",
		"MATERIALIZED", "RECURSIVE", "FOREIGN", "HYBRID", "DYNAMIC", "ICEBERG", "STREAMING", "LIVE", "SECURE", "INTERACTIVE", "FORCE", "NO", "NOFORCE", "EDITIONABLE",
		"NONEDITIONABLE", "VIRTUAL", "UNIQUE", "CLUSTERED", "NONCLUSTERED", "COLUMNSTORE", "FULLTEXT", "SPATIAL", "BITMAP", "HASH", "SEARCH", "VECTOR", "SNAPSHOT",
		"MULTISET", "SET", "SCOPED", "IMMUTABLE", "SHARDED", "DUPLICATED", "BLOCKCHAIN", "ROW", "ACCESS", "MASKING", "CONSTRAINT", "EVENT", "ERROR", "PRIMARY", "XML",
		"NULL_FILTERED", "WINDOW", "REMOTE", "MANAGED", "AGGREGATE", "READ", "ONLY", "PUBLIC", "LARGE", "DIRECTORY", "OFFLINE", "ONLINE", "MINING"}
	tableKinds = []string{"TABLE", "VIEW"}
	onKinds    = []string{"INDEX", "TRIGGER", "POLICY", "RULE", "STREAM", "STATISTICS"}
	bodyWords  = []string{"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "FROM", "BEGIN", "CREATE", "DECLARE", "TABLE", "EXECUTE", "EXEC", "CALL", "DROP", "ALTER", "TRUNCATE", "COPY", "GRANT"}
	dropTail   = []string{"CASCADE", "RESTRICT", "PURGE", "SYNC", "NO", "DELAY", "CONSTRAINTS", "FORCE", "PERMANENTLY"}
	lockTail   = []string{"CASCADE", "RESTRICT", "RESTART", "CONTINUE", "IDENTITY", "DROP", "REUSE", "PURGE", "STORAGE", "ALL", "NO", "DELAY", "SYNC"}
	// actions are what ALTER TABLE does.
	actions = []string{"ADD", "DROP", "ALTER", "RENAME", "MODIFY", "CHANGE", "SET", "RESET", "OWNER", "ENABLE", "DISABLE", "ATTACH", "DETACH", "REPLACE", "MOVE",
		"DELETE", "UPDATE", "FREEZE", "UNFREEZE", "FETCH", "CLEAR", "MATERIALIZE", "CLUSTER", "SWAP", "EXCHANGE", "VALIDATE", "INHERIT", "NO", "REORGANIZE", "TRUNCATE",
		"REBUILD", "SWITCH", "WITH", "WITHOUT", "CHECK", "NOCHECK", "UNSET", "SUSPEND", "RESUME", "RECLUSTER", "PARTITION", "CONVERT", "ENGINE", "ORDER", "COALESCE",
		"REMOVE", "ANALYZE", "FORCE", "REPLICA", "OF", "NOT", "APPEND", "COMMENT", "DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "LOCK", "ALGORITHM", "AUTO_INCREMENT",
		"TOUCH", "UNARCHIVE", "ARCHIVE", "RECOVER", "DYNAMIC", "EXECUTE", "COMPACT", "ALLOCATE", "SHRINK", "READ", "LOGGING", "NOLOGGING", "REFRESH", "ON", "AS",
		"DEALLOCATE", "FLASHBACK", "DISCARD", "IMPORT", "UPGRADE", "INITIALLY", "COMPRESS", "NOCOMPRESS", "PARALLEL", "NOPARALLEL", "CACHE", "NOCACHE", "ROW_FORMAT", "DISTSTYLE", "SORTKEY"}
)

// beginDefinition reads the head of CREATE, ALTER or DROP.
func (r *reader) beginDefinition(f *frame, verb keyword) {
	r.setKind(KindNone)
	for n := 0; n < 8 && r.isOneOf(0, adjectives) && !r.ahead(1).is('.'); n++ {
		r.i++
	}
	for r.ahead(0).is('=') || r.isWord(0, "ALGORITHM") || r.isWord(0, "DEFINER") || r.isWord(0, "SQL") || r.isWord(0, "SECURITY") || r.before(1).is('=') || r.before(1).is('@') || r.before(1).kind == tokenParameter ||
		r.isWord(0, "INVOKER") || r.ahead(0).kind == tokenParameter || r.ahead(0).is('@') { // ALGORITHM = x DEFINER = a@b SQL SECURITY DEFINER
		if r.ahead(0).kind == tokenEnd || r.isOneOf(0, tableKinds) {
			break
		}
		r.i++
	}
	f.verb = verb
	thing := r.ahead(0)
	switch {
	case r.isOneOf(0, tableKinds) && !r.isWord(1, "FUNCTION") && (verb != kwAlter || r.ahead(1).word != kwAll):
		r.i++
		r.defineTable(f, verb, thing.word)
	case r.isOneOf(0, onKinds):
		r.i++
		r.defineOn(f, verb)
	case thing.kind != tokenWord || thing.like&reserved != 0:
		r.fail(NotSQL)
	case r.isWord(0, "MODEL") && verb == kwCreate:
		r.i++
		r.skipWords(ifNotExists)
		if _, ok := r.readName(); ok {
			r.created, f.state, f.statement = true, inDefinition, false
		}
	case r.isWord(0, "PIPE") && verb == kwCreate:
		for n := 0; n < 60 && r.ahead(0).word != kwAs && r.ahead(0).kind != tokenEnd; n++ {
			r.i++
		}
		r.i++
		f.statement = true
	case r.isWord(0, "PUBLICATION"):
		r.definePublication(f)
	default:
		r.rest(f)
	}
}

// definePublication reads FOR TABLE a, b of a publication.
func (r *reader) definePublication(f *frame) {
	for n := 0; n < 6; n++ {
		if r.ahead(n).word == kwTable {
			r.i += n + 1
			r.expectTable(f)
			f.joins = false
			return
		}
	}
	r.rest(f)
}

var ifNotExists = []string{"IF", "NOT", "EXISTS"}

// rest reads the end of a statement that names no further table.
func (r *reader) rest(f *frame) {
	f.state, f.query, f.run, f.statement = inRest, false, 0, false
	for i := r.i; i < len(r.tokens); i++ {
		t := &r.tokens[i]
		if t.like&starts != 0 || t.word == kwTable {
			for _, w := range bodyWords {
				if equalFold(r.textOf(t), w) && r.tokens[i-1].word != kwAs && !r.tokens[i-1].is('.') {
					r.fail(Unread) // its body may do anything
					return
				}
			}
		}
	}
}

// defineTable reads the names of the tables or views that are defined.
func (r *reader) defineTable(f *frame, verb, thing keyword) {
	r.skipWords(ifNotExists)
	if verb == kwAlter && r.ahead(0).word == kwOnly && r.ahead(1).isName() {
		r.i++
	}
	r.created = verb == kwCreate || thing == kwView && verb == kwAlter
	virtual := verb == kwCreate && r.isWord(-2, "VIRTUAL")
	for {
		r.expectTarget(f)
		if r.status != Known || verb != kwDrop || !r.ahead(0).is(',') {
			break
		}
		r.i++
	}
	f.state, f.query, f.statement, f.run = inDefinition, false, false, 0
	switch {
	case verb == kwDrop:
		r.tail(f, dropTail)
	case virtual:
		f.state = inRest
	case verb == kwAlter:
		if r.ahead(0).is('*') {
			r.i++
		}
		if t := r.ahead(0); !r.isOneOf(0, actions) && !t.is('(') && !r.ahead(1).is('=') && t.kind != tokenEnd && !t.is(';') {
			r.fail(NotSQL)
		}
	case thing == kwView:
		f.verb = kwView
	}
}

// tail reads the last words of a statement, all of which must be of a list.
func (r *reader) tail(f *frame, upper []string) {
	for r.skipWords(upper) || r.skipCluster() {
	}
	f.state, f.query = inRest, false
	if t := r.ahead(0); t.kind != tokenEnd && !t.is(';') {
		r.fail(NotSQL)
	}
}

// skipCluster skips ON CLUSTER c of ClickHouse.
func (r *reader) skipCluster() bool {
	if r.ahead(0).word != kwOn || r.ahead(1).word != kwCluster {
		return false
	}
	r.i += 3
	return true
}

// defineOn reads ON and the table to which what is defined belongs.
func (r *reader) defineOn(f *frame, verb keyword) {
	f.statement = false
	trigger, statistics := r.isWord(-1, "TRIGGER") || r.isWord(-1, "RULE"), r.isWord(-1, "STATISTICS")
	for n := 0; n < 40; n++ {
		t := r.ahead(0)
		switch {
		case t.kind == tokenEnd, t.is(';'):
			f.state = inRest // DROP INDEX i
			if verb == kwCreate {
				r.fail(Unread)
			}
			return
		case t.word == kwAs:
			r.rest(f)
			return
		case isOpening(t):
			r.i = int(t.link)
		case t.word == kwOn && !statistics && !r.isWord(1, "CLUSTER"), t.word == kwFrom && statistics:
			r.i++
			if next := r.ahead(0); (next.word == kwTable || next.word == kwOnly || next.word == kwView) && r.ahead(1).isName() {
				r.i++
			} else if r.isWord(0, "EXTERNAL") && r.ahead(1).word == kwTable {
				r.i += 2
			}
			if !r.ahead(0).isName() { // ON ALL SERVER
				r.fail(Unread)
				return
			}
			r.expectTarget(f)
			f.state, f.query, f.run = inRest, false, 0
			if trigger && verb != kwDrop {
				r.defineTrigger()
			}
			return
		}
		r.i++
	}
	r.fail(Unread)
}

// defineTrigger makes sure that a trigger has no body but a call.
func (r *reader) defineTrigger() {
	for n := 0; n < 200; n++ {
		t := r.ahead(n)
		if r.isWord(n, "EXECUTE") && (r.isWord(n+1, "FUNCTION") || r.isWord(n+1, "PROCEDURE")) {
			return
		}
		if t.kind == tokenEnd || t.is(';') || t.word == kwFrom {
			break
		}
	}
	r.fail(Unread)
}

// readDefinition takes in a token behind the name of the table that a statement
// defines or alters.
func (r *reader) readDefinition(f *frame, t *token) {
	next, prev := r.ahead(1), r.before(1)
	switch t.kind {
	case tokenPunct:
		r.readDefinedPunct(f, t)
		return
	case tokenWord:
		if t.word == kwNone {
			r.i++
			if f.run++; f.run > 7 {
				r.fail(NotSQL)
			}
			return
		}
	default:
		f.run = 0
		r.i++
		return
	}
	f.run = 0
	r.i++
	switch t.word {
	case kwAs:
		r.readDefinedAs(f, next)
	case kwSelect:
		if r.created || f.verb == kwAlter {
			r.i--
			f.state = atStart
			return
		}
		r.fail(NotSQL)
	case kwWith:
		if _, body, _ := r.expressionAt(r.i); r.created && body > 0 || next.word == kwRecursive {
			r.i--
			f.state = atStart
		}
	case kwLike, kwClone, kwCopy:
		if r.created && next.isName() && !r.isOneOf(0, noCopies) {
			r.defineFrom(f)
		}
	case kwOf:
		if prev.word == kwPartition {
			r.defineFrom(f)
		}
	case kwReferences, kwInherit:
		r.defineFrom(f)
	case kwTo:
		r.readDefinedTo(f)
	case kwFrom:
		switch {
		case f.verb == kwAlter && next.isName():
			r.defineFrom(f)
		case !next.is('(') && f.verb != kwAlter:
			r.fail(Unread)
		}
	case kwRename:
		r.readRename(f)
	case kwSwap:
		if next.word == kwWith && f.verb == kwAlter {
			r.i++
			r.defineFrom(f)
		}
	case kwSwitch:
		f.fromFirst = f.verb == kwAlter
	case kwTable:
		switch {
		case f.verb == kwAlter && (prev.word == kwWith || prev.word == kwTo):
			r.defineFrom(f)
		case r.created && next.isName() && f.verb == kwCreate:
			r.i--
			f.state = atStart
		}
	case kwAttach, kwDetach:
		if next.word == kwPartition && f.verb == kwAlter {
			r.readPartition(f)
		}
	case kwHistoryTable:
		r.readHistory(f)
	}
}

// readDefinedPunct takes in a bracket or another mark in a definition.
func (r *reader) readDefinedPunct(f *frame, t *token) {
	next, prev := r.ahead(1), r.before(1)
	f.run = 0
	switch {
	case t.is(','):
		r.column = false
	case t.is('(') && r.created && prev.word != kwAs && (next.word == kwSelect || next.word == kwWith || next.is('(') && r.ahead(2).word == kwSelect):
		r.openQuery(f)
		return
	case t.is('(') && (prev.word == kwInherits || prev.is('=') && r.before(2).word == kwUnion):
		r.open(frame{state: atTable, query: true, commas: true, target: true})
		return
	case t.is('(') && prev.word == kwLike && next.isName() && r.tokens[t.link-1].isName():
		r.i++
		r.defineFrom(f)
		if !r.ahead(0).is(')') {
			r.fail(Unread)
		}
		r.i++
		return
	case isOpening(t):
		r.open(frame{state: inColumns})
		return
	}
	r.i++
}

var noCopies = []string{"GRANTS", "OPTIONS", "TAGS"}

// defineFrom reads the name of another table in a definition.
func (r *reader) defineFrom(f *frame) {
	query, state := f.query, f.state
	r.expectTarget(f)
	f.query, f.state = query, state
}

// readDefinedAs reads what stands behind AS in a definition.
func (r *reader) readDefinedAs(f *frame, next *token) {
	switch {
	case !r.created, r.isWord(-2, "STORED"):
	case next.is('('), next.word == kwSelect, next.word == kwWith, next.word == kwValues, next.word == kwTable, next.word == kwFrom:
		f.state, f.source = atStart, false
	case next.kind == tokenString, f.verb == kwView && r.isWord(0, "REPLICA"), next.is('$'):
		r.fail(Unread)
	case r.isWord(0, "EXECUTE"), r.isWord(0, "EXEC"), next.like&starts != 0:
		r.fail(Unread)
	case next.isName() && f.verb != kwView && (r.dialect == ClickHouse || r.dialect == Generic):
		if r.ahead(1).is('(') {
			r.i++ // a table function
			return
		}
		r.defineFrom(f)
	default:
		r.fail(Unread)
	}
}

// readDefinedTo reads what stands behind TO in a definition.
func (r *reader) readDefinedTo(f *frame) {
	switch {
	case !r.ahead(0).isName() || r.column:
	case r.isWord(0, "DISK"), r.isWord(0, "VOLUME"), r.isWord(0, "INNER"):
	case f.verb == kwAlter && f.fromFirst, f.verb == kwView:
		r.defineFrom(f)
	}
}

// readRename reads RENAME of ALTER TABLE.
func (r *reader) readRename(f *frame) {
	if f.verb != kwAlter {
		return
	}
	switch next := r.ahead(0); {
	case next.word == kwTo, next.word == kwAs, next.is('='):
		r.i++
		if r.ahead(0).isName() {
			r.defineFrom(f)
		}
	case r.isOneOf(0, renamed) && r.ahead(1).isName(), r.ahead(r.dotted()).word == kwTo:
		r.column = true
	case next.isName():
		r.defineFrom(f)
	}
}

// dotted returns how many tokens the name ahead has.
func (r *reader) dotted() int {
	n := 1
	for r.ahead(n).is('.') {
		n += 2
	}
	return n
}

// renamed are the parts of a table that RENAME names.
var renamed = []string{"COLUMN", "CONSTRAINT", "INDEX", "KEY", "PARTITION", "SUBPARTITION", "FIELD", "ATTRIBUTE", "VALUE", "PROJECTION"}

// readPartition reads ATTACH or DETACH PARTITION, which names a table in
// PostgreSQL and a value elsewhere.
func (r *reader) readPartition(f *frame) {
	r.i++
	if !r.ahead(0).isName() || r.ahead(1).is('(') || r.isWord(0, "ID") || r.ahead(0).word == kwAll {
		return
	}
	i := r.dotted()
	switch {
	case r.dialect == Postgres, r.ahead(i).word == kwFor, r.isWord(i, "DEFAULT"):
		r.defineFrom(f)
	case r.dialect == Generic:
		r.fail(Unread)
	}
}

// readHistory reads HISTORY_TABLE = t of SQL Server.
func (r *reader) readHistory(f *frame) {
	if r.ahead(0).is('=') {
		r.i++
		r.defineFrom(f)
	}
}

// readColumns takes in a token of the definitions of columns.
func (r *reader) readColumns(f *frame, t *token) {
	switch {
	case isOpening(t):
		if w := r.ahead(1).word; w == kwSelect || w == kwWith && r.ahead(2).isName() && r.ahead(3).word == kwAs {
			r.open(frame{state: atStart})
			return
		}
		r.open(frame{state: inColumns})
		return
	case t.word == kwReferences && r.ahead(1).isName():
		r.i++
		r.defineFrom(f)
		return
	case t.word == kwLike && (r.before(1).is('(') || r.before(1).is(',')) && r.ahead(1).isName():
		r.i++
		r.defineFrom(f)
		return
	case t.word == kwHistoryTable:
		r.i++
		r.readHistory(f)
		return
	case t.word == kwSelect && !r.before(1).is(','):
		r.fail(Unread)
		return
	}
	r.i++
}

// readRest takes in a token that means nothing.
func (r *reader) readRest(f *frame, t *token) {
	switch {
	case isOpening(t):
		r.openExpression()
		return
	case t.word == kwSelect, f.query && (t.word == kwFrom || t.word == kwJoin):
		r.fail(Unread)
		return
	case t.kind != tokenWord || t.like&inside != 0:
		f.run = 0
	default:
		if f.run++; f.run > 5 && len(r.mentions) > 0 {
			r.fail(NotSQL)
			return
		}
	}
	r.i++
}
