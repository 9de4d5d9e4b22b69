package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/mcp/scan"
)

func init() {
	caddy.RegisterModule(new(Gate))
}

// Gate stands in front of an MCP server that knows no accounts. It reads each
// message strictly, lets public methods pass, asks for an API key in front of
// everything else, forwards what it read byte by byte, and meters each call.
type Gate struct {
	// The name of the MCP server in scopes, events and metrics: 1 to 64 letters,
	// digits, `.`, `_` and `-`, beginning with a letter or a digit. Gates with the
	// same name stand in front of the same server, and have the same rules.
	// Default: `default`.
	Server string `json:"server,omitempty"`

	// The paths at which the gate serves the MCP server, each with or without a slash
	// at its end. Every other path is answered by the gate with 404.
	// Default: `/messages` and `/mcp`.
	Endpoints []string `json:"endpoints,omitempty"`

	// What the MCP server calls its own address, as in `http://127.0.0.1:3001/mcp`:
	// the gate proxies to it, and no handler after it is run. With host and port
	// alone, or the path `/`, requests go to the path of the endpoint that they came
	// to. Placeholders are replaced when the config is loaded.
	// Default: none, so that a `reverse_proxy` after the gate is needed. Where it is
	// given but empty, the environment variable TALLYGATE_UPSTREAM, or else
	// `127.0.0.1:9001`.
	Upstream string `json:"upstream,omitempty"`

	// The path at which a `reverse_proxy` after the gate reaches the MCP server, with
	// a query if it needs one. Default: the path of the endpoint that a request came
	// to.
	UpstreamPath string `json:"upstream_path,omitempty"`

	// The longest request body in bytes; a longer one is refused with 413.
	// Default: 4194304 (4 MiB).
	MaxBody int64 `json:"max_body,omitempty"`

	// Where to find the table names and the record count of a call, by tool. The
	// first rule whose glob matches the tool's name is used. A tool that no rule
	// matches gets the default rule, which knows the shapes that database servers
	// commonly use.
	Tools []ToolRule `json:"tools,omitempty"`

	// The web origins whose pages may use the server, as in
	// `https://app.example.com`, or `*` for any. A request with another Origin is
	// refused with 403; clients that are no browsers send none.
	// Default: none.
	AllowOrigin []string `json:"allow_origin,omitempty"`

	// The headers that tell the MCP server who calls, by what they tell: `user_id`,
	// `email`, `key_id`. They are set on requests that need a key; a client's own
	// headers of these names never pass.
	// Default: none.
	IdentityHeaders gate.IdentityHeaders `json:"identity_headers,omitzero"`

	app   *App
	gate  *gate.Gate
	proxy caddyhttp.MiddlewareHandler // nil: the next handler is one
}

// ToolRule says where a call's arguments or result have the table names and the
// record count. A path is one of gjson's with keys, indexes and `#`. It begins with
// `arguments` or `result`, and may have one of Tallygate's modifiers after a `|`,
// as in `result.content.0.text|@csv|#`; docs/metering.md lists them. A rule with
// neither tables nor records leaves both unknown.
type ToolRule struct {
	// A glob of tool names: `*` stands for any characters, `?` for one.
	Tool string `json:"tool"`

	// Where to find table names, all of which count: paths of a string, of an array
	// of strings or, with `|@sql`, of a query; a constant, `=name`; or
	// `first(…, …)`, the first of these paths with an answer.
	Table []string `json:"table,omitempty"`

	// Where to find the record count; the first with an answer counts: paths of a
	// number or, with `#` at the end, of an array's length; a constant, `=1`; or
	// `sum(…, …)`, whose paths are added up and may go through each element of an
	// array.
	Records []string `json:"records,omitempty"`

	// Where to find the number of affected rows, for a statement that writes and
	// returns no rows; paths as in records. `|@affected` reads it out of a
	// sentence.
	Affected []string `json:"affected,omitempty"`
}

func (t ToolRule) rule() scan.Rule {
	return scan.Rule{Tool: t.Tool, Tables: t.Table, Records: t.Records, Affected: t.Affected}
}

// CaddyModule returns the Caddy module information.
func (*Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.tallygate", New: func() caddy.Module { return new(Gate) }}
}

