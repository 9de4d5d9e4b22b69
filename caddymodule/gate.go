package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/mcp"
)

func init() {
	caddy.RegisterModule(new(Gate))
}

// Gate stands in front of an MCP server that knows no accounts. It reads each
// message strictly, lets public methods pass, asks for an API key in front of
// everything else, forwards what it read byte by byte, and meters each call.
type Gate struct {
	// The longest request body in bytes; a longer one is refused with 413.
	// Default: 4194304 (4 MiB).
	MaxBody int64 `json:"max_body,omitempty"`

	// Where the table names and the record count of a call stand, by tool. The
	// first rule whose glob matches the tool's name is used. For a tool that no
	// rule matches there is a default rule, which knows the shapes that database
	// servers commonly use.
	Tools []ToolRule `json:"tools,omitempty"`

	// The web origins whose pages may use the server, as in
	// `https://app.example.com`, or `*` for any. A request with another Origin is
	// refused with 403; clients that are no browsers send none.
	// Default: none.
	AllowOrigin []string `json:"allow_origin,omitempty"`

	app          *App
	extractors   *mcp.Extractors
	endsPromptly *atomic.Bool // the last response with a flush behind its answers ended right then
}

// ToolRule says where the table names and the record count stand in a call's
// arguments or result. A path is gjson's, of which keys, indexes and `#` are
// understood, begins with `arguments` or `result`, and may have one of
// Tallygate's modifiers behind a `|`, as in `result.content.0.text|@csv|#`;
// docs/metering.md has them all. A rule with neither tables nor records leaves
// both unknown.
type ToolRule struct {
	// A glob of tool names: `*` stands for any characters, `?` for one.
	Tool string `json:"tool"`

	// Where table names stand, all of which count: paths of a string, of an array
	// of strings or, by `|@sql`, of a query; `=name`, a constant; or
	// `first(…, …)`, of whose paths the first that is known counts.
	Table []string `json:"table,omitempty"`

	// Where the record count may stand, of which the first that is known counts:
	// paths of a number or, by `#` at the end, of an array's length; `=1`, a
	// constant; or `sum(…, …)`, whose paths are added up and may go through each
	// element of an array.
	Records []string `json:"records,omitempty"`
}

func (t ToolRule) rule() mcp.Rule {
	return mcp.Rule{Tool: t.Tool, Tables: t.Table, Records: t.Records}
}

const (
	defaultMaxBody = 4 << 20
	maxMaxBody     = 1 << 30

	// maxPublicBody bounds in bytes what is read before a live key is shown. No
	// public message comes near it.
	maxPublicBody = 64 << 10

	// maxBatch bounds how many calls one request can be.
	maxBatch = 100

	// maxID bounds a request's id in bytes, so that an answer can always be
	// told to be its own. No SDK comes near it.
	maxID = 256
)

// CaddyModule returns the Caddy module information.
func (*Gate) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.tallygate", New: func() caddy.Module { return new(Gate) }}
}

// Provision compiles the tool rules.
func (g *Gate) Provision(ctx caddy.Context) error {
	app, err := ctx.App("tallygate")
	if err != nil {
		return err
	}
	g.app = app.(*App)
	g.endsPromptly = new(atomic.Bool)
	if g.MaxBody == 0 {
		g.MaxBody = defaultMaxBody
	}
	if g.MaxBody < 0 || g.MaxBody > maxMaxBody {
		return fmt.Errorf("max_body: %d is not from 1 to %d", g.MaxBody, maxMaxBody)
	}
	rules := make([]mcp.Rule, len(g.Tools))
	for i, t := range g.Tools {
		rules[i] = t.rule()
	}
	if g.extractors, err = mcp.NewExtractors(rules); err != nil {
		return err
	}
	return checkOrigins(g.AllowOrigin)
}

