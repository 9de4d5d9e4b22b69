// Package schema updates the schema of a database by migrations that are embedded
// in the program.
package schema

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrate runs the *.sql files in migrations that have not been applied yet. A
// schema newer than the migrations is an error. The caller must ensure that only
// one process migrates at a time.
func Migrate(ctx context.Context, db *sql.DB, dialect database.Dialect, migrations fs.FS) error {
	provider, err := goose.NewProvider(dialect, db, migrations,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if current > newest {
		return fmt.Errorf("its schema has version %d, and this program knows no version above %d: a newer tallygate wrote it, so run that one, or restore the copy made before the upgrade",
			current, newest)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bringing the schema to version %d: %w", newest, err)
	}
	return nil
}
