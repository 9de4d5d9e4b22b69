package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
)

// call is one tools/call, from its request to its final result. Most end with
// their request's answer. The others are held until the result comes with
// another request: of a task, of a retry that brings what the upstream asked
// for, of a stream that is resumed.
type call struct {
	arrived   time.Time
	facts     mcp.Facts      // what the request told
	gate      *Gate          // that let it through; nil where that was before a restart
	extractor *mcp.Extractor // of gate; another gate looks for its own

	mu        sync.Mutex
	event     usage.Event // its ID and DurationUS are set once the call is held or done
	done      bool        // the event is recorded
	held      bool        // the journal holds the call
	key       callKey     // under which it waits while it is held
	session   callKey     // whose open streams put off the end of waiting; zero: none
	abandoned bool        // its stream has ended
	cancelled bool        // by its client: nobody will resume its stream
	unread    bool        // its result came in a form that is not read
	permit    identity.Permit
	released  bool        // the permit counts no more against the concurrent calls
	expiry    *time.Timer // nil while its waiting has no end

	// Guarded by the mu of openCalls.
	known []callKey  // under which it is known there
	alone [1]waiter  // what the first of them has in openCalls.waiting begins as
	only  [1]callKey // what known begins as
}

// callKey is what the result of a call will be known by: a digest of a task's
// id, of what a retry repeats, or of a session and a request's id.
type callKey [16]byte

func newCallKey(parts ...string) callKey {
	b := make([]byte, 0, 256)
	for _, p := range parts {
		b = appendPart(b, p)
	}
	return callKeyOf(b)
}

func appendPart[T string | []byte](b []byte, p T) []byte {
	return append(append(b, byte(len(p)), byte(len(p)>>8), byte(len(p)>>16)), p...)
}

func callKeyOf(parts []byte) callKey {
	sum := sha256.Sum256(parts)
	return callKey(sum[:16])
}

func taskKey(user, task string) callKey { return newCallKey("task", user, task) }

func retryKey(user string, key [sha256.Size]byte) callKey {
	return newCallKey("retry", user, string(key[:]))
}

// A session is one user's, so that its requests need no other owner.
func sessionCallKey(session string) callKey { return newCallKey("session", session) }

// The id is a request's as JSON text.
func requestCallKey(session string, id []byte) callKey {
	b := appendPart(appendPart(make([]byte, 0, 256), "request"), session)
	return callKeyOf(appendPart(b, mcp.AppendIDKey(make([]byte, 0, 64), id)))
}

// How long a call is held for a result that does not come with its request.
const (
	resumeWait = 10 * time.Minute   // a stream that broke; as long again while its session has one open
	inputWait  = time.Hour          // what the upstream asked for
	taskWait   = 24 * time.Hour     // a task without a time to live
	taskSlack  = time.Minute        // beyond a task's time to live
	maxWait    = 7 * 24 * time.Hour // whatever time a task says it has
)

// role is what a reply is to the call that it is about.
type role uint8

const (
	callReply   role = iota // the answer to the call itself
	resultReply             // to tasks/result: the call's result or error
	stateReply              // to tasks/get or tasks/cancel: the state of the call's task
)

// waiter is a call, and what a reply that comes under its key is to it.
type waiter struct {
	call *call
	role role
}

// openCalls knows the calls without an event that another request than their
// own may answer, and the requests under way.
type openCalls struct {
	p *pipeline

	mu       sync.Mutex
	waiting  map[callKey][]waiter
	streams  map[callKey]int // open streams, by session
	requests *meter          // the first of a list
	drained  chan struct{}   // closed when requests is empty; nil where nobody waits for that
}

func newOpenCalls(p *pipeline) *openCalls {
	return &openCalls{p: p, waiting: map[callKey][]waiter{}, streams: map[callKey]int{}}
}

