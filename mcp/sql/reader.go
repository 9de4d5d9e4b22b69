package sql

// state is what the innermost frame waits for.
type state uint8

const (
	atStart      state = iota // a query or a statement
	atCTE                     // the name of a common table expression
	afterCTE                  // a comma, or the query
	atTable                   // a table, or a sub-query in its place
	afterTable                // an alias, a join, a clause
	inExpression              // an expression, or the next clause
	inInsert                  // what is inserted
	inDefinition              // what is defined
	inColumns                 // the definition of a column
	inRest                    // the end: nothing means anything but sub-queries in brackets
)

// What stands before, in afterTable.
const (
	behindName   = iota // a table without an alias
	behindAs            // AS
	behindAlias         // an alias
	behindOption        // something like TABLESAMPLE, of which anything may be a part
)

// The clauses of a query in their order.
const (
	beforeFrom = iota
	inFrom
	inWhere
	inGroup
	inOrder
)

// frame is the statement or an open bracket in it.
type frame struct {
	state         state
	behind        uint8
	clause        uint8
	run           uint8   // plain words in a row
	verb          keyword // of the statement that the frame holds, as far as it matters
	query         bool    // the words of clauses mean something
	commas        bool    // a comma brings another table
	joins         bool    // JOIN brings another table
	statement     bool    // any statement may begin in it
	source        bool    // it stands in the place of a table
	rows          bool    // VALUES without brackets stands in the place of a table
	target        bool    // the next table is the target of a statement that writes
	fromFirst     bool    // FROM stood before SELECT
	several       bool    // FROM t INSERT … INSERT …
	all           bool    // INSERT ALL INTO … INTO …
	named         bool    // a target may go by a source's own name
	strict        bool    // a target has to be a source
	call          bool    // it holds the arguments of a function
	nested        bool    // it begins with a bracket
	scalars       bool    // WITH defines scalars of ClickHouse
	recursive     bool    // WITH RECURSIVE
	ctes          int     // how many names there were when it began
	aliases       int     // the first alias of its query
	targets       int     // the first mention that is a target
	sources       int     // the mention behind the last target, if it may be an alias of a source
	sourceAliases int     // the first alias of a source
	start         int     // the token at which its query began
	until         int     // the token up to which its aliases can be seen
	end           int     // the token that closes it
}

// reader reads one query.
type reader struct {
	lexer
	dialect  Dialect
	i        int // the current token
	frames   []frame
	ctes     scope
	aliases  scope
	mentions []mention
	text     []byte // the names of mentions, their parts joined
	tables   tableSet

	// Of the statement.
	first     int // its first token
	kind      Kind
	explained bool
	returning bool
	created   bool // AS brings a query
	column    bool // the names that are altered are those of columns and the like

	statements int
	total      Kind
	writes     bool // a statement writes and returns rows
	weak       bool
}

// read reads a query by the rules of one dialect.
func (r *reader) read(d Dialect, rules syntax, query []byte) Status {
	r.src, r.rules, r.dialect = query, rules, d
	r.i, r.frames, r.text, r.statements, r.total, r.writes, r.weak = 0, r.frames[:0], r.text[:0], 0, KindUnknown, false, true
	r.tables.reset()
	if r.status = r.lex(); r.status != Known {
		return r.status
	}
	for r.status == Known && r.i < len(r.tokens)-1 {
		if r.tokens[r.i].is(';') {
			r.i++
			continue
		}
		r.readStatement()
	}
	if r.status == Known && r.statements == 0 {
		r.status = NotSQL
	}
	return r.status
}

// result returns what has been read.
func (r *reader) result() Result {
	return Result{Tables: r.tables.strings(r.text), Kind: r.total, Statements: r.statements, Returning: r.writes, Weak: r.weak && r.dialect == Generic}
}

// agrees reports whether the query was read as in another reading.
func (r *reader) agrees(with Result) bool {
	return r.total == with.Kind && r.statements == with.Statements && r.tables.same(r.text, with.Tables)
}

func (r *reader) fail(s Status) {
	if r.status == Known {
		r.status = s
	}
}

// readStatement reads a statement up to its semicolon.
func (r *reader) readStatement() {
	r.first, r.kind, r.explained, r.returning, r.created, r.column = r.i, KindUnknown, false, false, false, false
	r.frames = append(r.frames[:0], frame{statement: true, end: len(r.tokens) - 1, until: len(r.tokens) - 1, start: r.i})
	r.ctes.reset()
	r.aliases.reset()
	r.mentions = r.mentions[:0]
	for steps := 0; r.status == Known; steps++ {
		if steps > 4*len(r.tokens) { // never: a token is stepped on a few times
			r.fail(Unread)
			return
		}
		r.i = min(r.i, len(r.tokens)-1)
		t := &r.tokens[r.i]
		if t.kind == tokenEnd || t.is(';') {
			if len(r.frames) > 1 {
				r.fail(Unread)
				return
			}
			r.endStatement()
			return
		}
		r.step(t)
	}
}

