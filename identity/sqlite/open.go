package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	scheme      = "sqlite:"
	busyTimeout = 5 * time.Second
	lockRetry   = 20 * time.Millisecond
)

// options of every connection: a commit is on the disk when it returns
// (synchronous FULL), readers and the writer do not wait for each other (WAL),
// and a transaction takes the write lock at its start, where waiting for it
// cannot deadlock.
var options = url.Values{
	"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
	"_journal_mode": {"WAL"},
	"_synchronous":  {"FULL"},
	"_foreign_keys": {"on"},
	"_txlock":       {"immediate"},
	"_error_rc":     {"true"},
}.Encode()

// pathOf returns the file that a DSN names.
func pathOf(dsn string) (string, error) {
	path, ok := strings.CutPrefix(dsn, scheme)
	switch {
	case !ok:
		return "", fmt.Errorf("a SQLite store is named by %sPATH, such as sqlite:data/tallygate.db", scheme)
	case path == "" || strings.HasSuffix(path, "/"):
		return "", fmt.Errorf("%q names no file: write sqlite:PATH, such as sqlite:data/tallygate.db", dsn)
	case strings.HasPrefix(path, "//"):
		return "", fmt.Errorf("%q has a host: write sqlite:PATH, with one slash for an absolute path", dsn)
	case strings.Contains(path, "?") || path == ":memory:":
		return "", fmt.Errorf("%q is more than a path: the store takes no options and is always a file", dsn)
	}
	return filepath.Clean(path), nil
}

// database is an open file, its schema up to date.
type database struct {
	*sql.DB
	keyByDigest *sql.Stmt
}

// openFile opens the file at path and makes what is missing: the folder, the
// file, the schema. A lock file beside it lets one process at a time do so.
func openFile(ctx context.Context, path string) (_ *database, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making its folder: %w", err)
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return nil, fmt.Errorf("locking %s.lock: %w", path, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	// SQLite would make it, but readable for everyone. An existing file is not
	// touched: closing it would drop the locks that SQLite has on it.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = file.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the file: %w", err)
	}

	uri := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: options}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	connections := max(4, runtime.GOMAXPROCS(0))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := migrate(ctx, db); err != nil {
		return nil, err
	}
	keyByDigest, err := db.PrepareContext(ctx, selectKeyByDigest)
	if err != nil {
		return nil, err
	}
	return &database{db, keyByDigest}, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if current > newest {
		return fmt.Errorf("its schema has version %d, and this program knows no version above %d: a newer program wrote it, so run that one, or restore the copy made before the upgrade",
			current, newest)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bringing the schema to version %d: %w", newest, err)
	}
	return nil
}
