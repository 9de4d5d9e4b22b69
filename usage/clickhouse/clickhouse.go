// Package clickhouse keeps the usage ledger in ClickHouse, over the native
// protocol or over HTTP.
//
// A batch is one INSERT with its token as insert_deduplication_token. So ClickHouse
// drops the second of two equal batches: when the answer to the first was lost,
// when another process sends it again, and when the server was killed in between.
// A batch with events of several months becomes one part a month; each part is
// stored as a whole and once. ClickHouse forgets tokens after some time, so a batch
// that may have been sent before is inserted without the events that are stored.
package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/tallygate/tallygate/usage"
)

// Ledger is a usage.Ledger in the table mcp_tool_usage_log of one ClickHouse
// database.
type Ledger struct {
	conn      driver.Conn
	layout    layout
	ttlDays   int           // how long events are kept; 0 for ever, leaveTTL keeps the table's TTL
	migrating chan struct{} // holds a token while one caller migrates
	migrated  atomic.Bool
	doubts    doubts
}

// Open returns the ledger in the database that the DSN names. It connects at the
// first use, and then creates the table if it is missing.
//
//	clickhouse://USER:PASSWORD@HOST:9000/DATABASE   native; TLS with ?secure=true
//	http://USER:PASSWORD@HOST:8123/DATABASE         HTTP
//	https://USER:PASSWORD@HOST:8443/DATABASE        HTTPS
//
// The ledger has these parameters of its own:
//
//	ttl=90d            drop older events, a month at a time; ttl=none keeps all
//	cluster=NAME       replicated tables and a Distributed one on that cluster
//	replicated=false   the cluster has no Keeper: plain tables, on this server only
//
// Others are clickhouse-go's, as in ?compress=zstd&dial_timeout=5s; the default of
// compress is lz4.
func Open(dsn string) (*Ledger, error) {
	o, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	conn, err := clickhouse.Open(o.driver)
	if err != nil {
		return nil, fmt.Errorf("ClickHouse ledger: %w", err)
	}
	return &Ledger{conn: conn, layout: o.layout, ttlDays: o.ttlDays, migrating: make(chan struct{}, 1), doubts: newDoubts()}, nil
}

// Close closes the connections. The ledger cannot be used afterwards.
func (l *Ledger) Close() error {
	return l.conn.Close()
}

// ready makes sure that the table exists and is up to date.
func (l *Ledger) ready(ctx context.Context) error {
	if l.migrated.Load() {
		return nil
	}
	select {
	case l.migrating <- struct{}{}:
		defer func() { <-l.migrating }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.migrated.Load() {
		return nil
	}
	if err := l.migrate(ctx); err != nil {
		return err
	}
	l.migrated.Store(true)
	return nil
}

// ask answers a query once the table is there, and adds to an error what the ledger
// was doing.
func ask[Q, A any](ctx context.Context, l *Ledger, doing string, q Q, answer func(context.Context, Q) (A, error)) (A, error) {
	var none A
	if err := l.ready(ctx); err != nil {
		return none, err
	}
	a, err := answer(ctx, q)
	if err != nil {
		return none, l.failed(doing, err)
	}
	return a, nil
}

// Codes of server exceptions, from ClickHouse's src/Common/ErrorCodes.cpp.
const (
	unknownTable    = 60
	unknownDatabase = 81
)

// valueCodes are the exceptions that a value causes at every attempt. Exceptions
// about types are not among them: client and table disagree about a column's type
// only where somebody altered the table.
var valueCodes = []int32{
	69,  // ARGUMENT_OUT_OF_BOUND
	131, // TOO_LARGE_STRING_SIZE
	321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
	407, // DECIMAL_OVERFLOW
	469, // VIOLATED_CONSTRAINT
	691, // UNKNOWN_ELEMENT_OF_ENUM
}

// failed adds to err what the ledger was doing. When the table is missing, the next
// use creates it.
func (l *Ledger) failed(doing string, err error) error {
	var exception *clickhouse.Exception
	if errors.As(err, &exception) {
		switch code := exception.Code; {
		case code == unknownTable || code == unknownDatabase:
			l.migrated.Store(false)
		case slices.Contains(valueCodes, code):
			return fmt.Errorf("ClickHouse ledger: %s: %w: %w", doing, usage.ErrRejected, err)
		}
	}
	return fmt.Errorf("ClickHouse ledger: %s: %w", doing, err)
}

var _ usage.Ledger = (*Ledger)(nil)
