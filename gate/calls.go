package gate

import (
	"crypto/sha256"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

// maxText is the longest text in bytes that a client or an upstream may put into
// a column of an event.
const maxText = 256

// call is one tools/call, from its request to its final result. Most calls end
// with the reply to their request. The others are pending until the result comes
// with another request: one about the call's task, a retry that brings what the
// upstream asked for, or one that resumes the stream.
type call struct {
	arrived   time.Time
	gate      *Gate           // that admitted it; nil when that was before a restart
	extractor *scan.Extractor // of gate; another gate looks for its own

	mu         sync.Mutex
	request    *mcp.Message // what readRequestFacts has to read; nil afterwards
	facts      scan.Facts   // what the request tells
	arguments  argumentsKey // of the request, where a retry may have to be recognized
	event      usage.Event  // ID and DurationUS are set when the call is suspended or done
	done       bool         // the event is recorded
	suspended  bool         // the journal keeps the call
	key        callKey      // under which it is registered while it is suspended
	session    callKey      // sessionKey of the session in which it was made; zero: none
	task       callKey      // taskOwnerKey of the task that runs it; zero: none
	deadline   time.Time    // when it is given up while it is suspended
	streamKey  callKey      // of the session whose open streams delay its expiry; zero: none
	abandoned  bool         // its stream has ended
	cancelled  bool         // by its client, so that nobody will resume its stream
	unreadable bool         // its result came in a form that is not read
	permit     quota.Permit
	released   bool        // the permit does not count against the concurrent calls any more
	expiry     *time.Timer // nil while the call does not expire

	keys []callKey // under which it is registered; guarded by CallRegistry.mu
}

// newEvent returns the event of a call as far as its request tells.
func (x *exchange) newEvent(msg *mcp.Message) usage.Event {
	protocol, client, version := msg.ClientInfo()
	if client == "" {
		client, version = x.client.name, x.client.version
	}
	if protocol == "" {
		protocol = x.protocol
	}
	p := x.principal
	return usage.Event{
		Time:            x.arrived.UTC().Truncate(time.Microsecond),
		Server:          x.gate.server,
		UserID:          p.UserID,
		UserEmail:       p.UserEmail,
		KeyID:           p.KeyID,
		KeyName:         p.KeyName,
		Tool:            clip(msg.Tool),
		RequestBytes:    int64(len(msg.Raw)),
		SessionID:       clip(x.sessionID),
		RequestID:       string(msg.ID),
		ProtocolVersion: clip(protocol),
		ClientName:      clip(client),
		ClientVersion:   clip(version),
		RemoteIP:        x.remoteIP,
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

// readRequestFacts finds the tables that the request names, once. It may parse a
// query, so it is called after the request has gone upstream, and never for a
// refused call. The caller holds c.mu.
func (c *call) readRequestFacts() {
	if c.request != nil {
		c.facts = c.extractor.FromCall(c.request)
		c.request = nil
		c.event.Tables = c.facts.Tables
	}
}

// keepArguments keeps what tells a retry of the call from another call. msg is the
// message that brought the arguments; nil where it came with an earlier request,
// after which they were kept.
func (c *call) keepArguments(msg *mcp.Message) {
	if msg != nil {
		c.mu.Lock()
		c.arguments = msg.ArgumentsKey()
		c.mu.Unlock()
	}
}

// stamp sets the event's ID, once, and its duration until now.
func stamp(e *usage.Event, arrived time.Time) {
	now := time.Now()
	if e.ID == uuid.Nil {
		e.ID = usage.NewID(now)
	}
	e.DurationUS = max(0, now.Sub(arrived).Microseconds())
}

// release makes room for another concurrent call: this one is done, or it is
// suspended and no request of its client's is under way. The caller holds c.mu.
func (c *call) release() {
	if !c.released {
		c.released = true
		c.permit.Release()
	}
}

// stopTimer keeps the call from expiring. The caller holds c.mu.
func (c *call) stopTimer() {
	if c.expiry != nil {
		c.expiry.Stop()
		c.expiry = nil
	}
}

// abort sets the outcome of a call that gets no final result.
func abort(e *usage.Event) { e.Outcome = usage.Aborted }

// callKey identifies the call that a reply belongs to: a digest of a task's id,
// of what a retry repeats, or of a session and a request's id. It also identifies
// a session. Everything is one server's, and what concerns a call is one user's.
type callKey [16]byte

func newCallKey(parts ...string) callKey {
	b := make([]byte, 0, 256)
	for _, p := range parts {
		b = appendPart(b, p)
	}
	return digest(b)
}

func appendPart[T string | []byte](b []byte, p T) []byte {
	return append(append(b, byte(len(p)), byte(len(p)>>8), byte(len(p)>>16)), p...)
}

func digest(parts []byte) callKey {
	sum := sha256.Sum256(parts)
	return callKey(sum[:16])
}

// taskKey returns the key of a user's call that runs as a task of a server.
func taskKey(server, user, task string) callKey { return newCallKey("task", server, user, task) }

// taskOwnerKey returns the key under which owners has a task of a server.
func taskOwnerKey(server, task string) callKey { return newCallKey("task owner", server, task) }

// argumentsKey is a digest of a call's tool and arguments.
type argumentsKey = [sha256.Size]byte

// retryKey returns the key of a user's retry, which repeats the tool and the
// arguments of the call, and brings back the state that came with the question
// for input, if one did (MCP 2026-07-28, multi round-trip requests).
func retryKey(server, user string, arguments argumentsKey, state [sha256.Size]byte) callKey {
	return newCallKey("retry", server, user, string(arguments[:]), string(state[:]))
}

// sessionKey returns the key of a session of a server.
func sessionKey(server, session string) callKey { return newCallKey("session", server, session) }

// requestKey returns the key of a user's request in a session. id is JSON text.
func requestKey(user string, session callKey, id []byte) callKey {
	b := appendPart(appendPart(make([]byte, 0, 256), "request"), user)
	b = appendPart(b, session[:])
	return digest(appendPart(b, mcp.AppendIDKey(make([]byte, 0, 64), id)))
}
