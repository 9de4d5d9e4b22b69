package gate

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

// meteringWriter is the way of a response to the client. It passes every byte on
// as it came, scans it as it passes, and has a call's event recorded before the
// bytes that complete the call's result leave.
type meteringWriter struct {
	http.ResponseWriter
	x *exchange

	status     int           // 0 before the response begins
	written    int64         // bytes of the body so far
	scanner    *scan.Scanner // nil when there is nothing to scan
	decoder    *decoder      // in front of the scanner when the body is encoded, else nil
	stream     bool          // the body is an event stream
	unreadable bool          // the body is of a type or in a coding that is not read
	resumable  bool          // the client may ask for the rest of this stream on another
	partial    bool          // the last chunk ends within a message, of which a client can use no part
	unflushed  bool          // a flush was skipped, and nothing has been flushed since
	ended      bool          // the next handler returned, and did not panic
	redirect   *string       // the location of a redirect, no part of which reaches the client

	watch     authn.Watch // of the key, during an event stream
	watched   bool
	streamKey callKey // of an event stream's session; zero: none
}

var scanners = sync.Pool{New: func() any { return new(scan.Scanner) }}

// WriteHeader sees how the upstream answers, and gets ready to scan the body.
func (w *meteringWriter) WriteHeader(status int) {
	if w.redirect != nil {
		return
	}
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		if isRedirect(status, w.Header()) {
			location := w.Header().Get("Location")
			w.redirect = &location
			return
		}
		w.status = status
		w.begin()
	}
	removeAddresses(w.Header()) // of an informational response, too
	w.ResponseWriter.WriteHeader(status)
}

func (w *meteringWriter) begin() {
	x, h := w.x, w.Header()
	x.readRequestFacts()
	if x.origin != "" {
		exposeTo(h, x.origin)
	}
	if x.opens != nil {
		x.openSession(h.Get("Mcp-Session-Id"))
	}
	w.stream = isMedia(h, "text/event-stream")
	if w.stream && x.principal != nil {
		w.openStream()
	}
	x.listens = x.listens && w.stream
	if !x.awaits() {
		return
	}
	format := scan.JSON
	switch {
	case w.stream:
		format = scan.SSE
	case !isMedia(h, "application/json"):
		w.unreadable = true
		return
	}
	w.scan(format, firstValue(h["Content-Encoding"]))
}

// isMedia reports whether a response's body is of a media type.
func isMedia(h http.Header, media string) bool {
	is, _, _ := strings.Cut(firstValue(h["Content-Type"]), ";")
	return strings.EqualFold(strings.TrimSpace(is), media)
}

// openSession remembers the session that an `initialize` opened, and its client.
func (x *exchange) openSession(id string) {
	if id == "" {
		return
	}
	user := x.opening
	if x.principal != nil { // it came in a batch with messages that need a key
		user = x.principal.UserID
	}
	_, name, version := x.opens.ClientInfo()
	x.backend.Calls.owners.openSession(sessionKey(x.gate.server, id), user, clientInfo{clip(name), clip(version)})
}

// openStream ends the event stream when its key stops being live, and delays
// the end of calls whose replies may come on it.
func (w *meteringWriter) openStream() {
	x := w.x
	w.watched = true
	x.backend.Authenticator.Watch(&w.watch, x.principal, x.cancel)
	if x.sessionID != "" {
		w.streamKey = x.sessionKey
		x.backend.Calls.streamOpened(w.streamKey)
	}
}

// scan begins to scan the body.
func (w *meteringWriter) scan(format scan.Format, coding string) {
	x := w.x
	scope := scan.Calls
	var wanted []*scan.Extractor
	for i := range x.pending {
		p := &x.pending[i]
		wanted = append(wanted, w.extractor(p.call))
		if p.role != callReply {
			scope = scan.Tasks
		}
	}
	if x.listens {
		scope, wanted = scan.Tasks, x.gate.extractors.All()
	}
	s := scanners.Get().(*scan.Scanner)
	s.Reset(format, scope, wanted...)
	if scope == scan.Calls && len(wanted) == 1 {
		s.Expect(x.gate.extractors.Habit(x.pending[0].call.event.Tool, wanted[0]))
	}
	if coding != "" {
		if w.decoder = newDecoder(coding, func(p []byte) { s.Scan(p, w.found) }); w.decoder == nil {
			w.unreadable = true
			scanners.Put(s)
			return
		}
	}
	w.scanner = s
}

// extractor returns this gate's rule for a call, which may have come through
// another gate.
func (w *meteringWriter) extractor(c *call) *scan.Extractor {
	if c.gate == w.x.gate {
		return c.extractor
	}
	return w.x.gate.extractors.For(c.event.Tool)
}

// Write scans a chunk, then passes it on.
func (w *meteringWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.redirect != nil {
		return len(p), nil
	}
	w.partial = false
	switch {
	case w.scanner == nil || !w.x.awaits():
	case w.decoder != nil:
		w.decoder.write(p)
	default:
		w.scanner.Scan(p, w.found)
		w.partial = !w.scanner.Completes() && (!w.stream || !endsLine(p))
	}
	if !w.resumable && w.x.awaited > 0 && w.scanner != nil && w.x.sessionID != "" && w.status == http.StatusOK && w.scanner.Resumable() {
		w.resumable = true
		w.suspendCalls()
	}
	w.written += int64(len(p))
	return w.ResponseWriter.Write(p)
}

