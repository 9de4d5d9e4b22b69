package stockmcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

type tableList struct {
	Tables []tableSummary `json:"tables"`
}

type tableSummary struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Rows        int    `json:"rows"`
}

func (d *database) listTables(ctx context.Context, _ mcp.CallToolRequest, _ struct{}) (*tableList, error) {
	list := &tableList{}
	for _, t := range tables {
		n, err := d.count(ctx, t)
		if err != nil {
			return nil, err
		}
		list.Tables = append(list.Tables, tableSummary{t.name, t.description, n})
	}
	return list, nil
}

type tableArgs struct {
	Table string `json:"table"`
}

type tableDescription struct {
	Table       string              `json:"table"`
	Description string              `json:"description"`
	PrimaryKey  []string            `json:"primary_key"`
	Columns     []columnDescription `json:"columns"`
	Rows        int                 `json:"rows"`
}

type columnDescription struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description"`
}

func (d *database) describeTable(ctx context.Context, _ mcp.CallToolRequest, args tableArgs) (*tableDescription, error) {
	t := tableNamed(args.Table)
	n, err := d.count(ctx, *t)
	if err != nil {
		return nil, err
	}
	described := &tableDescription{Table: t.name, Description: t.description, PrimaryKey: t.key, Rows: n}
	for _, c := range t.columns {
		described.Columns = append(described.Columns, columnDescription{c.name, c.kind, c.description})
	}
	return described, nil
}

// tablePage is a page of one table.
type tablePage struct {
	Table string `json:"table"`
	page
}

type queryArgs struct {
	Table      string   `json:"table"`
	Columns    []string `json:"columns"`
	Filters    []filter `json:"filters"`
	OrderBy    string   `json:"order_by"`
	Descending bool     `json:"descending"`
	Limit      int      `json:"limit"`
	Offset     int      `json:"offset"`
}

type filter struct {
	Column string `json:"column"`
	Op     string `json:"op"`
	Value  any    `json:"value"`
}

var filterSchema = map[string]any{
	"type":                 "object",
	"additionalProperties": false,
	"required":             []string{"column", "op", "value"},
	"properties": map[string]any{
		"column": map[string]any{"type": "string"},
		"op": map[string]any{
			"type":        "string",
			"enum":        []string{"eq", "ne", "lt", "le", "gt", "ge", "like", "in"},
			"description": "like takes a text in which % stands for any characters and _ for one; in takes an array",
		},
		"value": map[string]any{
			"type":     []string{"string", "number", "array"},
			"items":    map[string]any{"type": []string{"string", "number"}},
			"minItems": 1,
			"maxItems": 100,
		},
	},
}

// operators has SQL's operators by the name of a filter's op. in is handled
// separately.
var operators = map[string]string{
	"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "like": "LIKE",
}

// queryTable builds its statement from the schema's own names and from parameters.
// Nothing that the caller sent becomes SQL.
func (d *database) queryTable(ctx context.Context, _ mcp.CallToolRequest, args queryArgs) (*tablePage, error) {
	t := tableNamed(args.Table)
	names := args.Columns
	if names == nil {
		names = t.columnNames()
	}
	for _, name := range names {
		if err := t.has(name); err != nil {
			return nil, fmt.Errorf("columns: %w", err)
		}
	}
	statement := "SELECT " + strings.Join(names, ", ") + " FROM " + t.name
	var values []any
	for i, f := range args.Filters {
		condition, bound, err := t.condition(f)
		if err != nil {
			return nil, fmt.Errorf("filters[%d]: %w", i, err)
		}
		statement += []string{" WHERE ", " AND "}[min(i, 1)] + condition
		values = append(values, bound...)
	}
	order := slices.Clone(t.key)
	if args.OrderBy != "" {
		if err := t.has(args.OrderBy); err != nil {
			return nil, fmt.Errorf("order_by: %w", err)
		}
		// The key breaks ties, so that pages never overlap.
		order = append([]string{args.OrderBy}, order...)
	}
	if args.Descending {
		order[0] += " DESC"
	}
	limit := cmp.Or(args.Limit, defaultLimit)
	statement += " ORDER BY " + strings.Join(order, ", ") + " LIMIT ? OFFSET ?"
	p, err := d.query(ctx, limit, statement, append(values, limit+1, args.Offset)...)
	if err != nil {
		return nil, err
	}
	return &tablePage{t.name, *p}, nil
}

// has returns an error that lists the table's columns if it does not have a column.
func (t *table) has(name string) error {
	if t.column(name) != nil {
		return nil
	}
	return fmt.Errorf("no column %q in %s; there are %s", name, t.name, strings.Join(t.columnNames(), ", "))
}

// condition returns a filter as SQL, and the values to bind.
func (t *table) condition(f filter) (string, []any, error) {
	if err := t.has(f.Column); err != nil {
		return "", nil, err
	}
	values, isArray := f.Value.([]any)
	if isArray != (f.Op == "in") {
		return "", nil, errors.New("op in takes an array as its value, and no other op does")
	}
	if !isArray {
		values = []any{f.Value}
	}
	kind := t.column(f.Column).kind
	for _, value := range values {
		// SQLite would compare text with a number and find nothing.
		if _, isText := value.(string); isText != (kind == "TEXT") {
			return "", nil, fmt.Errorf("column %s is %s and cannot be compared with %v (%T)", f.Column, kind, value, value)
		}
	}
	switch {
	case isArray:
		return f.Column + " IN (" + strings.Repeat(", ?", len(values))[2:] + ")", values, nil
	case f.Op == "like" && kind != "TEXT":
		return "", nil, fmt.Errorf("op like needs a TEXT column, and %s is %s", f.Column, kind)
	default:
		return f.Column + " " + operators[f.Op] + " ?", values, nil
	}
}

type dailyArgs struct {
	Code  string `json:"ts_code"`
	From  string `json:"from"`
	To    string `json:"to"`
	Limit int    `json:"limit"`
}

func (d *database) getDaily(ctx context.Context, _ mcp.CallToolRequest, args dailyArgs) (*tablePage, error) {
	if err := d.covers(ctx, args.Code); err != nil {
		return nil, err
	}
	from, to := cmp.Or(args.From, text(firstDay)), cmp.Or(args.To, text(lastDay))
	for name, day := range map[string]string{"from": from, "to": to} {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return nil, fmt.Errorf("%s: %q is no day of the form YYYY-MM-DD", name, day)
		}
	}
	if from > to {
		return nil, fmt.Errorf("from (%s) is after to (%s)", from, to)
	}
	p, err := d.query(ctx, cmp.Or(args.Limit, defaultLimit),
		"SELECT * FROM stock_daily WHERE ts_code = ? AND trade_date BETWEEN ? AND ? ORDER BY trade_date",
		args.Code, from, to)
	if err != nil {
		return nil, err
	}
	return &tablePage{"stock_daily", *p}, nil
}

// covers reports whether there are daily prices of a company.
func (d *database) covers(ctx context.Context, code string) error {
	found, err := d.query(ctx, 1, "SELECT 1 FROM stock_daily WHERE ts_code = ?", code)
	if err == nil && found.RowCount == 0 {
		err = fmt.Errorf("no daily prices of %s: stock_daily covers the companies with index_member = 1 in stock_basic", code)
	}
	return err
}

func (d *database) count(ctx context.Context, t table) (int, error) {
	found, err := read[struct{ N int }](ctx, d, "SELECT count(*) AS n FROM "+t.name)
	if err != nil {
		return 0, err
	}
	return found[0].N, nil
}
