package clickhouse

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Names of the tables: of the events, in a cluster those of all shards, and of the
// migrations that ran.
const (
	logTable        = "mcp_tool_usage_log"
	migrationsTable = "mcp_tool_usage_migrations"
)

// migrations holds one statement a file. The number at the start of a file's name
// is its version; the lowest is the baseline, which makes the whole table.
// Several gates may start at the same moment and ClickHouse has no lock for DDL,
// so each statement must do no harm when it runs twice. The files are templates
// over a layout; one that comes out empty does nothing.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migration is one statement that changes the tables.
type migration struct {
	version   int
	name      string // of its file
	statement string // "" when there is nothing to do
}

// layout says where the tables are: on one server or on those of a cluster.
type layout struct {
	Cluster    string // "" for one server
	Replicated bool   // by ZooKeeper or Keeper, which ON CLUSTER takes, too
}

// Table returns the name of the table that holds the events of one server.
func (l layout) Table() string {
	if l.Cluster == "" {
		return logTable
	}
	return logTable + "_local"
}

// Quoted returns the cluster's name as an SQL string.
func (l layout) Quoted() string { return "'" + l.Cluster + "'" }

// OnCluster returns the clause that makes a statement run on all servers of a
// replicated cluster.
func (l layout) OnCluster() string {
	if !l.Replicated {
		return ""
	}
	return " ON CLUSTER " + l.Quoted()
}

// Engine returns the engine of a table that is replicated within each shard.
func (l layout) Engine(table string) string {
	if !l.Replicated {
		return "MergeTree"
	}
	return "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/" + table + "', '{replica}')"
}

// migrations returns the migrations for the layout, in their order.
func (l layout) migrations() ([]migration, error) {
	templates, err := template.ParseFS(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	all := make([]migration, len(files))
	for i, file := range files {
		m := &all[i]
		m.name = path.Base(file)
		number, _, _ := strings.Cut(m.name, "_")
		if m.version, err = strconv.Atoi(number); err != nil {
			return nil, err
		}
		var statement strings.Builder
		if err := templates.ExecuteTemplate(&statement, m.name, l); err != nil {
			return nil, err
		}
		m.statement = strings.TrimSpace(statement.String())
	}
	return all, nil
}

// createMigrations returns the statement that makes the table of the versions
// that ran. In a replicated cluster all servers share it.
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
// CREATE can use tables that somebody else made. (goose would use a table of its
// own, which it can neither lock nor make on a cluster.)
func (l *Ledger) migrate(ctx context.Context) error {
	all, err := l.layout.migrations()
	if err != nil {
		return err
	}
	baseline, newest := all[0].version, all[len(all)-1].version
	current, err := l.version(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("ClickHouse ledger: look for the table %s: %w", logTable, err)
	case current > newest:
		return fmt.Errorf("ClickHouse ledger: its tables are of version %d, made by a newer tallygate; this one knows versions up to %d: upgrade it",
			current, newest)
	case current > 0 && current < baseline:
		return fmt.Errorf("ClickHouse ledger: its tables are of version %d, from before the first release, and this program takes over none below %d: use another database, or DROP or RENAME %s and %s",
			current, baseline, logTable, migrationsTable)
	case current < newest:
		if err := l.conn.Exec(ctx, l.layout.createMigrations()); err != nil {
			return fmt.Errorf("ClickHouse ledger: make the table %s: %w", migrationsTable, err)
		}
	}
	for _, m := range all {
		if m.version > current {
			if err := l.run(ctx, m); err != nil {
				return err
			}
		}
	}
	if err := l.setTTL(ctx); err != nil {
		return fmt.Errorf("ClickHouse ledger: set how long events are kept: %w", err)
	}
	return nil
}

// run runs a migration and records it.
func (l *Ledger) run(ctx context.Context, m migration) error {
	if m.statement != "" {
		if err := l.conn.Exec(ctx, m.statement); err != nil {
			return fmt.Errorf("ClickHouse ledger: migration %s: %w", m.name, err)
		}
	}
	if err := l.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s (version) VALUES (%d)", migrationsTable, m.version)); err != nil {
		return fmt.Errorf("ClickHouse ledger: record migration %s: %w", m.name, err)
	}
	return nil
}

// version returns the last version that ran, or 0 when there is none or when
// mcp_tool_usage_log was dropped since.
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

// engineOf returns a table's engine clause, with its key, TTL and settings, or ""
// when there is no such table.
func engineOf(ctx context.Context, conn driver.Conn, table string) (engine string, err error) {
	err = conn.QueryRow(ctx, "SELECT any(engine_full) FROM system.tables WHERE database = currentDatabase() AND name = '"+table+"'").Scan(&engine)
	return engine, err
}

// ttlOf finds the TTL in a table's engine.
var ttlOf = regexp.MustCompile(` TTL (.+?)(?: SETTINGS |$)`)

// setTTL gives the table the TTL that the DSN names, unless it has that already.
// Without one in the DSN, the table's TTL stays as it is.
func (l *Ledger) setTTL(ctx context.Context) error {
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
