// Package schema brings the schema of a database up to date, by migrations that
// are part of the program.
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

// Migrate runs the *.sql of migrations that were not run on a database yet. The
// first of them is the baseline, which makes the whole schema: the version of a
// database is 0 or one of theirs. A lower one, of a layout from before the
// baseline, is an error, and so is a higher one. The caller makes sure that one
// process at a time migrates.
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
	baseline := provider.ListSources()[0].Version
	switch {
	case current > newest:
		return fmt.Errorf("its schema has version %d, and this program knows no version above %d: a newer tallygate wrote it, so run that one, or restore the copy made before the upgrade",
			current, newest)
	case current > 0 && current < baseline:
		return fmt.Errorf("its schema has version %d, from before the first release, and this program takes over none below %d: move it away and begin with a new one",
			current, baseline)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bringing the schema to version %d: %w", newest, err)
	}
	return nil
}
