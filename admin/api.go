// Package admin is the REST API on :8000: logging in, managing users and API
// keys, and reading what calls were made with them. It is a plain http.Handler
// over a Store and a usage.Ledger. Its contract is the document that it serves at
// /openapi.json.
//
// Every reply is JSON, except exports. An error is
// {"error":{"code":"…","message":"…"}}. A rejected request changes nothing, and
// every change adds a row to the audit log.
package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

// answerTimeout limits the work on one request. After it, the store or the ledger
// counts as unavailable.
const answerTimeout = 30 * time.Second

// Store is the part of an identity.Store that the API needs. It must be the
// process's authn.Authority, so that a change takes effect on the next call. A
// method that the Authority lacks does not compile.
type Store interface {
	identity.UserStore
	identity.SessionStore

	CreateKey(ctx context.Context, k identity.Key) error
	CreateKeyOnce(ctx context.Context, k identity.Key, r identity.Receipt) error
	Receipt(ctx context.Context, userID string, id identity.Digest, now time.Time) (identity.Receipt, error)
	Key(ctx context.Context, id string) (identity.Key, error)
	KeyByDigest(ctx context.Context, d identity.Digest) (identity.Key, identity.User, error)
	Keys(ctx context.Context, userID string) ([]identity.Key, error)
	UpdateKey(ctx context.Context, userID, keyID string, c identity.KeyChange) (identity.Key, error)
	RevokeKey(ctx context.Context, userID, keyID string, at time.Time, reason string) (identity.Key, error)
	RotateKey(ctx context.Context, userID, keyID string, fresh identity.Key, until time.Time) (old, replacement identity.Key, err error)

	Audit(ctx context.Context, e identity.AuditEntry) error
	AuditLog(ctx context.Context, q identity.AuditQuery) ([]identity.AuditEntry, error)
}

// Config configures an API.
type Config struct {
	Store  Store
	Ledger usage.Ledger
	// Secret, if not empty, is the only key that signs tokens (HMAC-SHA-256). It
	// has at least MinSecret bytes and is never replaced: after a change everyone
	// has to log in again. If empty, the signing keys are kept in the store, the
	// same for all replicas, and replaced every month.
	Secret []byte
	// TokenLifetime is how long a login lasts; DefaultTokenLifetime if zero.
	TokenLifetime time.Duration
	// KeyFormat is the format of new API keys.
	KeyFormat identity.KeyFormat
	// Registration allows anyone to create an account for themselves.
	Registration bool
	// BaseURL is the address of this API, such as https://keys.example.com, for
	// links in invitations. If empty, it is the one that the inviting admin's
	// request came to; that is wrong behind a proxy that terminates TLS.
	BaseURL string
	// Ready returns what /readyz answers. If nil, the API is always ready.
	Ready func(context.Context) Readiness
	// Logger receives what clients do not see: the causes of 500 and 503.
	// slog.Default if nil.
	Logger *slog.Logger
}

// Limits and defaults of Config.
const (
	MinSecret            = 32
	DefaultTokenLifetime = time.Hour
)

// signingPeriod is how long a signing key from the store is used to sign.
const signingPeriod = 30 * 24 * time.Hour

// API serves the admin API. A request's RemoteAddr must be the client's address
// (behind a trusted proxy, the one that the proxy reports): failed logins are
// counted by it, and it is recorded in the audit log.
type API struct {
	store     Store
	ledger    usage.Ledger
	keyring   *identity.Keyring
	tokens    tokens
	throttle  *throttle
	keyFormat identity.KeyFormat
	open      bool // registration is allowed
	baseURL   string
	ready     func(context.Context) Readiness
	logger    *slog.Logger
	// routes has the endpoints by path, then by method.
	routes map[string]map[string]route
}

// route is one endpoint: its input, who may use it, and its handler.
type route struct {
	method string
	path   string
	access access
	query  []string // names of its query parameters
	body   []string // names of the fields in its body; nil: it has no body
	once   bool     // it accepts an Idempotency-Key
	status int      // of its reply, unless that has no body; 200 if zero
	// do returns the reply's body, or an error. A *problem is shown to the client;
	// any other error becomes a 500 and is logged. A nil body means none (204), a
	// download is streamed, and anything else is encoded as JSON.
	do func(context.Context, *request) (body any, err error)
}

// access is who may use a route.
type access int

const (
	forUsers access = iota // anyone with a valid token
	forAdmins
	forAnyone
)

// request is a request for a route, after its form has been checked.
type request struct {
	caller     identity.User // the owner of the token; zero on a route for anyone
	token      claims        // zero on a route for anyone
	remoteAddr string
	origin     string // the scheme and host that the client used
	once       string // the Idempotency-Key; "" if there is none
	query      queryParams
	body       bodyFields
}

