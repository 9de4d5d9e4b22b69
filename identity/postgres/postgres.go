// Package postgres keeps users and keys in PostgreSQL (13 and later), for several
// replicas that share them. Each is notified at once of what the others change, by
// LISTEN and NOTIFY.
package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/internal/sqlstore"
	"github.com/tallygate/tallygate/internal/schema"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an identity.Store in PostgreSQL. It is an identity.Notifier, too.
type Store struct {
	*sqlstore.Store
	config *pgx.ConnConfig
}

const (
	connections    = 10
	idleTimeout    = 5 * time.Minute // of a connection
	connectTimeout = 5 * time.Second // unless the DSN has a connect_timeout
)

// Open returns the store in the database that a DSN names, as in
// "postgres://user:password@host:5432/database?sslmode=verify-full" (libpq's
// URI, its parameters and its environment variables included). It connects to
// nothing: the first call does, and makes the schema where it is missing. A
// database with any other schema is refused.
//
// The connection must be to PostgreSQL itself, or to a pooler that gives each
// client a session of its own: LISTEN needs one.
func Open(dsn string) (*Store, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return nil, errors.New("PostgreSQL is named by postgres://user:password@host:5432/database")
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The error of pgx contains the DSN, and the password too where it could not
		// be parsed.
		return nil, errors.New("the DSN of the PostgreSQL store cannot be read: write postgres://user:password@host:5432/database, with %XX for characters like / and # in the password")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "tallygate"
	}
	s := &Store{config: config}
	s.Store = sqlstore.New(fmt.Sprintf("postgres://%s:%d/%s", config.Host, config.Port, config.Database), dialect, s.connect)
	return s, nil
}

// channel is where the schema's triggers send notifications.
const channel = "tallygate"

var dialect = sqlstore.Dialect{
	Now:       `CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`,
	JSONEach:  `json_each_text(CAST($1 AS json))`,
	ForUpdate: ` FOR UPDATE`,
	Lock:      lock,
	NotFound:  notFound,
}

// lock keeps other transactions from adding and changing rows of a table.
// "touches" is not a table, but the name of an advisory lock.
func lock(table string) string {
	if table == "touches" {
		return fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, touchLock)
	}
	return `LOCK TABLE ` + table + ` IN SHARE ROW EXCLUSIVE MODE`
}

// The numbers of advisory locks, in a database that others may use: "tallyga1"
// and "tallyga2", as big-endian integers.
const (
	migrateLock = 0x74616c6c79676131
	touchLock   = 0x74616c6c79676132
)

// notFound reports whether PostgreSQL refused a parameter that is not text
// (invalid UTF-8, or a zero byte): no row can have it.
func notFound(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Code == "22021" // character_not_in_repertoire
}

// Unreachable reports whether an error means that the server could not be reached,
// or takes no connections yet, so that a later try may succeed.
func (*Store) Unreachable(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		// The classes of connection exceptions, of too few resources such as
		// connections, and of a server that starts or stops.
		return slices.ContainsFunc([]string{"08", "53", "57"}, func(class string) bool { return strings.HasPrefix(refused.Code, class) })
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || errors.Is(err, context.DeadlineExceeded)
}

func (s *Store) connect(ctx context.Context) (_ *sql.DB, err error) {
	db := stdlib.OpenDB(*s.config)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(idleTimeout)
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// migrate brings the schema up to date, one process at a time.
func migrate(ctx context.Context, db *sql.DB) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locked, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, locked.Close()) }()
	if _, err := locked.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(migrateLock)); err != nil {
		return fmt.Errorf("waiting for other replicas to bring the schema up to date: %w", err)
	}
	// When this fails, the connection is broken, and the lock is free.
	defer func() {
		_, _ = locked.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(migrateLock))
	}()
	return schema.Migrate(ctx, db, goose.DialectPostgres, files)
}

var (
	_ identity.Store    = (*Store)(nil)
	_ identity.Notifier = (*Store)(nil)
)
