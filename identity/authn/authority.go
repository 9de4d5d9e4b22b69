// Package authn decides whether a presented API key is live. Authority answers
// from a cache in front of the identity.Store, queues the lookups of
// keys that may not exist, ends what is open with a key that was revoked
// (Watch), and records when each key was last used.
package authn

import (
	"cmp"
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tallygate/tallygate/identity"
)

// Authority decides whether a presented key is live, and caches what it read
// from its store. It also passes changes on to the store (see invalidate.go and
// store.go). What is created, revoked, disabled or changed through it takes
// effect on the next call. What is changed elsewhere (another process, another
// replica) takes effect
//
//   - at once where the store is a Notifier and its connection works: cached
//     entries are then trusted until a change to them is reported;
//   - within MaxAge otherwise, since cached entries are trusted for no longer.
//
// While the store cannot be read, a key that is known to be live goes on
// working for StaleOK after it was last known to be live. Nothing is known of
// any other key then, which is an error.
//
// A process has one Authority for a store, and makes its changes through it.
type Authority struct {
	uncachedStore // the store again, without what concerns the cache

	store identity.Store

	// cache holds keys that exist, and never those that do not (queue does, some of
	// them): strings that only look like keys cannot evict keys. The first byte of an entry's digest
	// chooses its shard, so that cores seldom contend for one lock.
	cache [256]shard
	// generation counts the changes made through the Authority or reported by
	// the store. A lookup that began in an earlier generation may return what
	// was true before the change.
	generation atomic.Uint64
	lookups    singleflight.Group
	storeDown  atomic.Bool // the last lookup failed
	probing    atomic.Bool // a background lookup is finding out whether it still is
	// lastHeartbeat is the time for which the store has reported all changes;
	// nil before the first heartbeat.
	lastHeartbeat atomic.Pointer[coverage]
	staleOK       time.Duration
	queue         *lookupQueue
	uses          lastUses
	watches       watches

	// open is canceled by Close, and ends all background work.
	open       context.Context
	close      context.CancelFunc
	background background
}

// Options configure an Authority. The zero Options are good.
type Options struct {
	// StaleOK is how long a live key goes on working while the store cannot be
	// read. DefaultStaleOK when zero; not at all when negative.
	StaleOK time.Duration
}

const (
	// MaxAge is how long an Authority trusts what it has read from its store,
	// unless the store reports changes. A store that takes longer to answer
	// counts as down.
	MaxAge = time.Second
	// DefaultStaleOK is the StaleOK of zero Options.
	DefaultStaleOK = 5 * time.Minute

	maxShardEntries = 4096            // 1,048,576 in all shards, 500 MB (twice that resident, because of garbage collection)
	lookupTimeout   = 5 * time.Second // then the store counts as down
)

// Principal is the user and the key that a call is made with. It is shared
// between calls: treat it as read-only.
type Principal struct {
	UserID    string
	UserEmail string
	KeyID     string
	KeyName   string
	ExpiresAt time.Time       // zero: never
	Scope     *identity.Scope // the tools that may be called; nil: every one
	Limits    identity.Limits // of the key
	// UserLimits are over all keys of the user together.
	UserLimits identity.Limits

	digest identity.Digest
}

// New returns an Authority over a store. It opens nothing, and closes the store
// when it is closed.
func New(s identity.Store, o Options) *Authority {
	a := &Authority{uncachedStore: s, store: s, staleOK: cmp.Or(o.StaleOK, DefaultStaleOK), queue: newLookupQueue()}
	a.open, a.close = context.WithCancel(context.Background())
	return a
}

// Denial says why a presented string is not a live key. It is for the operator:
// a client that learned it could tell keys that exist from those that do not.
type Denial struct {
	Reason string // one of the constants below
	KeyID  string // "" for a string that is not a key, or not one that exists
}

// Reasons of a Denial.
const (
	Malformed    = "malformed_key" // it has not the form of a key, and was not looked up
	Unknown      = "unknown_key"
	Revoked      = "revoked"
	Expired      = "expired"
	UserDisabled = "user_disabled"
)

