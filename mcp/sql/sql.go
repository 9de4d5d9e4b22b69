package sql

import (
	"slices"
	"sync"
)

// MaxQuery bounds a query in bytes. A longer one is not read.
const MaxQuery = 64 << 10

// Bounds on what is kept of one query. A query with more of it is OverCap.
const (
	maxTables = 1 << 10 // mentions of tables in one statement
	maxNames  = 1 << 10 // names of common table expressions and of range variables
	maxDepth  = 1 << 11 // open brackets
	maxTokens = 40_000  // of a query; SQL of 64 KiB has half of that
)

// Status says whether the tables of a query are known.
type Status uint8

// The statuses.
const (
	Known   Status = iota
	Unread         // the query is not understood, or does not say what it touches (CALL, EXEC, DO)
	NotSQL         // the text is no SQL
	OverCap        // the query is longer than MaxQuery, or names or nests too much
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

func (k Kind) String() string {
	return [...]string{"unknown", "query", "write", "none", "mixed"}[k]
}

// Result is what is known of a query. Where Status is not Known, the other
// fields are empty.
type Result struct {
	Status Status
	// Tables are the names of the tables as they are written, without quotes,
	// their parts joined by points; in the order found and without repeats.
	Tables []string
	Kind   Kind
	// Statements is the number of statements.
	Statements int
	// Returning is set where a statement writes and returns rows (RETURNING,
	// OUTPUT). Its Kind is KindQuery.
	Returning bool
	// Weak is set where the text is made of bare words alone and may as well be
	// prose: "describe architecture", "select items from the list". It counts if
	// something else says that it is SQL.
	Weak bool
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// Read reads a query once by the rules of a dialect. If the dialect is Generic,
// it reads the query by the rules of every dialect that differ for it, and the
// tables are known only if all readings that make sense agree. Read allocates
// what it returns and nothing else that grows with the query.
func Read(d Dialect, query []byte) Result {
	if len(query) > MaxQuery {
		return Result{Status: OverCap}
	}
	r := readers.Get().(*reader)
	result := r.readAll(d, query)
	r.src = nil
	readers.Put(r)
	return result
}

// readAll reads a query by every set of rules that its dialect may have. A
// reading that makes no sense does not count if another does.
func (r *reader) readAll(d Dialect, query []byte) Result {
	var tried [len(syntaxOf)]syntax
	var differs syntax // the rules that matter to this query
	var found Result
	n, known, worst := 0, false, Known
	for again := true; again; {
		again = false
		for _, s := range readings[d] {
			if slices.ContainsFunc(tried[:n], func(t syntax) bool { return (t^s)&differs == 0 }) {
				continue
			}
			tried[n] = s
			n++
			status := r.read(d, s, query)
			again = again || r.differs&^differs != 0
			differs |= r.differs
			switch {
			case status == OverCap:
				return Result{Status: OverCap}
			case status != Known:
				worst = max(worst, status)
			case !known:
				found, known = r.result(), true
			case !r.agrees(found):
				return Result{Status: Unread}
			}
		}
	}
	if !known {
		return Result{Status: worst}
	}
	return found
}
