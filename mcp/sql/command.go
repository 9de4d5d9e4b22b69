package sql

var (
	explainWords = []string{"ANALYZE", "ANALYSE", "VERBOSE", "EXTENDED", "FORMATTED", "COST", "CODEGEN", "LOGICAL", "QUERY", "PLAN", "AST", "SYNTAX", "PIPELINE",
		"ESTIMATE", "TREE", "PARTITIONS", "DEPENDENCY", "AUTHORIZATION", "LOCKS", "CBO", "AST", "VECTORIZATION", "FOR", "CURRENT", "USING", "TEXT", "JSON", "TABULAR"}
	describeWords = []string{"EXTENDED", "FORMATTED", "TABLE", "VIEW", "HISTORY", "DETAIL", "EXTERNAL", "MATERIALIZED"}
	otherObjects  = []string{"FUNCTION", "DATABASE", "SCHEMA", "CATALOG", "INDEX", "STAGE", "WAREHOUSE", "USER", "ROLE", "PROCEDURE", "SEQUENCE", "TASK", "PIPE", "SHARE",
		"INTEGRATION", "CONNECTION", "FILE", "STREAM", "RESULT", "INPUT", "OUTPUT", "NETWORK", "SESSION", "PROVIDER", "RECIPIENT", "VOLUME", "ALERT", "SERVICE"}
)

// beginExplain reads EXPLAIN and its options.
func (r *reader) beginExplain(f *frame) {
	r.kind, r.explained = KindNone, true
	for n := 0; n < 12; n++ {
		t := r.ahead(0)
		switch {
		case t.is('('):
			if w := r.ahead(1).word; w == kwSelect || w == kwWith || w == kwFrom || r.ahead(1).is('(') {
				f.state = atStart
				return
			}
			r.skipBracket()
		case t.kind == tokenWord && r.ahead(1).is('='): // FORMAT = JSON, of MySQL and of ClickHouse's settings
			r.i += 3
			if r.ahead(0).is(',') {
				r.i++
			}
		case t.word == kwFor, t.word == kwUsing, r.isWord(0, "SET") && r.isWord(1, "STATEMENT_ID"):
			r.i++
		case t.word == kwTable && r.isWord(1, "OVERRIDE"):
			r.fail(Unread)
			return
		case t.like&starts != 0 && t.word != kwStatement && t.word != kwUse && t.word != kwStart && t.word != kwEnd:
			f.state, f.statement = atStart, true
			return
		case r.isOneOf(0, explainWords):
			r.i++
		default:
			n = 12
		}
	}
	if t := r.ahead(0); t.isName() {
		if t.word == kwNone && r.dialect != MySQL {
			r.fail(NotSQL) // only MySQL explains tables
			return
		}
		r.explained, r.kind = false, KindUnknown
		r.beginDescribe(f)
		return
	}
	r.fail(NotSQL)
}

// beginDescribe reads DESCRIBE: of a table, a query or something else.
func (r *reader) beginDescribe(f *frame) {
	t := r.ahead(0)
	switch {
	case r.isWord(0, "ANALYZE") && r.ahead(1).like&starts != 0:
		r.beginExplain(f)
		return
	case t.is('('):
		r.setKind(KindNone)
		f.query = true
		f.state = inRest
		r.open(frame{state: atStart})
		return
	case t.word == kwSelect, t.word == kwWith && r.ahead(1).isName(), t.word == kwInsert && r.ahead(1).word == kwInto, t.word == kwFrom:
		r.setKind(KindNone)
		f.state, f.statement = atStart, true
		return
	case r.isWord(0, "QUERY") && r.ahead(1).like&starts != 0:
		r.i++
		r.setKind(KindNone)
		f.state = atStart
		return
	case r.isOneOf(0, otherObjects) && r.ahead(1).isName():
		r.setKind(KindNone)
		r.rest(f)
		return
	}
	r.setKind(KindQuery)
	if (r.ahead(1).word == kwTable || r.ahead(1).word == kwView) && r.ahead(2).isName() { // ICEBERG TABLE
		r.i++
	}
	for n := 0; n < 3 && r.isOneOf(0, describeWords) && (r.ahead(1).isName() || r.ahead(1).is('@')); n++ {
		r.i++
	}
	if r.ahead(1).is('(') && r.dialect == ClickHouse {
		f.query = true
		r.mention(f)
		return
	}
	if r.ahead(0).kind == tokenString || r.ahead(0).kind == tokenParameter {
		r.fail(Unread)
		return
	}
	r.expectTarget(f)
	f.state, f.query, f.run = inRest, false, 3
	if t := r.ahead(0); t.kind == tokenWord && t.word == kwNone { // a column
		r.i++
		if next := r.ahead(0); next.kind == tokenWord {
			r.fail(NotSQL)
		}
	}
}

