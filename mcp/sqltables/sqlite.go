package sqltables

import (
	"strings"

	"github.com/sqlc-dev/meyer/ast"
	"github.com/sqlc-dev/meyer/parser"
)

// sqlite is SQLite.
var sqlite = &dialect{
	name:  "sqlite",
	quote: quoting{backtick: true, brackets: true},
	parse: func(query string) (statements []any, err error) {
		stmts, err := parser.ParseString(query)
		for _, s := range stmts {
			statements = append(statements, s)
		}
		return statements, err
	},
	statements: set(`SelectStmt InsertStmt UpdateStmt DeleteStmt
		CreateTableStmt CreateViewStmt CreateIndexStmt DropTableStmt DropViewStmt AlterTableStmt
		ExplainStmt PragmaStmt BeginStmt CommitStmt RollbackStmt SavepointStmt ReleaseStmt`),
	node: func(w *walker, node any) bool {
		switch n := node.(type) {
		case *ast.TableRef:
			if n.Name != nil && !n.HasArgs {
				w.sqliteTable(n.Name)
			}
			w.children(n, "Name")
			return true
		case *ast.InExpr:
			if n.Table != nil && !n.HasArgs {
				w.sqliteTable(n.Table)
			}
			w.children(n, "Table")
			return true
		case *ast.SelectStmt:
			return w.sqliteWith(n, n.With)
		case *ast.InsertStmt:
			w.sqliteTable(n.Table)
			return w.sqliteWith(n, n.With)
		case *ast.UpdateStmt:
			w.sqliteTable(n.Table)
			return w.sqliteWith(n, n.With)
		case *ast.DeleteStmt:
			w.sqliteTable(n.Table)
			return w.sqliteWith(n, n.With)
		case *ast.CreateTableStmt:
			w.sqliteTable(n.Name)
		case *ast.CreateViewStmt:
			w.sqliteTable(n.Name)
		case *ast.CreateIndexStmt:
			w.table(n.Table.Name)
		case *ast.DropTableStmt:
			w.sqliteTable(n.Name)
		case *ast.DropViewStmt:
			w.sqliteTable(n.Name)
		case *ast.AlterTableStmt:
			w.sqliteTable(n.Table)
		case *ast.ForeignKeyClause:
			w.table(n.Table.Name)
		case *ast.PragmaStmt:
			switch strings.ToLower(n.Name.Name.Name) {
			case "table_info", "table_xinfo", "index_list", "foreign_key_list":
				w.table(strings.Trim(n.Value, `"'`+"`[]"))
			}
			return true
		}
		return false
	},
}

func (w *walker) sqliteTable(n *ast.QualifiedName) {
	if n == nil {
		return
	}
	schema := ""
	if n.Schema != nil {
		schema = n.Schema.Name
	}
	w.table(schema, n.Name.Name)
}

// sqliteWith: to SQLite all are recursive, whether it says so or not.
func (w *walker) sqliteWith(node any, with *ast.With) bool {
	if with == nil {
		return false
	}
	var ctes []cte
	for _, c := range with.CTEs {
		ctes = append(ctes, cte{c.Name.Name, c.Select})
	}
	w.with(ctes, true, func() { w.children(node, "With") })
	return true
}
