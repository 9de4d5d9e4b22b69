package caddymodule

import lru "github.com/hashicorp/golang-lru/v2"

// maxSessions bounds how many sessions are remembered.
const maxSessions = 100_000

// sessions remembers of each session of the upstreams whose it is and which
// client opened it. What is forgotten, by a restart or for room, is whose calls
// with it first again, and its client is unknown in the events that follow.
type sessions struct {
	known *lru.Cache[string, session]
}

// session is what is known of one. Its client says what it is once, in
// `initialize`, which may come without a key; then it has no owner yet.
type session struct {
	owner  string // ID of a user, or ""
	client clientInfo
}

// clientInfo is what a client says it is.
type clientInfo struct{ name, version string }

func newSessions() (*sessions, error) {
	known, err := lru.New[string, session](maxSessions)
	return &sessions{known}, err
}

// opened notes that an upstream has opened a session.
func (s *sessions) opened(id string, by session) {
	if id != "" && len(id) <= maxText {
		s.known.Add(id, by)
	}
}

// enter tells whether a user may use a session, and what is known of it. A
// session that nobody has used yet becomes the user's.
func (s *sessions) enter(id, user string) (session, bool) {
	if id == "" || len(id) > maxText {
		return session{}, true
	}
	v, _ := s.known.Get(id)
	switch v.owner {
	case user:
		return v, true
	case "":
		v.owner = user
		s.known.Add(id, v)
		return v, true
	default:
		return session{}, false
	}
}

// Close is for the pool, and has nothing to do.
func (*sessions) Close() error { return nil }
