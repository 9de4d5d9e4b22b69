package scan

import "github.com/tallygate/tallygate/mcp/sql"

// maxQuery is the length in bytes of the longest query that is read.
const maxQuery = sql.MaxQuery

// endQuery is called at the end of a text that is a query. It records the tables
// that the query names for the target w, and the kind of statement.
func (r *textReader) endQuery(w int) {
	m := r.matches
	if m.isClosed(w) {
		return
	}
	if r.over {
		m.addStatement(statementUnread, 1)
		m.fail(w, OverCap)
		return
	}
	steps := m.plan.targets[w].path.steps
	dialect, _ := sql.ParseDialect(steps[len(steps)-1].name)
	found := sql.Read(dialect, r.kept)
	// A dialect in the rule, or an argument named sql, rules out prose.
	isSQL := dialect != sql.Generic || len(steps) > 1 && steps[len(steps)-2].name == "sql"
	switch found.Status {
	case sql.Known:
	case sql.OverCap:
		m.addStatement(statementUnread, 1)
		m.fail(w, OverCap)
		return
	default:
		if found.Status == sql.NotSQL && !isSQL {
			m.fail(w, WrongFormat)
			return
		}
		m.addStatement(statementUnread, 1)
		m.fail(w, SQLUnread)
		return
	}
	s := &m.answers[w]
	s.weak = s.weak || found.Weak && !isSQL && !inCapitals(r.kept)
	m.addStatement(statementOf(&found), found.Statements)
	for _, name := range found.Tables {
		m.addTable(w, value{kind: isString, text: []byte(name)})
	}
	if s.why == Known {
		s.known = true // also if the query names no table
		if m.plan.targets[w].several {
			s.inElement = true
			return
		}
		s.done = true
		m.closeAlternatives(w)
	}
}

// inCapitals reports whether a statement begins with a word in capitals and goes
// on with words that are not: DROP TABLE users, but not drop table users.
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

// addStatement adds a query of the call to those before it.
func (m *matches) addStatement(kind statement, statements int) {
	switch {
	case m.statement == statementNone:
		m.statement = kind
	case m.statement != kind:
		m.statement = statementMixed
	}
	m.statements += statements
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
