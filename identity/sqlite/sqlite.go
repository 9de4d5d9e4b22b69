// Package sqlite keeps users and keys in a SQLite file: the embedded default,
// for one machine. Several processes may use the file at once.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tallygate/tallygate/identity"
)

// Store is an identity.Store in a SQLite file.
type Store struct {
	path    string
	opening singleflight.Group

	// life ends with Close, and with it an opening that still waits.
	life context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	db     *database // nil before the first call
	closed bool
}

// Open returns the store in the file that a DSN names, as in
// "sqlite:data/tallygate.db"; relative paths are relative to the working
// directory. It opens and makes nothing: the first call does, and makes the
// file (mode 0600), its folder (0700) and the schema where they are missing.
// A file whose schema is newer than this program is refused.
func Open(dsn string) (*Store, error) {
	path, err := pathOf(dsn)
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
	s.closed = true
	if s.db == nil {
		return nil
	}
	return s.fault(s.db.Close())
}

// open returns the open file. Calls that come while it is being opened wait
// for that, each no longer than its context; when it fails, the next call
// tries again.
func (s *Store) open(ctx context.Context) (*database, error) {
	s.mu.Lock()
	db := s.db
	s.mu.Unlock()
	if db != nil {
		return db, nil
	}
	opened := s.opening.DoChan("", func() (any, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return nil, errors.New("the store is closed")
		}
		if s.db == nil {
			db, err := openFile(s.life, s.path)
			if err != nil {
				return nil, err
			}
			s.db = db
		}
		return s.db, nil
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case r := <-opened:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*database), nil
	}
}

// fault says which store a technical fault is of.
func (s *Store) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store %s: %w", s.path, err)
}
