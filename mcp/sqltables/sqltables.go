// Package sqltables finds the tables that an SQL query names, by parsing it. It
// does no I/O.
package sqltables

import (
	"cmp"
	"errors"
	"fmt"
)

// MaxQuery bounds a query in bytes. A longer one is not read.
const MaxQuery = 64 << 10

// The errors of Tables. Neither tells anything of the query itself.
var (
	ErrSyntax    = errors.New("the query is not of the dialect, or of none that is known")
	ErrStatement = errors.New("the query has a statement that does not say which tables it touches")
	ErrTooLarge  = errors.New("the query is too long or nested too deep")
)

// dialect is an SQL dialect: a parser and what its trees look like.
type dialect struct {
	name  string
	quote quoting
	// loose tells that the parser takes much that is no query, so that what it
	// makes of one needs to be looked at.
	loose bool
	// parse returns the query's statements.
	parse func(query string) ([]any, error)
	// statements are the types of statements whose trees name every table that
	// they touch. What others do, a procedure's call for example, does not show.
	statements map[string]bool
	// node is told each node before what is below it. It returns true when it
	// has dealt with all of that.
	node func(w *walker, node any) (done bool)
}

// dialects are tried in this order. Those whose parsers take the least beyond
// the language come first.
var dialects = []*dialect{postgres, mysql, sqlite, bigquery, sqlserver, clickhouse}

// Dialects are the names that Tables takes.
func Dialects() (names []string) {
	for _, d := range dialects {
		names = append(names, d.name)
	}
	return names
}

// Tables returns the tables that a query names, in the order found and without
// repeats: those it reads and those it writes, through joins, sub-queries, set
// operations and common table expressions, of all its statements. Common table
// expressions are no tables, nor are functions and aliases. A name is as it is
// written, its parts joined by points, without quotes: sales.Orders.
//
// The dialect is one of Dialects. Where it is empty, the first that the query
// is correct in is taken.
func Tables(dialect, query string) ([]string, error) {
	if len(query) > MaxQuery {
		return nil, ErrTooLarge
	}
	known := false
	var failed error
	for _, d := range dialects {
		if dialect != "" && dialect != d.name {
			continue
		}
		known = true
		tables, err := d.tables(query)
		if !errors.Is(err, ErrSyntax) {
			return tables, err
		}
		failed = err
	}
	if !known {
		return nil, fmt.Errorf("there is no dialect %q", dialect)
	}
	return nil, failed
}

// tables never panics: a parser's panic is a syntax error.
func (d *dialect) tables(query string) (tables []string, err error) {
	defer func() {
		if recover() != nil {
			tables, err = nil, ErrSyntax
		}
	}()
	o, err := d.quote.outline(query)
	if err != nil || d.loose && !o.whole() {
		return nil, cmp.Or(err, ErrSyntax)
	}
	statements, err := d.parse(query)
	if err != nil || len(statements) == 0 {
		return nil, ErrSyntax
	}
	w := &walker{dialect: d, query: query}
	for _, s := range statements {
		w.statement(s)
	}
	switch {
	case errors.Is(w.err, ErrStatement) && d.loose, w.err == nil && d.loose && o.from && !w.any:
		return nil, ErrSyntax
	case w.err != nil:
		return nil, w.err
	}
	return w.tables, nil
}
