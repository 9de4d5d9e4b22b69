// Package sqlite keeps the usage ledger in a SQLite file: the embedded default.
//
// An event is known by its event_id, so one that is written again is left as
// it is. A write is on the disk, not just in its cache, when it returns.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tallygate/tallygate/usage"
)

// scheme begins a DSN of this package.
const scheme = "sqlite:"

// readers is how many reads run side by side.
const readers = 4

// patience is how long one process waits for another that has the file locked.
const patience = 10 * time.Second

// pragmas of every connection. In WAL mode readers and the writer do not wait
// for each other. The journal forgets what the ledger has acknowledged, hence
// the synchronous FULL: a commit is synced before it returns.
var pragmas = []string{
	fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)",
}

// Ledger is a usage.Ledger in the table mcp_tool_usage_log of one SQLite file.
type Ledger struct {
	path string

	mu     sync.Mutex // guards what follows
	write  *sql.DB    // one connection, nil until the first use
	read   *sql.DB
	closed bool
}

// Open returns the ledger in the file that the DSN names, as sqlite:PATH. The
// first use makes the file, readable by its owner only, and its folder where
// they are missing.
func Open(dsn string) (*Ledger, error) {
	path, ok := strings.CutPrefix(dsn, scheme)
	if !ok || path == "" {
		return nil, fmt.Errorf("SQLite DSN %q is not of the form sqlite:PATH", dsn)
	}
	if strings.HasPrefix(path, ":memory:") {
		return nil, fmt.Errorf("SQLite DSN %q: the ledger needs a file, memory would lose it", dsn)
	}
	return &Ledger{path: path}, nil
}

// Close closes the file; the ledger is of no use after it.
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

func open(ctx context.Context, path string) (write, read *sql.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	// SQLite gives its -wal and -shm files the mode of this one.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := file.Close(); err != nil {
		return nil, nil, err
	}

	query := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	uri := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	uri.RawQuery = query.Encode()
	if write, err = sql.Open("sqlite", uri.String()); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	if err := migrateUnlocked(ctx, write); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	query.Add("_pragma", "query_only(true)")
	uri.RawQuery = query.Encode()
	if read, err = sql.Open("sqlite", uri.String()); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readers)
	return write, read, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

// migrateUnlocked migrates once the file is free: of two processes that turn a
// new file to WAL mode, SQLite refuses one at once, whatever its busy_timeout.
func migrateUnlocked(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := migrate(ctx, db)
		if code(err) != sqlite3.SQLITE_BUSY {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// migrate brings the file up to the last migration. Two processes may do so at
// the same moment, so each statement must do no harm when it runs twice.
func migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, dir,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	current, latest, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > latest {
		return fmt.Errorf("its tables are of version %d, made by a newer tallygate; this one knows versions up to %d: upgrade it", current, latest)
	}
	_, err = provider.Up(ctx)
	return err
}

// code is SQLite's result code in err, without the bits that extend it; 0 when
// the error is not SQLite's.
func code(err error) int {
	var fault *sqlite.Error
	if !errors.As(err, &fault) {
		return sqlite3.SQLITE_OK
	}
	return fault.Code() & 0xff
}

// failed describes err, which came up while doing what.
func (l *Ledger) failed(doing string, err error) error {
	switch code(err) {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return fmt.Errorf("SQLite ledger %s: %s: %w: %w", l.path, doing, usage.ErrRejected, err)
	}
	return fmt.Errorf("SQLite ledger %s: %s: %w", l.path, doing, err)
}

var _ usage.Ledger = (*Ledger)(nil)
