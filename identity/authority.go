package identity

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// Authority decides whether a presented key is live, and remembers what it
// read for MaxAge. It is the store it was made with, too: what is created,
// revoked, disabled or enabled through it takes effect on the next call, what
// is changed elsewhere (another process, another replica) within MaxAge. So a
// process has one Authority for a store, and makes its changes through it.
type Authority struct {
	Store

	// known holds keys that exist, and never those that do not: strings that
	// look like keys cannot push keys out. An entry lies in the shard that its
	// digest's first byte names, so that cores seldom meet at one lock.
	known [256]shard
	// generation counts the changes made through the Authority. A look-up that
	// began in an earlier one may hold the answer of before the change.
	generation atomic.Uint64
	lookUps    singleflight.Group
	watches    watches

	// open ends with Close, and with it whatever goes on in the background.
	open  context.Context
	close context.CancelFunc
}

// MaxAge is how long an Authority trusts what it has read from its store.
const MaxAge = time.Second

const (
	maxKnown      = 768             // entries in a shard; 196,608 in all, some 70 MB
	lookUpTimeout = 5 * time.Second // then the store counts as away
)

// Principal is the user and the key that a call is made with. It is shared
// between calls: read it only.
type Principal struct {
	UserID    string
	UserEmail string
	KeyID     string
	KeyName   string
	ExpiresAt time.Time // zero: never

	digest Digest
}

// NewAuthority returns an Authority over a store. It opens nothing, and closes
// the store when it is closed.
func NewAuthority(s Store) *Authority {
	a := &Authority{Store: s}
	a.open, a.close = context.WithCancel(context.Background())
	return a
}

// Authenticate returns whom a key belongs to. Bad credentials are no error but
// false: a string that is no key, which costs no look-up, or a key that is
// unknown, expired, revoked, or whose user is disabled. An error means that
// the store could not tell.
func (a *Authority) Authenticate(ctx context.Context, presented string) (*Principal, bool, error) {
	if !WellFormed(presented) {
		return nil, false, nil
	}
	digest, now := DigestOf(presented), time.Now()
	e := a.known[digest[0]].get(digest)
	if e == nil || now.Sub(e.readAt) >= MaxAge {
		var err error
		if e, err = a.lookUp(ctx, digest); err != nil {
			return nil, false, err
		}
		now = time.Now()
	}
	if !e.live(now) {
		return nil, false, nil
	}
	return &e.principal, true, nil
}

// CreateKey is the store's. The key works from the next call on.
func (a *Authority) CreateKey(ctx context.Context, k Key) error {
	defer a.generation.Add(1)
	return a.Store.CreateKey(ctx, k)
}

// RevokeKey is the store's. The key is refused from the next call on, and what
// watches it ends before RevokeKey returns.
func (a *Authority) RevokeKey(ctx context.Context, userID, keyID string, at time.Time) (Key, error) {
	k, err := a.Store.RevokeKey(ctx, userID, keyID, at)
	a.changed(err, true, func(p *Principal) bool { return p.KeyID == keyID })
	return k, err
}

// SetDisabled is the store's. The user's keys are refused, or taken again, from
// the next call on; when they are refused, what watches them ends before
// SetDisabled returns.
func (a *Authority) SetDisabled(ctx context.Context, userID string, disabled bool) error {
	err := a.Store.SetDisabled(ctx, userID, disabled)
	a.changed(err, disabled, func(p *Principal) bool { return p.UserID == userID })
	return err
}

// Close ends what goes on in the background, and closes the store.
func (a *Authority) Close() error {
	a.close()
	return a.Store.Close()
}

// changed follows a change to the keys of the principals that match, which
// ended with err and, if dead is set, took their keys' life.
func (a *Authority) changed(err error, dead bool, match func(*Principal) bool) {
	if errors.Is(err, ErrNotFound) {
		return // nothing was changed
	}
	// A store that failed may have made the change all the same.
	a.generation.Add(1)
	for i := range a.known {
		a.known[i].forget(match)
	}
	if err == nil && dead {
		a.watches.end(match)
	}
}

// lookUp reads a key from the store and remembers it. Callers that want the
// same key at the same time share one reading, which goes on when the one of
// them that began it leaves.
func (a *Authority) lookUp(ctx context.Context, d Digest) (*entry, error) {
	asked := time.Now()
	for {
		generation := a.generation.Load()
		readings := a.lookUps.DoChan(reading(d, generation), func() (any, error) {
			return a.read(d, generation)
		})
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the store: %w", context.Cause(ctx))
		case r := <-readings:
			if r.Err != nil {
				return nil, fmt.Errorf("looking up a key: %w", r.Err)
			}
			// Only a reading that others began, on a slow store, can be too old.
			if e := r.Val.(*entry); asked.Sub(e.readAt) < MaxAge {
				return e, nil
			}
		}
	}
}

// reading names a look-up. It is not shared across generations: whoever asks
// after a change must not get an answer from before it.
func reading(d Digest, generation uint64) string {
	return string(binary.BigEndian.AppendUint64(d[:], generation))
}

func (a *Authority) read(d Digest, generation uint64) (*entry, error) {
	ctx, cancel := context.WithTimeout(a.open, lookUpTimeout)
	defer cancel()
	e := &entry{readAt: time.Now()}
	k, u, err := a.KeyByDigest(ctx, d)
	if errors.Is(err, ErrNotFound) {
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	e.principal = Principal{
		UserID:    u.ID,
		UserEmail: u.Email,
		KeyID:     k.ID,
		KeyName:   k.Name,
		ExpiresAt: k.ExpiresAt,
		digest:    d,
	}
	e.valid = k.RevokedAt.IsZero() && !u.Disabled
	a.known[d[0]].put(e, func() bool { return a.generation.Load() == generation })
	return e, nil
}

// entry is what the store said of a key.
type entry struct {
	principal Principal
	valid     bool      // exists, not revoked, its user not disabled
	readAt    time.Time // when the look-up began
}

func (e *entry) live(now time.Time) bool {
	return e.valid && !e.principal.expired(now)
}

func (p *Principal) expired(now time.Time) bool {
	k := Key{ExpiresAt: p.ExpiresAt}
	return k.Status(now) == Expired
}

// shard is a part of the known keys.
type shard struct {
	mu      sync.RWMutex
	entries map[Digest]*entry
}

func (s *shard) get(d Digest) *entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[d]
}

// put remembers an entry if it is still true. A change is counted before it
// forgets: either put sees the count, or forget comes after put.
func (s *shard) put(e *entry, stillTrue func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !stillTrue() {
		return
	}
	if s.entries == nil {
		s.entries = make(map[Digest]*entry)
	}
	// Any entry may make room: what is lost is one look-up.
	for d := range s.entries {
		if len(s.entries) < maxKnown {
			break
		}
		delete(s.entries, d)
	}
	s.entries[e.principal.digest] = e
}

func (s *shard) forget(match func(*Principal) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.entries, func(_ Digest, e *entry) bool { return match(&e.principal) })
}

var _ Store = (*Authority)(nil)