// Provision makes the gate. It opens nothing.
func (g *Gate) Provision(ctx caddy.Context) error {
	app, err := ctx.App("tallygate")
	if err != nil {
		return err
	}
	g.app = app.(*App)
	g.app.addListens(ctx)
	path := g.UpstreamPath
	if g.Upstream != "" {
		if path, err = g.provisionProxy(ctx); err != nil {
			return err
		}
	}
	g.gate, err = gate.New(gate.Config{
		Endpoints: g.Endpoints, UpstreamPath: path, Server: g.Server, MaxBody: g.MaxBody, Rules: g.rules(), AllowOrigin: g.AllowOrigin, IdentityHeaders: g.IdentityHeaders,
		Backend: g.acquire, ClientIP: clientIP, ErrorStatus: errorStatus, Attach: setPlaceholders, Logger: ctx.Slogger(),
	})
	if err != nil {
		return err
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		server.RegisterOnShutdown(g.endStreams)
	}
	return g.app.addServer(cmp.Or(g.Server, gate.DefaultServer), g.Tools)
}

// addServer records that a gate stands in front of a server. Several gates may
// do so, on HTTP and on HTTPS for example, or in two handle blocks of which one
// only answers 404. But with different rules they are most likely meant to be
// different servers.
func (a *App) addServer(name string, rules []ToolRule) error {
	known, ok := a.servers[name]
	if ok && len(rules) == 0 {
		return nil
	}
	if len(known) > 0 && !reflect.DeepEqual(known, rules) {
		return fmt.Errorf("two tallygate directives of the server %q have different tool rules: name each MCP server, as in \"tallygate stock-data\", or give both the same rules", name)
	}
	if a.servers == nil {
		a.servers = map[string][]ToolRule{}
	}
	a.servers[name] = rules
	return nil
}

// endStreams keeps streams that wait for nothing from delaying a stop or a reload.
func (g *Gate) endStreams() {
	if b := g.app.backend.Load(); b != nil {
		b.pipeline.calls.EndStreams(g.gate)
	}
}

func (g *Gate) rules() []scan.Rule {
	rules := make([]scan.Rule, len(g.Tools))
	for i, t := range g.Tools {
		rules[i] = t.rule()
	}
	return rules
}

// acquire returns what a request is served with, or nil.
func (g *Gate) acquire(ctx context.Context) *gate.Backend {
	if b := g.app.acquire(ctx); b != nil {
		return &b.gate
	}
	return nil
}

// ServeHTTP passes the request through the gate.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if g.proxy == nil {
		return g.gate.ServeHTTP(w, r, next.ServeHTTP)
	}
	return g.gate.ServeHTTP(w, r, func(w http.ResponseWriter, r *http.Request) error { return g.proxy.ServeHTTP(w, r, next) })
}

// clientIP returns the client's address, behind trusted proxies too.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if _, forwarded := r.Header["X-Forwarded-For"]; forwarded && !proxyWarned.Load() {
		warnOfProxy(r.RemoteAddr, ip)
	}
	return ip
}

// proxyWarned is set when warnOfProxy has warned.
var proxyWarned atomic.Bool

// warnOfProxy warns, once a process, where a request comes through a proxy that is
// not trusted, from a private address, so that all its clients count as one. peer is
// who sent the request, ip whom it counts for.
func warnOfProxy(peer, ip string) {
	address, err := netip.ParseAddrPort(peer)
	if err != nil || address.Addr().Unmap().String() != ip || !address.Addr().Unmap().IsPrivate() && !address.Addr().IsLoopback() {
		return
	}
	if proxyWarned.CompareAndSwap(false, true) {
		caddy.Log().Named("tallygate").Warn("requests come through a proxy at " + ip + " that is not trusted: all its clients have its address in usage, throttling and logs; name it in trusted_proxies, with trusted_proxies_strict, among the servers options")
	}
}

// setPlaceholders shows what the gate knows of a request to access logs and other
// handlers: {tallygate.refusal} and its kin, and {http.auth.user.id}, which is the
// user of Caddy's access log. A value is looked up when it is used.
func setPlaceholders(r *http.Request, known gate.Values) {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	repl.Map(func(key string) (any, bool) {
		if key == "http.auth.user.id" {
			id := known.Value("user_id")
			return id, id != ""
		}
		name, ok := strings.CutPrefix(key, "tallygate.")
		if !ok {
			return nil, false
		}
		return known.Value(name), true
	})
}

// errorStatus returns the status with which Caddy answers an error.
func errorStatus(err error) int {
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return he.StatusCode
	}
	return http.StatusInternalServerError
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Gate)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gate)(nil)
)
