package clickhouse

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"text/template"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Names of the tables: the events, which in a cluster are those of all shards,
// and the migrations that ran.
const (
	logTable        = "mcp_tool_usage_log"
	migrationsTable = "mcp_tool_usage_migrations"
)

// migrations holds one statement a file, in the order of their names; the
// first is version 1. Gates may start at the same moment and ClickHouse has no
// lock to put around DDL, so each statement must do no harm when it runs twice.
// They are templates over a layout; one that comes out empty does nothing.
//
//go:embed migrations/*.sql
var migrations embed.FS

// layout is where the tables are: on one server, or on those of a cluster.
type layout struct {
	Cluster    string // "" for one server
	Replicated bool   // by ZooKeeper or Keeper, which ON CLUSTER takes, too
}

// Table is the table that holds the events of one server.
func (l layout) Table() string {
	if l.Cluster == "" {
		return logTable
	}
	return logTable + "_local"
}

// Quoted is the cluster's name as SQL.
func (l layout) Quoted() string { return "'" + l.Cluster + "'" }

// OnCluster has a statement run on all servers of a replicated cluster.
func (l layout) OnCluster() string {
	if !l.Replicated {
		return ""
	}
	return " ON CLUSTER " + l.Quoted()
}

// Engine is that of a table whose replicas are those of one shard.
func (l layout) Engine(table string) string {
	if !l.Replicated {
		return "MergeTree"
	}
	return "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/" + table + "', '{replica}')"
}

// statements are the migrations for the layout, in their order.
func (l layout) statements() (names, statements []string, err error) {
	all, err := template.ParseFS(migrations, "migrations/*.sql")
	if err != nil {
		return nil, nil, err
	}
	if names, err = fs.Glob(migrations, "migrations/*.sql"); err != nil {
		return nil, nil, err
	}
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, "migrations/")
		var statement strings.Builder
		if err := all.ExecuteTemplate(&statement, names[i], l); err != nil {
			return nil, nil, err
		}
		statements = append(statements, strings.TrimSpace(statement.String()))
	}
	return names, statements, nil
}

// createMigrations makes the table of the versions that ran. In a replicated
// cluster all servers share it.
func (l layout) createMigrations() string {
	engine := "MergeTree"
	if l.Replicated {
		engine = "ReplicatedMergeTree('/clickhouse/tables/{database}/" + migrationsTable + "', '{shard}-{replica}')"
	}
	return "CREATE TABLE IF NOT EXISTS " + migrationsTable + l.OnCluster() +
		" (version UInt32, applied_at DateTime DEFAULT now()) ENGINE = " + engine + " ORDER BY version"
}

// migrate brings the database up to the last migration. The versions that ran
// are kept in mcp_tool_usage_migrations, so that a user without the right to
// CREATE can use tables that somebody else made. (goose would keep its own
// table, which can neither be locked nor be made on a cluster.)
func (l *Ledger) migrate(ctx context.Context) error {
	names, statements, err := l.layout.statements()
	if err != nil {
		return err
	}
	current, err := l.version(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("ClickHouse ledger: look for the table %s: %w", logTable, err)
	case current > len(names):
		return fmt.Errorf("ClickHouse ledger: its tables are of version %d, made by a newer tallygate; this one knows versions up to %d: upgrade it",
			current, len(names))
	case current < len(names):
		if err := l.conn.Exec(ctx, l.layout.createMigrations()); err != nil {
			return fmt.Errorf("ClickHouse ledger: make the table %s: %w", migrationsTable, err)
		}
	}
	for i := current; i < len(names); i++ {
		if statements[i] != "" {
			if err := l.conn.Exec(ctx, statements[i]); err != nil {
				return fmt.Errorf("ClickHouse ledger: migration %s: %w", names[i], err)
			}
		}
		if err := l.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s (version) VALUES (%d)", migrationsTable, i+1)); err != nil {
			return fmt.Errorf("ClickHouse ledger: record migration %d: %w", i+1, err)
		}
	}
	if err := l.keep(ctx); err != nil {
		return fmt.Errorf("ClickHouse ledger: set how long events are kept: %w", err)
	}
	return nil
}

// version is the last version that ran, or 0 when there is none or when
// mcp_tool_usage_log has gone since.
func (l *Ledger) version(ctx context.Context) (int, error) {
	engine, err := engineOf(ctx, l.conn, logTable)
	if engine == "" || err != nil {
		return 0, err
	}
	distributed := strings.HasPrefix(engine, "Distributed")
	switch {
	case distributed && l.layout.Cluster == "":
		return 0, errors.New("it is Distributed: name its cluster in the DSN, as in ?cluster=NAME")
	case !distributed && l.layout.Cluster != "":
		return 0, fmt.Errorf("it is there as the table of one server: RENAME it to %s on each server for the cluster to take it over, or leave cluster out of the DSN",
			l.layout.Table())
	}
	if engine, err = engineOf(ctx, l.conn, migrationsTable); engine == "" || err != nil {
		return 0, err
	}
	var version uint32
	err = l.conn.QueryRow(ctx, "SELECT max(version) FROM "+migrationsTable).Scan(&version)
	return int(version), err
}

// engineOf is the engine of a table in full, with its key, TTL and settings;
// "" when there is no such table.
func engineOf(ctx context.Context, conn driver.Conn, table string) (engine string, err error) {
	err = conn.QueryRow(ctx, "SELECT any(engine_full) FROM system.tables WHERE database = currentDatabase() AND name = '"+table+"'").Scan(&engine)
	return engine, err
}

// ttlOf finds the TTL in a table's engine.
var ttlOf = regexp.MustCompile(` TTL (.+?)(?: SETTINGS |$)`)

// keep gives the table the TTL that the DSN names, unless it has it. Without
// one in the DSN, the table keeps what it has.
func (l *Ledger) keep(ctx context.Context) error {
	if l.ttlDays == leaveTTL {
		return nil
	}
	engine, err := engineOf(ctx, l.conn, l.layout.Table())
	if err != nil {
		return err
	}
	has, want, change := "", "", "REMOVE TTL"
	if found := ttlOf.FindStringSubmatch(engine); found != nil {
		has = found[1]
	}
	if l.ttlDays > 0 {
		want = fmt.Sprintf("toDate32(ts) + toIntervalDay(%d)", l.ttlDays)
		change = "MODIFY TTL " + want
	}
	if has == want {
		return nil
	}
	return l.conn.Exec(ctx, "ALTER TABLE "+l.layout.Table()+l.layout.OnCluster()+" "+change)
}
