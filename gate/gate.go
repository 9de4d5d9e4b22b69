// Package gate is net/http middleware that puts API keys and a record of usage
// in front of an MCP server that has neither. It reads each message strictly,
// lets public methods pass, asks for a live API key in front of everything else,
// forwards what it read byte by byte, and meters each call on its way back.
//
// The package knows neither Caddy nor a database. What it needs from outside is
// in the interfaces Authenticator, Limiter and Journal.
package gate

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

// Authenticator finds out who presents a key.
type Authenticator interface {
	// Authenticate returns the user and key that a presented string stands for,
	// or why it is not a live key. An error means that keys cannot be looked up
	// now.
	Authenticate(ctx context.Context, presented string, client netip.Addr) (*authn.Principal, *authn.Denial, error)

	// Watch calls dead, at most once, when the principal's key stops being live.
	// Unwatch ends the watch.
	Watch(w *authn.Watch, p *authn.Principal, dead func())
	Unwatch(w *authn.Watch)
}

// Limiter holds keys to their limits.
type Limiter interface {
	// Acquire admits one call of a key, or returns a *quota.Exceeded. Any other
	// error means that the limits cannot be checked now. The permit is released
	// when the call has ended.
	Acquire(ctx context.Context, key, user quota.Subject) (quota.Permit, error)
}

// Journal keeps events until the ledger has them, and pending calls until their
// results come.
type Journal interface {
	Admit() error                                     // an error while no call may begin, since its event could not be kept
	Append(e *usage.Event) error                      // records a call
	Suspend(c *journal.PendingCall) error             // keeps a call until its result comes
	Finish(e *usage.Event) error                      // records a call that was suspended
	PendingCalls() (c []journal.PendingCall, e error) // those that are suspended
	Forget(id uuid.UUID)                              // drops what was suspended under an ID, and records nothing
}

// Backend is what a gate works with while it serves one request. It may be
// shared by requests and gates.
type Backend struct {
	Authenticator Authenticator
	Limiter       Limiter
	Calls         *CallRegistry

	// Release is called when the request is done; nil: there is nothing to do.
	Release func()
}

// Config is what a Gate is made of.
type Config struct {
	// Server is the name of the MCP server, as CheckServer takes it. DefaultServer
	// when empty.
	Server string

	// Endpoints are the paths at which the gate serves the server; it answers every
	// other path itself. DefaultEndpoints when empty.
	Endpoints []string

	// UpstreamPath is the path at which the upstream serves MCP, with a query if it
	// needs one. When empty it is the endpoint that the client asked for.
	UpstreamPath string

	// MaxBody is the longest request body in bytes. DefaultMaxBody when zero.
	MaxBody int64

	// Rules say where the tables and the record count of a call are found.
	Rules []scan.Rule

	// AllowOrigin are the web origins whose pages may use the server, or "*".
	AllowOrigin []string

	// IdentityHeaders tell the upstream who calls. The zero value: nothing does.
	IdentityHeaders IdentityHeaders

	// Backend returns what a request is served with, or nil when it cannot be
	// served yet.
	Backend func(context.Context) *Backend

	// ClientIP returns the client's IP address, or "". By default it is that of
	// the connection.
	ClientIP func(*http.Request) string

	// ErrorStatus returns the HTTP status with which an error of the next handler
	// will be answered. By default it is 500.
	ErrorStatus func(error) int

	// Attach is given each request and what the gate will know of it, for access
	// logs; nil: nobody asks.
	Attach func(*http.Request, Values)

	// Logger is slog.Default() when nil. Each refusal is logged at debug level.
	Logger *slog.Logger
}

// Limits of requests.
const (
	DefaultMaxBody = 4 << 20 // bytes
	MaxMaxBody     = 1 << 30 // bytes; the most that Config.MaxBody may be

	// maxPublicBody is the longest body in bytes that is read without a live key.
	// No public message comes near it.
	maxPublicBody = 64 << 10

	maxBatch = 100 // messages in one request

	// maxID is the longest id of a request in bytes, so that its answer is always
	// recognized. No SDK comes near it.
	maxID = 256
)

