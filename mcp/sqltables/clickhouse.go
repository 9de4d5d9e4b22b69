package sqltables

import (
	"context"
	"strings"

	"github.com/sqlc-dev/doubleclick/ast"
	"github.com/sqlc-dev/doubleclick/parser"
)

// clickhouse is ClickHouse.
var clickhouse = &dialect{
	name:  "clickhouse",
	quote: quoting{backslash: true, hash: true, backtick: true},
	loose: true,
	parse: func(query string) (statements []any, err error) {
		stmts, err := parser.Parse(context.Background(), strings.NewReader(query))
		for _, s := range stmts {
			statements = append(statements, s)
		}
		return statements, err
	},
	statements: set(`SelectQuery SelectWithUnionQuery SelectIntersectExceptQuery InsertQuery ExplainQuery
		DescribeQuery ExistsQuery ShowQuery CreateQuery DropQuery AlterQuery DeleteQuery UpdateQuery TruncateQuery
		OptimizeQuery CheckQuery RenameQuery UseQuery SetQuery`),
	node: func(w *walker, node any) bool {
		switch n := node.(type) {
		case *ast.TableIdentifier:
			w.table(n.Database, n.Table)
		case *ast.TablesInSelectQueryElement:
			if n.Table == nil && n.ArrayJoin == nil {
				w.fail(ErrSyntax)
			}
		case *ast.TableExpression:
			if n.Table == nil {
				w.fail(ErrSyntax)
			}
			if _, named := n.Table.(*ast.TableIdentifier); !named {
				w.any = true
			}
			// A function may be told tables: remote('host', db.table).
			if f, ok := n.Table.(*ast.FunctionCall); ok {
				for _, a := range f.Arguments {
					if _, name := a.(*ast.Identifier); name {
						w.fail(ErrStatement)
					}
				}
			}
		case *ast.InExpr:
			// x IN table
			for _, e := range n.List {
				if _, name := e.(*ast.Identifier); name && len(n.List) == 1 {
					w.fail(ErrStatement)
				}
			}
		case *ast.SelectQuery:
			return w.clickhouseWith(n, n.With)
		case *ast.InsertQuery:
			w.any = w.any || n.Function != nil
			w.table(n.Database, n.Table)
			return w.clickhouseWith(n, n.With)
		case *ast.CreateQuery:
			w.table(n.Database, n.Table+n.View)
			w.table(n.ToDatabase, n.To)
		case *ast.DropQuery:
			w.table(n.Database, n.Table+n.View)
		case *ast.AlterQuery:
			w.table(n.Database, n.Table)
		case *ast.AlterCommand:
			w.table(n.FromTable)
			w.table(n.ToDatabase, n.ToTable)
		case *ast.DeleteQuery:
			w.table(n.Database, n.Table)
		case *ast.UpdateQuery:
			w.table(n.Database, n.Table)
		case *ast.TruncateQuery:
			w.table(n.Database, n.Table)
		case *ast.OptimizeQuery:
			w.table(n.Database, n.Table)
		case *ast.CheckQuery:
			w.table(n.Database, n.Table)
		case *ast.DescribeQuery:
			w.table(n.Database, n.Table)
		case *ast.ExistsQuery:
			if n.ExistsType != "" && n.ExistsType != "TABLE" && n.ExistsType != "VIEW" {
				w.fail(ErrStatement)
			}
			w.table(n.Database, n.Table)
		case *ast.RenamePair:
			w.table(n.FromDatabase, n.FromTable)
			w.table(n.ToDatabase, n.ToTable)
		case *ast.ShowQuery:
			switch n.ShowType {
			case ast.ShowCreate, ast.ShowCreateView, ast.ShowColumns:
				w.table(n.Database, n.From)
			}
		}
		return false
	},
}

// clickhouseWith: what has a name for a value in front (WITH 1 AS x) is no
// common table expression.
func (w *walker) clickhouseWith(node any, with []ast.Expression) bool {
	var ctes []cte
	for _, e := range with {
		c, ok := e.(*ast.WithElement)
		if ok && !c.ScalarWith {
			ctes = append(ctes, cte{c.Name, c.Query})
		} else {
			w.walk(e)
		}
	}
	// The tree does not report whether it says RECURSIVE.
	recursive := strings.Contains(strings.ToUpper(w.query), "RECURSIVE")
	w.with(ctes, recursive, func() { w.children(node, "With") })
	return true
}