// ServeHTTP takes a request the way of a call: read, authorise, forward,
// meter, record.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	arrived := time.Now()
	if isDiscovery(r.URL.Path) {
		return refuseDiscovery(w)
	}
	origins := r.Header["Origin"]
	origin := first(origins)
	if len(origins) > 0 {
		if !g.allows(origins) {
			return refuse(w, refusal{status: http.StatusForbidden, code: codeOrigin, message: "Origin not allowed"})
		}
		g.exposeTo(w.Header(), origin)
		if isPreflight(r) {
			answerPreflight(w, r)
			return nil
		}
	}
	b := g.app.acquire(r.Context())
	if b == nil {
		return refuse(w, refusal{status: http.StatusServiceUnavailable, code: codeUnavailable, message: "The gate is starting; try again"})
	}
	defer b.release()

	// What is too long for a public message needs a live key before it is read.
	m := &meter{ResponseWriter: w, gate: g, backend: b, origin: origin}
	var denied *refusal
	limit := g.MaxBody
	if r.ContentLength < 0 || r.ContentLength > maxPublicBody {
		if denied = m.authorise(r); denied != nil {
			limit = min(limit, maxPublicBody)
		}
	}
	if ref := m.read(r, limit); ref != nil {
		if ref.status == http.StatusRequestEntityTooLarge && denied != nil {
			ref = denied
		}
		return refuse(w, *ref)
	}
	keyed := firstKeyed(&m.body)
	if keyed == nil && r.Method == http.MethodPost {
		m.principal, m.sessionID = nil, ""
		return m.forward(r, next, arrived)
	}
	if m.principal == nil && denied == nil {
		denied = m.authorise(r)
	}
	if denied != nil {
		if keyed != nil {
			denied.id = keyed.ID
		}
		return refuse(w, *denied)
	}
	var known bool
	if m.session, known = b.sessions.enter(m.sessionID, m.principal.UserID); !known {
		// To anyone but its user a session does not exist; clients open a new one
		// on 404 (MCP 2025-11-25, transports, session management).
		ref := refusal{status: http.StatusNotFound, code: codeSession, message: "Session not found"}
		if keyed != nil {
			ref.id = keyed.ID
		}
		return refuse(w, ref)
	}
	if ref := m.permit(r, &m.body, arrived); ref != nil {
		return refuse(w, *ref)
	}
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(r.Context())
	defer m.cancel()
	m.request = *r.WithContext(ctx)
	return m.forward(&m.request, next, arrived)
}

// read reads a request's body of at most limit bytes and leaves it in place for
// the upstream; the messages of a POST end up in m.body. It returns the refusal
// of what is ambiguous.
func (m *meter) read(r *http.Request, limit int64) *refusal {
	var ref *refusal
	if m.sessionID, ref = only(r.Header, "Mcp-Session-Id"); ref != nil {
		return ref
	}
	if m.revision, ref = only(r.Header, "Mcp-Protocol-Version"); ref != nil {
		return ref
	}
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		if r.ContentLength > 0 {
			return badRequest(errors.New("a " + r.Method + " carries no body"))
		}
		r.Body, r.ContentLength, r.TransferEncoding = http.NoBody, 0, nil
		return nil
	default:
		return &refusal{status: http.StatusMethodNotAllowed, code: mcp.CodeInvalidRequest, message: r.Method + " is not a method of MCP's streamable HTTP"}
	}
	if err := mcp.CheckContent(r.Header["Content-Type"], r.Header["Content-Encoding"]); err != nil {
		return badRequest(err)
	}
	data, err := readAll(r, limit, m.small[:])
	switch {
	case errors.Is(err, errTooLarge):
		return &refusal{status: http.StatusRequestEntityTooLarge, code: codeTooLarge, message: fmt.Sprintf("the body is longer than %d bytes", limit)}
	case err != nil:
		return badRequest(errors.New("the body ended early"))
	}
	m.body.Messages = m.message[:0]
	if err := m.body.Read(data, allowsBatch(m.revision)); err != nil {
		return badRequest(err)
	}
	if len(m.body.Messages) > maxBatch {
		return badRequest(fmt.Errorf("a batch has more than %d messages", maxBatch))
	}
	for i := range m.body.Messages {
		if len(m.body.Messages[i].ID) > maxID {
			return badRequest(fmt.Errorf("an id is longer than %d bytes", maxID))
		}
	}
	m.sent.Reset(data)
	r.Body, r.ContentLength, r.TransferEncoding = &m.sent, int64(len(data)), nil
	return nil
}

