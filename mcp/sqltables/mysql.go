package sqltables

import (
	"sync"

	"github.com/sqlc-dev/marino/ast"
	"github.com/sqlc-dev/marino/parser"
)

// mysql is MySQL and MariaDB.
var mysql = &dialect{
	name:  "mysql",
	quote: quoting{backslash: true, hash: true, backtick: true},
	parse: func(query string) (statements []any, err error) {
		p := mysqlParsers.Get().(*parser.Parser)
		nodes, _, err := p.ParseSQL(query)
		if err != nil {
			return nil, err
		}
		mysqlParsers.Put(p) // one that panicked is not used again
		for _, n := range nodes {
			statements = append(statements, n)
		}
		return statements, nil
	},
	statements: set(`SelectStmt SetOprStmt InsertStmt UpdateStmt DeleteStmt
		CreateTableStmt CreateViewStmt DropTableStmt TruncateTableStmt AlterTableStmt RenameTableStmt
		CreateIndexStmt DropIndexStmt ExplainStmt ShowStmt AnalyzeTableStmt LoadDataStmt
		UseStmt SetStmt BeginStmt CommitStmt RollbackStmt`),
	node: func(w *walker, node any) bool {
		switch n := node.(type) {
		case *ast.TableName:
			if !n.IsAlias {
				w.table(n.Schema.O, n.Name.O)
			}
			return true
		case *ast.DeleteTableList: // aliases, or tables of the FROM clause
			return true
		case *ast.SelectLockInfo: // FOR UPDATE OF names aliases
			return true
		case *ast.SelectStmt:
			return w.mysqlWith(n, n.With)
		case *ast.SetOprStmt:
			return w.mysqlWith(n, n.With)
		case *ast.SetOprSelectList:
			return w.mysqlWith(n, n.With)
		case *ast.UpdateStmt:
			return w.mysqlWith(n, n.With)
		case *ast.DeleteStmt:
			return w.mysqlWith(n, n.With)
		}
		return false
	},
}

var mysqlParsers = sync.Pool{New: func() any { return parser.New() }}

func (w *walker) mysqlWith(node any, with *ast.WithClause) bool {
	if with == nil {
		return false
	}
	var ctes []cte
	for _, c := range with.CTEs {
		ctes = append(ctes, cte{c.Name.O, c.Query})
	}
	w.with(ctes, with.IsRecursive, func() { w.children(node, "With") })
	return true
}
