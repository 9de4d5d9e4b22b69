package mcp

import "github.com/tallygate/tallygate/mcp/sql"

// maxQuery bounds in bytes a query whose tables are wanted.
const maxQuery = sql.MaxQuery

// endQuery is called behind a text that is a query: for the tables that it
// names, and for what kind of statement it is.
func (r *textReader) endQuery(w int) {
	c := r.caught
	if c.closed(w) {
		return
	}
	if r.over {
		c.fail(w, OverCap)
		return
	}
	steps := c.plan.wanted[w].path.steps
	dialect, _ := sql.ParseDialect(steps[len(steps)-1].name)
	found := sql.Read(dialect, r.kept)
	switch found.Status {
	case sql.Known:
	case sql.OverCap:
		c.fail(w, OverCap)
		return
	default:
		if found.Status == sql.Unread && c.statement == statementNone {
			c.statement = statementUnread
		}
		c.fail(w, SQLUnread)
		return
	}
	// An argument called sql holds no prose.
	c.weak = found.Weak && (len(steps) < 2 || steps[len(steps)-2].name != "sql")
	c.statement, c.statements = statementOf(found.Kind), found.Statements
	for _, name := range found.Tables {
		c.table(w, value{kind: isString, text: []byte(name)})
	}
	if s := &c.answers[w]; s.why == Known {
		s.done, s.known = true, true // also where it names none
		c.settle(w)
	}
}

func statementOf(k sql.Kind) statement {
	switch k {
	case sql.KindQuery:
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
