package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/quota"
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
	principal *authn.Principal   // nil for a request without a key
	sessionID string             // that the request names
	revision  string             // of the protocol, likewise
	session   session            // what is known of it
	origin    string             // the request's Origin, which is allowed
	remoteIP  string             // of a request with a key
	cancel    context.CancelFunc // ends a request with a key
	permits   []quota.Permit     // of the request's calls to come; none for a key without limits
	onePermit [1]quota.Permit    // what permits begins as

	questions []question   // whose answers concern calls
	one       [1]question  // what questions begins as
	open      int          // questions without an answer
	listens   bool         // an answer to any call of the user's may come on this stream
	opens     *session     // what an initialize in the request opens
	scanner   *mcp.Scanner // nil when there is nothing to scan
	decoder   *decoder     // in front of the scanner where the body is encoded; else nil
	resumable bool         // the client may ask for the rest of this stream on another
	unread    bool         // the body is of a type or in a coding that is not read
	part      int          // bytes of the last piece, if the client can use nothing of it before more comes
	late      *late        // nil before anything is put off
	answered  time.Time    // when the flush behind the last answer was asked for; zero before
	returned  bool         // the handler behind the gate did, and did not panic
	status    int          // of the response; 0 before
	written   int64        // bytes of the body so far

	handlerFail int // HTTP status of the error that the upstream's handler returned

	watch    authn.Watch // of an event stream's key
	watched  bool
	listened callKey // of an event stream's session; zero: none

	earlier, later *meter // in openCalls.requests

	// The memory of what a request needs. Nothing of it is ever used again: the
	// body may still be read, and a context asked for its end, when the gate is
	// done.
	request http.Request // what goes upstream, where the request can be ended
	body    mcp.Body
	message [1]mcp.Message // what body.Messages begin as
	small   [480]byte      // what the body's bytes are in, if there is room
	sent    sentBody
	values  [2]string // of the headers that are set
}

// sentBody is the body as it goes upstream.
type sentBody struct{ bytes.Reader }

// Close has nothing to do.
func (*sentBody) Close() error { return nil }

// question is a message of the request whose answer concerns a call: the call
// itself, or one that asks for its task.
type question struct {
	waiter
	msg      *mcp.Message
	key      callKey // under which it waits; zero outside a session
	resumed  bool    // it goes on with a call that was held
	answered bool
}

// noSuchTask is how servers answer when a task is not the asker's to know
// (MCP 2025-11-25, tasks, protocol errors).
const noSuchTask = -32602

var scanners = sync.Pool{New: func() any { return new(mcp.Scanner) }}

// forward sends a request upstream and passes what comes back.
func (m *meter) forward(r *http.Request, next caddyhttp.Handler, arrived time.Time) error {
	m.expect(r, arrived)
	m.prepare(r)
	if m.cancel != nil {
		m.backend.pipeline.open.begin(m)
		defer m.backend.pipeline.open.end(m)
	}
	defer m.finish(r)
	err := next.ServeHTTP(m.scoped(r, &m.body), r)
	m.returned = true
	m.failed(err)
	return err
}

// expect notes what of a request concerns calls, before it goes upstream: from
// then on, their results may come on any stream.
func (m *meter) expect(r *http.Request, arrived time.Time) {
	m.listens = r.Method == http.MethodGet
	m.questions = m.one[:0]
	for i := range m.body.Messages {
		msg := &m.body.Messages[i]
		switch {
		case msg.IsCall():
			m.ask(m.startCall(msg, arrived))
		case msg.TaskID != "":
			if w, ok := m.backend.pipeline.open.find(taskKey(m.principal.UserID, msg.TaskID)); ok {
				w.role = stateReply
				if msg.Method == "tasks/result" {
					w.role = resultReply
				}
				m.ask(question{waiter: w, msg: msg})
			}
		case msg.Cancels != nil && m.sessionID != "":
			m.backend.pipeline.open.cancel(requestCallKey(m.sessionID, msg.Cancels))
		case msg.Kind == mcp.Request && msg.Method == "subscriptions/listen":
			m.listens = true
		case msg.Kind == mcp.Request && msg.Method == "initialize":
			_, name, version := msg.ClientInfo()
			m.opens = &session{client: clientInfo{clip(name), clip(version)}}
			if m.principal != nil {
				m.opens.owner = m.principal.UserID
			}
		}
	}
	m.open = len(m.questions)
}

