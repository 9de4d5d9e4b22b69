package scan

// What a count means: the rows that the answer hands to the client; for a
// statement that writes and returns no rows, the rows that it affected, where
// the answer says how many; and for everything else that is no query (DDL,
// EXPLAIN, SET), nothing. So a count is decided where two things meet: what
// kind of statement the call's query is, which its arguments say, and what the
// reply has, rows or a number of affected ones.

// statement is what a call's query is, as far as its rows are concerned.
type statement uint8

const (
	statementNone      statement = iota // the call has no query
	statementUnread                     // it has one that is not understood
	statementQuery                      // it returns rows
	statementReturning                  // it writes and returns rows
	statementWrite                      // it writes and returns none
	statementNoRows                     // it does neither: DDL, EXPLAIN, SET
	statementMixed                      // there are several, of different kinds
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
	sourceNone   // that there are no rows, in words
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
	Scalars  bool   `json:"scalars,omitempty"`  // they are no arrays either
	Bare     bool   `json:"bare,omitempty"`     // one row of one whole number, which is Of
	Boxed    bool   `json:"boxed,omitempty"`    // the rows have a name, in an object that may have more
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
	Rows       [sources]count `json:"rows"`
	Affected   count          `json:"affected"`
}

func (c counts) merge(other counts) counts {
	c.Looked = c.Looked || other.Looked
	if c.Statement == statementNone {
		c.Statement, c.Statements = other.Statement, other.Statements
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
	switch c.Statement {
	case statementQuery:
		return c.returned(rows)
	case statementReturning:
		if rows.Known && rows.Status && !rows.Weak {
			return c.written(rows)
		}
		if rows = c.returned(rows); rows.Known || rows.Why == Contradiction {
			return rows
		}
		return c.Affected
	case statementWrite:
		if c.Statements > 1 {
			return count{Why: NotCounted} // one number may be the last statement's
		}
		return c.written(rows)
	case statementNoRows, statementMixed:
		return count{Why: NotCounted}
	default:
		return c.guarded(rows)
	}
}

// answered reports whether the reply has what the statement asks for: the second
// sign that two or three bare words are a statement.
func (c *counts) answered() bool {
	rows := c.rows()
	switch c.Statement {
	case statementQuery, statementReturning:
		return rows.Known
	case statementWrite:
		return c.Affected.Known || rows.Known && rows.Status
	}
	return false
}

// rows is what the structured content and the texts say together.
func (c *counts) rows() count {
	text := c.from(sourceText, sourceTextLists)
	if c.Statement == statementNone && text.Known && text.Scalars {
		text = count{Why: WrongType} // a value that looks like a list, perhaps
	}
	return agree(c.from(sourceStructured, sourceStructuredLists), text)
}

// returned is the count of a statement that returns rows. A number is a sign
// only beside rows, in the object that has both: alone, it may be a row itself.
func (c *counts) returned(rows count) count {
	switch {
	case rows.Known && rows.Boxed:
		return agree(rows, c.Rows[sourceNumber])
	case !rows.Known && rows.Why != Contradiction && c.Rows[sourceNone].Known:
		return c.Rows[sourceNone]
	}
	return rows
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

// written is the count of a statement that writes and returns no rows. What the
// answer has of rows is a status, if it is that, and else nothing: databases
// that answer a write by a row of one number (DuckDB, Snowflake, Trino) say in it
// how many rows it affected. No rows and a number of them is the number affected
// too, unless it is 0, which may count the rows that are not there.
func (c *counts) written(rows count) count {
	said, number := c.Affected, c.Rows[sourceNumber]
	if rows.Known && (rows.Status || rows.Bare && c.Statements == 1) {
		said = agree(said, rows.affected())
	}
	if number.Known && number.Number > 0 && (!rows.Known || rows.Number == 0) {
		said = agree(said, number)
	}
	return said
}

// affected is the count of affected rows that status rows say.
func (c count) affected() count {
	return count{Known: true, Number: c.Of, Rank: c.Rank, Operator: c.Operator}
}

// guarded is the count where it is not known what the statement was.
func (c *counts) guarded(rows count) count {
	switch affected := c.Affected; {
	case rows.Known && rows.Status && !rows.Weak:
		return agree(affected, rows.affected())
	case rows.Why == Contradiction || !rows.Known && !affected.Known:
		return c.returned(rows)
	case !rows.Known && affected.Number == 0:
		return count{Why: NotFound} // it may say so of everything
	case !rows.Known:
		return affected
	case rows.Number == 0 && affected.Known && affected.Number > 0:
		return count{Why: Contradiction} // a write's, or a query's beside an old number
	case rows.Number == 0 && c.Statement == statementUnread:
		return count{Why: SQLUnread} // a write has no rows either
	}
	return c.returned(rows)
}
