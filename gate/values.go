package gate

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
//   - user_id, key_id: who called;
//   - key_prefix: what may be shown of a presented key that is not live;
//   - tool: the tool that the request calls, the first of a batch;
//   - outcome: how the call that the request began has ended, a usage.Outcome.
func (x *exchange) Value(name string) string {
	switch {
	case name == "server":
		return x.gate.server
	case name == "refusal" && x.refused != nil:
		return x.refused.reason
	case name == "user_id" && x.principal != nil:
		return x.principal.UserID
	case name == "key_id" && x.principal != nil:
		return x.principal.KeyID
	case name == "tool":
		for i := range x.body.Messages {
			if m := &x.body.Messages[i]; m.IsCall() {
				return clip(m.Tool)
			}
		}
	}
	return ""
}
