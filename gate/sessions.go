package gate

import (
	"crypto/sha256"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxSessions bounds how many sessions are remembered.
const maxSessions = 100_000

// Sessions remembers the owner and the client of each session of the upstreams.
// A session that was evicted, or forgotten by a restart, belongs to the next
// user who calls with it, and its client is unknown in later events.
type Sessions struct {
	mu    sync.Mutex
	known *simplelru.LRU[sessionKey, session]
}

// sessionKey is the SHA-256 of a session's id, which may be of any length.
type sessionKey [sha256.Size]byte

// session is what is known of one session. Its client names itself once, in
// `initialize`, which may come without a key: then nobody owns the session yet.
type session struct {
	owner  string // a user's ID; "": nobody yet
	client clientInfo
}

// clientInfo is what a client says about itself.
type clientInfo struct{ name, version string }

func newSessionKey(id string) sessionKey { return sha256.Sum256([]byte(id)) }

// NewSessions returns an empty Sessions.
func NewSessions() (*Sessions, error) {
	known, err := simplelru.NewLRU[sessionKey, session](maxSessions, nil)
	return &Sessions{known: known}, err
}

// open records that an upstream has opened a session. A session that is known
// stays as it is: an upstream may name an open session in its answer to an
// `initialize` within it, which needs no key.
func (s *Sessions) open(id string, by session) {
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

// enter returns what is known of a session, and whether the user may use it. A
// session without an owner becomes the user's.
func (s *Sessions) enter(id, user string) (session, bool) {
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
	}
	return session{}, false
}
