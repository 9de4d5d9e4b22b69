// Package sqlite keeps users and keys in a SQLite file: the embedded default,
// for one machine. Several processes may use the file at once.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/internal/sqlitefile"
)

// Store is an identity.Store in a SQLite file.
type Store struct {
	path    string
	db      atomic.Pointer[database] // nil before the first call
	opening singleflight.Group
	mu      sync.Mutex // held while the file is opened or closed

	// life ends with Close, and with it an opening that still waits.
	life context.Context
	end  context.CancelFunc
}

// Open returns the store in the file that a DSN names, as in
// "sqlite:data/tallygate.db"; relative paths are relative to the working
// directory. It opens and makes nothing: the first call does, and makes the
// file (mode 0600), its folder (0700) and the schema where they are missing.
// A file whose schema is newer than this program is refused.
func Open(dsn string) (*Store, error) {
	path, err := sqlitefile.Path(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path}
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Close closes the file. Every call after it is an error.
func (s *Store) Close() error {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if db := s.db.Load(); db != nil {
		return s.fault(db.Close())
	}
	return nil
}

// open returns the open file. Calls that come while it is being opened wait
// for that, each no longer than its context; when it fails, the next call
// tries again.
func (s *Store) open(ctx context.Context) (*database, error) {
	if db := s.db.Load(); db != nil {
		return db, nil
	}
	opened := s.opening.DoChan("", func() (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.life.Err() != nil {
			return nil, errors.New("it is closed")
		}
		if db := s.db.Load(); db != nil {
			return db, nil
		}
		db, err := openFile(s.life, s.path)
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
		return r.Val.(*database), nil
	}
}

// fault says which store a technical fault is of; what is not there is none.
func (s *Store) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return identity.ErrNotFound
	default:
		return fmt.Errorf("store %s: %w", s.path, err)
	}
}

// change runs a statement and tells whether it changed a row.
func (s *Store) change(ctx context.Context, statement string, args ...any) (bool, error) {
	db, err := s.open(ctx)
	if err != nil {
		return false, err
	}
	result, err := db.ExecContext(ctx, statement, args...)
	if err != nil {
		return false, s.fault(err)
	}
	rows, err := result.RowsAffected()
	return rows > 0, s.fault(err)
}

// CreateUser implements identity.Store.
func (s *Store) CreateUser(ctx context.Context, u identity.User) error {
	created, err := s.change(ctx, `INSERT INTO users (`+userColumns+`) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (email) DO NOTHING`, userValues(u)...)
	if err == nil && !created {
		return identity.ErrEmailTaken
	}
	return err
}

// CreateFirstUser implements identity.Store.
func (s *Store) CreateFirstUser(ctx context.Context, u identity.User) (bool, error) {
	return s.change(ctx, `INSERT INTO users (`+userColumns+`) SELECT ?, ?, ?, ?, ?, ?
		WHERE NOT EXISTS (SELECT 1 FROM users)`, userValues(u)...)
}

// User implements identity.Store.
func (s *Store) User(ctx context.Context, id string) (identity.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id)
}

