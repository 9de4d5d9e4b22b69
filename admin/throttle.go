package admin

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/internal/suspect"
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

var (
	// Attempts of one client on one account run one after the other, so that each
	// is counted before the next begins.
	pairAllowance     = allowance{failureBurst, failureInterval, 1}
	accountAllowance  = allowance{100, 36 * time.Second, 8}
	registerAllowance = allowance{10, time.Minute, 1}
)

const (
	// maxRemembered is how many pairs, accounts and clients are remembered.
	// Evicting a pair takes that many password checks, by which time its failures
	// would have been forgiven.
	maxRemembered = 10_000
	suspectedFor  = 10 * time.Minute // after a failure
)

// throttle slows down guessing of passwords, and keeps guesses from delaying or
// refusing others. Checking a password takes a processor for some 30 ms, so the
// attempts wait for a processor in three lines, and one is left for calls:
//
//   - clients that have logged into the account before, according to the audit
//     log, come first;
//   - then those that have not failed to log into any account lately;
//   - then all others, each one at a time. For them alone, failures of all
//     clients on one account count together.
//
// So whoever knows the password is refused for others' failures only at a network
// that they have not logged in from, where somebody else fails, while many others
// fail on their account. Who guesses passwords at somebody's own address, for that
// person's account, is not told from that person.
type throttle struct {
	pairs     *attemptCache // by client and account
	accounts  *attemptCache
	registers *attemptCache        // by client
	suspects  *suspect.Set[string] // clients that failed
	line      *line
}

// newThrottle returns a throttle that lets a number of passwords be checked at a
// time: identity.ParallelHashes, but in tests.
func newThrottle(parallel int) *throttle {
	return &throttle{
		pairs: newAttemptCache(pairAllowance), accounts: newAttemptCache(accountAllowance),
		registers: newAttemptCache(registerAllowance), suspects: suspect.NewSet[string](maxRemembered, suspectedFor), line: &line{free: parallel},
	}
}

// begin starts a login into the account with an email address, when it is its
// turn. known says that the client has logged into it before. It returns a
// function that ends the attempt and must be called, or the time to wait if there
// were too many failures, or the context's error.
func (t *throttle) begin(ctx context.Context, client, email string, known bool) (end func(failed bool), wait time.Duration, err error) {
	pair := t.pairs.of(client + " " + email)
	if wait, err := pair.enter(ctx); wait > 0 || err != nil {
		return nil, wait, err
	}
	leave, wait, err := t.enterLine(ctx, client, email, known)
	if wait > 0 || err != nil {
		pair.leave(false)
		return nil, wait, err
	}
	return func(failed bool) {
		leave(failed)
		pair.leave(failed)
		if failed {
			t.suspects.Add(client)
		}
	}, 0, nil
}

func (t *throttle) enterLine(ctx context.Context, client, email string, known bool) (leave func(failed bool), wait time.Duration, err error) {
	if known {
		err := t.line.enter(ctx, lineKnown)
		return func(bool) { t.line.leave() }, 0, err
	}
	account := t.accounts.of(email)
	endTurn, suspected, err := t.suspects.Turn(ctx, client)
	switch {
	case err != nil:
		return nil, 0, err
	case !suspected:
		err := t.line.enter(ctx, lineNew)
		return func(failed bool) { t.line.leave(); account.count(failed) }, 0, err
	}
	if wait, err := account.enter(ctx); wait > 0 || err != nil {
		endTurn()
		return nil, wait, err
	}
	if err := t.line.enter(ctx, lineSuspected); err != nil {
		account.leave(false)
		endTurn()
		return nil, 0, err
	}
	return func(failed bool) { t.line.leave(); account.leave(failed); endTurn() }, 0, nil
}

// line is a semaphore whose waiting callers are served by priority, and then in
// the order in which they came.
type line struct {
	mu      sync.Mutex
	free    int
	waiting [linePriorities][]chan struct{} // closed when it is its turn
}

// The priorities, highest first.
const (
	lineKnown = iota
	lineNew
	lineSuspected
	linePriorities
)

func (l *line) enter(ctx context.Context, priority int) error {
	l.mu.Lock()
	if l.free > 0 {
		l.free--
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.waiting[priority] = append(l.waiting[priority], turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	i := slices.Index(l.waiting[priority], turn)
	if i >= 0 {
		l.waiting[priority] = slices.Delete(l.waiting[priority], i, i+1)
	}
	l.mu.Unlock()
	if i < 0 { // its turn came at the same time
		l.leave()
	}
	return ctx.Err()
}

func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, waiting := range l.waiting {
		if len(waiting) > 0 {
			close(waiting[0])
			l.waiting[i] = slices.Delete(waiting, 0, 1)
			return
		}
	}
	l.free++
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
	inFlight chan struct{}
	failures *rate.Limiter
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
	a.count(failed)
	<-a.inFlight
}

// count counts an attempt that has ended.
func (a *attempts) count(failed bool) {
	if failed {
		a.failures.Allow()
	}
}

// clientNetwork returns the network of a client's address and port.
func clientNetwork(remoteAddr string) string { return networkOf(clientIP(remoteAddr)) }

// networkOf returns the network of an address without a port: authn.ClientNetwork's,
// or what is given if that is no IP address.
func networkOf(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	network := authn.ClientNetwork(addr)
	if network.IsSingleIP() {
		return network.Addr().String()
	}
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
