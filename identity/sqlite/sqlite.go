// Package sqlite keeps users and keys in a SQLite file: the embedded default,
// for one machine. Several processes may use the file at once.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"runtime"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/internal/sqlstore"
	"github.com/tallygate/tallygate/internal/sqlitefile"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an identity.Store in a SQLite file. It is an identity.Notifier, too.
type Store struct {
	*sqlstore.Store
	path string
}

// Open returns the store in the file that a DSN names, as in
// "sqlite:data/tallygate.db"; relative paths are relative to the working
// directory. It opens and makes nothing: the first call does, and makes the
// file (mode 0600), its folder (0700) and the schema where they are missing. A
// file with any other schema is refused.
func Open(dsn string) (*Store, error) {
	path, err := sqlitefile.Path(dsn)
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context) (*sql.DB, error) { return openFile(ctx, path) }
	return &Store{sqlstore.New(path, dialect, open), path}, nil
}

// A transaction holds the file's only write lock from its start, so that no other
// locks are needed.
var dialect = sqlstore.Dialect{
	Now:      `CAST(unixepoch('subsec') * 1000000 AS INTEGER)`,
	JSONEach: `json_each($1)`,
}

func openFile(ctx context.Context, path string) (*sql.DB, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := sqlitefile.Open(ctx, path, files)
	if err != nil {
		return nil, err
	}
	connections := max(4, runtime.GOMAXPROCS(0))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

var (
	_ identity.Store    = (*Store)(nil)
	_ identity.Notifier = (*Store)(nil)
)