func (m *meter) ask(q question) {
	if m.sessionID != "" {
		q.key = requestCallKey(m.sessionID, q.msg.ID)
		m.backend.pipeline.open.wait(q.key, q.waiter)
	}
	m.questions = append(m.questions, q)
}

// startCall begins a call, or goes on with one that waits for what this
// request brings.
func (m *meter) startCall(msg *mcp.Message, arrived time.Time) question {
	if msg.Retry {
		if c := m.backend.pipeline.open.take(m.retryKey(msg)); c != nil {
			c.mu.Lock()
			c.permit, c.released = m.nextPermit(), false
			c.event.RequestBytes += int64(len(msg.Raw))
			c.mu.Unlock()
			return question{waiter: waiter{call: c}, msg: msg, resumed: true}
		}
	}
	return question{waiter: waiter{call: m.newCall(msg, arrived)}, msg: msg}
}

// retryKey is what the call that a retry goes on with waits under.
func (m *meter) retryKey(msg *mcp.Message) callKey {
	key, ok := msg.StateKey()
	if !ok {
		key = msg.ArgumentsKey()
	}
	return retryKey(m.principal.UserID, key)
}

func (m *meter) newCall(msg *mcp.Message, arrived time.Time) *call {
	protocol, client, version := msg.ClientInfo()
	if client == "" {
		client, version = m.session.client.name, m.session.client.version
	}
	if protocol == "" {
		protocol = m.revision
	}
	p := m.principal
	c := &call{
		gate:      m.gate,
		extractor: m.gate.extractors.For(msg.Tool),
		arrived:   arrived,
		permit:    m.nextPermit(),
		event: usage.Event{
			Time:            arrived.UTC().Truncate(time.Microsecond),
			UserID:          p.UserID,
			UserEmail:       p.UserEmail,
			KeyID:           p.KeyID,
			KeyName:         p.KeyName,
			Tool:            clip(msg.Tool),
			RequestBytes:    int64(len(msg.Raw)),
			SessionID:       clip(m.sessionID),
			RequestID:       string(msg.ID),
			ProtocolVersion: clip(protocol),
			ClientName:      clip(client),
			ClientVersion:   clip(version),
			RemoteIP:        m.remoteIP,
		},
	}
	c.facts = c.extractor.FromCall(msg)
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
	media, _, _ := strings.Cut(first(h["Content-Type"]), ";")
	media = strings.TrimSpace(media)
	stream := strings.EqualFold(media, "text/event-stream")
	if stream && m.principal != nil {
		m.watched = true
		m.backend.authority.Watch(&m.watch, m.principal, m.cancel)
		if m.sessionID != "" {
			m.listened = sessionCallKey(m.sessionID)
			m.backend.pipeline.open.listens(m.listened)
		}
	}
	m.listens = m.listens && stream
	if !m.awaits() {
		return
	}
	format := mcp.JSON
	switch {
	case stream:
		format = mcp.SSE
	case !strings.EqualFold(media, "application/json"):
		m.unread = true
		return
	}
	m.scan(format, first(h["Content-Encoding"]))
}

// awaits tells whether an answer that concerns a call may still come.
func (m *meter) awaits() bool { return m.open > 0 || m.listens }

// scan begins to look at the body.
func (m *meter) scan(format mcp.Format, encoding string) {
	s := scanners.Get().(*mcp.Scanner)
	scope := mcp.Calls
	var one [1]*mcp.Extractor
	want := one[:0]
	for i := range m.questions {
		q := &m.questions[i]
		want = append(want, m.extractor(q.call))
		if q.role != callReply {
			scope = mcp.Tasks
		}
	}
	if m.listens {
		scope, want = mcp.Tasks, m.gate.extractors.All()
	}
	s.Reset(format, scope, want...)
	if encoding != "" {
		if m.decoder = newDecoder(encoding, func(p []byte) { s.Scan(p, m.found) }); m.decoder == nil {
			m.unread = true
			scanners.Put(s)
			return
		}
	}
	m.scanner = s
}

// extractor is the rule of this gate for a call that perhaps came by another.
func (m *meter) extractor(c *call) *mcp.Extractor {
	if c.gate == m.gate {
		return c.extractor
	}
	return m.gate.extractors.For(c.event.Tool)
}

