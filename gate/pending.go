package gate

import (
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

// How long a call is pending when its result does not come with its request.
const (
	resumeWait = 10 * time.Minute   // a stream that broke; as long again while its session has a stream open
	inputWait  = time.Hour          // for what the upstream asked for
	taskWait   = 24 * time.Hour     // a task without a time to live
	taskSlack  = time.Minute        // beyond a task's time to live
	maxWait    = 7 * 24 * time.Hour // whatever its time to live
)

// role is what a reply is to the call that it concerns.
type role uint8

const (
	callReply   role = iota // the reply to the call itself
	resultReply             // to tasks/result: the call's result or error
	stateReply              // to tasks/get or tasks/cancel: the state of the call's task
)

// target is the call that a reply concerns, and what the reply is to it.
type target struct {
	call *call
	role role
}

// CallRegistry records calls, and knows those without a result that a reply to
// another request may bring. It also knows the exchanges that are in flight, and
// whose the sessions and tasks of the upstreams are.
type CallRegistry struct {
	journal  Journal
	counters *Counters
	log      *slog.Logger
	owners   *owners

	mu         sync.Mutex
	registered map[callKey][]target
	streams    map[callKey]int // open event streams, by session
	ended      []endedTask     // whose owners are in the journal
	maxEnded   int
	inFlight   *exchange     // the first of a list
	drained    chan struct{} // closed when inFlight is empty; nil while nobody waits for that
}

// NewCallRegistry returns a registry that records calls in a journal, with the
// calls that are suspended there.
func NewCallRegistry(j Journal, log *slog.Logger) (*CallRegistry, error) {
	r := &CallRegistry{journal: j, counters: new(Counters), log: log, owners: newOwners(maxOwned, maxUnowned), maxEnded: maxEndedTasks,
		registered: map[callKey][]target{}, streams: map[callKey]int{}}
	suspended, err := j.PendingCalls()
	if err != nil {
		return nil, err
	}
	for i := range suspended {
		r.restore(&suspended[i])
	}
	return r, nil
}

// pendingState is what the journal keeps of a pending call beside its event and
// the key under which it is registered.
type pendingState struct {
	Facts     scan.Facts `json:"facts"`
	Arguments []byte     `json:"arguments,omitempty"` // its argumentsKey
	Session   []byte     `json:"session,omitempty"`   // its sessionKey
	Task      []byte     `json:"task,omitempty"`      // its taskOwnerKey
}

// restore registers a call that an earlier process suspended. Its session and its
// task belong to its user again.
func (r *CallRegistry) restore(h *journal.PendingCall) {
	if h.Ended {
		r.restoreTask(h)
		return
	}
	c := &call{arrived: h.Event.Time, event: h.Event, suspended: true, abandoned: true, deadline: h.Deadline}
	var state pendingState
	n, err := hex.Decode(c.key[:], []byte(h.Key))
	if err != nil || n != len(c.key) || json.Unmarshal(h.State, &state) != nil {
		h.Deadline = time.Time{} // nothing can be found under it
	}
	c.facts = state.Facts
	copy(c.arguments[:], state.Arguments)
	if copy(c.session[:], state.Session) > 0 {
		r.owners.openSession(c.session, c.event.UserID, clientInfo{c.event.ClientName, c.event.ClientVersion})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if copy(c.task[:], state.Task) > 0 {
		r.ownTask(c, c.task)
	}
	r.register(c.key, target{call: c})
	r.expireAfter(c, time.Until(h.Deadline))
}

// Counters returns what the registry has counted.
func (r *CallRegistry) Counters() *Counters { return r.counters }

// Close stops all timers. Suspended calls stay in the journal, for the next
// process.
func (r *CallRegistry) Close() {
	r.mu.Lock()
	var calls []*call
	for _, targets := range r.registered {
		for _, t := range targets {
			calls = append(calls, t.call)
		}
	}
	clear(r.registered)
	r.mu.Unlock()
	for _, c := range calls {
		c.mu.Lock()
		c.stopTimer()
		c.mu.Unlock()
	}
}

// maxKeys bounds under how many keys a call is registered: a client may ask for
// a task's result any number of times, each time on a stream that breaks.
const maxKeys = 32

// register makes lookup find the call under key.
func (r *CallRegistry) register(key callKey, t target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(t.call.keys, key) || len(t.call.keys) == maxKeys {
		return
	}
	t.call.keys = append(t.call.keys, key)
	r.registered[key] = append(r.registered[key], t)
}

// remove undoes register.
func (r *CallRegistry) remove(key callKey, c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(key, c)
}

func (r *CallRegistry) removeLocked(key callKey, c *call) {
	c.keys = slices.DeleteFunc(c.keys, func(k callKey) bool { return k == key })
	targets := slices.DeleteFunc(r.registered[key], func(t target) bool { return t.call == c })
	if len(targets) == 0 {
		delete(r.registered, key)
	} else {
		r.registered[key] = targets
	}
}

// removeAll undoes register for all keys of a call.
func (r *CallRegistry) removeAll(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(c.keys) > 0 {
		r.removeLocked(c.keys[0], c)
	}
}

// lookup returns the call that a reply under key concerns; of several, the one
// that was registered first.
func (r *CallRegistry) lookup(key callKey) (t target, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if targets := r.registered[key]; len(targets) > 0 {
		return targets[0], true
	}
	return target{}, false
}

// claim returns the suspended call under key to the request that goes on with
// it, or nil. No other request finds the call, and it does not expire, until it
// is suspended again or resumed.
func (r *CallRegistry) claim(key callKey) *call {
	r.mu.Lock()
	var c *call
	if targets := r.registered[key]; len(targets) > 0 {
		c = targets[0].call
		r.removeLocked(key, c)
	}
	r.mu.Unlock()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopTimer()
	if c.done {
		return nil
	}
	return c
}

// suspend keeps a call for a result under key that may come with another request
// within a time, and longer while the session of streamKey, if it is not zero,
// has a stream open. soFar sets what its event says if none comes. The call is on
// disk when suspend returns.
func (r *CallRegistry) suspend(c *call, soFar func(*usage.Event), key callKey, wait time.Duration, streamKey callKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	c.release()
	c.readRequestFacts()
	stamp(&c.event, c.arrived)
	soFar(&c.event)
	state, err := c.state()
	c.deadline = time.Now().Add(wait)
	if err == nil {
		err = r.journal.Suspend(&journal.PendingCall{Event: c.event, Key: hex.EncodeToString(key[:]), Deadline: c.deadline, State: state})
	}
	if err != nil {
		r.log.Error("a call cannot be kept until its result comes; it is recorded as aborted", "error", err)
		r.record(c, abort)
		return
	}
	if c.suspended && c.key != key {
		r.remove(c.key, c)
	}
	c.suspended, c.key, c.streamKey = true, key, streamKey
	r.register(key, target{call: c})
	r.expireAfter(c, wait)
}

// state returns what the journal keeps of the call. The caller holds c.mu.
func (c *call) state() ([]byte, error) {
	s := pendingState{Facts: c.facts}
	if c.arguments != (argumentsKey{}) {
		s.Arguments = c.arguments[:]
	}
	if c.session != (callKey{}) {
		s.Session = c.session[:]
	}
	if c.task != (callKey{}) {
		s.Task = c.task[:]
	}
	return json.Marshal(s)
}

// resume makes a claimed call that got no result pending again, as it was.
func (r *CallRegistry) resume(c *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release()
	if c.done || c.expiry != nil {
		return
	}
	r.register(c.key, target{call: c})
	r.expireAfter(c, inputWait)
}

// abandon is called when the stream of a suspended call has ended without its
// reply. soFar sets what its event says if none comes.
func (r *CallRegistry) abandon(c *call, soFar func(*usage.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	stamp(&c.event, c.arrived)
	soFar(&c.event)
	c.abandoned = true
	if c.cancelled {
		r.record(c, abort)
	}
}

// cancel is called when the client has given up the call under key.
func (r *CallRegistry) cancel(key callKey) {
	t, ok := r.lookup(key)
	if !ok || t.role != callReply {
		return
	}
	c := t.call
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancelled = true
	if c.abandoned && c.key == key && !c.done {
		r.record(c, abort)
	}
}

// finish records a call, whose outcome how sets. Only the first finish of a call
// counts.
func (r *CallRegistry) finish(c *call, how func(*usage.Event)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		return
	}
	c.readRequestFacts()
	stamp(&c.event, c.arrived)
	r.record(c, how)
}

// record ends a call. The caller holds c.mu.
func (r *CallRegistry) record(c *call, how func(*usage.Event)) {
	c.done = true
	c.stopTimer()
	r.removeAll(c)
	how(&c.event)
	why := ReasonNoResult
	if c.unreadable {
		why = ReasonUnreadable
	}
	r.count(&c.event, why)
	c.release()
	c.permit.Records(c.event.RecordCount.Int64)
	// No call fails for an error of the journal, which logs and counts what it
	// could not keep.
	if c.suspended {
		r.keepTask(c)
		_ = r.journal.Finish(&c.event)
	} else {
		_ = r.journal.Append(&c.event)
	}
}

// recordRejected records a call that was never made.
func (r *CallRegistry) recordRejected(e *usage.Event, arrived time.Time) {
	stamp(e, arrived)
	r.count(e, ReasonNoResult)
	_ = r.journal.Append(e) // as in record
}

// count counts a call by its server and outcome and, where it has no result, why its tables
// and records are unknown.
func (r *CallRegistry) count(e *usage.Event, why string) {
	r.counters.countCall(e.Server, e.Outcome)
	if e.Outcome == usage.OK {
		return
	}
	if e.Tables == nil {
		r.counters.countUnknown(aspectTables, why)
	}
	r.counters.countUnknown(aspectRecords, why)
}

// expireAfter ends a call that is pending for longer than wait. The caller holds
// c.mu.
func (r *CallRegistry) expireAfter(c *call, wait time.Duration) {
	c.stopTimer()
	var t *time.Timer
	t = time.AfterFunc(wait, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case c.expiry != t || c.done: // it was claimed, or finished, at the same time
		case r.hasStream(c.streamKey):
			r.expireAfter(c, resumeWait)
		default:
			r.record(c, abort)
		}
	})
	c.expiry = t
}

