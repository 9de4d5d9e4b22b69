// Package sql finds the tables that an SQL query names, and what kind of
// statement it is, for a meter that must never be wrong: where the package does
// not understand a query to its end, it says that the tables are unknown.
//
// It is not a parser. A query is read once, token by token, with a stack of
// frames instead of recursion. A frame is what is open: the statement itself,
// or a bracket in it. Words such as FROM, JOIN, INTO, UPDATE and TABLE put the
// innermost frame into a state in which a table's name is expected next. A
// bracket opens a frame of the kind that its place asks for: a sub-query or a
// join where a table is expected, the body of a common table expression, a
// list of columns, or an expression, in which FROM means nothing unless the
// bracket begins with SELECT (EXTRACT(day FROM d)). In
//
//	WITH recent AS (SELECT * FROM orders) SELECT * FROM recent r JOIN items i ON …
//
// the first bracket is the body of recent, whose FROM expects a table and gets
// orders. The second FROM gets recent, which is the name of an expression in
// scope and so no table; JOIN gets items.
//
// Dialects differ in how they write strings, names and comments (see syntax).
// Where the dialect is not known, a query is read in every way that makes a
// difference to it, and the answer counts only if all agree.
//
// Time is linear in the length of the query, nothing recurses, and no input
// makes it panic. It does no I/O.
package sql

import (
	"slices"
	"strings"
	"sync"
)

// MaxQuery bounds a query in bytes. A longer one is not read.
const MaxQuery = 64 << 10

// The most names that are kept of one query; with more of them it is OverCap.
const (
	maxTables = 64
	maxNames  = 64 // common table expressions in scope
	maxDepth  = 1000
)

// Status says whether the tables of a query are known.
type Status uint8

// The statuses.
const (
	Known   Status = iota
	Unread         // the query is not understood, or names its tables nowhere (CALL, EXEC)
	NotSQL         // the text is no SQL
	OverCap        // the query is longer than MaxQuery, or names too much
)

func (s Status) String() string {
	return [...]string{"known", "unread", "not SQL", "over cap"}[s]
}

// Kind is what a statement does, as far as its rows are concerned.
type Kind uint8

// The kinds.
const (
	KindUnknown Kind = iota
	KindQuery        // it returns rows
	KindWrite        // it writes rows and returns none
	KindNone         // it does neither: DDL, EXPLAIN, SET and the like
	KindMixed        // there are several statements of different kinds
)

// Result is what is known of a query.
type Result struct {
	Status Status
	// Tables are the names of the tables as they are written, without quotes,
	// their parts joined by points; in the order found and without repeats.
	Tables     []string
	Kind       Kind
	Statements int
	// Returning is set where a statement writes and returns rows (RETURNING,
	// OUTPUT); its Kind is KindQuery.
	Returning bool
	// Weak is set for two or three bare words that are a statement, and may as
	// well be prose: "describe architecture". They count if something else says
	// that this is SQL.
	Weak bool
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// Read reads a query. It allocates the names that it returns and nothing that
// grows with the query.
func Read(d Dialect, query []byte) Result {
	if len(query) > MaxQuery {
		return Result{Status: OverCap}
	}
	r := readers.Get().(*reader)
	defer readers.Put(r)
	if d != Generic {
		r.read(syntaxes[d], d, query)
		return r.result()
	}
	return r.readGeneric(query)
}

// readGeneric reads a query of an unknown dialect.
func (r *reader) readGeneric(query []byte) Result {
	r.read(genericSyntax, Generic, query)
	first := r.result()
	differs := r.lex.differs
	if differs == 0 {
		return first
	}
	agreed, known := first, first.Status == Known
	worst := first.Status
	for _, s := range genericReadings {
		if s.affects&differs == 0 {
			continue
		}
		r.read(s.syntax, Generic, query)
		other := r.result()
		switch {
		case r.lex.broken: // this is not how it is written
		case other.Status != Known:
			worst = max(worst, other.Status)
		case !known:
			agreed, known = other, true
		case !sameTables(agreed.Tables, other.Tables) || agreed.Kind != other.Kind:
			return Result{Status: Unread}
		}
	}
	if !known {
		return Result{Status: max(worst, Unread)}
	}
	return agreed
}

func sameTables(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, name := range a {
		if !slices.Contains(b, name) {
			return false
		}
	}
	return true
}

// equalFold reports whether an ASCII word equals the upper-case s in any letter
// case.
func equalFold(word []byte, s string) bool {
	return len(word) == len(s) && strings.EqualFold(string(word), s)
}
