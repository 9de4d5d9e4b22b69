package admin

import (
	"context"
	"math"
	"net/netip"
	"sync/atomic"
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

// allowance is how often something may be tried: a burst, and once more for
// each interval that passes, so many of them at a time.
type allowance struct {
	burst    int
	interval time.Duration
	atOnce   int
}

// Of pairs of a client and an account, one try is counted before the next is
// let in. One client may fail in more accounts, but not in so many that it
// could go through a list of them. So may many clients in one account; whoever
// has logged into it before is not kept out by these.
var (
	pairAllowance     = allowance{failureBurst, failureInterval, 1}
	clientAllowance   = allowance{50, 2 * time.Second, 8}
	accountAllowance  = allowance{100, 36 * time.Second, 8}
	registerAllowance = allowance{10, time.Minute, 1}
)

// throttled is how many of each are remembered. To push a pair out of memory
// takes as many password checks, in whose time its failures would long be
// forgiven.
const throttled = 10_000

// throttle slows down the guessing of passwords. A login that succeeds costs
// nothing.
type throttle struct {
	pairs     *attempted // by client and account
	accounts  *attempted
	clients   *attempted
	registers *attempted // by client
}

func newThrottle() (*throttle, error) {
	t := new(throttle)
	for _, kind := range []struct {
		of    **attempted
		bound allowance
	}{
		{&t.pairs, pairAllowance}, {&t.accounts, accountAllowance},
		{&t.clients, clientAllowance}, {&t.registers, registerAllowance},
	} {
		remembered, err := lru.New[string, *attempts](throttled)
		if err != nil {
			return nil, err
		}
		*kind.of = &attempted{kind.bound, remembered}
	}
	return t, nil
}

// begin waits for the turn of a login into the account with an address. It
// returns the attempt's end, which must be called, or the time to wait when
// there were too many failures, or the context's error.
func (t *throttle) begin(ctx context.Context, remoteAddr, email string) (end func(failed bool), wait time.Duration, err error) {
	pair := t.pairs.of(clientNetwork(remoteAddr) + " " + email)
	if wait, err := pair.enter(ctx); wait > 0 || err != nil {
		return nil, wait, err
	}
	account := t.accounts.of(email)
	if pair.succeeded.Load() {
		account = nil
	} else if wait, err := account.enter(ctx); wait > 0 || err != nil {
		pair.leave(false)
		return nil, wait, err
	}
	return func(failed bool) {
		if account != nil {
			account.leave(failed)
		}
		pair.leave(failed)
	}, 0, nil
}

// succeeded notes that a client logged into an account.
func (t *throttle) succeeded(remoteAddr, email string) {
	t.pairs.of(clientNetwork(remoteAddr) + " " + email).succeeded.Store(true)
}

// attempted is what was tried lately, by who tried it or what for.
type attempted struct {
	allowance
	remembered *lru.Cache[string, *attempts]
}

func (t *attempted) of(name string) *attempts {
	if a, known := t.remembered.Get(name); known {
		return a
	}
	fresh := &attempts{
		allowance: t.allowance,
		turns:     make(chan struct{}, t.atOnce), failures: rate.NewLimiter(rate.Every(t.interval), t.burst),
	}
	if a, known, _ := t.remembered.PeekOrAdd(name, fresh); known {
		return a
	}
	return fresh
}

// attempts are those of one client, into one account, or both.
type attempts struct {
	allowance
	// turns has an entry during an attempt, so that those that are not counted
	// yet are few.
	turns     chan struct{}
	failures  *rate.Limiter
	succeeded atomic.Bool // once
}

// enter waits for a turn, or returns the time to wait when there were too many
// failures, or the context's error.
func (a *attempts) enter(ctx context.Context) (wait time.Duration, err error) {
	select {
	case a.turns <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if missing := 1 - a.failures.Tokens(); missing > 0 {
		<-a.turns
		return time.Duration(math.Ceil(missing * float64(a.interval))), nil
	}
	return 0, nil
}

// leave ends what enter began.
func (a *attempts) leave(failed bool) {
	if failed {
		a.failures.Allow()
	}
	<-a.turns
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

// clientIP is a client's address as it is written down.
func clientIP(remoteAddr string) string {
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return remoteAddr
	}
	return ap.Addr().Unmap().String()
}
