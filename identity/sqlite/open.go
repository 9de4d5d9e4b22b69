package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"runtime"

	"github.com/tallygate/tallygate/internal/sqlitefile"
)

//go:embed migrations/*.sql
var migrations embed.FS

// database is an open file, its schema up to date.
type database struct {
	*sql.DB
	keyByDigest *sql.Stmt
}

func openFile(ctx context.Context, path string) (*database, error) {
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
	keyByDigest, err := db.PrepareContext(ctx, selectKeyByDigest)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &database{db, keyByDigest}, nil
}
