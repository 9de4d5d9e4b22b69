package authn

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Throttled says that a client may not have more keys looked up for a while.
type Throttled struct {
	RetryAfter time.Duration
}

func (t *Throttled) Error() string {
	return fmt.Sprintf("too many keys that do not exist came from this address: try again in %v", t.RetryAfter.Round(time.Second))
}

// How many keys that do not exist a client may have looked up: a burst, and one
// more for each interval that passes.
const (
	floodBurst      = 30
	floodInterval   = time.Second
	floodClients    = 10_000 // clients that are remembered
	floodConcurrent = 8      // lookups of all clients at a time; more would keep known keys waiting for the store
)

// floodGuard limits what keys that do not exist cost the store, by a token
// bucket for each client network that missed lately.
//
// It trades accuracy for memory that is bounded: with more than floodClients
// networks, the least recently seen one is forgotten, and may have a whole
// burst looked up again. Somebody who owns that many networks is not held by a
// limit per network anyway; sem bounds what all of them cost together.
type floodGuard struct {
	sem    chan struct{} // held during a lookup
	misses *lru.Cache[netip.Prefix, *rate.Limiter]
}

func newFloodGuard() *floodGuard {
	misses, err := lru.New[netip.Prefix, *rate.Limiter](floodClients)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &floodGuard{sem: make(chan struct{}, floodConcurrent), misses: misses}
}

// wait returns how long a client has to wait for its next lookup; zero or less
// when it need not.
func (f *floodGuard) wait(client netip.Addr, now time.Time) time.Duration {
	bucket, missed := f.misses.Get(ClientNetwork(client))
	if !missed {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	return time.Duration(math.Ceil(missing * float64(floodInterval)))
}

// count counts a lookup that found no key.
func (f *floodGuard) count(client netip.Addr, now time.Time) {
	network := ClientNetwork(client)
	bucket := rate.NewLimiter(rate.Every(floodInterval), floodBurst)
	if known, ok, _ := f.misses.PeekOrAdd(network, bucket); ok {
		bucket = known
	}
	bucket.AllowN(now, 1)
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
