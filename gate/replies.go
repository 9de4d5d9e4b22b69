package gate

import (
	"crypto/sha256"
	"time"

	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/mcp/scan"
	"github.com/tallygate/tallygate/usage"
)

// noSuchTask is the code with which servers answer a request about a task that its
// sender does not know (MCP 2025-11-25, tasks, protocol errors).
const noSuchTask = -32602

// noSuchMethod is the code for a method that the revision does not have.
const noSuchMethod = -32601

// take takes in a reply to a call, or about its task. msg is the message of this
// request that it answers; nil when it is another request's.
func (w *meteringWriter) take(t target, msg *mcp.Message, reply *scan.Reply) {
	c, calls := t.call, w.x.backend.Calls
	if t.role == stateReply {
		if inner, ok := reply.Inner(); ok {
			w.finishCall(c, reply, inner, reply.InnerFacts(w.extractor(c)))
		} else if reply.TaskStatus == "cancelled" {
			calls.finish(c, w.aborted)
		}
		return
	}
	if t.role == resultReply && (w.status >= 400 || reply.HasCode && reply.RPCCode == noSuchTask) {
		return // the request for the result failed, not the call: its client may ask again
	}
	server, user := w.x.gate.server, c.event.UserID
	switch {
	case w.status >= 400 || reply.RPCError || t.role == resultReply:
	case reply.ResultType == "input_required":
		state := reply.State
		if !reply.HasState {
			state = sha256.Sum256(nil) // as StateKey
		}
		c.keepArguments(msg)
		calls.suspend(c, w.soFar(reply.Size), retryKey(server, user, c.arguments, state), inputWait, callKey{})
		return
	case startsTask(reply):
		wait := taskWait
		if reply.HasTTL {
			wait = min(time.Duration(min(reply.TaskTTL, maxWait.Milliseconds()))*time.Millisecond+taskSlack, maxWait)
		}
		calls.ownTask(c, taskOwnerKey(server, string(reply.TaskID)))
		calls.suspend(c, w.soFar(reply.Size), taskKey(server, user, string(reply.TaskID)), wait, callKey{})
		return
	}
	w.finishCall(c, reply, reply.Outcome, reply.Facts(w.extractor(c)))
}

// startsTask reports whether a result says that a task will have the call's
// result: with a resultType since revision 2026-07-28, without one in 2025-11-25.
func startsTask(reply *scan.Reply) bool {
	return reply.TaskID != nil && (reply.ResultType == "task" || reply.ResultType == "" && reply.TaskStatus != "")
}

// finishCall records a call that a reply ends.
func (w *meteringWriter) finishCall(c *call, reply *scan.Reply, outcome scan.Outcome, found scan.Facts) {
	calls := w.x.backend.Calls
	calls.finish(c, func(e *usage.Event) {
		switch {
		case w.status >= 400:
			e.Outcome = usage.HTTPError
		case outcome.RPCError:
			e.Outcome = usage.RPCError
		case outcome.ToolError:
			e.Outcome = usage.ToolError
		default:
			e.Outcome = usage.OK
		}
		if outcome.HasCode {
			e.RPCCode = usage.Int64(outcome.RPCCode)
		}
		facts := c.facts.Merge(found)
		e.Tables = facts.Tables
		if e.Outcome == usage.OK {
			if facts.RecordsKnown {
				e.RecordCount = usage.Int64(facts.Records)
				calls.counters.countLine(facts.Line())
			}
			calls.counters.countUnknown(aspectTables, facts.TablesUnknown.String())
			calls.counters.countUnknown(aspectRecords, facts.RecordsUnknown.String())
		}
		e.ResponseBytes = reply.Size
		e.HTTPStatus = usage.Int64(int64(w.status))
	})
}