// Gate is the middleware. It is safe for concurrent use.
type Gate struct {
	server      string
	endpoints   []*endpoint
	notServed   string // the message for every other path
	maxBody     int64
	extractors  *scan.Extractors
	allowOrigin []string
	backend     func(context.Context) *Backend
	clientIP    func(*http.Request) string
	errorStatus func(error) int
	attach      func(*http.Request, Values)
	log         *slog.Logger
	keyless     keylessReads
	stopping    atomic.Bool // its server is shutting down

	identityHeaders IdentityHeaders
}

// New makes a gate. An error says which part of the config is wrong.
func New(c Config) (*Gate, error) {
	g := &Gate{
		server: cmp.Or(c.Server, DefaultServer), maxBody: cmp.Or(c.MaxBody, DefaultMaxBody), allowOrigin: c.AllowOrigin,
		backend: c.Backend, clientIP: c.ClientIP, errorStatus: c.ErrorStatus, attach: c.Attach, identityHeaders: c.IdentityHeaders, log: cmp.Or(c.Logger, slog.Default()),
	}
	if g.maxBody < 0 || g.maxBody > MaxMaxBody {
		return nil, fmt.Errorf("max_body: %d is not from 1 to %d", g.maxBody, int64(MaxMaxBody))
	}
	for _, err := range []error{
		CheckServer(g.server), CheckEndpoints(c.Endpoints), checkUpstreamPath(c.UpstreamPath), CheckOrigins(c.AllowOrigin), c.IdentityHeaders.Check(),
	} {
		if err != nil {
			return nil, err
		}
	}
	g.endpoints = newEndpoints(c.Endpoints, c.UpstreamPath)
	g.notServed = notServedMessage(g.endpoints)
	var err error
	if g.extractors, err = scan.NewExtractors(c.Rules); err != nil {
		return nil, err
	}
	if g.clientIP == nil {
		g.clientIP = remoteIP
	}
	if g.errorStatus == nil {
		g.errorStatus = func(error) int { return http.StatusInternalServerError }
	}
	return g, nil
}

// remoteIP returns the address of the connection.
func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// Handler is the handler behind a gate, which forwards requests to the upstream.
// The URL of its request has nothing but the upstream's path and query. It may be
// called a second time for a request that the upstream redirects.
type Handler func(http.ResponseWriter, *http.Request) error

// ServeHTTP serves one request: read, authorize, admit, forward. The response is
// metered, and its calls are recorded, on its way back. The error is one of
// writing to the client, or of next when the client has gone.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next Handler) error {
	if isDiscovery(r.URL.Path) {
		limitDrain(w, r)
		return answerDiscovery(w)
	}
	x := newExchange(g, w, r)
	if x.backend = g.backend(r.Context()); x.backend == nil {
		return x.reject(notStarted())
	}
	defer x.backend.release()
	if origins := r.Header["Origin"]; len(origins) > 0 {
		if ref := x.checkOrigin(origins, r.Host); ref != nil {
			return x.reject(ref)
		}
		if isPreflight(r) {
			limitDrain(w, r)
			answerPreflight(w, r)
			return nil
		}
	}
	var ref *refusal
	if x.endpoint, ref = g.findEndpoint(r); ref != nil {
		return x.reject(ref)
	}
	x.identify(r)
	if ref := x.readRequest(r); ref != nil {
		return x.reject(ref)
	}
	if ref := x.authorize(r); ref != nil {
		return x.reject(ref)
	}
	if ref := x.admit(r.Context()); ref != nil {
		return x.reject(ref)
	}
	return x.forward(r, next)
}

// isDiscovery reports whether clients look for an authorization server at the
// path.
func isDiscovery(path string) bool {
	return path == "/register" || strings.HasPrefix(path, "/.well-known/")
}

func (b *Backend) release() {
	if b.Release != nil {
		b.Release()
	}
}

// Interface guards
var (
	_ Authenticator = (*authn.Authority)(nil)
	_ Limiter       = (*quota.Limiter)(nil)
	_ Journal       = (*journal.Journal)(nil)
)