// New returns an API. It does not use the store or the ledger yet.
func New(c Config) (*API, error) {
	lifetime := cmp.Or(c.TokenLifetime, DefaultTokenLifetime)
	var keyring *identity.Keyring
	switch {
	case len(c.Secret) == 0:
		keyring = identity.NewKeyring(c.Store, signingPeriod, lifetime)
	case len(c.Secret) < MinSecret:
		return nil, fmt.Errorf("the JWT secret has %d bytes: it needs at least %d", len(c.Secret), MinSecret)
	default:
		keyring = identity.FixedKeyring(c.Secret)
	}
	a := &API{
		store:     c.Store,
		ledger:    c.Ledger,
		keyring:   keyring,
		tokens:    newTokens(keyring, lifetime),
		throttle:  newThrottle(identity.ParallelHashes()),
		keyFormat: c.KeyFormat,
		open:      c.Registration,
		baseURL:   strings.TrimSuffix(c.BaseURL, "/"),
		ready:     c.Ready,
		logger:    cmp.Or(c.Logger, slog.Default()),
		routes:    map[string]map[string]route{},
	}
	if a.ready == nil {
		a.ready = func(context.Context) Readiness { return Readiness{Status: Ready, Checks: map[string]Check{}} }
	}
	for _, r := range a.endpoints() {
		if a.routes[r.path] == nil {
			a.routes[r.path] = map[string]route{}
		}
		a.routes[r.path][r.method] = r
	}
	return a, nil
}

// ServeHTTP serves one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()

	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

	status, body, err := a.answer(ctx, r)
	if d, ok := body.(download); ok {
		if err = a.send(w, r, d); err == nil {
			return
		}
	}
	var encoded []byte
	switch {
	case err == nil && body == nil:
		status = http.StatusNoContent
	case err == nil:
		encoded, err = json.Marshal(body)
	}
	if err != nil {
		status, encoded = a.refuse(h, r, problemOf(err))
	}
	if encoded == nil {
		w.WriteHeader(status)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(encoded, '\n')) // nothing to do if the client has gone
}

// answer finds the request's route, checks that the caller may use it and that
// the request has the right form, and runs it.
func (a *API) answer(ctx context.Context, r *http.Request) (status int, body any, err error) {
	rt, err := a.route(r)
	if err != nil {
		return 0, nil, err
	}
	req := &request{remoteAddr: r.RemoteAddr, origin: origin(r)}
	if rt.access != forAnyone {
		if req.caller, req.token, err = a.caller(ctx, r.Header); err != nil {
			return 0, nil, err
		}
	}
	if rt.access == forAdmins && req.caller.Role != identity.Admin {
		return 0, nil, forbidden("only an admin may do this")
	}
	ctx = identity.WithActor(ctx, req.actor(req.caller))
	if req.query.params, err = readQuery(r.URL.RawQuery, rt.query); err != nil {
		return 0, nil, err
	}
	if rt.once {
		if req.once, err = idempotencyKey(r.Header); err != nil {
			return 0, nil, err
		}
	}
	if rt.body == nil {
		err = requireNoBody(r)
	} else {
		req.body.object, err = readBody(r, rt.body)
	}
	if err != nil {
		return 0, nil, err
	}
	body, err = rt.do(ctx, req)
	if state, ok := body.(Readiness); ok && state.Status != Ready {
		return http.StatusServiceUnavailable, body, err
	}
	return cmp.Or(rt.status, http.StatusOK), body, err
}

// actor returns u as the author of the request's changes.
func (r *request) actor(u identity.User) identity.Actor {
	return identity.Actor{ActorID: u.ID, ActorEmail: u.Email, IP: clientIP(r.remoteAddr)}
}

// origin returns the scheme and the host that the client used.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// route returns the route for a request's path and method.
func (a *API) route(r *http.Request) (route, error) {
	methods, known := a.routes[r.URL.Path]
	if !known {
		return route{}, notFound("there is nothing at this path: /openapi.json lists what there is")
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http leaves the body out
	}
	if rt, known := methods[method]; known {
		return rt, nil
	}
	p := &problem{status: http.StatusMethodNotAllowed, code: "method_not_allowed"}
	if _, get := methods[http.MethodGet]; get {
		p.allow, p.message = "GET, HEAD", "this path is for GET"
	} else {
		p.allow, p.message = "POST", "this path is for POST"
	}
	return route{}, p
}

// refuse turns a problem into a status, headers and a body, and logs its cause if
// it has one.
func (a *API) refuse(h http.Header, r *http.Request, p *problem) (status int, body []byte) {
	switch {
	case p.cause == nil:
	case errors.Is(r.Context().Err(), context.Canceled): // the client went away
		a.logger.Debug("request canceled by the client", "method", r.Method, "path", r.URL.Path)
	default:
		a.logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "status", p.status, "error", p.cause)
	}
	if p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="tallygate"`)
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	type refusal struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, _ = json.Marshal(map[string]refusal{"error": {p.code, p.message}}) // strings always marshal
	return p.status, body
}

var _ http.Handler = (*API)(nil)
