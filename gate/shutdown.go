package gate

import "net/http"

// EndStreams is called when the server in front of a gate begins to shut down, and
// would wait for every response to end. Streams may stand for hours, so the gate's
// streams without a call under way end at once, here and from then on. A stream of
// a session that has a call under way stays until that has ended: the upstream may
// ask the client something on it first.
func (r *CallRegistry) EndStreams(g *Gate) {
	g.stopping.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endStreamsLocked(g)
}

func (r *CallRegistry) endStreamsLocked(g *Gate) {
	busy := map[string]bool{} // sessions with a call under way
	for x := r.inFlight; x != nil; x = x.later {
		if len(x.pending) > 0 && x.sessionID != "" {
			busy[x.sessionID] = true
		}
	}
	for x := r.inFlight; x != nil; x = x.later {
		if x.gate == g && x.isStanding() && !busy[x.sessionID] {
			x.cancel()
		}
	}
}

// isStanding reports whether the response is a stream that waits for whatever the
// upstream may send.
func (x *exchange) isStanding() bool {
	if x.method == http.MethodGet {
		return true
	}
	return len(x.body.Messages) == 1 && x.body.Messages[0].Method == "subscriptions/listen"
}
