// Package sqlitefile opens the SQLite files of the embedded store and the embedded
// ledger: readable by their owner only, in WAL mode, synced at every commit, with
// their schema up to date.
package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tallygate/tallygate/internal/schema"
)

const (
	scheme      = "sqlite:"
	busyTimeout = 5 * time.Second // how long a connection waits for another's lock
	lockRetry   = 20 * time.Millisecond
)

// Path returns the file that a DSN without options names, as sqlite:PATH.
func Path(dsn string) (string, error) {
	path, options, err := Split(dsn)
	if err == nil && len(options) > 0 {
		return "", fmt.Errorf("%q is more than sqlite:PATH: there are no options", dsn)
	}
	return path, err
}

// Split returns the file that a DSN names, and its options, as
// sqlite:PATH?NAME=VALUE&NAME=VALUE.
func Split(dsn string) (path string, options url.Values, err error) {
	path, ok := strings.CutPrefix(dsn, scheme)
	path, query, _ := strings.Cut(path, "?")
	switch {
	case !ok:
		return "", nil, fmt.Errorf("an SQLite file is named by %sPATH, as in sqlite:data/tallygate.db", scheme)
	case path == "" || strings.HasSuffix(path, "/"):
		return "", nil, fmt.Errorf("%q names no file: write sqlite:PATH, as in sqlite:data/tallygate.db", dsn)
	case strings.HasPrefix(path, "//"):
		return "", nil, fmt.Errorf("%q has a host: write sqlite:PATH, with one slash for an absolute path", dsn)
	case strings.HasPrefix(path, ":memory:"):
		return "", nil, fmt.Errorf("%q would lose everything: write sqlite:PATH, as in sqlite:data/tallygate.db", dsn)
	}
	if options, err = url.ParseQuery(query); err != nil {
		return "", nil, fmt.Errorf("%q: what follows the ? is not of the form NAME=VALUE&NAME=VALUE", dsn)
	}
	return filepath.Clean(path), options, nil
}

// Open opens the file at path. It creates the folder (mode 0700), the file (0600)
// and the schema (from the *.sql files in migrations) if they are missing; a lock
// file allows only one process at a time to do so. A schema newer than the
// migrations is an error. The pragmas, such as cache_size(1000), are set on each
// connection.
func Open(ctx context.Context, path string, migrations fs.FS, pragmas ...string) (_ *sql.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making its folder: %w", err)
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return nil, fmt.Errorf("locking %s.lock: %w", path, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	// SQLite would create it readable for everyone. An existing file is not opened
	// here: closing it would release the locks that SQLite has on it.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = file.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the file: %w", err)
	}
	db, err := connect(path, pragmas...)
	if err != nil {
		return nil, err
	}
	// A migration may rewrite gigabytes. If the caller's timeout canceled it, the next
	// one would start again from the beginning, and so on.
	if err := schema.Migrate(context.WithoutCancel(ctx), db, goose.DialectSQLite3, migrations); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// OpenReadOnly opens further, read-only connections to a file that is open.
func OpenReadOnly(path string) (*sql.DB, error) { return connect(path, "query_only(true)") }

// connect prepares connections. A commit is on the disk when it returns
// (synchronous FULL), readers and the writer do not block each other (WAL), and a
// transaction takes the write lock when it begins, so that waiting for it cannot
// deadlock.
func connect(path string, pragmas ...string) (*sql.DB, error) {
	var first []string
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		first = []string{"auto_vacuum(INCREMENTAL)"} // for Shrink; before the file's first page is written
	}
	query := url.Values{
		"_pragma": slices.Concat(first, []string{
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
			"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(true)",
		}, pragmas),
		"_txlock":   {"immediate"},
		"_error_rc": {"true"}, // errors with the message of their extended code
	}
	uri := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}
	return sql.Open("sqlite", uri.String())
}

// pagesPerStep is how many pages Shrink returns to the file system, at most.
const pagesPerStep = 500

// Shrink shortens the file by some of its free pages if more than a tenth of its
// pages are free, and reports whether it is to be called again. The tenth is kept for
// what is written next.
func Shrink(ctx context.Context, db *sql.DB) (more bool, err error) {
	before, err := excessPages(ctx, db)
	if err != nil || before <= 0 {
		return false, err
	}
	if err := returnPages(ctx, db, min(before, pagesPerStep)); err != nil {
		return false, err
	}
	after, err := excessPages(ctx, db)
	return after > 0 && after < before, err
}

// returnPages returns n free pages to the file system.
func returnPages(ctx context.Context, db *sql.DB, n int) error {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", n))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err has returned any error
	for rows.Next() {
		// One row for each page, which is returned when the row is read.
	}
	return rows.Err()
}

// excessPages returns how many more pages are free than a tenth of the file's.
func excessPages(ctx context.Context, db *sql.DB) (n int, err error) {
	err = db.QueryRowContext(ctx, "SELECT freelist_count - page_count / 10 FROM pragma_freelist_count, pragma_page_count").Scan(&n)
	return n, err
}
