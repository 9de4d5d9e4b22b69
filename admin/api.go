// Package admin is the REST API on :8000: logging in, managing API keys, and
// reading what calls were made with them. It is a plain http.Handler over an
// identity.Store and a usage.Ledger. Its contract is openapi.json, which it
// serves at /openapi.json.
//
// Every answer is JSON; an error is {"error":{"code":"…","message":"…"}}.
// Nothing is written by a request that is refused.
package admin

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

// answerTimeout bounds the work on one request: past it, the store or the
// ledger counts as unavailable.
const answerTimeout = 30 * time.Second

//go:embed openapi.json
var openAPI []byte

// Config is what an API is made of.
type Config struct {
	Store  identity.Store
	Ledger usage.Ledger
	// Secret is the key that tokens are signed with (HMAC-SHA-256), at least
	// MinSecret bytes. Replicas that share it accept each other's tokens.
	Secret []byte
	// TokenLifetime is how long a login lasts; DefaultTokenLifetime when zero.
	TokenLifetime time.Duration
	// Logger gets what clients are not told: the causes of 500 and 503.
	// slog.Default when nil.
	Logger *slog.Logger
}

// Limits and defaults of Config.
const (
	MinSecret            = 32
	DefaultTokenLifetime = time.Hour
)

// API serves the admin API. Requests' RemoteAddr must be the client's address
// (behind a proxy, the one that the proxy vouches for): failed logins are
// counted by it.
type API struct {
	store    identity.Store
	ledger   usage.Ledger
	tokens   tokens
	throttle *throttle
	logger   *slog.Logger
	// routes are the endpoints by path, then by method.
	routes map[string]map[string]route
}

// route is one endpoint: what it takes, and what it does.
type route struct {
	method string
	path   string
	public bool     // needs no token
	query  []string // names of the query parameters it takes
	body   []string // names of its body's fields; nil when it takes no body
	// do returns what the answer's body is to say and its status, or an error:
	// a *problem is for the client, anything else is hidden behind a 500.
	do func(context.Context, request) (status int, body any, err error)
}

// request is what came for a route, found to have the form that it takes.
type request struct {
	caller     identity.User // who the token belongs to; zero on a public route
	remoteAddr string
	query      query
	body       object
}

// New makes an API. It opens nothing and asks nothing of store or ledger.
func New(c Config) (*API, error) {
	if len(c.Secret) < MinSecret {
		return nil, fmt.Errorf("the JWT secret has %d bytes: it needs at least %d", len(c.Secret), MinSecret)
	}
	if c.TokenLifetime == 0 {
		c.TokenLifetime = DefaultTokenLifetime
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	throttle, err := newThrottle()
	if err != nil {
		return nil, err
	}
	a := &API{
		store:    c.Store,
		ledger:   c.Ledger,
		tokens:   newTokens(c.Secret, c.TokenLifetime),
		throttle: throttle,
		logger:   c.Logger,
		routes:   map[string]map[string]route{},
	}
	for _, r := range a.endpoints() {
		if a.routes[r.path] == nil {
			a.routes[r.path] = map[string]route{}
		}
		a.routes[r.path][r.method] = r
	}
	return a, nil
}

func (a *API) endpoints() []route {
	return []route{
		{method: "POST", path: "/api/auth/login", public: true, body: []string{"email", "password"}, do: a.login},
		{method: "POST", path: "/api/mcp-keys/create", body: []string{"key_name", "expires_days"}, do: a.createKey},
		{method: "GET", path: "/api/mcp-keys/list", query: []string{"user"}, do: a.listKeys},
		{method: "POST", path: "/api/mcp-keys/revoke", body: []string{"key_id"}, do: a.revokeKey},
		{method: "GET", path: "/api/mcp-usage/history", query: historyQuery, do: a.history},
		{method: "GET", path: "/api/mcp-usage/stats", query: []string{"days", "user"}, do: a.stats},
		{method: "GET", path: "/openapi.json", public: true, do: document},
	}
}

// document answers with the description of this API.
func document(context.Context, request) (int, any, error) {
	return http.StatusOK, json.RawMessage(openAPI), nil
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()

	status, body, err := a.answer(ctx, r)
	var encoded []byte
	if err == nil {
		encoded, err = json.Marshal(body)
	}
	if err != nil {
		status, encoded = a.refuse(w.Header(), r, problemOf(err))
	}

	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write(append(encoded, '\n')) // a client that went away needs no answer
}

// answer finds the request's route, checks that the request may take it and
// has its form, and takes it.
func (a *API) answer(ctx context.Context, r *http.Request) (status int, body any, err error) {
	rt, err := a.route(r)
	if err != nil {
		return 0, nil, err
	}
	req := request{remoteAddr: r.RemoteAddr}
	if !rt.public {
		if req.caller, err = a.caller(ctx, r.Header); err != nil {
			return 0, nil, err
		}
	}
	if req.query, err = readQuery(r.URL.RawQuery, rt.query); err != nil {
		return 0, nil, err
	}
	if rt.body != nil {
		if req.body, err = readBody(r, rt.body); err != nil {
			return 0, nil, err
		}
	}
	return rt.do(ctx, req)
}

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

// refuse turns a problem into a status, headers and a body, and logs the cause
// where there is one.
func (a *API) refuse(h http.Header, r *http.Request, p *problem) (status int, body []byte) {
	switch {
	case p.cause == nil:
	case errors.Is(r.Context().Err(), context.Canceled): // the client went away
		a.logger.Debug("request ended by its client", "method", r.Method, "path", r.URL.Path)
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