// streamOpened is called when an event stream of a session begins, and
// streamClosed when it ends.
func (r *CallRegistry) streamOpened(session callKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams[session]++
}

func (r *CallRegistry) streamClosed(session callKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams[session]--; r.streams[session] == 0 {
		delete(r.streams, session)
	}
}

func (r *CallRegistry) hasStream(session callKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.streams[session] > 0
}

// begin adds an exchange to those in flight, and end removes it.
func (r *CallRegistry) begin(x *exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.later = r.inFlight; x.later != nil {
		x.later.earlier = x
	}
	r.inFlight = x
	if x.gate.stopping.Load() {
		r.endStreamsLocked(x.gate)
	}
}

func (r *CallRegistry) end(x *exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.later != nil {
		x.later.earlier = x.earlier
	}
	if x.earlier != nil {
		x.earlier.later = x.later
	} else {
		r.inFlight = x.later
	}
	x.earlier, x.later = nil, nil
	if x.gate.stopping.Load() {
		r.endStreamsLocked(x.gate)
	}
	if r.drained != nil && r.inFlight == nil {
		close(r.drained)
		r.drained = nil
	}
}

// CancelInFlight ends the exchanges that are in flight, so that their calls leave
// their events, and waits for that until the timeout.
func (r *CallRegistry) CancelInFlight(timeout time.Duration) {
	r.mu.Lock()
	if r.inFlight == nil {
		r.mu.Unlock()
		return
	}
	drained := make(chan struct{})
	r.drained = drained
	for x := r.inFlight; x != nil; x = x.later {
		x.cancel()
	}
	r.mu.Unlock()
	select {
	case <-drained:
	case <-time.After(timeout):
	}
}
