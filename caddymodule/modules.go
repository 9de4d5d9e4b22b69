package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/postgres"
	identitysqlite "github.com/tallygate/tallygate/identity/sqlite"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse"
	usagesqlite "github.com/tallygate/tallygate/usage/sqlite"
)

// StoreOpener is implemented by the modules in the namespace tallygate.stores.
// Their JSON has one field, `dsn`. OpenStore is called once for each DSN in use.
// No connection is opened before that.
type StoreOpener interface {
	OpenStore() (identity.Store, error)
}

// LedgerOpener is implemented by the modules in the namespace tallygate.ledgers,
// which are like those of tallygate.stores.
type LedgerOpener interface {
	OpenLedger() (usage.Ledger, error)
}

func init() {
	caddy.RegisterModule(new(SQLiteStore))
	caddy.RegisterModule(new(PostgresStore))
	caddy.RegisterModule(new(SQLiteLedger))
	caddy.RegisterModule(new(ClickHouseLedger))
}

// schemeAliases are the DSN schemes that are not the name of their module.
var schemeAliases = map[string]string{
	"http":       "clickhouse",
	"https":      "clickhouse",
	"postgresql": "postgres",
}

// guestConfig is the config of every guest.
type guestConfig struct {
	// The DSN, scheme included.
	DSN string `json:"dsn"`
}

// SQLiteStore keeps users and keys in an SQLite file: `sqlite:PATH`.
type SQLiteStore struct{ guestConfig }

// CaddyModule returns the Caddy module information.
func (*SQLiteStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tallygate.stores.sqlite", New: func() caddy.Module { return new(SQLiteStore) }}
}

// OpenStore opens the file, which is made when it is first used.
func (g *SQLiteStore) OpenStore() (identity.Store, error) { return identitysqlite.Open(g.DSN) }

// PostgresStore keeps users and keys in PostgreSQL, which several replicas
// share: `postgres://user:password@host:5432/database?sslmode=verify-full`, or
// `postgresql://…`, with the parameters of libpq's URIs.
type PostgresStore struct{ guestConfig }

// CaddyModule returns the Caddy module information.
func (*PostgresStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tallygate.stores.postgres", New: func() caddy.Module { return new(PostgresStore) }}
}

// OpenStore prepares the connections, which are made when they are first used.
func (g *PostgresStore) OpenStore() (identity.Store, error) { return postgres.Open(g.DSN) }

// SQLiteLedger keeps events in an SQLite file: `sqlite:PATH`, for ever, or with
// `sqlite:PATH?ttl=90d` for 90 days.
type SQLiteLedger struct{ guestConfig }

// CaddyModule returns the Caddy module information.
func (*SQLiteLedger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tallygate.ledgers.sqlite", New: func() caddy.Module { return new(SQLiteLedger) }}
}

// OpenLedger opens the file, which is made when it is first used.
func (g *SQLiteLedger) OpenLedger() (usage.Ledger, error) { return usagesqlite.Open(g.DSN) }

// ClickHouseLedger keeps events in ClickHouse:
// `clickhouse://user:password@host:9000/database` over its native protocol,
// `http://user:password@host:8123/database` or `https://…` over HTTP.
type ClickHouseLedger struct{ guestConfig }

// CaddyModule returns the Caddy module information.
func (*ClickHouseLedger) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tallygate.ledgers.clickhouse", New: func() caddy.Module { return new(ClickHouseLedger) }}
}

// OpenLedger prepares the connection, which is made when it is first used.
func (g *ClickHouseLedger) OpenLedger() (usage.Ledger, error) { return clickhouse.Open(g.DSN) }

// guestNames lists the modules of a namespace by their last label.
func guestNames(namespace string) []string {
	var names []string
	for _, m := range caddy.GetModules(namespace) {
		names = append(names, m.ID.Name())
	}
	return names
}

// caddyJSON encodes a module's config, of types that always encode.
func caddyJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Interface guards
var (
	_ StoreOpener  = (*SQLiteStore)(nil)
	_ StoreOpener  = (*PostgresStore)(nil)
	_ LedgerOpener = (*SQLiteLedger)(nil)
	_ LedgerOpener = (*ClickHouseLedger)(nil)
)