// endsLine reports whether a chunk of an event stream ends with a line, which may
// be a comment that keeps the stream alive.
func endsLine(p []byte) bool {
	return len(p) > 0 && (p[len(p)-1] == '\n' || p[len(p)-1] == '\r')
}

// suspendCalls suspends the calls without an answer when their stream turns out
// to be one that the client can resume, before the client knows: should this
// process be killed, the answer comes to the next one.
func (w *meteringWriter) suspendCalls() {
	x := w.x
	for i := range x.pending {
		if p := &x.pending[i]; p.role == callReply && !p.answered && !p.resumed {
			p.call.keepArguments(p.msg)
			x.backend.Calls.suspend(p.call, w.soFar(w.written), p.key, resumeWait, x.sessionKey)
		}
	}
}

// FlushError flushes; a flush before the header sends the header. In the middle
// of a message it does nothing: the client can use no part of one, and the next
// flush, or the end of the response, sends it. That saves a third of the writes
// of a long event.
func (w *meteringWriter) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.redirect != nil {
		return nil
	}
	if w.partial {
		w.unflushed = true
		return nil
	}
	w.unflushed = false
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *meteringWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// found takes in a message of the response that may concern a call.
func (w *meteringWriter) found(reply *scan.Reply) {
	x := w.x
	if p := w.awaitedReply(reply); p != nil {
		p.answered = true
		x.awaited--
		w.take(p.target, p.msg, reply)
		return
	}
	if !x.listens {
		return
	}
	calls := x.backend.Calls
	if !reply.Notification {
		if x.sessionID != "" && mcp.SameID(reply.ID, reply.ID) {
			if t, ok := calls.lookup(x.requestKey(reply.ID)); ok {
				w.take(t, nil, reply)
			}
		}
	} else if t, ok := calls.lookup(x.taskKey(string(reply.TaskID))); ok {
		t.role = stateReply
		w.take(t, nil, reply)
	}
}

// awaitedReply returns which of the pending replies this is, or nil. Where only
// one is pending, an error without an id as the whole body is its answer, and so is
// a reply whose id differs in its type alone, which clients take for theirs.
func (w *meteringWriter) awaitedReply(reply *scan.Reply) *pendingReply {
	if reply.Notification {
		return nil
	}
	pending := w.x.pending
	for i := range pending {
		if p := &pending[i]; !p.answered && mcp.SameID(p.msg.ID, reply.ID) {
			return p
		}
	}
	if len(pending) != 1 || pending[0].answered {
		return nil
	}
	p := &pending[0]
	if hasID := mcp.SameID(reply.ID, reply.ID); !hasID && (w.status >= 400 || reply.RPCError && !w.stream) || hasID && looselySameID(p.msg.ID, reply.ID) {
		return p
	}
	return nil
}

// looselySameID reports whether two ids, as JSON text, are the same but for the
// quotes: servers answer 1 with "1".
func looselySameID(a, b []byte) bool {
	return bytes.Equal(bytes.Trim(a, `"`), bytes.Trim(b, `"`))
}

// statusClientClosed is what Caddy and nginx say instead of a status when the
// client has gone away before there was one.
const statusClientClosed = 499

// close ends the metering of the response. ctx is the request's.
func (w *meteringWriter) close(ctx context.Context) {
	if w.status == statusClientClosed && ctx.Err() != nil {
		w.status = 0
	}
	if w.unflushed && !w.ended {
		// After a panic nobody else sends what has been written.
		_ = http.NewResponseController(w.ResponseWriter).Flush()
	}
	if w.watched {
		w.x.backend.Authenticator.Unwatch(&w.watch)
	}
	if w.streamKey != (callKey{}) {
		w.x.backend.Calls.streamClosed(w.streamKey)
	}
	if w.decoder != nil {
		w.decoder.close()
	}
	if w.scanner != nil {
		scanners.Put(w.scanner)
		w.scanner = nil
	}
}

// soFar returns a function that sets what the event says of a call without a
// result.
func (w *meteringWriter) soFar(responseBytes int64) func(*usage.Event) {
	return func(e *usage.Event) {
		if w.status > 0 {
			e.HTTPStatus = usage.Int64(int64(w.status))
		}
		e.ResponseBytes = responseBytes
	}
}

// aborted sets the outcome of a call whose request got no result.
func (w *meteringWriter) aborted(e *usage.Event) {
	w.soFar(w.written)(e)
	e.Outcome = usage.Aborted
	if w.status >= 400 {
		e.Outcome = usage.HTTPError
	}
}

// Interface guards
var (
	_ http.ResponseWriter                       = (*meteringWriter)(nil)
	_ interface{ FlushError() error }           = (*meteringWriter)(nil)
	_ interface{ Unwrap() http.ResponseWriter } = (*meteringWriter)(nil)
)
