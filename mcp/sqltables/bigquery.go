package sqltables

import (
	"slices"

	"github.com/sqlc-dev/zetajones/ast"
	"github.com/sqlc-dev/zetajones/parser"
)

// bigquery is GoogleSQL as BigQuery and Spanner have it.
var bigquery = &dialect{
	name:  "bigquery",
	quote: quoting{backslash: true, hash: true, backtick: true},
	parse: func(query string) (statements []any, err error) {
		script, err := parser.ParseScript(query)
		if err != nil {
			return nil, err
		}
		for _, s := range script.Statements.Statements {
			statements = append(statements, s)
		}
		return statements, nil
	},
	statements: set(`QueryStatement InsertStatement UpdateStatement DeleteStatement MergeStatement TruncateStatement
		CreateTableStatement CreateViewStatement DropStatement AlterStatement ExplainStatement DescribeStatement`),
	node: func(w *walker, node any) bool {
		switch n := node.(type) {
		case *ast.TablePathExpression:
			w.bigqueryTable(n)
			w.children(n, "Path")
			return true
		case *ast.Select:
			aliases := w.aliases
			w.walk(n.From)
			w.children(n, "From")
			w.aliases = aliases
			return true
		case *ast.Query:
			return w.bigqueryWith(n, n.WithClause)
		case *ast.InsertStatement:
			w.bigqueryName(n.Target)
		case *ast.UpdateStatement:
			w.bigqueryName(n.Target)
		case *ast.DeleteStatement:
			w.bigqueryName(n.Target)
		case *ast.MergeStatement:
			w.bigqueryName(n.Target)
		case *ast.TruncateStatement:
			w.bigqueryName(n.Target)
		case *ast.CreateTableStatement:
			w.bigqueryName(n.Name)
			w.walk(n.Query)
			return true
		case *ast.CreateViewStatement:
			w.bigqueryName(n.Name)
		case *ast.DropStatement:
			if n.ObjectKind == "TABLE" || n.ObjectKind == "VIEW" {
				w.bigqueryName(n.Path)
			}
			return true
		case *ast.AlterStatement:
			if n.NodeName != "AlterTableStatement" && n.NodeName != "AlterViewStatement" {
				w.fail(ErrStatement)
			}
			w.bigqueryName(n.Path)
			return true
		case *ast.DescribeStatement:
			w.bigqueryName(n.Name)
			return true
		case *ast.TVF, *ast.GraphTableQuery, *ast.GqlQuery:
			w.fail(ErrStatement)
		}
		return false
	},
}

// bigqueryTable takes in a path in a FROM clause. One that begins with an alias
// leads to an array of a row, and not to a table.
func (w *walker) bigqueryTable(n *ast.TablePathExpression) {
	if n.Path == nil {
		return
	}
	parts := bigqueryParts(n.Path)
	if len(parts) > 1 && contains(w.aliases, parts[0]) {
		return
	}
	w.table(slices.Clone(parts)...)
	alias := parts[len(parts)-1]
	if n.Alias != nil && n.Alias.Identifier != nil {
		alias = n.Alias.Identifier.Name
	}
	w.aliases = append(slices.Clip(w.aliases), alias)
}

func bigqueryParts(path *ast.PathExpression) (parts []string) {
	for _, name := range path.Names {
		parts = append(parts, name.Name)
	}
	return parts
}

// bigqueryName takes in what a statement is about. Where that is a part of a
// row, as in a nested statement, it is no table.
func (w *walker) bigqueryName(n any) {
	switch n := n.(type) {
	case *ast.PathExpression:
		if n != nil {
			w.table(bigqueryParts(n)...)
		}
	default:
		w.fail(ErrStatement)
	}
}

func (w *walker) bigqueryWith(node any, with *ast.WithClause) bool {
	if with == nil {
		return false
	}
	var ctes []cte
	for _, e := range with.Entries {
		if e.AliasedQuery == nil {
			w.fail(ErrStatement)
			return true
		}
		ctes = append(ctes, cte{e.AliasedQuery.Identifier.Name, e.AliasedQuery.Query})
	}
	w.with(ctes, with.Recursive, func() { w.children(node, "WithClause") })
	return true
}
