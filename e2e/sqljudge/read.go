package main

import (
	"fmt"

	"github.com/tallygate/tallygate/mcp/sql"
)

// sameAs says by which of the reader's dialects others of sqlglot's are read.
// Those that neither the reader knows nor this names are read without a name.
var sameAs = map[string]string{"tsql": "sqlserver", "fabric": "sqlserver", "athena": "trino", "dune": "trino", "spark2": "spark"}

// readerDialect returns the reader's name of one of sqlglot's dialects.
func readerDialect(name string) (string, bool) {
	if s, ok := sameAs[name]; ok {
		name = s
	}
	_, ok := sql.ParseDialect(name)
	return name, ok && name != ""
}

// dialects returns the names of the reader's dialects.
func dialects() []string { return sql.Dialects() }

var kinds = map[sql.Kind]string{sql.KindQuery: "query", sql.KindWrite: "write", sql.KindNone: "none", sql.KindMixed: "mixed"}

// read asks the reader. An empty dialect is one that is not known.
func read(dialect, query string) answer {
	d, _ := sql.ParseDialect(dialect)
	r := sql.Read(d, []byte(query))
	return answer{
		known:      r.Status == sql.Known,
		tables:     r.Tables,
		kind:       kinds[r.Kind],
		statements: r.Statements,
		reason:     fmt.Sprint(r.Status),
	}
}
