package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/sqlite"
)

// growKeys compares gates whose stores hold more and more live keys.
func growKeys(e *environment, quick bool) ([]curve, error) {
	sizes, p := []int{10, 1_000, 100_000, 1_000_000}, plan{cycles: 30, window: time.Second, peers: 1}
	if quick {
		sizes, p = []int{10, 10_000}, plan{cycles: 5, window: 300 * time.Millisecond, peers: 1}
	}
	var stores []*filledStore
	for _, n := range sizes {
		s, err := e.fillStore(n)
		if err != nil {
			return nil, err
		}
		defer s.remove()
		stores = append(stores, s)
	}
	var all []curve
	for _, series := range []struct {
		name string
		gate func(*filledStore) gateway
	}{
		{"each caller with a key of its own", oneKeyEach},
		{"each call with any of all keys, mostly for the first time", anyKey},
		{"each call with any of all keys, which all were used before", anyUsedKey},
	} {
		var gates []gateway
		for _, s := range stores {
			gates = append(gates, series.gate(s))
		}
		curves, err := e.against("keys", series.name, "keys", sizes, gates, p)
		if err != nil {
			return nil, err
		}
		all = append(all, curves...)
	}
	return all, nil
}

// oneKeyEach is a gate whose callers each keep to a key.
func oneKeyEach(s *filledStore) gateway {
	return s.gate(func(caller int) func() []byte {
		i := caller * 7919 % s.keys
		return func() []byte { return s.bearer(i) }
	})
}

// anyKey is a gate whose callers show any of the keys, another each time.
func anyKey(s *filledStore) gateway {
	return s.gate(func(int) func() []byte {
		return func() []byte { return s.bearer(rand.IntN(s.keys)) }
	})
}

// anyUsedKey is likewise, once each key has been shown.
func anyUsedKey(s *filledStore) gateway {
	var shown atomic.Int64
	g := s.gate(func(int) func() []byte {
		return func() []byte {
			if i := int(shown.Add(1)) - 1; i < s.keys {
				return s.bearer(i)
			}
			return s.bearer(rand.IntN(s.keys))
		}
	})
	g.warm = func(cs *callers) {
		var failed error // then the windows will tell
		for failed == nil && int(shown.Load()) < s.keys {
			failed = cs.load(time.Second).err
		}
	}
	return g
}

// gate is one on a copy of the store.
func (s *filledStore) gate(bearer func(caller int) func() []byte) gateway {
	return gateway{name: fmt.Sprint("gate with ", s.keys, " keys"), path: "/mcp", start: s.start, bearer: bearer}
}

// filledStore is a store that is full of live keys. Gates work on copies.
type filledStore struct {
	path    string
	keys    int
	bearers []byte // their Authorization headers, one after another
}

// bearer is the Authorization header of a key by its number.
func (s *filledStore) bearer(i int) []byte {
	size := len(s.bearers) / s.keys
	return s.bearers[i*size : (i+1)*size]
}

// start starts a gate on a copy of the store.
func (s *filledStore) start(d deployment) (*service, error) {
	if err := s.copyTo(filepath.Join(d.dir, "data")); err != nil {
		return nil, err
	}
	d.key = "" // the store has keys
	return startCaddy(d, "tallygate", gateConfig(d, sqliteLedger, ""))
}

// copyTo copies the store into a folder that it makes.
func (s *filledStore) copyTo(folder string) error {
	return copyFile(s.path, filepath.Join(folder, "tallygate.db"))
}

func (s *filledStore) remove() { _ = os.RemoveAll(filepath.Dir(s.path)) }

// keysOfUser is how many keys a user has in a filled store.
const keysOfUser = 10

// fillStore makes a store that holds so many live keys: by plain SQL in one
// transaction, since making each by itself would take a commit each.
func (e *environment) fillStore(keys int) (_ *filledStore, err error) {
	e.runs++
	path := filepath.Join(e.dir, fmt.Sprint(e.runs, "-store"), "tallygate.db")
	store, err := sqlite.Open("sqlite:" + path)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	_, err = store.Users(ctx) // makes the schema
	if err = errors.Join(err, store.Close()); err != nil {
		return nil, err
	}
	// Nothing of it need survive this run.
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(OFF)&_pragma=cache_size(-500000)")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing to do after Commit
	s := &filledStore{path: path, keys: keys}
	if err := s.insert(tx); err != nil {
		return nil, fmt.Errorf("filling a store with %d keys: %w", keys, err)
	}
	return s, tx.Commit()
}

// insert makes the users and the keys.
func (s *filledStore) insert(tx *sql.Tx) error {
	addUser, err := tx.Prepare(`INSERT INTO users (id, email, password_hash, role, disabled, created_at) VALUES ($1, $2, 'none', $3, 0, $4)`)
	if err != nil {
		return err
	}
	defer addUser.Close()
	addKey, err := tx.Prepare(`INSERT INTO keys (id, user_id, name, prefix, digest, created_at) VALUES ($1, $2, $3, $4, $5, $6)`)
	if err != nil {
		return err
	}
	defer addKey.Close()
	var user string
	var bearers strings.Builder
	for i := range s.keys {
		now := time.Now().UnixMicro()
		if i%keysOfUser == 0 {
			user = uuid.Must(uuid.NewV7()).String()
			if _, err := addUser.Exec(user, fmt.Sprintf("user-%d@example.com", i/keysOfUser), string(identity.Member), now); err != nil {
				return err
			}
		}
		key, digest, prefix := (identity.KeyFormat{}).NewKey()
		if _, err := addKey.Exec(uuid.Must(uuid.NewV7()).String(), user, fmt.Sprint("key ", i), prefix, digest[:], now); err != nil {
			return err
		}
		bearers.WriteString("Bearer " + key)
	}
	s.bearers = []byte(bearers.String())
	return nil
}

// copyFile copies a file to one that is not there yet, in a folder that may
// not be either.
func copyFile(from, to string) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
