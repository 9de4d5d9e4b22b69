package stockmcp

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// Limits of one query. A caller may ask for fewer rows, never for more.
const (
	maxRows     = 1000
	maxBytes    = 1 << 20 // of all rows as JSON
	maxValue    = 1 << 16 // of one text or blob, in bytes
	maxSQL      = 1 << 14 // of a caller's statement, in characters
	maxDuration = 5 * time.Second
	maxQueries  = 8 // in parallel; others wait within their own maxDuration
)

// database is an in-memory SQLite database that is read-only once it is
// generated. It is safe for concurrent use.
type database struct {
	anchor  *sql.DB // keeps the memory alive while no reader is connected
	readers *sql.DB
	timeout time.Duration // of a query: maxDuration, except in tests
}

// databases counts the databases of the process. SQLite's memdb VFS identifies
// them by name, so that each needs a name of its own.
var databases atomic.Int64

func newDatabase() (*database, error) {
	dsn := fmt.Sprintf("file:/stock-data-%d?vfs=memdb", databases.Add(1))
	anchor, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	anchor.SetMaxOpenConns(1)
	if err := generate(anchor); err != nil {
		return nil, errors.Join(fmt.Errorf("generate the sample data: %w", err), anchor.Close())
	}
	readers, err := sql.Open("sqlite", dsn+"&mode=ro&_query_only=1&_defensive=1&_dqs=0")
	if err != nil {
		return nil, errors.Join(err, anchor.Close())
	}
	readers.SetMaxOpenConns(maxQueries)
	readers.SetMaxIdleConns(maxQueries)
	return &database{anchor, readers, maxDuration}, nil
}

func (d *database) close() error {
	return errors.Join(d.readers.Close(), d.anchor.Close())
}

// page is the result of a query, as the tools return it.
type page struct {
	Columns   []string `json:"columns"`
	Rows      []any    `json:"rows" jsonschema:"one object a row, with the columns in their order"`
	RowCount  int      `json:"row_count"`
	Truncated bool     `json:"truncated" jsonschema:"whether there were more rows than limit, or than fit into 1 MiB"`

	tables []string // the tables that were read, in the schema's order
}

// read runs one of this package's own queries and decodes its rows into T by the
// names of their columns.
func read[T any](ctx context.Context, d *database, statement string, args ...any) ([]T, error) {
	found, err := d.query(ctx, maxRows, statement, args...)
	if err != nil {
		return nil, err
	}
	decoded := make([]T, found.RowCount)
	for i, row := range found.Rows {
		if err := json.Unmarshal(row.(json.RawMessage), &decoded[i]); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}

// query runs one SELECT, WITH or VALUES. It may be the caller's own text as long as
// its parentheses are balanced (see bare). SQLite compiles only statements that
// read our tables with harmless functions (see policy), on a read-only connection,
// under the limits above. The errors are meant for the caller.
func (d *database) query(ctx context.Context, limit int, statement string, args ...any) (*page, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	// The driver observes the context only until the first row, so all rows are
	// materialized before it.
	statement = fmt.Sprintf("WITH result AS MATERIALIZED (SELECT * FROM (\n%s\n) LIMIT %d) SELECT * FROM result",
		statement, limit+1)
	found, err := d.run(ctx, limit, statement, args)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("the query took longer than %v and was stopped: read fewer rows or join less", d.timeout)
	case ctx.Err() != nil:
		return nil, errors.New("the call was cancelled")
	default:
		return found, err
	}
}

func (d *database) run(ctx context.Context, limit int, statement string, args []any) (*page, error) {
	conn, err := d.readers.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // returns it to the pool
	var p policy
	if err := p.install(conn); err != nil {
		return nil, err
	}
	found, err := conn.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, p.explain(err)
	}
	defer func() { _ = found.Close() }() // Err below returns what went wrong
	result, err := collect(found, limit)
	if err != nil {
		return nil, err
	}
	result.tables = p.tablesRead()
	return result, nil
}

// collect reads up to limit rows and maxBytes, and reports whether there were more.
func collect(found *sql.Rows, limit int) (*page, error) {
	names, err := found.Columns()
	if err != nil {
		return nil, err
	}
	result := &page{Columns: names, Rows: []any{}}
	values := make([]any, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	size := 0
	for found.Next() {
		if err := found.Scan(into...); err != nil {
			return nil, err
		}
		row, err := encode(result.Columns, values)
		if err != nil {
			return nil, err
		}
		size += len(row)
		if result.RowCount == limit || size > maxBytes {
			result.Truncated = true
			return result, nil
		}
		result.Rows = append(result.Rows, row)
		result.RowCount++
	}
	return result, found.Err()
}

// encode writes a row as a JSON object with its members in the columns' order.
// Invalid UTF-8 is replaced by U+FFFD, and blobs are encoded in base64.
func encode(columns []string, values []any) (json.RawMessage, error) {
	row := []byte{'{'}
	for i, value := range values {
		if i > 0 {
			row = append(row, ',')
		}
		if f, ok := value.(float64); ok && math.IsInf(f, 0) {
			value = fmt.Sprint(f) // JSON has no infinity
		}
		name, err := json.Marshal(columns[i])
		if err != nil {
			return nil, err
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		row = append(append(append(row, name...), ':'), encoded...)
	}
	return append(row, '}'), nil
}
