// Package schema makes the schema of a database and brings it up to date, by
// migrations that come with the program.
package schema

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// Migrate runs the *.sql of migrations that have not been run on a database. The
// first of them is the baseline, which makes a whole schema in an empty database.
// A database of any other schema is an error, and stays as it is: one that is
// older than the baseline, one that is newer than the migrations, and one with
// tables of the baseline's names that goose did not make. The caller sees to it
// that one process at a time migrates.
func Migrate(ctx context.Context, db *sql.DB, dialect database.Dialect, migrations fs.FS) error {
	provider, err := goose.NewProvider(dialect, db, migrations,
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	baseline := provider.ListSources()[0]
	if err := refuseForeign(ctx, db, dialect, migrations, baseline.Path); err != nil {
		return err
	}
	current, newest, err := provider.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("reading the schema's version: %w", err)
	case current > newest:
		return fmt.Errorf("its schema has version %d, and this program knows no version above %d: a newer tallygate wrote it, so run that one, or restore the copy made before the upgrade",
			current, newest)
	case current > 0 && current < baseline.Version:
		return fmt.Errorf("its schema has version %d, from before the first release (version %d), and cannot be upgraded: move it away, and tallygate makes a new one",
			current, baseline.Version)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bringing the schema to version %d: %w", newest, err)
	}
	return nil
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// refuseForeign returns an error for a database without a version table that has
// tables of the same names as the baseline.
func refuseForeign(ctx context.Context, db *sql.DB, dialect database.Dialect, migrations fs.FS, baseline string) error {
	query := `SELECT name FROM sqlite_schema WHERE type = 'table'`
	if dialect == goose.DialectPostgres {
		query = `SELECT tablename FROM pg_tables WHERE schemaname = current_schema()`
	}
	tables, err := names(ctx, db, query)
	if err != nil {
		return fmt.Errorf("listing its tables: %w", err)
	}
	if slices.Contains(tables, goose.DefaultTablename) {
		return nil
	}
	content, err := fs.ReadFile(migrations, baseline)
	if err != nil {
		return err
	}
	for _, created := range createTable.FindAllSubmatch(content, -1) {
		if table := string(created[1]); slices.Contains(tables, table) {
			return fmt.Errorf("it has a table %s that tallygate did not make: name a database that is empty or does not exist", table)
		}
	}
	return nil
}

func names(ctx context.Context, db *sql.DB, query string) (names []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has returned any error
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
