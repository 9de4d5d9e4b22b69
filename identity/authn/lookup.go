package identity

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// find returns what the store says of a key, or what it last said when it
// cannot be asked.
func (a *Authority) find(ctx context.Context, d Digest, client netip.Addr) (*entry, error) {
	if err := context.Cause(a.open); err != nil {
		return nil, fmt.Errorf("the authority is closed: %w", err)
	}
	e := a.known[d[0]].get(d)
	if e == nil {
		return a.findUnknown(ctx, d, client)
	}
	if !a.stillOK(e, time.Now()) {
		return a.lookUp(ctx, d)
	}
	// Nobody waits for a store that is known to be away.
	if a.away.Load() {
		a.probe(d)
		return e, nil
	}
	patience, cancel := context.WithTimeout(ctx, MaxAge)
	defer cancel()
	read, err := a.lookUp(patience, d)
	if err == nil || ctx.Err() != nil {
		return read, err
	}
	a.away.Store(true)
	// A change that was made meanwhile made it forgotten.
	if e := a.known[d[0]].get(d); e != nil && a.stillOK(e, time.Now()) {
		return e, nil
	}
	return nil, err
}

// findUnknown looks a key up that may be none at all. A client may have so many
// of those looked up, and no more.
func (a *Authority) findUnknown(ctx context.Context, d Digest, client netip.Addr) (*entry, error) {
	timeout := lookUpTimeout
	if a.away.Load() {
		timeout = MaxAge
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if wait := a.flood.wait(client, time.Now()); wait > 0 {
		return nil, &Throttled{wait}
	}
	// Those that come at once are not counted yet: there are few of them.
	select {
	case a.flood.turns <- struct{}{}:
		defer func() { <-a.flood.turns }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the store: %w", context.Cause(ctx))
	}
	if wait := a.flood.wait(client, time.Now()); wait > 0 {
		return nil, &Throttled{wait}
	}
	if e := a.known[d[0]].get(d); e != nil && a.trusted(e, time.Now()) {
		return e, nil // since another of the client's calls had it looked up
	}
	e, err := a.lookUp(ctx, d)
	if err == nil && !e.exists() {
		a.flood.count(client, time.Now())
	}
	return e, err
}

// probe looks a key up in the background, unless that goes on already.
func (a *Authority) probe(d Digest) {
	if !a.probing.CompareAndSwap(false, true) {
		return
	}
	a.background.start(func() {
		defer a.probing.Store(false)
		_, _ = a.lookUp(a.open, d) // it has set what it found
	})
}

// lookUp reads a key from the store and remembers it. Callers that want the
// same key at the same time share one reading, which goes on when the one of
// them that began it leaves.
func (a *Authority) lookUp(ctx context.Context, d Digest) (*entry, error) {
	a.listen()
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
	missing := errors.Is(err, ErrNotFound)
	a.away.Store(err != nil && !missing)
	if missing {
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	scope, err := NewScope(k.Scopes)
	if err != nil {
		return nil, fmt.Errorf("reading the scopes of key %s: %w", k.ID, err)
	}
	e.principal = Principal{
		UserID:    u.ID,
		UserEmail: u.Email,
		KeyID:     k.ID,
		KeyName:   k.Name,
		ExpiresAt: k.ExpiresAt,
		Scope:     scope,
		Limits:    k.Limits.Or(u.Limits),
		digest:    d,
	}
	e.valid = k.RevokedAt.IsZero() && !u.Disabled
	e.use = &use{keyID: k.ID}
	a.known[d[0]].put(e, func() bool { return a.generation.Load() == generation })
	return e, nil
}

// listen begins to listen to a store that tells of changes, once.
func (a *Authority) listen() {
	a.background.once.Do(func() {
		if n, ok := a.Store.(Notifier); ok {
			a.background.start(func() {
				n.Listen(a.open, func(from, to time.Time) { a.heard.Store(&span{from, to}) }, a.told)
			})
		}
	})
}

// Throttled is that a client may not have more keys looked up for a while.
type Throttled struct {
	RetryAfter time.Duration
}

func (t *Throttled) Error() string {
	return fmt.Sprintf("too many keys that do not exist came from this address: try again in %v", t.RetryAfter.Round(time.Second))
}

// Keys that do not exist which a client may have looked up: a burst, and one
// more for each interval that passes.
const (
	floodBurst    = 30
	floodInterval = time.Second
	floodNetworks = 10_000 // clients that are remembered
	floodAtOnce   = 8      // look-ups of all clients; more would keep known keys waiting for the store
)

// flood keeps keys that do not exist from costing the store much.
type flood struct {
	turns chan struct{}
	mu    sync.Mutex
	// whole is when each client may have its whole burst looked up again. One
	// that is not there may now.
	whole map[netip.Prefix]time.Time
}

func newFlood() *flood {
	return &flood{turns: make(chan struct{}, floodAtOnce), whole: make(map[netip.Prefix]time.Time)}
}

// wait tells how long a client has to wait for its next look-up.
func (f *flood) wait(client netip.Addr, now time.Time) time.Duration {
	network := clientNetwork(client)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.whole[network].Add(-(floodBurst - 1) * floodInterval).Sub(now)
}

// count counts a look-up that found nothing.
func (f *flood) count(client netip.Addr, now time.Time) {
	network := clientNetwork(client)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.whole) >= floodNetworks {
		f.makeRoom(now)
	}
	whole := f.whole[network]
	if whole.Before(now) {
		whole = now
	}
	f.whole[network] = whole.Add(floodInterval)
}

// makeRoom forgets the clients that have nothing counted any more and, where
// that is not enough, any others.
func (f *flood) makeRoom(now time.Time) {
	for network, whole := range f.whole {
		if whole.Before(now) {
			delete(f.whole, network)
		}
	}
	for network := range f.whole {
		if len(f.whole) < floodNetworks*9/10 {
			break
		}
		delete(f.whole, network)
	}
}

// clientNetwork is the part of a client's address that it cannot change at
// will: the whole of IPv4, the first 64 bits of IPv6 (RFC 6177).
func clientNetwork(client netip.Addr) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := 64
	if client.Is4() {
		bits = 32
	}
	network, _ := client.Prefix(bits) // the zero Prefix for the zero Addr
	return network
}
