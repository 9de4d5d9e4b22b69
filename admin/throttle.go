package admin

import (
	"context"
	"math"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Failed logins that one client may make into one account: a burst, and one
// more for each interval that passes.
const (
	failureBurst    = 10
	failureInterval = 6 * time.Second
)

// throttled is how many pairs of client and account are remembered. To push
// one out of memory takes as many password checks, in whose time its failures
// would long be forgiven.
const throttled = 10_000

// throttle slows down the guessing of passwords. A login that succeeds costs
// nothing.
type throttle struct {
	pairs *lru.Cache[string, *attempts]
}

// attempts are the logins of one client into one account.
type attempts struct {
	// turn is held during an attempt, so that one is counted before the next
	// is let in.
	turn     chan struct{}
	failures *rate.Limiter
}

func newThrottle() (*throttle, error) {
	pairs, err := lru.New[string, *attempts](throttled)
	return &throttle{pairs}, err
}

// begin waits for the turn of a login into the account with an address. It
// returns the attempt's end, which must be called, or the time to wait when
// there were too many failures, or the context's error.
func (t *throttle) begin(ctx context.Context, remoteAddr, email string) (end func(failed bool), wait time.Duration, err error) {
	a := t.attempts(clientNetwork(remoteAddr) + " " + email)
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	if missing := 1 - a.failures.Tokens(); missing > 0 {
		<-a.turn
		return nil, time.Duration(math.Ceil(missing * float64(failureInterval))), nil
	}
	return func(failed bool) {
		if failed {
			a.failures.Allow()
		}
		<-a.turn
	}, 0, nil
}

func (t *throttle) attempts(pair string) *attempts {
	if a, known := t.pairs.Get(pair); known {
		return a
	}
	fresh := &attempts{make(chan struct{}, 1), rate.NewLimiter(rate.Every(failureInterval), failureBurst)}
	if a, known, _ := t.pairs.PeekOrAdd(pair, fresh); known {
		return a
	}
	return fresh
}

// clientNetwork is the part of a client's address that it cannot change at
// will: the whole of IPv4, the first 64 bits of IPv6 (RFC 6177).
func clientNetwork(remoteAddr string) string {
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return remoteAddr
	}
	addr := ap.Addr().Unmap()
	if addr.Is4() {
		return addr.String()
	}
	network, _ := addr.Prefix(64) // an IPv6 address has 64 bits
	return network.String()
}
