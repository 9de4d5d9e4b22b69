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

// One client may fail to log into one account this often: a burst, and once more
// per interval.
const (
	failureBurst    = 10
	failureInterval = 6 * time.Second
)

// allowance limits attempts: a burst, one more per interval, and how many may be
// in progress at the same time.
type allowance struct {
	burst    int
	interval time.Duration
	parallel int
}

// Attempts of one client on one account run one after the other, so that each is
// counted before the next begins. One client may fail on several accounts, but not
// on enough of them to try a list. Several clients may fail on one account; a
// client that has logged into it before is not locked out by the others.
var (
	pairAllowance     = allowance{failureBurst, failureInterval, 1}
	clientAllowance   = allowance{50, 2 * time.Second, 8}
	accountAllowance  = allowance{100, 36 * time.Second, 8}
	registerAllowance = allowance{10, time.Minute, 1}
)

// maxRemembered is how many pairs, accounts and clients are remembered. Evicting a
// pair takes that many password checks, by which time its failures would have been
// forgiven.
const maxRemembered = 10_000

// throttle slows down guessing of passwords. Successful logins are not counted.
type throttle struct {
	pairs     *attemptCache // by client and account
	accounts  *attemptCache
	clients   *attemptCache
	registers *attemptCache // by client
}

func newThrottle() *throttle {
	return &throttle{
		pairs: newAttemptCache(pairAllowance), accounts: newAttemptCache(accountAllowance),
		clients: newAttemptCache(clientAllowance), registers: newAttemptCache(registerAllowance),
	}
}

// begin starts a login into the account with an email address, when earlier ones
// have ended. It returns a function that ends the attempt and must be called, or
// the time to wait if there were too many failures, or the context's error.
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

// succeeded records that a client logged into an account.
func (t *throttle) succeeded(remoteAddr, email string) {
	t.pairs.of(clientNetwork(remoteAddr) + " " + email).succeeded.Store(true)
}

// attemptCache has the recent attempts by client, by account, or by both.
type attemptCache struct {
	allowance
	remembered *lru.Cache[string, *attempts]
}

func newAttemptCache(a allowance) *attemptCache {
	remembered, err := lru.New[string, *attempts](maxRemembered)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &attemptCache{a, remembered}
}

func (t *attemptCache) of(name string) *attempts {
	if a, known := t.remembered.Get(name); known {
		return a
	}
	fresh := &attempts{
		allowance: t.allowance,
		inFlight:  make(chan struct{}, t.parallel), failures: rate.NewLimiter(rate.Every(t.interval), t.burst),
	}
	if a, known, _ := t.remembered.PeekOrAdd(name, fresh); known {
		return a
	}
	return fresh
}

// attempts are those of one client, on one account, or both.
type attempts struct {
	allowance
	// inFlight is a semaphore: it limits the attempts that are not counted yet.
	inFlight  chan struct{}
	failures  *rate.Limiter
	succeeded atomic.Bool // at least once
}

// enter begins an attempt when one may begin. It returns the time to wait if there
// were too many failures, or the context's error.
func (a *attempts) enter(ctx context.Context) (wait time.Duration, err error) {
	select {
	case a.inFlight <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if missing := 1 - a.failures.Tokens(); missing > 0 {
		<-a.inFlight
		return time.Duration(math.Ceil(missing * float64(a.interval))), nil
	}
	return 0, nil
}

// leave ends what enter began.
func (a *attempts) leave(failed bool) {
	if failed {
		a.failures.Allow()
	}
	<-a.inFlight
}

// clientNetwork returns the part of a client's address that it cannot choose: all
// of an IPv4 address, the first 64 bits of an IPv6 address (RFC 6177).
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

// clientIP returns a client's address without the port.
func clientIP(remoteAddr string) string {
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return remoteAddr
	}
	return ap.Addr().Unmap().String()
}
