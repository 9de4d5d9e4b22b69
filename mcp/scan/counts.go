package scan

// The record count of a call is the number of rows that the answer returns to
// the client. For a statement that writes and returns no rows, it is the number
// of affected rows, if the answer gives one. All other statements (DDL, EXPLAIN,
// SET) have no count. So the count depends on two things: the kind of statement,
// which is known from the arguments, and what the reply has, which is rows or a
// number of affected rows. This file decides it from both.

// statement is the kind of a call's query, as far as its rows are concerned.
type statement uint8

const (
	statementNone      statement = iota // the call has no query
	statementUnread                     // it has one that cannot be parsed
	statementQuery                      // it returns rows
	statementReturning                  // it writes and returns rows
	statementWrite                      // it writes and returns none
	statementNoRows                     // it does neither: DDL, EXPLAIN, SET
	statementMixed                      // it has several of different kinds
)

// source is where in a reply a count stands. If two sources are known, they have
// to agree. The rule of an operator has one source only: of its places, the
// first that is known counts.
type source uint8

const (
	sourceStructured      source = iota // rows in the structured content
	sourceText                          // rows in the texts
	sourceStructuredLists               // lists of rows, one for each of several statements, in the structured content
	sourceTextLists                     // the same in the texts
	sourceNumber                        // a number of rows, in either
	sourceNone                          // a sentence that says that there are no rows
	sources                             // how many there are
)

// count is what one source says about a number of rows.
type count struct {
	Known  bool  `json:"known,omitempty"`
	Number int64 `json:"number,omitempty"`
	Rank   int   `json:"rank,omitempty"` // among the rule's places
	// Named is set if an operator's rule points to the number. It is then the
	// record count, whatever the statement was.
	Named        bool   `json:"named,omitempty"`
	Operator     bool   `json:"operator,omitempty"` // the rule is an operator's
	Status       bool   `json:"status,omitempty"`   // the rows are status rows
	Weak         bool   `json:"weak,omitempty"`     // but they may be ordinary rows
	AffectedRows int64  `json:"of,omitempty"`       // the affected rows that status rows report
	Lists        bool   `json:"lists,omitempty"`    // the rows look like lists of rows
	Flat         bool   `json:"flat,omitempty"`     // the rows are not objects
	Scalars      bool   `json:"scalars,omitempty"`  // the rows are neither objects nor arrays
	Bare         bool   `json:"bare,omitempty"`     // one row of one whole number, in AffectedRows
	Boxed        bool   `json:"boxed,omitempty"`    // the rows are under a name, in an object that may also have their number
	Why          Reason `json:"why,omitempty"`      // why it is unknown
}

// better returns the known one of two counts, or the one with the lower rank if
// both are known.
func (c count) better(other count) count {
	switch {
	case other.Known && (!c.Known || other.Rank < c.Rank):
		return other
	case !c.Known:
		c.Why = max(c.Why, other.Why)
	}
	return c
}

// counts is all that is known about the records of a call.
type counts struct {
	Looked     bool           `json:"looked,omitempty"` // the rule has places for a count
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

// decide returns the record count: a count that is known, or one with the reason
// why it is unknown.
func (c *counts) decide() count {
	rows := c.rows()
	if rows.Known && rows.Named || rows.Why == Contradiction {
		return rows // see Named
	}
	switch c.Statement {
	case statementQuery:
		return c.returnedRows(rows)
	case statementReturning:
		if rows.Known && rows.Status && !rows.Weak {
			return c.affectedRows(rows)
		}
		if rows = c.returnedRows(rows); rows.Known || rows.Why == Contradiction {
			return rows
		}
		return c.Affected
	case statementWrite:
		if c.Statements > 1 {
			return count{Why: NotCounted} // a single number may be that of the last statement
		}
		return c.affectedRows(rows)
	case statementNoRows, statementMixed:
		return count{Why: NotCounted}
	default:
		return c.withoutStatement(rows)
	}
}

// confirmsStatement reports whether the reply has what the statement asks for.
// Two or three bare words are taken for a statement only then.
func (c *counts) confirmsStatement() bool {
	rows := c.rows()
	switch c.Statement {
	case statementQuery, statementReturning:
		return rows.Known
	case statementWrite:
		return c.Affected.Known || rows.Known && rows.Status
	}
	return false
}

// rows returns the number of rows, from the structured content and the texts
// together.
func (c *counts) rows() count {
	text := c.rowsFrom(sourceText, sourceTextLists)
	if c.Statement == statementNone && text.Known && text.Scalars {
		text = count{Why: WrongType} // it may be a single value that happens to be a list
	}
	return agree(c.rowsFrom(sourceStructured, sourceStructuredLists), text)
}

// returnedRows returns the count of a statement that returns rows. A number of
// rows is evidence only beside rows, in the object that has both: alone, it may
// be a row itself.
func (c *counts) returnedRows(rows count) count {
	switch {
	case rows.Known && rows.Boxed:
		return agree(rows, c.Rows[sourceNumber])
	case !rows.Known && rows.Why != Contradiction && c.Rows[sourceNone].Known:
		return c.Rows[sourceNone]
	}
	return rows
}

// rowsFrom returns the number of rows of one source, counted as plain rows or as
// rows of lists. In [[{…},{…}],[{…}]], the elements are rows for a single
// statement, since a row may be an array of objects, and lists of rows for
// several.
func (c *counts) rowsFrom(plain, lists source) count {
	rows, inner := c.Rows[plain], c.Rows[lists]
	switch {
	case !rows.Known || !rows.Lists || c.Statements == 1 || rows.Named:
		return rows
	case c.Statements > 1 && inner.Known && !inner.Flat:
		return inner
	}
	return count{Why: WrongType}
}

// agree combines two counts of the same thing: the first that is known, or a
// contradiction if they differ.
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

// affectedRows returns the count of a statement that writes and returns no rows.
// Rows in the answer are then ignored unless they report a number of affected
// rows: as status rows, or as a row of one number (DuckDB, Snowflake, Trino). A
// number of rows without rows is the number affected, too, unless it is 0, which
// may count the missing rows.
func (c *counts) affectedRows(rows count) count {
	said, number := c.Affected, c.Rows[sourceNumber]
	if rows.Known && (rows.Status || rows.Bare && c.Statements == 1) {
		said = agree(said, rows.fromStatusRows())
	}
	if number.Known && number.Number > 0 && (!rows.Known || rows.Number == 0) {
		said = agree(said, number)
	}
	return said
}

// fromStatusRows returns the count of affected rows that status rows report.
func (c count) fromStatusRows() count {
	return count{Known: true, Number: c.AffectedRows, Rank: c.Rank, Operator: c.Operator}
}

// withoutStatement returns the count if the kind of statement is unknown.
func (c *counts) withoutStatement(rows count) count {
	switch affected := c.Affected; {
	case rows.Known && rows.Status && !rows.Weak:
		return agree(affected, rows.fromStatusRows())
	case rows.Why == Contradiction || !rows.Known && !affected.Known:
		return c.returnedRows(rows)
	case !rows.Known && affected.Number == 0:
		return count{Why: NotFound} // a server may report 0 for every statement
	case !rows.Known:
		return affected
	case rows.Number == 0 && affected.Known && affected.Number > 0:
		return count{Why: Contradiction} // either a write, or a query with a stale number beside it
	case rows.Number == 0 && c.Statement == statementUnread:
		return count{Why: SQLUnread} // it may be a write, which has no rows either
	}
	return c.returnedRows(rows)
}
