package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
)

// maxText bounds in bytes what a client or an upstream may put into a text
// column of an event.
const maxText = 256

// meter is the response of one request on its way to the client. It passes
// every byte on as it came, scans it as it passes, and records a call's event
// before the bytes that complete the call's result leave.
type meter struct {
	http.ResponseWriter
	gate      *Gate
	backend   *backend
	principal *identity.Principal // nil for a request without a key
	session   session             // that a request with a key names
	origin    string              // the request's Origin, which is allowed
	cancel    context.CancelFunc  // ends a request with a key
	unwatch   func()

	calls       []call
	one         [1]call      // what calls begins as
	open        int          // calls without an event yet
	opens       *session     // what an initialize in the request opens
	scanner     *mcp.Scanner // nil when there is nothing to scan
	status      int          // of the response; 0 before
	written     int64        // bytes of the body so far
	handlerFail int          // HTTP status of the error that the upstream's handler returned
}

// call is one tools/call that waits for its result.
type call struct {
	event     usage.Event
	id        string         // its mcp.IDKey
	extractor *mcp.Extractor // nil where no rule matches the tool
	facts     mcp.Facts      // what the request told
	arrived   time.Time
	recorded  bool
}

var scanners = sync.Pool{New: func() any { return new(mcp.Scanner) }}

// forward sends a request upstream and passes what comes back.
func (m *meter) forward(r *http.Request, next caddyhttp.Handler, body *mcp.Body, arrived time.Time) error {
	m.expect(r, body, arrived)
	prepare(r)
	defer m.finish(r)
	err := next.ServeHTTP(m, r)
	m.failed(err)
	return err
}

// expect notes the calls of a request, before it goes upstream.
func (m *meter) expect(r *http.Request, body *mcp.Body, arrived time.Time) {
	m.origin = r.Header.Get("Origin")
	m.calls = m.one[:0]
	for i := range body.Messages {
		switch msg := &body.Messages[i]; {
		case msg.IsCall():
			m.calls = append(m.calls, m.newCall(r, msg, arrived))
		case msg.Kind == mcp.Request && msg.Method == "initialize":
			_, name, version := msg.ClientInfo()
			m.opens = &session{client: clientInfo{clip(name), clip(version)}}
			if m.principal != nil {
				m.opens.owner = m.principal.UserID
			}
		}
	}
	m.open = len(m.calls)
}

func (m *meter) newCall(r *http.Request, msg *mcp.Message, arrived time.Time) call {
	protocol, client, version := msg.ClientInfo()
	if client == "" {
		client, version = m.session.client.name, m.session.client.version
	}
	if protocol == "" {
		protocol = r.Header.Get("Mcp-Protocol-Version")
	}
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	p := m.principal
	c := call{
		id:        mcp.IDKey(msg.ID),
		extractor: m.gate.extractors.For(msg.Tool),
		arrived:   arrived,
		event: usage.Event{
			Time:            arrived.UTC().Truncate(time.Microsecond),
			UserID:          p.UserID,
			UserEmail:       p.UserEmail,
			KeyID:           p.KeyID,
			KeyName:         p.KeyName,
			Tool:            clip(msg.Tool),
			RequestBytes:    int64(len(msg.Raw)),
			SessionID:       clip(r.Header.Get("Mcp-Session-Id")),
			RequestID:       string(msg.ID),
			ProtocolVersion: clip(protocol),
			ClientName:      clip(client),
			ClientVersion:   clip(version),
			RemoteIP:        ip,
		},
	}
	c.facts = c.extractor.FromParams(msg.Params)
	return c
}

// WriteHeader sees how the upstream answers, and gets ready to scan it.
func (m *meter) WriteHeader(status int) {
	if m.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		m.status = status
		m.begin()
	}
	m.ResponseWriter.WriteHeader(status)
}

