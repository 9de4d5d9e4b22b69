package identity

import (
	"cmp"
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// Authority decides whether a presented key is live, and remembers what it
// read. It is the store it was made with, too: what is created, revoked,
// disabled or changed through it takes effect on the next call. What is changed
// elsewhere (another process, another replica) takes effect
//
//   - at once where the store is a Notifier and its connection works: what was
//     read is then trusted until it is said to have changed;
//   - within MaxAge otherwise, since what was read is trusted for no longer.
//
// While the store cannot be read, a key that is known to be live goes on
// working for StaleOK after it was last known to be so. Nothing is known of any
// other key then, which is an error.
//
// A process has one Authority for a store, and makes its changes through it.
type Authority struct {
	Store

	// known holds keys that exist, and never those that do not: strings that
	// look like keys cannot push keys out. An entry lies in the shard that its
	// digest's first byte names, so that cores seldom meet at one lock.
	known [256]shard
	// generation counts the changes made through the Authority, or told of by
	// the store. A look-up that began in an earlier one may hold the answer of
	// before the change.
	generation atomic.Uint64
	lookUps    singleflight.Group
	away       atomic.Bool // the last look-up failed
	probing    atomic.Bool // a look-up finds out whether it is still so
	heard      atomic.Pointer[span]
	staleOK    time.Duration
	flood      *flood
	uses       uses
	watches    watches

	// open ends with Close, and with it whatever goes on in the background.
	open       context.Context
	close      context.CancelFunc
	background background
}

// Options are what may be said of an Authority. The zero Options are good.
type Options struct {
	// StaleOK is how long a live key goes on working while the store cannot be
	// read. DefaultStaleOK when zero; not at all when negative.
	StaleOK time.Duration
}

const (
	// MaxAge is how long an Authority trusts what it has read from its store,
	// unless the store tells of changes. A store that takes longer to answer
	// counts as away.
	MaxAge = time.Second
	// DefaultStaleOK is the StaleOK of zero Options.
	DefaultStaleOK = 5 * time.Minute

	maxKnown      = 4096            // entries in a shard; 1,048,576 in all, 500 MB (resident twice that: garbage collection)
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
	Scope     *Scope    // the tools that may be called; nil: every one
	Limits    Limits    // the key's, and where it has none its user's

	digest Digest
}

// NewAuthority returns an Authority over a store. It opens nothing, and closes
// the store when it is closed.
func NewAuthority(s Store, o Options) *Authority {
	a := &Authority{Store: s, staleOK: cmp.Or(o.StaleOK, DefaultStaleOK), flood: newFlood()}
	a.open, a.close = context.WithCancel(context.Background())
	return a
}

// Authenticate returns whom a key belongs to. Bad credentials are no error but
// false: a string that is no key, which costs no look-up, or a key that is
// unknown, expired, revoked, or whose user is disabled. An error is a
// *Throttled when the client presented too many keys that there are none of,
// and else means that the store could not tell.
func (a *Authority) Authenticate(ctx context.Context, presented string, client netip.Addr) (*Principal, bool, error) {
	if len(presented) > maxKeyLength {
		return nil, false, nil
	}
	digest, now := DigestOf(presented), time.Now()
	e := a.known[digest[0]].get(digest)
	if e == nil && !WellFormed(presented) {
		return nil, false, nil
	}
	if e == nil || !a.trusted(e, now) {
		var err error
		if e, err = a.find(ctx, digest, client); err != nil {
			return nil, false, err
		}
		now = time.Now()
	}
	if !e.live(now) {
		return nil, false, nil
	}
	a.note(e.use, now)
	return &e.principal, true, nil
}

// Close ends what goes on in the background, notes the last uses of keys, and
// closes the store.
func (a *Authority) Close() error {
	a.close()
	a.background.wait()
	a.flushLast()
	return a.Store.Close()
}

// Hears tells whether the store tells of changes made elsewhere now.
func (a *Authority) Hears() bool {
	h := a.heard.Load()
	return h != nil && time.Since(h.to) < MaxAge
}

// span is a time in which all changes were told of.
type span struct{ from, to time.Time }

// trusted tells whether what was read is still true, for all that can be known.
func (a *Authority) trusted(e *entry, now time.Time) bool {
	return now.Sub(e.readAt) < MaxAge || a.vouched(e, now)
}

// vouched tells whether the store would have told if an entry were true no
// longer.
func (a *Authority) vouched(e *entry, now time.Time) bool {
	h := a.heard.Load()
	return h != nil && !e.readAt.Before(h.from) && now.Sub(h.to) < MaxAge
}

// stillOK tells whether a live entry may be used although the store is away.
func (a *Authority) stillOK(e *entry, now time.Time) bool {
	trueAt := e.readAt
	if h := a.heard.Load(); h != nil && !trueAt.Before(h.from) && trueAt.Before(h.to) {
		trueAt = h.to
	}
	return e.live(now) && now.Sub(trueAt) < a.staleOK
}

// entry is what the store said of a key.
type entry struct {
	principal Principal
	valid     bool      // exists, not revoked, its user not disabled
	readAt    time.Time // when the look-up began
	use       *use
}

func (e *entry) exists() bool { return e.principal.KeyID != "" }

func (e *entry) live(now time.Time) bool {
	return e.valid && !e.principal.expired(now)
}

func (p *Principal) expired(now time.Time) bool {
	return !p.ExpiresAt.IsZero() && !now.Before(p.ExpiresAt)
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
	if before := s.entries[e.principal.digest]; before != nil {
		e.use = before.use
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

func (s *shard) forget(d Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, d)
}

func (s *shard) forgetAll(match func(*Principal) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d, e := range s.entries {
		if match(&e.principal) {
			delete(s.entries, d)
		}
	}
}

// background is what goes on until the Authority is closed.
type background struct {
	once    sync.Once // begins to listen
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

var _ Store = (*Authority)(nil)
