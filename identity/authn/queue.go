package authn

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/internal/suspect"
)

// How many keys that are not cached may be looked up at a time. More would keep
// the store from everybody else.
const (
	trustedLookups   = 8 // for networks that sent no unknown key lately
	suspectedLookups = 8 // for all others together
)

const (
	suspectedFor      = 10 * time.Minute // after an unknown key
	suspectedNetworks = 10_000           // that are remembered
	unknownKeys       = 16_384           // that are remembered
)

// lookupQueue decides which keys are looked up next, of those that are not cached
// and so may not exist. It refuses nobody: a live key that this process has not
// seen yet looks like any other.
//
// A network that sends an unknown key is suspected for ten minutes. Suspected
// networks share a few lookups, and each of them has one at a time, in the order
// of its requests. So a network that sends no unknown keys waits for none of
// those that do, and a live key among somebody else's guesses waits for the
// guesses of its own network and for one of each other network.
//
// An unknown key that comes again is looked up once in MaxAge.
//
// Memory is bounded: with more suspected networks than are remembered, the one
// that was least recently seen is trusted again. Somebody who owns that many
// networks can make everybody wait for trustedLookups of theirs at a time.
type lookupQueue struct {
	trusted, suspected chan struct{}              // semaphores
	networks           *suspect.Set[netip.Prefix] // that sent unknown keys
	unknown            *lru.Cache[identity.Digest, unknownKey]
}

// unknownKey is what the store said at a time, in a generation of the Authority.
type unknownKey struct {
	readAt     time.Time
	generation uint64
}

func newLookupQueue() *lookupQueue {
	unknown, err := lru.New[identity.Digest, unknownKey](unknownKeys)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &lookupQueue{
		trusted: make(chan struct{}, trustedLookups), suspected: make(chan struct{}, suspectedLookups),
		networks: suspect.NewSet[netip.Prefix](suspectedNetworks, suspectedFor), unknown: unknown,
	}
}

// enter waits for a client's turn, and returns a function that ends it. An error
// is the context's.
func (q *lookupQueue) enter(ctx context.Context, client netip.Addr) (leave func(), err error) {
	endTurn, suspected, err := q.networks.Turn(ctx, ClientNetwork(client))
	switch {
	case err != nil:
		return nil, fmt.Errorf("waiting for the store: %w", err)
	case !suspected:
		return acquire(ctx, q.trusted)
	}
	release, err := acquire(ctx, q.suspected)
	if err != nil {
		endTurn()
		return nil, err
	}
	return func() { release(); endTurn() }, nil
}

func acquire(ctx context.Context, semaphore chan struct{}) (release func(), err error) {
	select {
	case semaphore <- struct{}{}:
		return func() { <-semaphore }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the store: %w", context.Cause(ctx))
	}
}

// ClientNetwork returns the part of a client's address that it cannot change at
// will: the whole of IPv4, the first 64 bits of IPv6 (RFC 6177). It returns the
// zero Prefix for the zero Addr.
func ClientNetwork(client netip.Addr) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := 64
	if client.Is4() {
		bits = 32
	}
	network, _ := client.Prefix(bits)
	return network
}