// restore takes up the calls that the process before this one held.
func (o *openCalls) restore() error {
	held, err := o.p.journal.PendingCalls()
	if err != nil {
		return err
	}
	for _, h := range held {
		c := &call{arrived: h.Event.Time, event: h.Event, held: true, abandoned: true}
		n, err := hex.Decode(c.key[:], []byte(h.Key))
		if err != nil || n != len(c.key) || json.Unmarshal(h.State, &c.facts) != nil {
			h.Deadline = time.Time{} // nothing can be found under it
		}
		c.mu.Lock()
		o.wait(c.key, waiter{call: c})
		o.expire(c, time.Until(h.Deadline))
		c.mu.Unlock()
	}
	return nil
}

// stop ends the waiting. What is held stays so, for the next process.
func (o *openCalls) stop() {
	o.mu.Lock()
	var calls []*call
	for _, ws := range o.waiting {
		for _, w := range ws {
			calls = append(calls, w.call)
		}
	}
	clear(o.waiting)
	o.mu.Unlock()
	for _, c := range calls {
		c.mu.Lock()
		c.unexpire()
		c.mu.Unlock()
	}
}

// maxKnown bounds under how many keys one call is known: a client may ask for a
// task's result any number of times, each on a stream that breaks.
const maxKnown = 32

// wait makes replies under key find the call.
func (o *openCalls) wait(key callKey, w waiter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if slices.Contains(w.call.known, key) || len(w.call.known) == maxKnown {
		return
	}
	ws := o.waiting[key]
	if len(w.call.known) == 0 {
		w.call.known = w.call.only[:0]
		if ws == nil {
			ws = w.call.alone[:0]
		}
	}
	w.call.known = append(w.call.known, key)
	o.waiting[key] = append(ws, w)
}

// forget undoes wait.
func (o *openCalls) forget(key callKey, c *call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.known = slices.DeleteFunc(c.known, func(k callKey) bool { return k == key })
	o.drop(key, c)
}

// forgetAll undoes wait for all keys.
func (o *openCalls) forgetAll(c *call) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range c.known {
		o.drop(key, c)
	}
	c.known = nil
}

// drop takes a call from who waits under key. The caller holds o.mu.
func (o *openCalls) drop(key callKey, c *call) {
	ws := slices.DeleteFunc(o.waiting[key], func(w waiter) bool { return w.call == c })
	if len(ws) == 0 {
		delete(o.waiting, key)
	} else {
		o.waiting[key] = ws
	}
}

// find returns who waits for a reply under key; of several, who came first.
func (o *openCalls) find(key callKey) (w waiter, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ws := o.waiting[key]; len(ws) > 0 {
		return ws[0], true
	}
	return waiter{}, false
}

// take is find for the request that goes on with a held call. Nobody else finds
// the call, and its waiting has no end, until it is held again.
func (o *openCalls) take(key callKey) *call {
	o.mu.Lock()
	var c *call
	if ws := o.waiting[key]; len(ws) > 0 {
		c = ws[0].call
		c.known = slices.DeleteFunc(c.known, func(k callKey) bool { return k == key })
		o.drop(key, c)
	}
	o.mu.Unlock()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unexpire()
	if c.done {
		return nil
	}
	return c
}

// hold keeps a call for a result under key that may come with another request,
// for so long, and longer while the session, if there is one, has a stream
// open. soFar says what its event is if none comes. The call is on disk when
// hold returns.
func (o *openCalls) hold(c *call, soFar func(*usage.Event), key callKey, most time.Duration, session callKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	c.release()
	c.stamp()
	c.event.Tables = c.facts.Tables
	soFar(&c.event)
	state, err := json.Marshal(c.facts)
	if err == nil {
		err = o.p.journal.Suspend(&journal.PendingCall{Event: c.event, Key: hex.EncodeToString(key[:]), Deadline: time.Now().Add(most), State: state})
	}
	if err != nil {
		o.p.log.Error("a call cannot be held until its result comes, it is recorded as aborted", "error", err)
		o.record(c, abort)
		return
	}
	if c.held && c.key != key {
		o.forget(c.key, c)
	}
	c.held, c.key, c.session = true, key, session
	o.wait(key, waiter{call: c})
	o.expire(c, most)
}

