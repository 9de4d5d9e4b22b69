package sqltables

import (
	"strings"

	"github.com/sqlc-dev/oliphant/ast"
	"github.com/sqlc-dev/oliphant/parser"
)

// postgres is PostgreSQL, and what keeps close to it: DuckDB, Redshift, much of
// standard SQL.
var postgres = &dialect{
	name: "postgres",
	parse: func(query string) (statements []any, err error) {
		tree, err := parser.ParseToTree(query)
		if err != nil {
			return nil, err
		}
		for _, s := range tree.Stmts {
			statements = append(statements, s.Stmt.Node)
		}
		return statements, nil
	},
	statements: set(`Node_SelectStmt Node_InsertStmt Node_UpdateStmt Node_DeleteStmt Node_MergeStmt
		Node_CreateStmt Node_CreateTableAsStmt Node_ViewStmt Node_DropStmt Node_TruncateStmt Node_AlterTableStmt
		Node_RenameStmt Node_IndexStmt Node_CopyStmt Node_ExplainStmt Node_RefreshMatViewStmt Node_LockStmt
		Node_VacuumStmt Node_CommentStmt Node_DeclareCursorStmt Node_TransactionStmt Node_VariableSetStmt Node_VariableShowStmt`),
	node: func(w *walker, node any) bool {
		switch n := node.(type) {
		case *ast.RangeVar:
			w.table(w.asWritten(n)...)
			return true
		case *ast.LockingClause: // FOR UPDATE OF names aliases
			return true
		case *ast.DropStmt:
			switch n.RemoveType {
			case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW, ast.ObjectType_OBJECT_FOREIGN_TABLE:
				for _, o := range n.Objects {
					w.table(postgresName(o)...)
				}
			}
			return true
		case *ast.CommentStmt:
			if n.Objtype == ast.ObjectType_OBJECT_TABLE {
				w.table(postgresName(n.Object)...)
			}
			return true
		case *ast.CreateTableAsStmt:
			w.walk(n.Into)
			w.children(n, "Into")
			return true
		case *ast.SelectStmt:
			return w.postgresWith(n, n.WithClause)
		case *ast.InsertStmt:
			return w.postgresWith(n, n.WithClause)
		case *ast.UpdateStmt:
			return w.postgresWith(n, n.WithClause)
		case *ast.DeleteStmt:
			return w.postgresWith(n, n.WithClause)
		case *ast.MergeStmt:
			return w.postgresWith(n, n.WithClause)
		}
		return false
	},
}

func (w *walker) postgresWith(node any, with *ast.WithClause) bool {
	if with == nil {
		return false
	}
	var ctes []cte
	for _, n := range with.Ctes {
		c := n.GetCommonTableExpr()
		ctes = append(ctes, cte{c.GetCtename(), c.GetCtequery()})
	}
	w.with(ctes, with.Recursive, func() { w.children(node, "WithClause") })
	return true
}

// postgresName is a name that is a list of strings.
func postgresName(n *ast.Node) (parts []string) {
	for _, item := range n.GetList().GetItems() {
		parts = append(parts, item.GetString_().GetSval())
	}
	return parts
}

// asWritten returns a table's name in the letter case that the query has. The
// parser gives unquoted names in lower case, as they mean the same to
// PostgreSQL; but the query may be for a server that minds.
func (w *walker) asWritten(n *ast.RangeVar) []string {
	parts := []string{n.Catalogname, n.Schemaname, n.Relname}
	if n.Location < 0 || int(n.Location) > len(w.query) {
		return parts
	}
	rest := w.query[n.Location:]
	for i, part := range parts {
		if part == "" {
			continue
		}
		rest = strings.TrimLeft(rest, " \t\r\n.")
		quoted := strings.HasPrefix(rest, `"`)
		rest = strings.TrimPrefix(rest, `"`)
		if len(rest) < len(part) || !strings.EqualFold(rest[:len(part)], part) {
			return parts
		}
		if !quoted {
			parts[i] = rest[:len(part)]
		}
		rest = strings.TrimPrefix(rest[len(part):], `"`)
	}
	return parts
}
