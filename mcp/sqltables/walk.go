package sqltables

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// walker goes through a query's tree and gathers tables.
type walker struct {
	dialect *dialect
	query   string
	scope   []string // the common table expressions in scope, and the innermost last
	aliases []string // of the FROM clauses around, where a dialect needs them
	tables  []string
	any     bool // a table, a common table expression or a function that gives one is named
	err     error
	depth   int
	nodes   int
}

// Bounds on a tree. A query of MaxQuery bytes comes near neither.
const (
	maxTreeDepth = 20_000
	maxTreeNodes = 2_000_000
)

// cte is a common table expression.
type cte struct {
	name string
	body any
}

// statement goes through one statement.
func (w *walker) statement(s any) {
	v := reflect.ValueOf(s)
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if !w.dialect.statements[v.Type().Name()] {
		w.fail(ErrStatement)
		return
	}
	w.walk(s)
}

func (w *walker) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// walk goes through nodes: pointers to structs, and what holds such.
func (w *walker) walk(nodes ...any) {
	for _, n := range nodes {
		w.value(reflect.ValueOf(n))
	}
}

func (w *walker) value(v reflect.Value) {
	if w.nodes++; w.err != nil || w.nodes > maxTreeNodes || w.depth > maxTreeDepth {
		w.fail(ErrTooLarge)
		return
	}
	w.depth++
	defer func() { w.depth-- }()
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			w.value(v.Elem())
		}
	case reflect.Pointer:
		if v.IsNil() || v.Elem().Kind() != reflect.Struct || !v.CanInterface() {
			return
		}
		if !w.dialect.node(w, v.Interface()) {
			w.fields(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			w.value(v.Index(i))
		}
	case reflect.Struct:
		w.fields(v)
	}
}

// fields goes through a struct's fields but those named.
func (w *walker) fields(v reflect.Value, but ...string) {
	for _, f := range fieldsOf(v.Type()) {
		if !slices.Contains(but, f.name) {
			w.value(v.Field(f.index))
		}
	}
}

// field is a field of a struct that there can be nodes in.
type field struct {
	index int
	name  string
}

// fieldsByType remembers what reflection takes long to tell.
var fieldsByType sync.Map

func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldsByType.Load(t); ok {
		return known.([]field)
	}
	var fields []field
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && holdsNodes(f.Type) {
			fields = append(fields, field{i, f.Name})
		}
	}
	fieldsByType.Store(t, fields)
	return fields
}

func holdsNodes(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		return holdsNodes(t.Elem())
	case reflect.Pointer:
		return t.Elem().Kind() == reflect.Struct
	case reflect.Interface:
		return true
	case reflect.Struct:
		return len(fieldsOf(t)) > 0
	}
	return false
}

// children goes through what is below a node, but for the fields named.
func (w *walker) children(node any, but ...string) {
	w.fields(reflect.ValueOf(node).Elem(), but...)
}

// with goes through common table expressions and then, where these are in
// scope, through the rest. An expression is in scope for those behind it, and
// where they are recursive for itself and all.
func (w *walker) with(ctes []cte, recursive bool, rest func()) {
	scope := w.scope
	if recursive {
		for _, c := range ctes {
			w.scope = append(w.scope, c.name)
		}
	}
	for _, c := range ctes {
		w.walk(c.body)
		if !recursive {
			w.scope = append(w.scope, c.name)
		}
	}
	rest()
	w.scope = scope
}

// table takes in a table's name by its parts, which may be empty.
func (w *walker) table(parts ...string) {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	if len(parts) == 0 {
		return
	}
	w.any = true
	if len(parts) == 1 && contains(w.scope, parts[0]) {
		return
	}
	if name := strings.Join(parts, "."); !slices.Contains(w.tables, name) {
		w.tables = append(w.tables, name)
	}
}

// contains compares names as SQL does where they are not quoted.
func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// set makes a set of words.
func set(words string) map[string]bool {
	s := map[string]bool{}
	for _, word := range strings.Fields(words) {
		s[word] = true
	}
	return s
}