// abandon notes that the stream of a call that is held has ended without its
// answer. soFar says what its event is if none comes.
func (o *openCalls) abandon(c *call, soFar func(*usage.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	c.stamp()
	soFar(&c.event)
	c.abandoned = true
	if c.cancelled {
		o.record(c, abort)
	}
}

// cancel notes that the client has given up the call that waits under key.
func (o *openCalls) cancel(key callKey) {
	w, ok := o.find(key)
	if !ok || w.role != callReply {
		return
	}
	c := w.call
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancelled = true
	if c.abandoned && c.key == key && !c.done {
		o.record(c, abort)
	}
}

// keep holds a call again that was taken and got no result, as it was held.
func (o *openCalls) keep(c *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
	if c.done || c.expiry != nil {
		return
	}
	o.wait(c.key, waiter{call: c})
	o.expire(c, inputWait)
}

// settle records how a call ended. Only the first to say so counts.
func (o *openCalls) settle(c *call, how func(*usage.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	c.stamp()
	c.event.Tables = c.facts.Tables
	o.record(c, how)
}

// stamp notes what the event says of now. The caller holds c.mu.
func (c *call) stamp() {
	now := time.Now()
	if c.event.ID == uuid.Nil {
		c.event.ID = usage.NewID(now)
	}
	c.event.DurationUS = max(0, now.Sub(c.arrived).Microseconds())
}

// record ends a call. The caller holds c.mu.
func (o *openCalls) record(c *call, how func(*usage.Event)) {
	c.done = true
	c.unexpire()
	o.forgetAll(c)
	how(&c.event)
	if c.event.Outcome != usage.OK {
		why := reasonNoResult
		if c.unread {
			why = reasonUnreadable
		}
		if c.event.Tables == nil {
			o.p.unknowns.add(aspectTables, why)
		}
		o.p.unknowns.add(aspectRecords, why)
	}
	c.release()
	c.permit.Records(c.event.RecordCount.Int64)
	o.p.record(&c.event, c.held)
}

// release makes room for another concurrent call: this one is done, or it is
// held and no request of its client's is under way. The caller holds c.mu.
func (c *call) release() {
	if !c.released {
		c.released = true
		c.permit.Release()
	}
}

// expire ends the waiting of a call after a time. The caller holds c.mu.
func (o *openCalls) expire(c *call, after time.Duration) {
	c.unexpire()
	var t *time.Timer
	t = time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case c.expiry != t || c.done: // it was taken, or settled, at the same time
		case o.listening(c.session):
			o.expire(c, resumeWait)
		default:
			o.record(c, abort)
		}
	})
	c.expiry = t
}

// unexpire makes the waiting endless. The caller holds c.mu.
func (c *call) unexpire() {
	if c.expiry != nil {
		c.expiry.Stop()
		c.expiry = nil
	}
}

// listens notes that a stream of a session has begun; unlistens, that it has
// ended.
func (o *openCalls) listens(session callKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.streams[session]++
}

func (o *openCalls) unlistens(session callKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.streams[session]--; o.streams[session] == 0 {
		delete(o.streams, session)
	}
}

func (o *openCalls) listening(session callKey) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.streams[session] > 0
}

// begin notes a request that can be ended; end undoes it.
func (o *openCalls) begin(m *meter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.later = o.requests; m.later != nil {
		m.later.earlier = m
	}
	o.requests = m
}

func (o *openCalls) end(m *meter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.later != nil {
		m.later.earlier = m.earlier
	}
	if m.earlier != nil {
		m.earlier.later = m.later
	} else {
		o.requests = m.later
	}
	m.earlier, m.later = nil, nil
	if o.drained != nil && o.requests == nil {
		close(o.drained)
		o.drained = nil
	}
}

// endRequests ends the requests under way, so that their calls leave their
// events, and waits for that, but no longer than most.
func (o *openCalls) endRequests(most time.Duration) {
	o.mu.Lock()
	if o.requests == nil {
		o.mu.Unlock()
		return
	}
	drained := make(chan struct{})
	o.drained = drained
	for m := o.requests; m != nil; m = m.later {
		m.cancel()
	}
	o.mu.Unlock()
	select {
	case <-drained:
	case <-time.After(most):
	}
}

// abort is how a call ends that gets no final result.
func abort(e *usage.Event) { e.Outcome = usage.Aborted }
