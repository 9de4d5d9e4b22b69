// Package sqlite keeps the usage ledger in a SQLite file: the embedded default.
//
// An event is recognized by its ts and event_id: one that is written again is not
// changed. The sums of a day are written in the same transaction as its events. A
// write is on the disk, not only in a cache, when it returns.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tallygate/tallygate/internal/sqlitefile"
	"github.com/tallygate/tallygate/usage"
)

// readers is how many reads run at the same time.
const readers = 4

// writerPragmas keep the pages that a batch changes in memory until its end, up to
// 8 MB, which is about what 10,000 calls change. The write-ahead log grows to 16 MB
// before its pages are copied to the file.
var writerPragmas = []string{"cache_size(-8000)", "wal_autocheckpoint(4000)"}

// Ledger is a usage.Ledger in the table mcp_tool_usage_log of one SQLite file.
type Ledger struct {
	path    string
	ttlDays int // how long events are kept; 0 for ever

	mu     sync.Mutex // guards the fields below
	write  *sql.DB    // one connection, nil until the first use
	read   *sql.DB
	closed bool
}

// Open returns the ledger in the file that the DSN names, as sqlite:PATH or, for a
// ledger that Expire deletes old events from, sqlite:PATH?ttl=90d. The first use
// makes the file, readable by its owner only, and its folder where they are missing.
func Open(dsn string) (*Ledger, error) {
	path, options, err := sqlitefile.Split(dsn)
	if err != nil {
		return nil, err
	}
	l := &Ledger{path: path}
	for name, values := range options {
		var ok bool
		switch l.ttlDays, ok = usage.ParseTTL(values[0]); {
		case name != "ttl":
			return nil, fmt.Errorf("SQLite ledger %s: unknown option %q; there is ttl, as in sqlite:PATH?ttl=90d", path, name)
		case !ok || len(values) > 1:
			return nil, fmt.Errorf("SQLite ledger %s: ttl=%q is neither a number of days, as in 90d, nor none", path, strings.Join(values, ","))
		}
	}
	return l, nil
}

// Close closes the file. The ledger cannot be used afterwards.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.write == nil {
		return nil
	}
	err := errors.Join(l.read.Close(), l.write.Close())
	l.read, l.write = nil, nil
	return err
}

// open opens the file, unless it is open.
func (l *Ledger) open(ctx context.Context) (write, read *sql.DB, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, fmt.Errorf("SQLite ledger %s: it is closed", l.path)
	}
	if l.write != nil {
		return l.write, l.read, nil
	}
	write, read, err = open(ctx, l.path)
	if err != nil {
		return nil, nil, fmt.Errorf("SQLite ledger %s: %w", l.path, err)
	}
	l.write, l.read = write, read
	return write, read, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

func open(ctx context.Context, path string) (write, read *sql.DB, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, err
	}
	if write, err = sqlitefile.Open(ctx, path, files, writerPragmas...); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	if read, err = sqlitefile.OpenReadOnly(path); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readers)
	return write, read, nil
}

// ask answers a query with a connection for reading, and adds to an error what the
// ledger was doing.
func ask[Q, A any](ctx context.Context, l *Ledger, doing string, q Q, answer func(context.Context, *sql.DB, Q) (A, error)) (A, error) {
	var none A
	_, db, err := l.open(ctx)
	if err != nil {
		return none, err
	}
	a, err := answer(ctx, db, q)
	if err != nil {
		return none, l.failed(doing, err)
	}
	return a, nil
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each runs a SELECT and calls yield for each row, with the function that scans it.
func each(ctx context.Context, q queryer, query string, args []any, yield func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err has its error
	for rows.Next() {
		if err := yield(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// failed adds to err what the ledger was doing.
func (l *Ledger) failed(doing string, err error) error {
	if fault, ok := errors.AsType[*sqlite.Error](err); ok {
		switch fault.Code() & 0xff { // the primary result code
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
			err = fmt.Errorf("%w: %w", usage.ErrRejected, err)
		}
	}
	return fmt.Errorf("SQLite ledger %s: %s: %w", l.path, doing, err)
}

var _ usage.Ledger = (*Ledger)(nil)