// step takes in the current token and moves on, or changes the state of the
// innermost frame.
func (r *reader) step(t *token) {
	f := r.top()
	if t.kind == tokenPunct && r.i == f.end {
		r.close(f)
		return
	}
	switch f.state {
	case atStart:
		r.readStart(f, t)
	case atCTE:
		r.readCTE(f, t)
	case afterCTE:
		r.readBehindCTE(f)
	case atTable:
		r.readTable(f, t)
	case afterTable:
		r.readBehindTable(f, t)
	case inExpression:
		r.readExpression(f, t)
	case inInsert:
		r.readInserted(f, t)
	case inDefinition:
		r.readDefinition(f, t)
	case inColumns:
		r.readColumns(f, t)
	case inRest:
		r.readRest(f, t)
	}
}

func (r *reader) top() *frame { return &r.frames[len(r.frames)-1] }

// ahead returns the token n places ahead of the current one.
func (r *reader) ahead(n int) *token { return &r.tokens[max(0, min(r.i+n, len(r.tokens)-1))] }

// before returns the token n places before the current one, in the statement.
func (r *reader) before(n int) *token {
	if r.i-n < r.first {
		return &r.tokens[len(r.tokens)-1]
	}
	return &r.tokens[r.i-n]
}

// textOf returns the text of a token.
func (r *reader) textOf(t *token) []byte { return r.src[t.start:t.end] }

// isWord reports whether the token n places ahead is a word.
func (r *reader) isWord(n int, upper string) bool {
	t := r.ahead(n)
	return t.kind == tokenWord && equalFold(r.textOf(t), upper)
}

// isOneOf reports whether the token n places ahead is one of some words.
func (r *reader) isOneOf(n int, upper []string) bool {
	t := r.ahead(n)
	if t.kind != tokenWord {
		return false
	}
	text := r.textOf(t)
	for _, w := range upper {
		if equalFold(text, w) {
			return true
		}
	}
	return false
}

// skipWords skips words that are in a list, and reports whether there were any.
func (r *reader) skipWords(upper []string) bool {
	i := r.i
	for r.isOneOf(0, upper) {
		r.i++
	}
	return r.i > i
}

// accept skips a word if it is the next.
func (r *reader) accept(upper string) bool {
	if !r.isWord(0, upper) {
		return false
	}
	r.i++
	return true
}

// skipBracket skips a bracket and what is in it, if the current token opens one.
func (r *reader) skipBracket() {
	if t := r.ahead(0); t.is('(') {
		r.i = int(t.link) + 1
	}
}

// open begins the bracket at the current token.
func (r *reader) open(n frame) {
	n.end = int(r.tokens[r.i].link)
	n.ctes, n.aliases, n.start, n.until = r.ctes.len(), r.aliases.len(), r.i, n.end
	if f := r.top(); n.source { // a join in brackets
		n.start, n.until = f.start, f.until
	}
	r.frames = append(r.frames, n)
	r.i++
}

// isOpening reports whether a token opens a bracket.
func isOpening(t *token) bool { return t.is('(') || t.is('[') || t.is('{') }

// close ends the innermost bracket.
func (r *reader) close(f *frame) {
	if !r.finished(f) {
		r.fail(Unread)
		return
	}
	r.ctes.truncate(f.ctes)
	r.i++
	r.frames = r.frames[:len(r.frames)-1]
	r.top().run = 0
}

// finished reports whether a frame may end before the current token.
func (r *reader) finished(f *frame) bool {
	switch f.state {
	case atStart, atCTE, afterCTE, atTable, inInsert:
		return false
	case afterTable:
		return f.behind != behindAs && f.verb != kwUpdate && f.verb != kwMerge && r.settle(f)
	}
	last := r.before(1)
	switch {
	case !f.query:
	case last.kind == tokenWord && last.like&unfinished != 0:
		return last.word == kwBy || last.word == kwFor || last.word == kwIn
	case last.kind == tokenPunct && (last.char == '=' || last.char == '<' || last.char == '+' || last.char == '.'):
		return false
	}
	return r.settle(f)
}

// setKind says what the statement does, if the frame is the statement itself and
// nothing before has said it.
func (r *reader) setKind(k Kind) {
	if r.kind == KindUnknown {
		r.forceKind(k)
	}
}

// forceKind says the same where what stood before does not count.
func (r *reader) forceKind(k Kind) {
	if len(r.frames) == 1 && !r.explained {
		r.kind = k
	}
}

// endStatement takes the statement's tables and kind.
func (r *reader) endStatement() {
	f := r.top()
	if !r.finished(f) {
		r.fail(NotSQL)
		return
	}
	for _, m := range r.mentions {
		if !m.dropped && !r.isPath(m) && !r.tables.add(r.text, m.span) {
			r.fail(OverCap)
			return
		}
	}
	kind := r.kind
	if kind == KindWrite && r.returning {
		kind, r.writes = KindQuery, true
	}
	if r.statements++; r.statements > 1 && kind != r.total {
		kind = KindMixed
	}
	r.total = kind
	r.weak = r.weak && r.isBare()
}

// isBare reports whether the statement is made of words alone and does not look
// like SQL for its capitals either.
func (r *reader) isBare() bool {
	for i := r.first; i < r.i; i++ {
		if r.tokens[i].kind != tokenWord {
			return false
		}
	}
	if r.i-r.first <= 3 {
		return true
	}
	for _, c := range r.textOf(&r.tokens[r.first]) {
		if c >= 'a' {
			return true
		}
	}
	return false
}
