package scan

import "crypto/sha256"

// Outcome is how a call ended, as a message says it.
type Outcome struct {
	// RPCError says that this is an error, and not a result; RPCCode is its
	// code when HasCode, that is, when it is an integer.
	RPCError bool
	HasCode  bool
	RPCCode  int64
	// ToolError is the result's isError.
	ToolError bool
}

// Reply is a JSON-RPC response as it passed: an object with an id and a result
// or an error (one that is not null), and no method. In the scope Tasks it may
// also be a notification about a task. Where a name occurs twice in an object,
// the first counts that gives an answer.
type Reply struct {
	// ID is the id as it is written, a JSON string, number or null. It is nil
	// when the id is anything else or longer than 512 bytes, and for an error
	// without one.
	ID []byte
	// Outcome is the reply's own; Inner is that of a task.
	Outcome
	// Notification says that this is no reply, but an object with the method
	// notifications/tasks/status (2025-11-25) or notifications/tasks (the tasks
	// extension) and no id.
	Notification bool
	// ResultType is the result's resultType (since revision 2026-07-28):
	// "complete", "input_required", "task". It is empty when there is none, or
	// none of at most 64 bytes.
	ResultType string
	// TaskID is the id of the task that the message is about: the result's
	// task.taskId (2025-11-25) or else taskId (2025-11-25's tasks/get, and the
	// tasks extension), or the taskId of a notification's params. It is nil when
	// there is none, or none of 1 to 512 bytes.
	TaskID []byte
	// TaskStatus is the status beside TaskID: "working", "input_required",
	// "completed", "failed", "cancelled". It is empty when there is none, or none
	// of at most 64 bytes.
	TaskStatus string
	// TaskTTL is how long the task is kept, in milliseconds, when HasTTL: the ttl
	// (2025-11-25) or ttlMs (the tasks extension) beside TaskID.
	TaskTTL int64
	HasTTL  bool
	// State is the SHA-256 of the result's requestState, unescaped and of any
	// length, when HasState.
	State    [sha256.Size]byte
	HasState bool
	// Size is the length of the message in bytes.
	Size int64

	matches *matches
}

// Inner is the outcome of the call that a task runs, as the state of the task
// tells it in a reply to tasks/get or a notification (the tasks extension): a
// result or an error that is not null. It is not ok when the state has neither,
// and outside the scope Tasks.
func (r *Reply) Inner() (o Outcome, ok bool) {
	found := &r.matches.outcomes[r.stateAt()]
	return found.Outcome, found.result || found.RPCError
}

// stateAt is where the state of a task stands, if it does.
func (r *Reply) stateAt() uint8 {
	if r.Notification {
		return atNotice
	}
	return atState
}

// Facts returns what e finds in the reply. It has to be one of the extractors
// that the Scanner was told to look for; of any other, nothing is known. For
// an error there are no facts.
func (r *Reply) Facts(e *Extractor) Facts { return r.matches.factsAt(e, atReply) }

// InnerFacts returns what e finds in the result that Inner speaks of.
func (r *Reply) InnerFacts(e *Extractor) Facts { return r.matches.factsAt(e, r.stateAt()) }

func (c *matches) factsAt(e *Extractor, at uint8) Facts {
	if e == nil {
		return noRule
	}
	for i := range c.plan.consumers {
		if a := &c.plan.consumers[i]; a.extractor == e && a.first[at] >= 0 {
			return c.facts(e, e.result, a.first[at])
		}
	}
	return noRule
}