// Authenticate returns the principal that a key belongs to. Bad credentials are
// not an error but a Denial: a string that cannot be a key, which costs no
// lookup, or a key that is unknown, expired or revoked, or whose user is
// disabled. An error means that the store could not answer in time. One of the
// three is not nil.
func (a *Authority) Authenticate(ctx context.Context, presented string, client netip.Addr) (*Principal, *Denial, error) {
	if len(presented) > identity.MaxKeyLength {
		return nil, &Denial{Reason: Malformed}, nil
	}
	digest, now := identity.DigestOf(presented), time.Now()
	e := a.shard(digest).get(digest)
	if e == nil && !identity.WellFormed(presented) {
		return nil, &Denial{Reason: Malformed}, nil
	}
	if e == nil || !a.trusted(e.readAt, now) {
		var err error
		if e, err = a.find(ctx, digest, client); err != nil {
			return nil, nil, err
		}
		now = time.Now()
	}
	if !e.live(now) {
		return nil, e.denial(), nil
	}
	a.recordUse(e.use, now)
	return &e.principal, nil, nil
}

// Close ends the background work, writes the last uses of keys, and closes the
// store.
func (a *Authority) Close() error {
	a.close()
	a.background.wait()
	a.flushUses(context.Background(), lastFlushTimeout)
	return a.store.Close()
}

// Connected reports whether the store is reporting changes made elsewhere now.
func (a *Authority) Connected() bool {
	h := a.lastHeartbeat.Load()
	return h != nil && time.Since(h.to) < MaxAge
}

// coverage is a span of time in which the store reported all changes.
type coverage struct{ from, to time.Time }

// trusted reports whether what the store said at a time may be used without a
// lookup.
func (a *Authority) trusted(readAt, now time.Time) bool {
	return now.Sub(readAt) < MaxAge || a.coveredByNotifications(readAt, now)
}

// coveredByNotifications reports whether the store would have reported a change
// since a time.
func (a *Authority) coveredByNotifications(readAt, now time.Time) bool {
	h := a.lastHeartbeat.Load()
	return h != nil && !readAt.Before(h.from) && now.Sub(h.to) < MaxAge
}

// usableWhileStale reports whether a live entry may be used while the store is
// down.
func (a *Authority) usableWhileStale(e *entry, now time.Time) bool {
	lastValid := e.readAt
	if h := a.lastHeartbeat.Load(); h != nil && !lastValid.Before(h.from) && lastValid.Before(h.to) {
		lastValid = h.to
	}
	return e.live(now) && now.Sub(lastValid) < a.staleOK
}

func (a *Authority) shard(d identity.Digest) *shard { return &a.cache[d[0]] }

// entry is what the store said about a key.
type entry struct {
	principal Principal
	dead      string    // why it is not live, but for its expiry: Unknown, Revoked or UserDisabled; else ""
	readAt    time.Time // when the lookup began
	use       *use
}

func (e *entry) live(now time.Time) bool {
	return e.dead == "" && !e.principal.expired(now)
}

// denial says why a key that is not live is not.
func (e *entry) denial() *Denial {
	return &Denial{cmp.Or(e.dead, Expired), e.principal.KeyID}
}

func (p *Principal) expired(now time.Time) bool {
	return !p.ExpiresAt.IsZero() && !now.Before(p.ExpiresAt)
}

// shard is one part of the cache.
type shard struct {
	mu      sync.RWMutex
	entries map[identity.Digest]*entry
}

func (s *shard) get(d identity.Digest) *entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[d]
}

// put caches an entry if it is still current. A change increments the
// generation before it evicts: either put sees the new generation, or the
// eviction comes after put.
func (s *shard) put(e *entry, current func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !current() {
		return
	}
	if s.entries == nil {
		s.entries = make(map[identity.Digest]*entry)
	}
	if before := s.entries[e.principal.digest]; before != nil {
		e.use = before.use
	}
	// Any entry may be evicted: that costs one lookup.
	for d := range s.entries {
		if len(s.entries) < maxShardEntries {
			break
		}
		delete(s.entries, d)
	}
	s.entries[e.principal.digest] = e
}

func (s *shard) evict(d identity.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, d)
}

func (s *shard) evictAll(match func(*Principal) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d, e := range s.entries {
		if match(&e.principal) {
			delete(s.entries, d)
		}
	}
}

// background is the set of goroutines that run until the Authority is closed.
type background struct {
	begin   sync.Once
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// start runs a function in the background, unless the Authority is closed.
func (b *background) start(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.running.Go(f)
	}
}

func (b *background) wait() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.running.Wait()
}
