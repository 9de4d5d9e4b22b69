package caddymodule

import (
	"crypto/sha256"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxSessions bounds how many sessions are remembered.
const maxSessions = 100_000

// sessions remembers of each session of the upstreams whose it is and which
// client opened it. What is forgotten, by a restart or for room, is whose calls
// with it first again, and its client is unknown in the events that follow.
type sessions struct {
	mu    sync.Mutex
	known *simplelru.LRU[sessionKey, session]
}

// sessionKey is the SHA-256 of a session's id, which may be of any length.
type sessionKey [sha256.Size]byte

// session is what is known of one. Its client says what it is once, in
// `initialize`, which may come without a key; then it has no owner yet.
type session struct {
	owner  string // ID of a user, or ""
	client clientInfo
}

// clientInfo is what a client says it is.
type clientInfo struct{ name, version string }

func newSessionKey(id string) sessionKey {
	return sha256.Sum256(append(make([]byte, 0, 128), id...))
}

func newSessions() (*sessions, error) {
	known, err := simplelru.NewLRU[sessionKey, session](maxSessions, nil)
	return &sessions{known: known}, err
}

// opened notes that an upstream has opened a session. One that is known stays
// as it is: an upstream may name a session that is open in its answer to an
// `initialize` within it, which needs no key.
func (s *sessions) opened(id string, by session) {
	if id == "" {
		return
	}
	key := newSessionKey(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known.Contains(key) {
		s.known.Add(key, by)
	}
}

// enter tells whether a user may use a session, and what is known of it. A
// session that nobody has used yet becomes the user's.
func (s *sessions) enter(id, user string) (session, bool) {
	if id == "" {
		return session{}, true
	}
	key := newSessionKey(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	v, _ := s.known.Get(key)
	switch v.owner {
	case user:
		return v, true
	case "":
		v.owner = user
		s.known.Add(key, v)
		return v, true
	default:
		return session{}, false
	}
}

// Close is for the pool, and has nothing to do.
func (*sessions) Close() error { return nil }