var (
	showNone = []string{"TABLES", "DATABASES", "SCHEMAS", "VIEWS", "STATUS", "VARIABLES", "PROCESSLIST", "USERS", "FUNCTIONS", "ENGINES", "PLUGINS", "WARNINGS", "ERRORS",
		"CATALOGS", "WAREHOUSES", "ROLES", "PROCEDURES", "SEQUENCES", "STAGES", "PARAMETERS", "SESSION", "GLOBAL", "FULL", "TERSE", "ALL", "GRANTS", "CHARACTER", "COLLATION",
		"COLLATIONS", "EXTENDED", "MATERIALIZED", "OBJECTS", "DICTIONARIES", "SETTINGS", "TRIGGERS", "EVENTS", "MASTER", "BINARY", "REPLICA", "SLAVE", "PRIVILEGES", "STREAMS",
		"TASKS", "PIPES", "SHARES", "EXTERNAL", "TRANSACTION", "TIME", "SERVER_VERSION", "SEARCH_PATH", "USER", "SYSTEM", "CURRENT", "OPEN", "TABLE"}
	showOf = []string{"COLUMNS", "FIELDS", "INDEX", "INDEXES", "KEYS", "INDICES"}
)

// beginShow reads SHOW.
func (r *reader) beginShow(f *frame) {
	r.setKind(KindQuery)
	f.state, f.query, f.run = inRest, false, 0
	of := 0
	for r.isWord(of, "FULL") || r.isWord(of, "EXTENDED") {
		of++
	}
	switch {
	case r.isOneOf(of, showOf) && (r.ahead(of+1).word == kwFrom || r.ahead(of+1).word == kwIn):
		r.i += of + 2
		if r.ahead(0).word == kwTable && r.ahead(1).isName() {
			r.i++
		}
		if r.isOneOf(0, []string{"SCHEMA", "DATABASE", "ACCOUNT", "VIEW"}) && r.ahead(1).isName() {
			r.fail(Unread)
			return
		}
		r.expectTarget(f)
		f.state, f.query, f.run = inRest, false, 2
		if w := r.ahead(0).word; w == kwFrom || w == kwIn {
			r.fail(Unread) // the name is in two pieces
		}
	case r.ahead(0).word == kwCreate:
		r.i++
		if !r.isOneOf(0, tableKinds) && !r.isWord(0, "MATERIALIZED") {
			r.short(f, 6)
			return
		}
		r.skipWords([]string{"MATERIALIZED"})
		r.i++
		r.expectTarget(f)
		f.state, f.query, f.run = inRest, false, 3
	case r.isOneOf(0, []string{"PARTITIONS", "TBLPROPERTIES"}) && r.ahead(1).isName() && r.ahead(1).word != kwFrom:
		r.i++
		r.expectTarget(f)
		f.state, f.query, f.run = inRest, false, 3
	case r.isWord(0, "STATS") && r.ahead(1).word == kwFor && r.ahead(2).isName():
		r.i += 2
		r.expectTarget(f)
		f.state, f.query, f.run = inRest, false, 3
	case r.isWord(0, "TABLE") && !r.isWord(1, "STATUS"), r.isOneOf(0, showOf), r.isWord(0, "PRIMARY"):
		r.fail(Unread)
	case r.isOneOf(0, showNone):
		for n := 0; n < 16; n++ {
			t := r.ahead(n)
			if t.kind == tokenEnd || t.is(';') {
				return
			}
			if t.word == kwSelect {
				break
			}
		}
		r.fail(NotSQL)
	default:
		r.short(f, 1)
	}
}

var pragmas = []string{"TABLE_INFO", "TABLE_XINFO", "INDEX_LIST", "FOREIGN_KEY_LIST", "FOREIGN_KEY_CHECK"}

