package sql

import "bytes"

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
	if m.parts == 1 && r.isExpression(first, target) {
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