// Write scans what passes, then passes it.
func (m *meter) Write(p []byte) (int, error) {
	if m.status == 0 {
		m.WriteHeader(http.StatusOK)
	}
	m.part = 0
	switch {
	case m.scanner == nil || !m.awaits():
	case m.decoder != nil:
		m.decoder.write(p)
	default:
		m.scanner.Scan(p, m.found)
		if !m.scanner.Completes() {
			m.part = len(p)
		}
	}
	if !m.resumable && m.open > 0 && m.scanner != nil && m.sessionID != "" && m.status == http.StatusOK && m.scanner.Resumable() {
		m.resumable = true
		m.holdOpen()
	}
	return m.pass(p)
}

// holdOpen holds the calls without an answer when their stream turns out to be
// one that the client can resume, before it knows: should this process be
// killed, the answer comes to the next one.
func (m *meter) holdOpen() {
	for i := range m.questions {
		if q := &m.questions[i]; q.role == callReply && !q.answered && !q.resumed {
			m.backend.pipeline.open.hold(q.call, m.soFar(m.written), q.key, resumeWait, sessionCallKey(m.sessionID))
		}
	}
}

// Unwrap is for http.ResponseController.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// found takes in a message of the response that may concern a call.
func (m *meter) found(reply *mcp.Reply) {
	if q := m.asked(reply); q != nil {
		q.answered = true
		m.open--
		m.answer(q.waiter, q.msg, reply)
		return
	}
	if !m.listens {
		return
	}
	open := m.backend.pipeline.open
	if !reply.Notification {
		if m.sessionID != "" && mcp.SameID(reply.ID, reply.ID) {
			if w, ok := open.find(requestCallKey(m.sessionID, reply.ID)); ok {
				m.answer(w, nil, reply)
			}
		}
	} else if w, ok := open.find(taskKey(m.principal.UserID, string(reply.TaskID))); ok {
		w.role = stateReply
		m.answer(w, nil, reply)
	}
}

// asked is the question that a reply answers, or nil. An HTTP error may come
// with the id null; it answers the only question there is.
func (m *meter) asked(reply *mcp.Reply) *question {
	if reply.Notification {
		return nil
	}
	for i := range m.questions {
		q := &m.questions[i]
		if !q.answered && (mcp.SameID(q.msg.ID, reply.ID) || m.status >= 400 && len(m.questions) == 1 && !mcp.SameID(reply.ID, reply.ID)) {
			return q
		}
	}
	return nil
}

// failed notes the error that the handler behind the gate returned; Caddy
// turns it into a response after the gate is done.
func (m *meter) failed(err error) {
	if err == nil || m.status != 0 {
		return
	}
	m.handlerFail = http.StatusInternalServerError
	if he, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		m.handlerFail = he.StatusCode
	}
}

// finish sees to the calls that got no result, also while a panic passes.
func (m *meter) finish(r *http.Request) {
	m.endLate()
	if m.watched {
		m.backend.authority.Unwatch(&m.watch)
	}
	if m.listened != (callKey{}) {
		m.backend.pipeline.open.unlistens(m.listened)
	}
	if m.decoder != nil {
		m.decoder.close()
	}
	if m.scanner != nil {
		scanners.Put(m.scanner)
		m.scanner = nil
	}
	m.status = max(m.status, m.handlerFail)
	if m.status == 499 && r.Context().Err() != nil {
		m.status = 0 // Caddy's own, for a client that went away: no status came
	}
	for i := range m.questions {
		m.leave(&m.questions[i])
	}
}

// leave sees to a question when its request has ended.
func (m *meter) leave(q *question) {
	open := m.backend.pipeline.open
	switch {
	case q.answered:
	case m.resumable && !q.resumed:
		// The client may ask for the rest of the stream, and the answer be there.
		if q.role == callReply {
			open.abandon(q.call, m.soFar(m.written))
		}
		return
	case q.resumed:
		open.keep(q.call) // what the upstream asked for may be brought again
	case q.role == callReply:
		open.settle(q.call, func(e *usage.Event) {
			q.call.unread = m.unread && m.written > 0
			m.aborted(e)
		})
	}
	if m.sessionID != "" {
		open.forget(q.key, q.call)
	}
}

// soFar is what an event says of a call without a result.
func (m *meter) soFar(responseBytes int64) func(*usage.Event) {
	return func(e *usage.Event) {
		if m.status > 0 {
			e.HTTPStatus = usage.Int64(int64(m.status))
		}
		e.ResponseBytes = responseBytes
	}
}

// aborted is how a call ends whose request got no result.
func (m *meter) aborted(e *usage.Event) {
	m.soFar(m.written)(e)
	e.Outcome = usage.Aborted
	if m.status >= 400 {
		e.Outcome = usage.HTTPError
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
