package sql

var insertWords = []string{"LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "QUICK", "OR", "REPLACE", "ABORT", "FAIL", "ROLLBACK"}

// expectTarget reads the name of the table that a statement writes to.
func (r *reader) expectTarget(f *frame) {
	f.query, f.target = true, true
	r.mention(f)
}

// beginInsert reads INSERT or REPLACE up to what is inserted.
func (r *reader) beginInsert(f *frame, verb *token) {
	r.setKind(KindWrite)
	f.query, f.verb, f.clause, f.statement, f.run = true, kwInsert, beforeFrom, false, 0
	f.state, f.commas, f.joins = inInsert, false, false
	if verb.word == kwReplace && r.isOneOf(0, tableKinds) && r.ahead(1).isName() { // of Teradata
		r.kind = KindUnknown
		r.beginDefinition(f, kwCreate)
		return
	}
	r.skipWords(insertWords)
	r.skipTop()
	if next := r.ahead(0); next.word == kwAll || next.word == kwWhen || r.isWord(0, "FIRST") && r.isOneOf(1, []string{"WHEN", "INTO"}) {
		r.i++ // INSERT ALL INTO a … INTO b … SELECT of Oracle
		f.all = true
		return
	}
	into := r.accept("OVERWRITE")
	if r.ahead(0).word == kwInto {
		r.i++
		into = true
	}
	if next := r.ahead(0); into && next.word == kwAll {
		r.i++
		f.all = true
		return
	}
	if into {
		if r.isWord(0, "LOCAL") && r.isWord(1, "DIRECTORY") || r.isWord(0, "DIRECTORY") && r.ahead(1).kind == tokenString {
			for n := 0; n < 200 && r.ahead(0).word != kwSelect && r.ahead(0).kind != tokenEnd && r.ahead(0).word != kwFrom; n++ {
				r.i++
			}
			return
		}
	}
	if r.ahead(0).word == kwTable {
		r.i++
	}
	if r.isWord(0, "FUNCTION") && r.ahead(1).isName() && r.ahead(2).is('(') { // a table function of ClickHouse
		r.i += 2
		r.openExpression()
		return
	}
	switch t := r.ahead(0); {
	case t.kind == tokenParameter && t.char == '@': // a variable of SQL Server
		r.i++
		return
	case t.is('('): // a view of Oracle
		r.fail(Unread)
		return
	case !into && verb.word == kwReplace:
		if r.ahead(1).is('(') && r.dialect != MySQL && r.dialect != SQLite {
			r.fail(NotSQL)
			return
		}
	case (t.isName() && equalFold(r.textOf(t), "OPENROWSET") || equalFold(r.textOf(t), "OPENQUERY")) && r.ahead(1).is('('):
		r.fail(Unread)
		return
	}
	r.expectTarget(f)
	f.state = inInsert
}

// skipTop skips TOP (n).
func (r *reader) skipTop() {
	if r.ahead(0).word != kwTop {
		return
	}
	switch next := r.ahead(1); {
	case next.is('('):
		r.i++
		r.skipBracket()
	case next.kind == tokenNumber:
		r.i += 2
	}
	r.accept("PERCENT")
}

// readInserted takes in a token between the table of an INSERT and what is
// inserted.
func (r *reader) readInserted(f *frame, t *token) {
	next := r.ahead(1)
	switch {
	case t.is('('):
		if next.word == kwSelect || next.word == kwWith || next.word == kwFrom || next.is('(') || next.word == kwValues {
			r.openQuery(f)
			return
		}
		r.skipBracket()
		f.run = 0
		return
	case t.kind == tokenPunct:
		if f.all || t.is('.') || t.is('*') || t.is(',') || t.is('=') || t.is('>') || t.is('<') {
			r.i++
			f.run = 0
			return
		}
		r.fail(NotSQL)
		return
	case t.kind != tokenWord:
		f.run = 0
		r.i++
		return
	}
	switch t.word {
	case kwSelect, kwFrom, kwTable, kwWith:
		if t.word == kwWith && next.is('(') || t.word == kwFrom && r.isWord(1, "INFILE") {
			r.i++
			return
		}
		f.state = atStart
	case kwValues:
		r.i++
		if f.all {
			r.skipBracket()
			return
		}
		f.state, f.clause, f.run = inExpression, inFrom, 0
	case kwInto:
		r.i++
		if f.all {
			r.expectTarget(f)
			f.state = inInsert
			return
		}
		r.readOutputInto(f)
	case kwSet:
		r.readSet(f)
	case kwOutput:
		r.readOutput(f)
	case kwSettings:
		f.run = 0
		r.i++
	case kwFormat:
		f.state = inRest
		f.run = 0
		r.i++
	case kwWhen, kwThen, kwElse, kwAs, kwPartition, kwNot, kwExists, kwBy, kwWhere, kwReplace, kwOn, kwAnd, kwOr:
		f.run = 0
		r.i++
	default:
		switch {
		case r.isWord(0, "EXEC"), r.isWord(0, "EXECUTE"), r.isWord(0, "CALL"):
			r.fail(Unread)
		case r.isWord(0, "DEFAULT") && next.word == kwValues:
			r.i += 2
			f.state, f.clause = inExpression, inFrom
		case r.isWord(0, "VALUE") && next.is('('):
			r.i++
			f.state, f.clause, f.run = inExpression, inFrom, 0
		default:
			r.i++
			r.countWord(f)
		}
	}
}

// readSet reads SET and makes sure that an assignment follows.
func (r *reader) readSet(f *frame) {
	r.i++
	t := r.ahead(0)
	assigns := t.is('(')
	if t.isName() || t.kind == tokenParameter || t.is('$') {
		for n := 1; n < 40; n++ {
			if p := r.ahead(n); !p.is('.') && !p.isName() || p.isName() && !r.ahead(n-1).is('.') {
				assigns = p.is('=') || p.is('[') || p.is('(') || p.is('{') || p.is(':') || r.ahead(n+1).is('=')
				break
			}
		}
	}
	if !assigns || f.verb != kwUpdate && f.verb != kwInsert {
		r.fail(NotSQL)
		return
	}
	if f.verb == kwUpdate {
		f.sources, f.sourceAliases, f.verb, f.clause = len(r.mentions), r.aliases.len(), kwSelect, beforeFrom
	}
	f.state, f.commas, f.joins, f.run = inExpression, false, false, 0
}

// beginUpdate reads the head of UPDATE.
func (r *reader) beginUpdate(f *frame) {
	r.setKind(KindWrite)
	r.skipWords(insertWords)
	r.skipTop()
	if r.isWord(0, "STATISTICS") && r.ahead(1).isName() && r.ahead(1).word != kwSet {
		r.fail(Unread)
		return
	}
	r.expectTable(f)
	f.verb, f.clause, f.targets = kwUpdate, beforeFrom, len(r.mentions)
	f.named = r.dialect == SQLServer
	if r.ahead(0).word == kwOnly && r.ahead(1).isName() && r.ahead(1).word != kwSet {
		r.i++
	}
	f.target = !r.ahead(0).is('(')
}

// beginDelete reads the head of DELETE.
func (r *reader) beginDelete(f *frame) {
	r.setKind(KindWrite)
	r.skipWords(insertWords)
	r.skipTop()
	f.query, f.verb, f.clause, f.targets = true, kwDelete, beforeFrom, len(r.mentions)
	f.named = r.dialect == SQLServer
	if r.ahead(0).word == kwFrom {
		r.i++
		r.skipTop()
		r.expectTable(f)
		f.clause = beforeFrom
		f.sources = 0
		return
	}
	// DELETE a, b FROM …, or DELETE t WHERE …
	for {
		if t := r.ahead(0); !t.isName() || t.like&reserved != 0 {
			r.fail(NotSQL)
			return
		}
		r.expectTarget(f)
		if r.ahead(0).is('.') { // t.*
			r.fail(Unread)
		}
		if r.status != Known || !r.ahead(0).is(',') {
			break
		}
		r.i++
	}
	if r.status != Known {
		return
	}
	f.state, f.behind, f.joins = afterTable, behindName, false
	f.commas = false
	if r.ahead(0).word == kwFrom {
		r.i++
		r.beginSources(f)
		f.named, f.strict = true, true
	}
}

// beginSources expects the sources of a statement whose targets have been read.
func (r *reader) beginSources(f *frame) {
	r.expectTable(f)
	f.sources, f.sourceAliases, f.clause = len(r.mentions), r.aliases.len(), inFrom
}

// beginMerge reads the head of MERGE.
func (r *reader) beginMerge(f *frame) {
	r.setKind(KindWrite)
	if r.ahead(0).word == kwWith && r.isWord(1, "SCHEMA") {
		r.i += 3
	}
	r.skipTop()
	if r.ahead(0).word == kwInto {
		r.i++
	}
	r.expectTable(f)
	f.commas, f.joins, f.verb = false, false, kwMerge
	if !r.ahead(0).is('(') {
		f.target = true
	}
}
