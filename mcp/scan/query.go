package scan

import "github.com/tallygate/tallygate/mcp/sql"

// maxQuery bounds in bytes a query whose tables are wanted.
const maxQuery = sql.MaxQuery

// endQuery is called behind a text that is a query: for the tables that it
// names, and for what kind of statement it is.
func (r *textReader) endQuery(w int) {
	c := r.matches
	if c.closed(w) {
		return
	}
	if r.over {
		c.addStatement(statementUnread, 1)
		c.fail(w, OverCap)
		return
	}
	steps := c.plan.targets[w].path.steps
	dialect, _ := sql.ParseDialect(steps[len(steps)-1].name)
	found := sql.Read(dialect, r.kept)
	// A dialect, or an argument of this name, says that it is no prose.
	isSQL := dialect != sql.Generic || len(steps) > 1 && steps[len(steps)-2].name == "sql"
	switch found.Status {
	case sql.Known:
	case sql.OverCap:
		c.addStatement(statementUnread, 1)
		c.fail(w, OverCap)
		return
	default:
		if found.Status == sql.NotSQL && !isSQL {
			c.fail(w, WrongFormat)
			return
		}
		c.addStatement(statementUnread, 1)
		c.fail(w, SQLUnread)
		return
	}
	s := &c.answers[w]
	s.weak = s.weak || found.Weak && !isSQL && !inCapitals(r.kept)
	c.addStatement(statementOf(&found), found.Statements)
	for _, name := range found.Tables {
		c.table(w, value{kind: isString, text: []byte(name)})
	}
	if s.why == Known {
		s.known = true // also where it names none
		if c.plan.targets[w].several {
			s.inElement = true
			return
		}
		s.done = true
		c.settle(w)
	}
}

// inCapitals reports whether a statement begins with a word in capitals and goes
// on with others that are not: DROP TABLE users, and not drop table users.
func inCapitals(query []byte) bool {
	letters, small, word := 0, false, true
	for _, c := range query {
		switch {
		case c >= 'a' && c <= 'z':
			if small = true; word {
				return false
			}
		case c >= 'A' && c <= 'Z':
			letters++
		default:
			word = word && letters == 0
		}
	}
	return small && letters > 1
}

// addStatement adds what a query is to what the call's other queries are.
func (c *matches) addStatement(kind statement, statements int) {
	switch {
	case c.statement == statementNone:
		c.statement = kind
	case c.statement != kind:
		c.statement = statementMixed
	}
	c.statements += statements
}

func statementOf(r *sql.Result) statement {
	switch r.Kind {
	case sql.KindQuery:
		if r.Returning {
			return statementReturning
		}
		return statementQuery
	case sql.KindWrite:
		return statementWrite
	case sql.KindNone:
		return statementNoRows
	case sql.KindMixed:
		return statementMixed
	}
	return statementUnread
}