// UserByEmail implements identity.Store.
func (s *Store) UserByEmail(ctx context.Context, email string) (identity.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users WHERE email = ?`, email)
}

func (s *Store) user(ctx context.Context, query string, arg string) (identity.User, error) {
	db, err := s.open(ctx)
	if err != nil {
		return identity.User{}, err
	}
	var u identity.User
	err = db.QueryRowContext(ctx, query, arg).Scan(userFields(&u)...)
	return u, s.fault(err)
}

// Users implements identity.Store.
func (s *Store) Users(ctx context.Context) ([]identity.User, error) {
	return list(ctx, s, userFields, `SELECT `+userColumns+` FROM users ORDER BY created_at, id`)
}

// SetPassword implements identity.Store.
func (s *Store) SetPassword(ctx context.Context, userID, passwordHash string) error {
	return s.setUser(ctx, `UPDATE users SET password_hash = ? WHERE id = ?`, passwordHash, userID)
}

// SetDisabled implements identity.Store.
func (s *Store) SetDisabled(ctx context.Context, userID string, disabled bool) error {
	return s.setUser(ctx, `UPDATE users SET disabled = ? WHERE id = ?`, disabled, userID)
}

func (s *Store) setUser(ctx context.Context, statement string, args ...any) error {
	found, err := s.change(ctx, statement, args...)
	if err == nil && !found {
		return identity.ErrNotFound
	}
	return err
}

// CreateKey implements identity.Store.
func (s *Store) CreateKey(ctx context.Context, k identity.Key) error {
	created, err := s.change(ctx, `INSERT INTO keys (`+keyColumns+`)
		SELECT ?, id, ?, ?, ?, ?, ?, ? FROM users WHERE id = ?`,
		k.ID, k.Name, k.Prefix, k.Digest[:], micros{&k.CreatedAt}, micros{&k.ExpiresAt}, micros{&k.RevokedAt}, k.UserID)
	if err == nil && !created {
		return identity.ErrNotFound
	}
	return err
}

var selectKeyByDigest = `SELECT ` + of("keys", keyColumns) + `, ` + of("users", userColumns) + `
	FROM keys JOIN users ON users.id = keys.user_id WHERE keys.digest = ?`

// KeyByDigest implements identity.Store.
func (s *Store) KeyByDigest(ctx context.Context, d identity.Digest) (identity.Key, identity.User, error) {
	db, err := s.open(ctx)
	if err != nil {
		return identity.Key{}, identity.User{}, err
	}
	var k identity.Key
	var u identity.User
	err = db.keyByDigest.QueryRowContext(ctx, d[:]).Scan(append(keyFields(&k), userFields(&u)...)...)
	return k, u, s.fault(err)
}

// Keys implements identity.Store.
func (s *Store) Keys(ctx context.Context, userID string) ([]identity.Key, error) {
	const query, newestFirst = `SELECT ` + keyColumns + ` FROM keys`, ` ORDER BY created_at DESC, id DESC`
	if userID == "" {
		return list(ctx, s, keyFields, query+newestFirst)
	}
	return list(ctx, s, keyFields, query+` WHERE user_id = ?`+newestFirst, userID)
}

// RevokeKey implements identity.Store.
func (s *Store) RevokeKey(ctx context.Context, userID, keyID string, at time.Time) (identity.Key, error) {
	db, err := s.open(ctx)
	if err != nil {
		return identity.Key{}, err
	}
	// In a transaction, since only Commit tells that the change is on the disk.
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return identity.Key{}, s.fault(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing to do after Commit
	var k identity.Key
	err = tx.QueryRowContext(ctx, `UPDATE keys SET revoked_at = coalesce(revoked_at, ?)
		WHERE id = ? AND (user_id = ? OR ? = '') RETURNING `+keyColumns,
		micros{&at}, keyID, userID, userID).Scan(keyFields(&k)...)
	if err != nil {
		return identity.Key{}, s.fault(err)
	}
	if err := tx.Commit(); err != nil {
		return identity.Key{}, s.fault(err)
	}
	return k, nil
}

// Secret implements identity.Store.
func (s *Store) Secret(ctx context.Context, name string, fresh []byte) ([]byte, error) {
	kept, err := s.kept(ctx, name)
	if !errors.Is(err, identity.ErrNotFound) {
		return kept, err
	}
	if _, err := s.change(ctx, `INSERT INTO secrets (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO NOTHING`, name, fresh); err != nil {
		return nil, err
	}
	return s.kept(ctx, name) // another's, if that was faster
}

func (s *Store) kept(ctx context.Context, name string) (secret []byte, err error) {
	db, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	err = db.QueryRowContext(ctx, `SELECT value FROM secrets WHERE name = ?`, name).Scan(&secret)
	return secret, s.fault(err)
}

var _ identity.Store = (*Store)(nil)