// beginPragma reads PRAGMA of SQLite.
func (r *reader) beginPragma(f *frame) {
	r.setKind(KindQuery)
	f.state, f.query = inRest, false
	if r.ahead(0).isName() && r.ahead(1).is('.') {
		r.i += 2
	}
	if !r.ahead(0).isName() {
		r.fail(NotSQL)
		return
	}
	names := r.isOneOf(0, pragmas)
	r.i++
	switch next := r.ahead(0); {
	case next.kind == tokenEnd, next.is(';'):
		return
	case next.is('='):
		r.kind = KindNone
		r.short(f, 4)
	case next.is('('):
		if !names {
			r.skipBracket()
			return
		}
		end := int(next.link)
		r.i++
		if t := r.ahead(0); t.kind == tokenString {
			r.mentionString(t)
			r.i++
		} else {
			r.expectTarget(f)
		}
		f.state, f.query = inRest, false
		if r.i != end {
			r.fail(Unread)
			return
		}
		r.i++
	default:
		r.fail(NotSQL)
	}
}

// beginCache reads CACHE TABLE t AS query of Spark.
func (r *reader) beginCache(f *frame) {
	r.setKind(KindNone)
	r.accept("LAZY")
	if r.ahead(0).word != kwTable {
		r.fail(Unread)
		return
	}
	r.i++
	r.expectTarget(f)
	f.query = true
	if r.accept("OPTIONS") {
		r.skipBracket()
	}
	if r.ahead(0).word == kwAs {
		r.i++
	}
	f.state, f.query = inRest, false
	if t := r.ahead(0); t.word == kwSelect || t.word == kwWith || t.is('(') || t.word == kwFrom {
		f.state = atStart
	}
}

var (
	maintenanceWords = []string{"TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG", "VERBOSE", "FULL", "FREEZE", "ANALYZE", "REPAIR", "CONCURRENTLY", "SKIP_LOCKED"}
	notMaintained    = []string{"INDEX", "DATABASE", "SCHEMA", "SYSTEM", "INSTANCE", "CLUSTER", "UNDROP", "INTO", "WAREHOUSE"}
)

// beginMaintenance reads ANALYZE, VACUUM, OPTIMIZE and the like.
func (r *reader) beginMaintenance(f *frame) {
	r.setKind(KindNone)
	f.state, f.query = inRest, false
	refresh := r.isWord(-1, "REFRESH")
	if refresh && r.isOneOf(0, []string{"MATERIALIZED", "DYNAMIC"}) {
		r.i++
		if r.isOneOf(0, tableKinds) {
			r.i++
		}
	} else if refresh && !r.isOneOf(0, tableKinds) && (r.dialect != Spark || r.isWord(0, "FUNCTION")) {
		r.fail(Unread)
		return
	}
	for n := 0; n < 8; n++ {
		switch t := r.ahead(0); {
		case t.is('('):
			r.skipBracket()
			continue
		case r.ahead(1).kind == tokenNumber: // BUFFER_USAGE_LIMIT 1
			r.i += 2
			continue
		case t.kind == tokenEnd, t.is(';'):
			return // of everything
		case r.isOneOf(0, notMaintained):
			r.fail(Unread)
			return
		case (r.isOneOf(0, maintenanceWords) || refresh && r.isWord(0, "VIEW")) && (r.ahead(1).isName() || r.ahead(1).is('(')):
			r.i++
			continue
		}
		break
	}
	r.skipWords(ifNotExists)
	if t := r.ahead(0); t.kind == tokenString || !t.isName() || t.like&reserved != 0 || t.word == kwDelete {
		r.fail(NotSQL)
		return
	}
	for r.status == Known {
		r.expectTarget(f)
		r.skipBracket()
		if !r.ahead(0).is(',') {
			break
		}
		r.i++
	}
	f.state, f.query, f.run = inRest, false, 0
	if t := r.ahead(0); t.kind == tokenWord && t.word == kwNone && !r.isOneOf(0, maintenanceTail) {
		r.fail(NotSQL)
	}
}

var maintenanceTail = []string{"COMPUTE", "ESTIMATE", "DELETE", "VALIDATE", "DROP", "UPDATE", "CACHE", "ZORDER", "DEDUPLICATE", "RETAIN", "DRY", "LIST", "TO", "READ", "WRITE",
	"QUICK", "FAST", "MEDIUM", "EXTENDED", "CHANGED", "BOOST", "PREDICATE", "PERSISTENT", "UPGRADE", "NOWAIT", "MODE", "SYNC", "FULL", "ADD", "FIELDS", "REWRITE", "CONCURRENTLY", "USE_FRM"}