// only is the value of a header that may be given once, or "".
func only(h http.Header, name string) (string, *refusal) {
	values := h[name]
	if len(values) > 1 {
		return "", badRequest(fmt.Errorf("there is more than one %s", name))
	}
	return first(values), nil
}

// allowsBatch tells whether a body may be a batch, by the revision that its
// header names: only 2025-03-26 has them, and it knows no such header.
func allowsBatch(revision string) bool {
	return revision == "" || revision == "2025-03-26"
}

// firstKeyed is the first message that needs a key, or nil.
func firstKeyed(body *mcp.Body) *mcp.Message {
	for i := range body.Messages {
		if m := &body.Messages[i]; !m.Public() {
			return m
		}
	}
	return nil
}

// admit refuses calls while the journal, by its on_full, lets none begin.
func admit(body *mcp.Body, j *journal.Journal) *refusal {
	for i := range body.Messages {
		if m := &body.Messages[i]; m.IsCall() {
			if j.Admit() != nil { // logged and counted there
				return &refusal{status: http.StatusServiceUnavailable, id: m.ID, code: codeUnrecorded, message: "Usage cannot be recorded now; try again"}
			}
			return nil
		}
	}
	return nil
}

// authorise finds out who calls, and from where.
func (m *meter) authorise(r *http.Request) *refusal {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return unauthorized(codeKeyRequired, "API key required")
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return unauthorized(codeKeyInvalid, "Invalid or expired API key")
	}
	m.remoteIP, _ = caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string) // as Caddy vouches for it
	addr, _ := netip.ParseAddr(m.remoteIP)                                           // the zero Addr for none
	principal, ok, err := m.backend.authority.Authenticate(r.Context(), strings.TrimLeft(key, " "), addr)
	if err != nil {
		return uncheckable(m.backend, err)
	}
	if !ok {
		return unauthorized(codeKeyInvalid, "Invalid or expired API key")
	}
	m.principal = principal
	return nil
}

// prepare makes a request what the upstream gets: without the key, and asking
// for what the gate can meter and every server can give.
func (m *meter) prepare(r *http.Request) {
	h := r.Header
	delete(h, "Authorization")
	delete(h, "Upgrade") // the messages of another protocol would pass unread
	// In the meter's memory: other handlers may change a value in place.
	m.values = [...]string{"identity", "application/json, text/event-stream"}
	h["Accept-Encoding"] = m.values[0:1:1]
	if accept := h["Accept"]; len(accept) == 0 || len(accept) == 1 && (accept[0] == "" || accept[0] == "*/*") {
		h["Accept"] = m.values[1:2:2]
	}
}

// first is a header's first value, or "".
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// isDiscovery tells whether a path is one at which clients look for an
// authorisation server.
func isDiscovery(path string) bool {
	return path == "/register" || strings.HasPrefix(path, "/.well-known/")
}

var errTooLarge = errors.New("too large")

// readAll reads a body of limit bytes at most: where its length is declared,
// into small or in one allocation.
func readAll(r *http.Request, limit int64, small []byte) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	if r.ContentLength >= 0 {
		data := small[:min(int(r.ContentLength), len(small))]
		if r.ContentLength > int64(len(small)) {
			data = make([]byte, r.ContentLength)
		}
		_, err := io.ReadFull(r.Body, data)
		return data, err
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, errTooLarge
	}
	return data, err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Gate)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gate)(nil)
)