func (m *meter) begin() {
	h := m.Header()
	m.gate.exposeTo(h, m.origin)
	if m.opens != nil {
		m.backend.sessions.opened(h.Get("Mcp-Session-Id"), *m.opens)
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	media = strings.TrimSpace(media)
	stream := strings.EqualFold(media, "text/event-stream")
	if stream && m.principal != nil {
		m.unwatch = m.backend.authority.Watch(m.principal, m.cancel)
	}
	if m.open == 0 || h.Get("Content-Encoding") != "" {
		return
	}
	format := mcp.JSON
	switch {
	case stream:
		format = mcp.SSE
	case !strings.EqualFold(media, "application/json"):
		return
	}
	var one [1]*mcp.Extractor
	want := one[:0]
	for i := range m.calls {
		want = append(want, m.calls[i].extractor)
	}
	m.scanner = scanners.Get().(*mcp.Scanner)
	m.scanner.Reset(format, mcp.Calls, want...)
}

// Write scans what passes, then passes it.
func (m *meter) Write(p []byte) (int, error) {
	if m.status == 0 {
		m.WriteHeader(http.StatusOK)
	}
	if m.scanner != nil && m.open > 0 {
		m.scanner.Scan(p, m.found)
	}
	m.written += int64(len(p))
	return m.ResponseWriter.Write(p)
}

// FlushError flushes; a flush before the header sends the header.
func (m *meter) FlushError() error {
	if m.status == 0 {
		m.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(m.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// found records the call that a reply answers.
func (m *meter) found(reply *mcp.Reply) {
	c := m.waiting(reply)
	if c == nil {
		return
	}
	e := &c.event
	switch {
	case m.status >= 400:
		e.Outcome = usage.HTTPError
	case reply.RPCError:
		e.Outcome = usage.RPCError
	case reply.ToolError:
		e.Outcome = usage.ToolError
	default:
		e.Outcome = usage.OK
	}
	if reply.HasCode {
		e.RPCCode = usage.Int64(reply.RPCCode)
	}
	facts := c.facts.Merge(reply.Facts(c.extractor))
	e.Tables = facts.Tables
	if facts.RecordsKnown && e.Outcome == usage.OK {
		e.RecordCount = usage.Int64(facts.Records)
	}
	e.ResponseBytes = reply.Size
	e.HTTPStatus = usage.Int64(int64(m.status))
	m.record(c)
}

// waiting is the call that a reply answers, or nil. An HTTP error may come
// with the id null; it answers the only call there is.
func (m *meter) waiting(reply *mcp.Reply) *call {
	id := mcp.IDKey(reply.ID)
	for i := range m.calls {
		c := &m.calls[i]
		if !c.recorded && (c.id == id || id == "" && m.status >= 400 && len(m.calls) == 1) {
			return c
		}
	}
	return nil
}

func (m *meter) record(c *call) {
	c.recorded = true
	m.open--
	c.event.DurationUS = time.Since(c.arrived).Microseconds()
	c.event.ID = uuid.Must(uuid.NewV7()) // crypto/rand does not fail
	m.backend.pipeline.record(&c.event)
}

// failed notes the error that the handler behind the gate returned; Caddy
// turns it into a response after the gate is done.
func (m *meter) failed(err error) {
	var he caddyhttp.HandlerError
	switch {
	case err == nil || m.status != 0:
	case errors.As(err, &he):
		m.handlerFail = he.StatusCode
	default:
		m.handlerFail = http.StatusInternalServerError
	}
}

// finish records the calls that got no result, also while a panic passes.
func (m *meter) finish(r *http.Request) {
	if m.unwatch != nil {
		m.unwatch()
	}
	if m.scanner != nil {
		scanners.Put(m.scanner)
		m.scanner = nil
	}
	if m.open == 0 {
		return
	}
	// Caddy's 499 stands for a client that went away: no status came.
	status, gone := max(m.status, m.handlerFail), r.Context().Err() != nil
	if status == 499 && gone {
		status = 0
	}
	for i := range m.calls {
		c := &m.calls[i]
		if c.recorded {
			continue
		}
		c.event.Outcome = usage.Aborted
		if status >= 400 {
			c.event.Outcome = usage.HTTPError
		}
		if status > 0 {
			c.event.HTTPStatus = usage.Int64(int64(status))
		}
		c.event.Tables = c.facts.Tables
		c.event.ResponseBytes = m.written
		m.record(c)
	}
}

// clip cuts a text to what a column of an event takes.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Interface guards
var (
	_ http.ResponseWriter                       = (*meter)(nil)
	_ interface{ FlushError() error }           = (*meter)(nil)
	_ interface{ Unwrap() http.ResponseWriter } = (*meter)(nil)
)
