// Package sqlstore is an identity.Store in an SQL database. It has what SQLite and
// PostgreSQL have in common, which is nearly everything.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"github.com/tallygate/tallygate/identity"
)

// Dialect has what differs between the databases. Parameters are $1, $2, … in
// both.
type Dialect struct {
	// Now is the database's clock, as microseconds since 1970.
	Now string
	// JSONEach is a function that returns the members of a JSON object, $1, as a
	// table (key, value).
	JSONEach string
	// ForUpdate ends a SELECT that locks its rows for the transaction; empty where
	// each transaction locks the whole database.
	ForUpdate string
	// Lock returns a statement that keeps other transactions from adding rows to a
	// table; nil where each transaction locks the whole database.
	Lock func(table string) string
	// NotFound reports whether an error other than sql.ErrNoRows means that there
	// is no such row; nil where none does.
	NotFound func(error) bool
}

// Store is an identity.Store.
type Store struct {
	name    string
	dialect Dialect
	connect func(context.Context) (*sql.DB, error)
	db      atomic.Pointer[sql.DB] // nil before the first call
	opening singleflight.Group
	mu      sync.Mutex // held while the database is opened or closed

	// open is canceled by Close, which ends an attempt to connect.
	open  context.Context
	close context.CancelFunc
}

// New returns the store in a database. The name is for errors. connect opens the
// database and makes its schema. It is called at the first call of the store, and
// again at the next one when it failed.
func New(name string, d Dialect, connect func(context.Context) (*sql.DB, error)) *Store {
	s := &Store{name: name, dialect: d, connect: connect}
	s.open, s.close = context.WithCancel(context.Background())
	return s
}

// Close closes the database. Every call after it is an error.
func (s *Store) Close() error {
	s.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if db := s.db.Load(); db != nil {
		return s.fault(db.Close())
	}
	return nil
}

// DB returns the open database, its schema up to date. Calls that come while it is
// being opened wait for that, each no longer than its context. When opening fails,
// the next call tries again.
func (s *Store) DB(ctx context.Context) (*sql.DB, error) {
	if db := s.db.Load(); db != nil {
		return db, nil
	}
	opened := s.opening.DoChan("", func() (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open.Err() != nil {
			return nil, errors.New("it is closed")
		}
		if db := s.db.Load(); db != nil {
			return db, nil
		}
		db, err := s.connect(s.open)
		if err != nil {
			return nil, err
		}
		s.db.Store(db)
		return db, nil
	})
	select {
	case <-ctx.Done():
		return nil, s.fault(context.Cause(ctx))
	case r := <-opened:
		if r.Err != nil {
			return nil, s.fault(r.Err)
		}
		return r.Val.(*sql.DB), nil
	}
}

// fault adds the name of the store to a technical fault. The errors of
// identity.Store are returned as they are.
func (s *Store) fault(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{
		identity.ErrNotFound, identity.ErrEmailTaken, identity.ErrLastAdmin, identity.ErrNotActive, identity.ErrReceiptTaken,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	if errors.Is(err, sql.ErrNoRows) || s.dialect.NotFound != nil && s.dialect.NotFound(err) {
		return identity.ErrNotFound
	}
	return fmt.Errorf("store %s: %w", s.name, err)
}

// tx is a transaction that changes something.
type tx struct {
	*sql.Tx
	s   *Store
	ctx context.Context // of the call
}

// change runs a transaction: it is committed when f succeeds, and rolled back when
// f fails.
func (s *Store) change(ctx context.Context, f func(tx) error) error {
	db, err := s.DB(ctx)
	if err != nil {
		return err
	}
	begun, err := db.BeginTx(ctx, nil)
	if err != nil {
		return s.fault(err)
	}
	defer func() { _ = begun.Rollback() }() // nothing to do after Commit
	if err := f(tx{begun, s, ctx}); err != nil {
		return s.fault(err)
	}
	// The change is on the disk when Commit has succeeded, not before.
	return s.fault(begun.Commit())
}

// exec runs a statement and reports whether it changed a row.
func (t tx) exec(statement string, args ...any) (bool, error) {
	result, err := t.ExecContext(t.ctx, statement, args...)
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}

// row reads one row into fields.
func (t tx) row(fields []any, query string, args ...any) error {
	return t.QueryRowContext(t.ctx, query, args...).Scan(fields...)
}

// lock keeps others from adding rows to a table until the transaction ends.
func (t tx) lock(table string) error {
	if t.s.dialect.Lock == nil {
		return nil
	}
	_, err := t.exec(t.s.dialect.Lock(table))
	return err
}

// row reads one row outside of any transaction.
func (s *Store) row(ctx context.Context, fields []any, query string, args ...any) error {
	db, err := s.DB(ctx)
	if err != nil {
		return err
	}
	return s.fault(db.QueryRowContext(ctx, query, args...).Scan(fields...))
}

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// list runs a query and scans each of its rows into the fields of a T.
func list[T any](ctx context.Context, q queryer, fields func(*T) []any, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has returned any error
	var items []T
	for rows.Next() {
		var item T
		if err := rows.Scan(fields(&item)...); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, rows.Err()
}

// listAll is list outside of any transaction.
func listAll[T any](ctx context.Context, s *Store, fields func(*T) []any, query string, args ...any) ([]T, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return nil, err
	}
	items, err := list(ctx, db, fields, query, args...)
	if err = s.fault(err); errors.Is(err, identity.ErrNotFound) {
		return nil, nil // a value that no row can have: no rows
	}
	return items, err
}

var _ identity.Store = (*Store)(nil)
