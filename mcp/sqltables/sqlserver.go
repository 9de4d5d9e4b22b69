package sqltables

import (
	"context"
	"reflect"
	"strings"

	"github.com/sqlc-dev/teesql/ast"
	"github.com/sqlc-dev/teesql/parser"
)

// sqlserver is Transact-SQL, of SQL Server and Azure SQL.
var sqlserver = &dialect{
	name:  "sqlserver",
	quote: quoting{brackets: true},
	loose: true,
	parse: func(query string) (statements []any, err error) {
		script, err := parser.Parse(context.Background(), strings.NewReader(query))
		if err != nil {
			return nil, err
		}
		for _, b := range script.Batches {
			for _, s := range b.Statements {
				statements = append(statements, s)
			}
		}
		return statements, nil
	},
	statements: set(`SelectStatement InsertStatement UpdateStatement DeleteStatement MergeStatement
		CreateTableStatement CreateViewStatement DropTableStatement DropViewStatement TruncateTableStatement
		DeclareVariableStatement SetVariableStatement PredicateSetStatement UseStatement PrintStatement`),
	node: func(w *walker, node any) bool {
		switch n := node.(type) {
		case *ast.NamedTableReference:
			w.sqlserverTable(n.SchemaObject)
			w.children(n, "SchemaObject")
			return true
		case *ast.FromClause:
			for _, t := range n.TableReferences {
				if _, named := t.(*ast.NamedTableReference); !named && t != nil {
					w.any = true // a sub-query, a join, a function
				}
				if t == nil {
					w.fail(ErrSyntax)
				}
			}
		case *ast.QualifiedJoin:
			if n.FirstTableReference == nil || n.SecondTableReference == nil {
				w.fail(ErrSyntax)
			}
		case *ast.SelectStatement:
			w.sqlserverTable(n.Into)
			return w.sqlserverWith(n, n.WithCtesAndXmlNamespaces)
		case *ast.InsertStatement:
			return w.sqlserverWith(n, n.WithCtesAndXmlNamespaces)
		case *ast.UpdateStatement:
			return w.sqlserverWith(n, n.WithCtesAndXmlNamespaces)
		case *ast.DeleteStatement:
			return w.sqlserverWith(n, n.WithCtesAndXmlNamespaces)
		case *ast.MergeStatement:
			return w.sqlserverWith(n, n.WithCtesAndXmlNamespaces)
		case *ast.UpdateSpecification:
			w.sqlserverTarget(n, n.Target, n.FromClause)
			return true
		case *ast.DeleteSpecification:
			w.sqlserverTarget(n, n.Target, n.FromClause)
			return true
		case *ast.CreateTableStatement:
			w.sqlserverTable(n.SchemaObjectName)
		case *ast.CreateViewStatement:
			w.sqlserverTable(n.SchemaObjectName)
		case *ast.DropTableStatement:
			for _, o := range n.Objects {
				w.sqlserverTable(o)
			}
		case *ast.DropViewStatement:
			for _, o := range n.Objects {
				w.sqlserverTable(o)
			}
		case *ast.TruncateTableStatement:
			w.sqlserverTable(n.TableName)
		}
		return false
	},
}

func (w *walker) sqlserverTable(n *ast.SchemaObjectName) {
	if n == nil {
		return
	}
	var parts []string
	for _, i := range n.Identifiers {
		parts = append(parts, i.Value)
	}
	w.table(parts...)
}

// sqlserverTarget goes through an UPDATE or DELETE, whose target may be an alias
// in its own FROM clause.
func (w *walker) sqlserverTarget(node any, target ast.TableReference, from *ast.FromClause) {
	named, ok := target.(*ast.NamedTableReference)
	if ok && from != nil && named.SchemaObject != nil && len(named.SchemaObject.Identifiers) == 1 &&
		hasAlias(reflect.ValueOf(from), named.SchemaObject.Identifiers[0].Value, 0) {
		w.children(node, "Target")
		return
	}
	w.children(node)
}

// hasAlias reports whether a table reference in the tree has the alias.
func hasAlias(v reflect.Value, alias string, depth int) bool {
	if depth > maxTreeDepth {
		return false
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return !v.IsNil() && hasAlias(v.Elem(), alias, depth+1)
	case reflect.Slice:
		for i := range v.Len() {
			if hasAlias(v.Index(i), alias, depth+1) {
				return true
			}
		}
	case reflect.Struct:
		if f := v.FieldByName("Alias"); f.IsValid() && f.CanInterface() {
			if id, ok := f.Interface().(*ast.Identifier); ok && id != nil && strings.EqualFold(id.Value, alias) {
				return true
			}
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && hasAlias(v.Field(i), alias, depth+1) {
				return true
			}
		}
	}
	return false
}

// sqlserverWith: Transact-SQL has no word for recursive.
func (w *walker) sqlserverWith(node any, with *ast.WithCtesAndXmlNamespaces) bool {
	if with == nil {
		return false
	}
	var ctes []cte
	for _, c := range with.CommonTableExpressions {
		ctes = append(ctes, cte{c.ExpressionName.Value, c.QueryExpression})
	}
	w.with(ctes, true, func() { w.children(node, "WithCtesAndXmlNamespaces") })
	return true
}
