package gate

import (
	"context"
	"net/http"
	"time"

	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
)

// exchange is one HTTP request through the gate and its response. Its memory is
// never used again: the body may still be read, and the context asked whether it
// has ended, after the gate is done.
type exchange struct {
	gate    *Gate
	backend *Backend
	arrived time.Time

	endpoint   *endpoint
	redirected bool // the upstream's redirect has been followed

	// The request.
	method    string // of HTTP
	origin    string // allowed; "" for none
	remoteIP  string // the client's; "" when unknown
	unread    bool   // it has a body that has not been read to its end
	sessionID string // Mcp-Session-Id
	protocol  string // Mcp-Protocol-Version
	body      mcp.Body
	upload    memoryBody // the same, as the upstream gets it

	// Who makes it.
	principal  *authn.Principal // nil for a public message
	presented  string           // the key as it was presented; "": none
	denied     *refusal         // why there is no principal
	denial     *authn.Denial    // what is known of a key that is not live
	sessionKey callKey          // of the session; zero where there is none
	client     clientInfo       // of the session
	permits    []quota.Permit   // of the calls that have not been made yet

	// What it asks for.
	pending  []pendingReply // the replies that concern calls
	awaited  int            // replies of pending that have not come
	listens  bool           // replies to any call of the user's may come on this response
	opens    *mcp.Message   // an initialize, which may open a session; nil: none
	opening  string         // the user whose that session is; "": nobody's yet
	response meteringWriter
	filter   filteringWriter // in front of response
	refused  *refusal        // the answer, when it is the gate's

	// While it is in flight.
	cancel         context.CancelFunc // nil for a public message
	earlier, later *exchange          // in CallRegistry.inFlight
}

// pendingReply is a reply that the request waits for and that concerns a call.
type pendingReply struct {
	target
	msg      *mcp.Message // the request that it answers
	key      callKey      // under which the call is registered; zero outside a session
	resumed  bool         // the call was pending before, and this request goes on with it
	answered bool
}

func newExchange(g *Gate, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{gate: g, arrived: time.Now(), method: r.Method, remoteIP: g.clientIP(r), unread: r.ContentLength != 0}
	x.response = meteringWriter{ResponseWriter: w, x: x}
	if g.attach != nil {
		g.attach(r, x)
	}
	return x
}

// forward sends the request upstream, and meters what comes back.
func (x *exchange) forward(r *http.Request, next Handler) error {
	x.expectReplies()
	prepareForUpstream(r)
	x.tellIdentity(r.Header)
	if x.principal != nil {
		var ctx context.Context
		ctx, x.cancel = context.WithCancel(r.Context())
		defer x.cancel()
		r = r.WithContext(ctx)
		x.backend.Calls.begin(x)
		defer x.backend.Calls.end(x)
	} else {
		r = r.WithContext(r.Context()) // a copy, whose URL is another one
	}
	defer x.finish(r.Context())
	return x.send(r, next)
}

// expectReplies begins the calls of the request, and finds those that it asks
// about. From then on, their results may come on any response.
func (x *exchange) expectReplies() {
	calls := x.backend.Calls
	x.listens = x.method == http.MethodGet
	for i := range x.body.Messages {
		msg := &x.body.Messages[i]
		switch {
		case msg.IsCall():
			x.expect(x.startCall(msg))
		case msg.IsAboutTask():
			if t, ok := calls.lookup(x.taskKey(msg.TaskID)); ok && msg.Kind == mcp.Request {
				t.role = stateReply
				if msg.Method == "tasks/result" {
					t.role = resultReply
				}
				x.expect(pendingReply{target: t, msg: msg})
			}
		case msg.Cancels != nil && x.sessionID != "":
			calls.cancel(x.requestKey(msg.Cancels))
		case msg.Kind == mcp.Request && msg.Method == "subscriptions/listen":
			x.listens = true
		case msg.Kind == mcp.Request && msg.Method == "initialize":
			x.opens = msg
		}
	}
	x.awaited = len(x.pending)
}

func (x *exchange) expect(p pendingReply) {
	if x.sessionID != "" {
		p.key = x.requestKey(p.msg.ID)
		x.backend.Calls.register(p.key, p.target)
	}
	x.pending = append(x.pending, p)
}

// requestKey returns the key of a request of the session, whose id is JSON text.
func (x *exchange) requestKey(id []byte) callKey {
	return requestKey(x.user(), x.sessionKey, id)
}

// taskKey returns the key of the user's call that runs as a task.
func (x *exchange) taskKey(id string) callKey {
	return taskKey(x.gate.server, x.principal.UserID, id)
}

// startCall begins a call, or goes on with a pending one that waits for what
// this request brings.
func (x *exchange) startCall(msg *mcp.Message) pendingReply {
	if msg.Retry {
		if c := x.claimRetry(x.retryKey(msg), msg); c != nil {
			return pendingReply{target: target{call: c}, msg: msg, resumed: true}
		}
	}
	c := &call{
		gate: x.gate, extractor: x.gate.extractors.For(msg.Tool), request: msg,
		arrived: x.arrived, permit: x.nextPermit(), event: x.newEvent(msg), session: x.sessionKey,
	}
	return pendingReply{target: target{call: c}, msg: msg}
}

// claimRetry takes over the pending call that a retry goes on with, or returns
// nil when there is none.
func (x *exchange) claimRetry(key callKey, msg *mcp.Message) *call {
	c := x.backend.Calls.claim(key)
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.permit, c.released = x.nextPermit(), false
	c.event.RequestBytes += int64(len(msg.Raw))
	return c
}

// retryKey returns the key of the call that a retry goes on with.
func (x *exchange) retryKey(msg *mcp.Message) callKey {
	return retryKey(x.gate.server, x.principal.UserID, msg.ArgumentsKey(), msg.StateKey())
}

// awaits reports whether a reply that concerns a call may still come.
func (x *exchange) awaits() bool { return x.awaited > 0 || x.listens }

// readRequestFacts finds the tables that the request's calls name, unless that
// has been done. It may be slow, and is called when the request has gone
// upstream.
func (x *exchange) readRequestFacts() {
	for i := range x.pending {
		if p := &x.pending[i]; p.role == callReply {
			p.call.mu.Lock()
			p.call.readRequestFacts()
			p.call.mu.Unlock()
		}
	}
}

// finish ends the calls that got no result, also while a panic passes. ctx is the
// request's.
func (x *exchange) finish(ctx context.Context) {
	x.readRequestFacts()
	x.response.close(ctx)
	for i := range x.pending {
		x.giveUp(&x.pending[i])
	}
}

// giveUp ends the wait for a reply when its exchange has ended.
func (x *exchange) giveUp(p *pendingReply) {
	calls, w := x.backend.Calls, &x.response
	switch {
	case p.answered:
	case w.resumable && !p.resumed:
		// The client may ask for the rest of the stream, and the answer be there.
		if p.role == callReply {
			calls.abandon(p.call, w.soFar(w.written))
		}
		return
	case p.resumed:
		calls.resume(p.call) // what the upstream asked for may be brought again
	case p.role == callReply:
		calls.finish(p.call, func(e *usage.Event) {
			p.call.unreadable = w.unreadable && w.written > 0
			w.aborted(e)
		})
	}
	if x.sessionID != "" {
		calls.remove(p.key, p.call)
	}
}
