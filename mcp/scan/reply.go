package scan

import "crypto/sha256"

// Outcome is how a call ended, according to one message.
type Outcome struct {
	// RPCError is set if the message has an error instead of a result. RPCCode
	// is its code if HasCode, that is, if the code is an integer.
	RPCError bool
	HasCode  bool
	RPCCode  int64
	// ToolError is the result's isError.
	ToolError bool
}

// Reply is a JSON-RPC response: an object with an id, a result or an error (one
// that is not null), and no method. In the scope Tasks it may also be a
// notification about a task. Where an object has a name twice, the first usable
// value counts.
type Reply struct {
	// ID is the id as JSON text: a string, number or null. It is nil if the id is
	// anything else or longer than 512 bytes, and for an error without one.
	ID []byte
	// Outcome is that of the reply itself; see Inner for that of a task.
	Outcome
	// Notification is set if this is not a reply but an object with the method
	// notifications/tasks/status (2025-11-25) or notifications/tasks (the tasks
	// extension) and no id.
	Notification bool
	// ResultType is the result's resultType (since revision 2026-07-28):
	// "complete", "input_required" or "task". It is empty if the result has none of
	// at most 64 bytes.
	ResultType string
	// TaskID is the id of the task that the message is about: the result's
	// task.taskId (2025-11-25) or else its taskId (tasks/get of 2025-11-25, and the
	// tasks extension), or the taskId of a notification's params. It is nil if
	// there is none of 1 to 512 bytes.
	TaskID []byte
	// TaskStatus is the status beside TaskID: "working", "input_required",
	// "completed", "failed" or "cancelled". It is empty if there is none of at most
	// 64 bytes.
	TaskStatus string
	// TaskTTL is how long the task is kept, in milliseconds, if HasTTL: the ttl
	// (2025-11-25) or ttlMs (the tasks extension) beside TaskID.
	TaskTTL int64
	HasTTL  bool
	// State is the SHA-256 of the result's requestState, unescaped and of any
	// length, if HasState.
	State    [sha256.Size]byte
	HasState bool
	// Size is the length of the message in bytes.
	Size int64

	matches *matches
}

// Inner returns the outcome of the call that a task runs, from the task's state
// in a reply to tasks/get or in a notification (the tasks extension): a result,
// or an error that is not null. ok is false if the state has neither, and
// outside the scope Tasks.
func (r *Reply) Inner() (o Outcome, ok bool) {
	found := &r.matches.outcomes[r.stateAt()]
	return found.Outcome, found.result || found.RPCError
}

// stateAt returns the position at which the message may have a task's state.
func (r *Reply) stateAt() uint8 {
	if r.Notification {
		return atNotice
	}
	return atState
}

// Facts returns what e finds in the reply. e must be one of the extractors given
// to the Scanner; for any other, nothing is known. An error has no facts.
func (r *Reply) Facts(e *Extractor) Facts { return r.matches.factsAt(e, atReply) }

// InnerFacts returns what e finds in the result that Inner is about.
func (r *Reply) InnerFacts(e *Extractor) Facts { return r.matches.factsAt(e, r.stateAt()) }

func (m *matches) factsAt(e *Extractor, at uint8) Facts {
	if e == nil {
		return noRule
	}
	for i := range m.plan.consumers {
		if a := &m.plan.consumers[i]; a.extractor == e && a.first[at] >= 0 {
			return m.facts(e, e.result, a.first[at])
		}
	}
	return noRule
}
