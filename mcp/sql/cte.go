package sql

// beginWith reads WITH and declares the names of its expressions, whose bodies
// are skipped here and read later.
func (r *reader) beginWith(f *frame) {
	f.query, f.state, f.run = true, atCTE, 0
	r.i++
	f.recursive = r.ahead(0).word == kwRecursive && r.ahead(1).word != kwAs
	if f.recursive {
		r.i++
	}
	r.declare(f.recursive)
}

// declare adds the names of the common table expressions ahead to the scope.
func (r *reader) declare(recursive bool) {
	for i := r.i; ; {
		name, body, next := r.expressionAt(i)
		if body == 0 {
			return
		}
		r.pushName(&r.ctes, &r.tokens[name], scopeName{body: body, implicit: !recursive})
		if !r.tokens[next].is(',') {
			return
		}
		i = next + 1
	}
}

// expressionAt finds a common table expression that begins at a token. It returns
// its name, the token that opens its body, and the one behind it; body is 0 if
// there is none.
func (r *reader) expressionAt(i int) (name, body, next int) {
	name = i
	if t := &r.tokens[i]; !t.isName() || t.like&reserved != 0 {
		return name, 0, i
	}
	i++
	columns := r.tokens[i].is('(')
	if columns {
		i = int(r.tokens[i].link) + 1
	}
	if r.tokens[i].word == kwUsing && r.tokens[i+1].kind == tokenWord && r.tokens[i+2].is('(') { // USING KEY (a) of DuckDB
		i = int(r.tokens[i+2].link) + 1
	}
	as := r.tokens[i].word == kwAs
	if as {
		i++
		if r.tokens[i].word == kwNot {
			i++
		}
		if t := &r.tokens[i]; t.kind == tokenWord && equalFold(r.textOf(t), "MATERIALIZED") {
			i++
		}
	}
	if !r.tokens[i].is('(') {
		if as || !columns || r.dialect != Spark && r.dialect != Generic {
			return name, 0, i
		}
		// WITH t (SELECT 1) of Spark
		body = name + 1
		if w := r.tokens[body+1].word; w != kwSelect && w != kwFrom {
			return name, 0, i
		}
		return name, body, i
	}
	if !as {
		return name, 0, i
	}
	return name, i, r.behindSearch(int(r.tokens[i].link) + 1)
}

// behindSearch returns the token behind the clauses SEARCH DEPTH FIRST BY … and
// CYCLE … of a common table expression, if they begin at a token.
func (r *reader) behindSearch(i int) int {
	t := &r.tokens[i]
	if t.kind != tokenWord || !equalFold(r.textOf(t), "SEARCH") && !equalFold(r.textOf(t), "CYCLE") {
		return i
	}
	for n := 0; n < 40; n++ {
		switch t := &r.tokens[i]; {
		case t.kind == tokenEnd, t.like&starts != 0 && t.word != kwSet,
			t.is(',') && r.tokens[i+1].isName() && (r.tokens[i+2].word == kwAs || r.tokens[i+2].is('(')):
			return i
		}
		i++
	}
	return i
}

// readCTE reads a common table expression up to its body.
func (r *reader) readCTE(f *frame, t *token) {
	if f.scalars {
		r.readScalar(f, t)
		return
	}
	_, body, _ := r.expressionAt(r.i)
	if body == 0 {
		if r.dialect != ClickHouse && r.dialect != Generic {
			r.fail(Unread)
			return
		}
		f.scalars = true
		return
	}
	r.i = body
	f.state = afterCTE
	r.open(frame{statement: true})
}

// readBehindCTE reads what follows the body of a common table expression.
func (r *reader) readBehindCTE(f *frame) {
	r.i = r.behindSearch(r.i)
	if r.ahead(0).is(',') {
		r.i++
		if next := r.ahead(0); next.word != kwSelect { // a comma too many
			f.state = atCTE
			return
		}
	}
	f.state, f.statement = atStart, true
}

// readScalar reads WITH expression AS name of ClickHouse up to the comma or the
// query behind it.
func (r *reader) readScalar(f *frame, t *token) {
	switch {
	case isOpening(t):
		r.openExpression()
		return
	case t.is(','):
		f.scalars = false
		r.i++
		r.declare(f.recursive)
		return
	case t.word == kwSelect:
		if r.before(2).word != kwAs {
			r.fail(NotSQL)
		}
		f.scalars, f.state = false, atStart
		return
	case t.kind == tokenWord && t.word == kwNone:
		r.i++
		if f.run++; f.run > 2 {
			r.fail(NotSQL)
		}
		return
	}
	f.run = 0
	r.i++
}

// isExpression reports whether a name is that of a common table expression in
// scope. Where dialects differ in whether it is, the query fails.
func (r *reader) isExpression(t *token, target bool) bool {
	at := r.i
	unclear := false
	n := r.find(&r.ctes, t, func(n *scopeName) bool {
		if n.body < at && at <= int(r.tokens[n.body].link) { // in its own body
			switch {
			case !n.implicit, r.dialect == SQLite, r.dialect == SQLServer, r.dialect == Oracle, r.dialect == Snowflake:
				return true
			case r.dialect == Generic:
				unclear = true
			}
			return false
		}
		if at < n.body { // declared later
			switch {
			case !n.implicit, r.dialect == SQLite:
				return true
			case r.dialect == Generic:
				unclear = true
			}
			return false
		}
		return true
	})
	switch {
	case unclear:
		r.fail(Unread)
		return false
	case n == nil:
		return false
	case (n.quoted || t.kind != tokenWord) && string(r.src[n.start:n.end]) != string(r.textOf(t)):
		r.fail(Unread) // whether they are the same name
		return false
	case target && r.dialect != SQLServer:
		if r.dialect == Generic {
			r.fail(Unread)
		}
		return false
	}
	return true
}
