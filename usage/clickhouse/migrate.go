package clickhouse

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// migrations holds one statement a file, in the order of their names; the
// first is version 1. Gates may start at the same moment and ClickHouse has no
// lock to put around DDL, so each statement must do no harm when it runs twice.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the database up to the last migration. The versions that ran
// are kept in mcp_tool_usage_migrations, so that a user without the right to
// CREATE can use tables that somebody else made. (goose would keep its own
// table, which can neither be locked nor be made on a cluster.)
func migrate(ctx context.Context, conn driver.Conn) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	current, err := currentVersion(ctx, conn)
	if err != nil {
		return fmt.Errorf("ClickHouse ledger: look for the table mcp_tool_usage_log: %w", err)
	}
	if current > len(names) {
		return fmt.Errorf("ClickHouse ledger: its tables are of version %d, made by a newer tallygate; this one knows versions up to %d: upgrade it",
			current, len(names))
	}
	if current == len(names) {
		return nil
	}

	if err := conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS mcp_tool_usage_migrations
		(version UInt32, applied_at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY version`); err != nil {
		return fmt.Errorf("ClickHouse ledger: make the table mcp_tool_usage_migrations: %w", err)
	}
	for i, name := range names[current:] {
		version := current + i + 1
		statement, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if err := conn.Exec(ctx, string(statement)); err != nil {
			return fmt.Errorf("ClickHouse ledger: migration %s: %w", strings.TrimPrefix(name, "migrations/"), err)
		}
		if err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO mcp_tool_usage_migrations (version) VALUES (%d)", version)); err != nil {
			return fmt.Errorf("ClickHouse ledger: record migration %d: %w", version, err)
		}
	}
	return nil
}

// currentVersion is the last version that ran, or 0 when there is none or when
// mcp_tool_usage_log has gone since.
func currentVersion(ctx context.Context, conn driver.Conn) (int, error) {
	for _, table := range []string{"mcp_tool_usage_log", "mcp_tool_usage_migrations"} {
		var exists uint8
		if err := conn.QueryRow(ctx, "EXISTS TABLE "+table).Scan(&exists); err != nil || exists == 0 {
			return 0, err
		}
	}
	var version uint32
	err := conn.QueryRow(ctx, "SELECT max(version) FROM mcp_tool_usage_migrations").Scan(&version)
	return int(version), err
}
