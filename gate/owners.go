package gate

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// How many sessions and tasks are remembered.
const (
	maxOwned   = 100_000
	maxUnowned = 10_000 // sessions that were opened without a key and not used with one
)

// owners remembers whose the sessions and tasks of the upstreams are, by
// sessionKey and taskOwnerKey. To everyone but its owner a session or a task does
// not exist.
//
// What has an owner is never evicted for the sake of what has none: the latter
// has a bound of its own. At the bound of the former, the least recently used
// entry of the user with the most entries is evicted, so that nobody pushes out
// the entries of a user who has fewer.
//
// A session that was evicted, or forgotten by a restart, belongs to the next user
// who calls with it, and its client is unknown in later events. A task that was
// evicted exists for nobody.
type owners struct {
	mu        sync.Mutex
	maxOwned  int
	users     map[callKey]string // the owner of each entry that has one
	owned     map[string]*simplelru.LRU[callKey, owned]
	ownerless *simplelru.LRU[callKey, owned]
}

// owned is what is known of a session or a task.
type owned struct {
	client clientInfo // of a session
	tool   string     // that a task runs
}

// clientInfo is what a client says about itself.
type clientInfo struct{ name, version string }

func newOwners(maxOwned, maxUnowned int) *owners {
	return &owners{
		maxOwned: maxOwned, users: map[callKey]string{},
		owned: map[string]*simplelru.LRU[callKey, owned]{}, ownerless: newLRU(maxUnowned),
	}
}

func newLRU(size int) *simplelru.LRU[callKey, owned] {
	l, _ := simplelru.NewLRU[callKey, owned](size, nil) // only a size of 0 or less is an error
	return l
}

// get returns an entry and its owner, "" where it has none. ok is false where
// nothing is known under the key.
func (o *owners) get(key callKey) (v owned, user string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.getLocked(key)
}

func (o *owners) getLocked(key callKey) (v owned, user string, ok bool) {
	if user, ok = o.users[key]; ok {
		v, _ = o.owned[user].Get(key)
		return v, user, true
	}
	v, ok = o.ownerless.Get(key)
	return v, "", ok
}

// add remembers a user's entry, or one without an owner if user is "". It
// replaces what was known under the key.
func (o *owners) add(key callKey, user string, v owned) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addLocked(key, user, v)
}

func (o *owners) addLocked(key callKey, user string, v owned) {
	o.remove(key)
	if user == "" {
		o.ownerless.Add(key, v)
		return
	}
	if o.owned[user] == nil {
		o.owned[user] = newLRU(o.maxOwned + 1)
	}
	o.owned[user].Add(key, v)
	if o.users[key] = user; len(o.users) > o.maxOwned {
		o.evict()
	}
}

// remove forgets what is known under the key.
func (o *owners) remove(key callKey) {
	o.ownerless.Remove(key)
	user, ok := o.users[key]
	if !ok {
		return
	}
	delete(o.users, key)
	if o.owned[user].Remove(key); o.owned[user].Len() == 0 {
		delete(o.owned, user)
	}
}

// evict forgets the least recently used entry of the user with the most.
func (o *owners) evict() {
	var most *simplelru.LRU[callKey, owned]
	for _, l := range o.owned {
		if most == nil || l.Len() > most.Len() {
			most = l
		}
	}
	if key, _, ok := most.GetOldest(); ok {
		o.remove(key)
	}
}

// openSession records that an upstream has opened a session for a user, "" for
// none. A session that has an owner stays as it is: an upstream may name an open
// session in its answer to an `initialize` within it.
func (o *owners) openSession(key callKey, user string, client clientInfo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, owner, ok := o.getLocked(key); !ok || owner == "" && user != "" {
		o.addLocked(key, user, owned{client: client})
	}
}

// enterSession returns the client of a session, and whether the user may use it.
// A session without an owner becomes the user's. user is "" for a public message
// without a key, which may use a session without an owner alone.
func (o *owners) enterSession(key callKey, user string) (clientInfo, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v, owner, _ := o.getLocked(key)
	if owner == "" && user != "" {
		o.addLocked(key, user, v)
		owner = user
	}
	if owner != user {
		return clientInfo{}, false
	}
	return v.client, true
}
