package gate

import (
	"slices"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/mcp"
	"github.com/tallygate/tallygate/usage"
)

// Values says what is known of one request. For access logs, it is read when the
// request is done.
type Values interface {
	// Value returns a value by its name, "" when it is unknown.
	Value(name string) string
}

// Value returns, by name:
//
//   - server: the name of the MCP server;
//   - refusal: the reason for which the request was refused, one of Reasons;
//   - user_id: whose live key the request needed and has;
//   - key_id: that key, or one that is not live any more;
//   - key_prefix: what may be shown of another key that was presented;
//   - tool: the tool that the request calls, the first of a batch;
//   - outcome: how that call has ended, a usage.Outcome; "" while it is pending.
func (x *exchange) Value(name string) string {
	switch name {
	case "server":
		return x.gate.server
	case "refusal":
		if x.refused != nil {
			return x.refused.reason
		}
	case "user_id":
		if x.principal != nil {
			return x.principal.UserID
		}
	case "key_id":
		switch {
		case x.principal != nil:
			return x.principal.KeyID
		case x.denial != nil:
			return x.denial.KeyID
		}
	case "key_prefix":
		if x.principal == nil && x.Value("key_id") == "" {
			return identity.ShownPrefix(x.presented)
		}
	case "tool":
		if m := x.firstCall(); m != nil {
			return clip(m.Tool)
		}
	case "outcome":
		return string(x.outcome())
	}
	return ""
}

// outcome returns how the first call of the request has ended, or "".
func (x *exchange) outcome() usage.Outcome {
	if x.refused != nil && x.refused.deniesKey() {
		return x.refused.outcome()
	}
	if len(x.pending) == 0 || x.pending[0].role != callReply {
		return ""
	}
	c := x.pending[0].call
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		return ""
	}
	return c.event.Outcome
}

// firstCall returns the first call of the request, or nil.
func (x *exchange) firstCall() *mcp.Message {
	if i := slices.IndexFunc(x.body.Messages, func(m mcp.Message) bool { return m.IsCall() }); i >= 0 {
		return &x.body.Messages[i]
	}
	return nil
}
