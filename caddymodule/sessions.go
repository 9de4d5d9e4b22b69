package caddymodule

import lru "github.com/hashicorp/golang-lru/v2"

// maxSessions bounds how many sessions' clients are remembered.
const maxSessions = 10_000

// sessions remembers which client opened a session: it says so once, in
// `initialize`, and its calls name only the session. What is forgotten, by a
// restart or for room, is unknown in the events that follow.
type sessions struct {
	clients *lru.Cache[string, clientInfo]
}

// clientInfo is what a client says it is.
type clientInfo struct{ name, version string }

func newSessions() (*sessions, error) {
	c, err := lru.New[string, clientInfo](maxSessions)
	return &sessions{c}, err
}

// put remembers the client of a session that has an id within bounds.
func (s *sessions) put(id string, c clientInfo) {
	if id != "" && len(id) <= maxText {
		s.clients.Add(id, c)
	}
}

// get is the client of a session, or the zero clientInfo.
func (s *sessions) get(id string) clientInfo {
	if id == "" {
		return clientInfo{}
	}
	c, _ := s.clients.Get(id)
	return c
}
