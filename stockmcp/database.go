package stockmcp

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What one query may cost. A caller may ask for fewer rows, never for more of
// anything.
const (
	maxRows     = 1000
	maxBytes    = 1 << 20 // of all rows as JSON
	maxValue    = 1 << 16 // of one text or blob, in bytes
	maxSQL      = 1 << 14 // of the statement, in bytes
	maxDuration = 2 * time.Second
	maxQueries  = 8 // at once; others wait within their own maxDuration
)

// database is an in-memory SQLite database that nothing can write to once it
// is generated. It is safe for concurrent use.
type database struct {
	anchor  *sql.DB // keeps the memory alive while no reader is connected
	readers *sql.DB
}

// databases numbers the databases of the process: SQLite's memdb VFS knows
// them by name, and one name would be one database.
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
	return &database{anchor, readers}, nil
}

func (d *database) close() error {
	return errors.Join(d.readers.Close(), d.anchor.Close())
}

// rows is what a query returned.
type rows struct {
	columns   []string
	records   []json.RawMessage // one JSON object a row, its names in the columns' order
	truncated bool              // there was more than limit or maxBytes allowed
	tables    []string          // the tables that were read, in the schema's order
}

// query runs one statement, which may be the caller's own text: SQLite itself
// is asked to compile nothing but the reading of our tables with harmless
// functions (see policy), on a connection that is read-only, under the limits
// above. Its errors are for the caller to read.
func (d *database) query(ctx context.Context, limit int, statement string, args ...any) (*rows, error) {
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	result, err := d.run(ctx, limit, statement, args)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("the query took longer than %v and was stopped: read fewer rows or join less", maxDuration)
	case ctx.Err() != nil:
		return nil, errors.New("the call was cancelled")
	default:
		return result, err
	}
}

func (d *database) run(ctx context.Context, limit int, statement string, args []any) (*rows, error) {
	conn, err := d.readers.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	var p policy
	if err := p.install(conn); err != nil {
		return nil, err
	}
	found, err := conn.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, p.explain(err)
	}
	defer func() { _ = found.Close() }() // Err below has told what went wrong
	result, err := collect(found, limit)
	if err != nil {
		return nil, err
	}
	result.tables = p.tablesRead()
	return result, nil
}

// collect reads up to limit rows and maxBytes, and whether there were more.
func collect(found *sql.Rows, limit int) (*rows, error) {
	names, err := found.Columns()
	if err != nil {
		return nil, err
	}
	result := &rows{columns: distinct(names), records: []json.RawMessage{}}
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
		record, err := encode(result.columns, values)
		if err != nil {
			return nil, err
		}
		size += len(record)
		if len(result.records) == limit || size > maxBytes {
			result.truncated = true
			return result, nil
		}
		result.records = append(result.records, record)
	}
	return result, found.Err()
}

// distinct numbers columns of the same name apart, for a JSON object can hold
// a name only once: id, id_2, id_3.
func distinct(names []string) []string {
	var out []string
	for _, name := range names {
		unique := name
		for n := 2; slices.Contains(out, unique); n++ {
			unique = fmt.Sprintf("%s_%d", name, n)
		}
		out = append(out, unique)
	}
	return out
}

// encode writes a row as a JSON object with its names in the columns' order.
// Text that is not UTF-8 gets replacement characters, and blobs are base64.
func encode(columns []string, values []any) (json.RawMessage, error) {
	record := []byte{'{'}
	for i, value := range values {
		if i > 0 {
			record = append(record, ',')
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
		record = append(append(append(record, name...), ':'), encoded...)
	}
	return append(record, '}'), nil
}

// policy is what SQLite asks while it compiles a statement. It allows reading
// our own tables, and common table expressions; anything else, from INSERT to
// ATTACH and PRAGMA, does not compile. It also notes which tables are read.
type policy struct {
	read   map[string]bool
	denied string // the first thing that was not allowed
}

// install makes the policy the connection's own, in place of the one before,
// and sets the limits that SQLite keeps by itself.
func (p *policy) install(conn *sql.Conn) error {
	p.read = make(map[string]bool)
	for limit, value := range map[int]int{
		sqlite3.SQLITE_LIMIT_LENGTH:              maxValue,
		sqlite3.SQLITE_LIMIT_SQL_LENGTH:          maxSQL,
		sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 256,
		sqlite3.SQLITE_LIMIT_EXPR_DEPTH:          100,
		sqlite3.SQLITE_LIMIT_ATTACHED:            0,
	} {
		if _, err := sqlite.Limit(conn, limit, value); err != nil {
			return err
		}
	}
	return conn.Raw(func(driverConn any) error {
		return driverConn.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(p.authorize)
	})
}

func (p *policy) authorize(action sqlite.AuthorizerActionCode, arg1, arg2, _, _ string) sqlite.AuthorizerReturnCode {
	var refused string
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRecursive:
	case sqlite.AuthRead:
		// Without a column it is a whole table that is named, perhaps a common
		// table expression, and nothing of what it holds is read but its count.
		if name := strings.ToLower(arg1); tableNamed(name) != nil {
			p.read[name] = true
		} else if arg2 != "" {
			refused = fmt.Sprintf("the table %q; there are %s", arg1, strings.Join(tableNames(), ", "))
		}
	case sqlite.AuthFunction:
		if !slices.Contains(functions, strings.ToLower(arg2)) {
			refused = fmt.Sprintf("the function %s; there are %s", arg2, strings.Join(functions, ", "))
		}
	default:
		refused = "this kind of statement; only SELECT, WITH and EXPLAIN are"
	}
	if refused == "" {
		return sqlite.AuthorizerOK
	}
	if p.denied == "" {
		p.denied = refused
	}
	return sqlite.AuthorizerDeny
}

// functions are those that cost no more than their arguments are long; so a
// query can always be stopped between two rows.
var functions = strings.Fields(`abs avg ceil ceiling coalesce count cume_dist date datetime dense_rank
	exp first_value floor glob group_concat ifnull iif julianday lag last_value lead length like ln log
	log10 lower ltrim max min mod nth_value ntile nullif percent_rank pow power rank round row_number
	rtrim sign sqrt strftime string_agg substr substring sum time total trim trunc typeof unixepoch upper`)

// explain says what the policy refused, where that is why SQLite did.
func (p *policy) explain(err error) error {
	var refusal *sqlite.Error
	if errors.As(err, &refusal) && p.denied != "" {
		return errors.New("not allowed: " + p.denied)
	}
	return err
}

func (p *policy) tablesRead() []string {
	names := []string{}
	for _, name := range tableNames() {
		if p.read[name] {
			names = append(names, name)
		}
	}
	return names
}
