package mcp

// What a count means: the rows that the answer hands to the client; for a
// statement that writes and returns no rows, the rows that it affected, where
// the answer says how many; and for everything else that is no query (DDL,
// EXPLAIN, SET), nothing. So a count is decided where two things meet: what
// kind of statement the call's query is, which its arguments say, and what the
// reply has, rows or a number of affected ones.

// statement is what a call's query is, as far as its rows are concerned.
type statement uint8

const (
	statementNone   statement = iota // the call has no query
	statementUnread                  // it has one that is not understood
	statementQuery                   // it returns rows
	statementWrite                   // it writes and returns none
	statementNoRows                  // it does neither: DDL, EXPLAIN, SET
	statementMixed                   // there are several, of different kinds
)

// source is where in a reply a count stands. Two sources are two signs of the
// same thing and have to agree. The rules of operators have one only: of their
// places the first that is known counts.
type source uint8

const (
	sourceStructured      source = iota // rows in the structured content
	sourceText                          // rows in the texts
	sourceStructuredLists               // lists of rows, of several statements, likewise
	sourceTextLists
	sourceNumber // the number of rows, in either
	sources      // how many there are
)

// count is what is known of a number of rows from one source.
type count struct {
	Known  bool  `json:"known,omitempty"`
	Number int64 `json:"number,omitempty"`
	Rank   int   `json:"rank,omitempty"` // among the rule's places
	// Named is a number that a rule of an operator's points to: it is what they
	// want, whatever the statement was.
	Named    bool   `json:"named,omitempty"`
	Operator bool   `json:"operator,omitempty"` // the rule is an operator's
	Status   bool   `json:"status,omitempty"`   // the rows are status rows
	Weak     bool   `json:"weak,omitempty"`     // and perhaps they are not
	Of       int64  `json:"of,omitempty"`       // affected rows that they say
	Lists    bool   `json:"lists,omitempty"`    // the rows look like lists of rows
	Flat     bool   `json:"flat,omitempty"`     // the rows are no objects
	Why      Reason `json:"why,omitempty"`      // where it is unknown
}

// better returns the count that comes first in the rule of those that are known.
func (c count) better(other count) count {
	switch {
	case other.Known && (!c.Known || other.Rank < c.Rank):
		return other
	case !c.Known:
		c.Why = max(c.Why, other.Why)
	}
	return c
}

// counts are all that is known of a call's records.
type counts struct {
	Looked     bool           `json:"looked,omitempty"` // the rule says where to look
	Statement  statement      `json:"statement,omitempty"`
	Statements int            `json:"statements,omitempty"`
	Weak       bool           `json:"weak,omitempty"` // the statement may be prose
	Rows       [sources]count `json:"rows"`
	Affected   count          `json:"affected"`
}

func (c counts) merge(other counts) counts {
	c.Looked = c.Looked || other.Looked
	if c.Statement == statementNone {
		c.Statement, c.Statements, c.Weak = other.Statement, other.Statements, other.Weak
	}
	for s := range c.Rows {
		c.Rows[s] = c.Rows[s].better(other.Rows[s])
	}
	c.Affected = c.Affected.better(other.Affected)
	return c
}

// decide is the record count: a count that is known, or why there is none.
func (c *counts) decide() count {
	rows := c.rows()
	if rows.Known && rows.Named || rows.Why == Contradiction {
		return rows // a number that an operator's rule points to is what they want
	}
	statement := c.Statement
	if c.Weak && !c.answered() {
		if statement != statementQuery {
			return count{Why: SQLUnread} // a statement without rows, or prose
		}
		statement = statementNone
	}
	if statement == statementQuery && rows.Known && rows.Status && !rows.Weak && !rows.Operator {
		return count{Why: Contradiction} // a query whose answer says how many rows it changed
	}
	switch number := c.Rows[sourceNumber]; statement {
	case statementQuery:
		if !rows.Known {
			return count{Why: max(rows.Why, NotFound)} // the number may be a column of the one row
		}
		return agree(rows, number)
	case statementWrite:
		if c.Statements > 1 {
			return count{Why: NotCounted} // one number may be the last statement's
		}
		return c.written(rows, number)
	case statementNoRows, statementMixed:
		return count{Why: NotCounted}
	default:
		return c.guarded(rows, number)
	}
}

// answered reports whether the reply has what the statement asks for: the second
// sign that two or three bare words are a statement.
func (c *counts) answered() bool {
	rows := c.rows()
	switch c.Statement {
	case statementQuery:
		return rows.Known
	case statementWrite:
		return c.Affected.Known || rows.Known && rows.Status
	}
	return false
}

// rows is what the structured content and the texts say together.
func (c *counts) rows() count {
	return agree(c.from(sourceStructured, sourceStructuredLists), c.from(sourceText, sourceTextLists))
}

// from is what one of them says. The elements of an array that looks like lists
// of rows, [[{…},{…}],[{…}]], are rows to one statement, since a row may be an
// array of objects, and lists to several.
func (c *counts) from(plain, lists source) count {
	rows, inner := c.Rows[plain], c.Rows[lists]
	switch {
	case !rows.Known || !rows.Lists || c.Statements == 1 || rows.Named:
		return rows
	case c.Statements > 1 && inner.Known && !inner.Flat:
		return inner
	}
	return count{Why: WrongType}
}

// agree is what two signs of the same thing say: the first that is known, unless
// they differ.
func agree(a, b count) count {
	switch {
	case !a.Known && !b.Known:
		return count{Why: max(a.Why, b.Why)}
	case !a.Known:
		return b
	case b.Known && a.Number != b.Number:
		return count{Why: Contradiction}
	}
	return a
}

// written is the count of a statement that writes and returns no rows. Rows in
// the answer to it are none of the table's; no rows and a number of them is the
// number affected, unless it is 0, which may count the rows that are not there.
func (c *counts) written(rows, number count) count {
	said := c.Affected
	if rows.Known && rows.Status {
		said = agree(said, count{Known: true, Number: rows.Of, Rank: rows.Rank, Operator: rows.Operator})
	}
	if number.Known && number.Number > 0 && (!rows.Known || rows.Number == 0) {
		said = agree(said, number)
	}
	if !said.Known && said.Why < Contradiction {
		said.Why = max(said.Why, NotFound)
	}
	return said
}

// guarded is the count where it is not known what the statement was.
func (c *counts) guarded(rows, number count) count {
	if rows.Known && rows.Status && !rows.Weak {
		return agree(c.Affected, count{Known: true, Number: rows.Of, Rank: rows.Rank, Operator: rows.Operator})
	}
	if !rows.Known && c.Affected.Known {
		return agree(c.Affected, number)
	}
	all := agree(rows, number)
	switch {
	case !all.Known || all.Number > 0:
		return all
	case c.Affected.Known && c.Affected.Number > 0:
		return count{Why: Contradiction} // a write's, or a query's beside an old number
	case c.Statement == statementUnread:
		return count{Why: SQLUnread} // a write has no rows either
	}
	return all
}
