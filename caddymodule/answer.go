package caddymodule

import (
	"time"

	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
)

// answer takes in a reply to a call or about its task. msg is the message of
// this request that it answers, if it is one.
func (m *meter) answer(w waiter, msg *mcp.Message, reply *mcp.Reply) {
	c, open := w.call, m.backend.pipeline.open
	if w.role == stateReply {
		if inner, ok := reply.Inner(); ok {
			m.settle(c, reply, inner, reply.InnerFacts(m.extractor(c)))
		} else if reply.TaskStatus == "cancelled" {
			open.settle(c, m.aborted)
		}
		return
	}
	if w.role == resultReply && (m.status >= 400 || reply.HasCode && reply.RPCCode == noSuchTask) {
		return // of the question, not of the call: its client may ask again
	}
	user := c.event.UserID
	switch {
	case m.status >= 400 || reply.RPCError || w.role == resultReply:
	case reply.ResultType == "input_required":
		key, known := reply.State, reply.HasState
		if !known && msg != nil {
			key, known = msg.ArgumentsKey(), true
		}
		if known {
			open.hold(c, m.soFar(reply.Size), retryKey(user, key), inputWait, callKey{})
			return
		}
	case startsTask(reply):
		most := taskWait
		if reply.HasTTL {
			most = min(time.Duration(min(reply.TaskTTL, maxWait.Milliseconds()))*time.Millisecond+taskSlack, maxWait)
		}
		open.hold(c, m.soFar(reply.Size), taskKey(user, string(reply.TaskID)), most, callKey{})
		return
	}
	m.settle(c, reply, reply.Outcome, reply.Facts(m.extractor(c)))
}

// startsTask tells whether a result says that a task will have the call's: with
// a resultType since revision 2026-07-28, without one in 2025-11-25.
func startsTask(reply *mcp.Reply) bool {
	return reply.TaskID != nil && (reply.ResultType == "task" || reply.ResultType == "" && reply.TaskStatus != "")
}

// settle records a call that a reply ends.
func (m *meter) settle(c *call, reply *mcp.Reply, outcome mcp.Outcome, found mcp.Facts) {
	m.backend.pipeline.open.settle(c, func(e *usage.Event) {
		switch {
		case m.status >= 400:
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
			}
			unknowns := &m.backend.pipeline.unknowns
			unknowns.add(aspectTables, facts.TablesUnknown.String())
			unknowns.add(aspectRecords, facts.RecordsUnknown.String())
		}
		e.ResponseBytes = reply.Size
		e.HTTPStatus = usage.Int64(int64(m.status))
	})
}
