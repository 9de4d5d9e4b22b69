package authn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// find returns what the store says about a key, or what it last said when it
// cannot be read.
func (a *Authority) find(ctx context.Context, d identity.Digest, client netip.Addr) (*entry, error) {
	if err := context.Cause(a.open); err != nil {
		return nil, fmt.Errorf("the authority is closed: %w", err)
	}
	e := a.shard(d).get(d)
	if e == nil {
		return a.findUncached(ctx, d, client)
	}
	if !a.usableWhileStale(e, time.Now()) {
		return a.lookup(ctx, d)
	}
	// No call waits for a store that is known to be down.
	if a.storeDown.Load() {
		a.probe(d)
		return e, nil
	}
	lookupCtx, cancel := context.WithTimeout(ctx, MaxAge)
	defer cancel()
	read, err := a.lookup(lookupCtx, d)
	if err == nil || ctx.Err() != nil {
		return read, err
	}
	a.storeDown.Store(true)
	// A change in the meantime evicted the entry: so read the cache again.
	if e := a.shard(d).get(d); e != nil && a.usableWhileStale(e, time.Now()) {
		return e, nil
	}
	return nil, err
}

// findUncached looks up a key that may not exist, when it is its turn.
func (a *Authority) findUncached(ctx context.Context, d identity.Digest, client netip.Addr) (*entry, error) {
	if a.isUnknown(d) {
		return unknown, nil
	}
	timeout := lookupTimeout
	if a.storeDown.Load() {
		timeout = MaxAge
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	leave, err := a.queue.enter(ctx, client)
	if err != nil {
		return nil, err
	}
	defer leave()
	// Another call may have looked it up in the meantime.
	if e := a.shard(d).get(d); e != nil && a.trusted(e.readAt, time.Now()) {
		return e, nil
	}
	if a.isUnknown(d) {
		return unknown, nil
	}
	e, err := a.lookup(ctx, d)
	if err == nil && e.dead == Unknown {
		a.queue.networks.Add(ClientNetwork(client))
	}
	return e, err
}

// unknown is the entry of every key that does not exist.
var unknown = &entry{dead: Unknown}

// isUnknown reports whether the store has said that a key does not exist, and it is
// too soon to ask again. No store reports the keys that are created elsewhere.
func (a *Authority) isUnknown(d identity.Digest) bool {
	u, ok := a.queue.unknown.Get(d)
	return ok && u.generation == a.generation.Load() && time.Since(u.readAt) < MaxAge
}

// probe looks up a key in the background, unless a probe is running already.
func (a *Authority) probe(d identity.Digest) {
	if !a.probing.CompareAndSwap(false, true) {
		return
	}
	a.background.start(func() {
		defer a.probing.Store(false)
		_, _ = a.lookup(a.open, d) // it sets storeDown
	})
}

// lookup reads a key from the store and caches it. Concurrent callers that want
// the same key share one read, which goes on when the caller that began it
// gives up.
func (a *Authority) lookup(ctx context.Context, d identity.Digest) (*entry, error) {
	a.begin()
	began := time.Now()
	for {
		generation := a.generation.Load()
		results := a.lookups.DoChan(flightKey(d, generation), func() (any, error) {
			return a.read(d, generation)
		})
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the store: %w", context.Cause(ctx))
		case r := <-results:
			if r.Err != nil {
				return nil, fmt.Errorf("looking up a key: %w", r.Err)
			}
			// Only a read that another caller began, from a slow store, can be too
			// old.
			if e := r.Val.(*entry); began.Sub(e.readAt) < MaxAge {
				return e, nil
			}
		}
	}
}

// flightKey names a lookup for singleflight. Lookups are not shared across
// generations: a caller that comes after a change must not get what was true
// before it.
func flightKey(d identity.Digest, generation uint64) string {
	return string(binary.BigEndian.AppendUint64(d[:], generation))
}

func (a *Authority) read(d identity.Digest, generation uint64) (*entry, error) {
	ctx, cancel := context.WithTimeout(a.open, lookupTimeout)
	defer cancel()
	e := &entry{readAt: time.Now()}
	k, u, err := a.store.KeyByDigest(ctx, d)
	missing := errors.Is(err, identity.ErrNotFound)
	a.storeDown.Store(err != nil && !missing)
	if missing {
		a.queue.unknown.Add(d, unknownKey{e.readAt, generation})
		e.dead = Unknown
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	scope, err := identity.NewScope(k.Scopes)
	if err != nil {
		return nil, fmt.Errorf("reading the scopes of key %s: %w", k.ID, err)
	}
	e.principal = Principal{
		UserID:     u.ID,
		UserEmail:  u.Email,
		KeyID:      k.ID,
		KeyName:    k.Name,
		ExpiresAt:  k.ExpiresAt,
		Scope:      scope,
		Limits:     k.Limits,
		UserLimits: u.Limits,
		digest:     d,
	}
	switch {
	case !k.RevokedAt.IsZero():
		e.dead = Revoked
	case u.Disabled:
		e.dead = UserDisabled
	}
	e.use = &use{keyID: k.ID}
	a.shard(d).put(e, func() bool { return a.generation.Load() == generation })
	return e, nil
}

// begin starts what runs in the background as long as the Authority is open, once.
func (a *Authority) begin() {
	a.background.begin.Do(func() {
		a.background.start(a.flushUsesRegularly)
		a.background.start(a.recheckWatched)
		if n, ok := a.store.(identity.Notifier); ok {
			a.background.start(func() {
				n.Listen(a.open, func(from, to time.Time) { a.lastHeartbeat.Store(&coverage{from, to}) }, a.invalidate)
			})
		}
	})
}
