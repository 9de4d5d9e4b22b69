package gate

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/tallygate/tallygate/identity/authn"
)

// What a client without a live key may have of the gate while its body comes.
// Public messages are short, and no SDK sends one in parts. A request with a live
// key has none of these bounds, so nobody's flood refuses it.
const (
	keylessBodyTime     = 10 * time.Second // for the whole body
	keylessBodiesClient = 64               // at a time, from one address (IPv6: one /64)
	keylessBodies       = 1024             // at a time, from all; far below the open files of a process
	drainTime           = time.Second      // for the rest of a body that is refused unread
)

// keylessReads counts the bodies without a live key that are being read. A gate
// has one.
type keylessReads struct {
	mu     sync.Mutex
	all    int
	client map[netip.Prefix]int
}

// begin counts a body, unless there are too many. An unknown address counts
// among all only.
func (k *keylessReads) begin(client netip.Prefix) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all >= keylessBodies || k.client[client] >= keylessBodiesClient {
		return false
	}
	k.all++
	if client.IsValid() {
		if k.client == nil {
			k.client = make(map[netip.Prefix]int)
		}
		k.client[client]++
	}
	return true
}

// end undoes begin.
func (k *keylessReads) end(client netip.Prefix) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all--
	if k.client[client] > 1 {
		k.client[client]--
	} else {
		delete(k.client, client)
	}
}

// readKeyless reads the body of a request without a live key, within the bounds
// of one.
func (x *exchange) readKeyless(r *http.Request, limit int64) ([]byte, error) {
	addr, _ := netip.ParseAddr(x.remoteIP)
	client := authn.ClientNetwork(addr)
	if !x.gate.keyless.begin(client) {
		return nil, errTooMany
	}
	defer x.gate.keyless.end(client)
	x.setReadDeadline(x.arrived.Add(keylessBodyTime))
	data, err := readBody(r, limit)
	if err == nil {
		x.setReadDeadline(time.Time{})
	}
	return data, err // after an error the deadline bounds what net/http still reads
}

// setReadDeadline ends the reading of the request's body at a time. Servers that
// know no such deadline ignore it.
func (x *exchange) setReadDeadline(at time.Time) {
	_ = http.NewResponseController(x.response.ResponseWriter).SetReadDeadline(at)
}

// limitDrain gives the rest of a body that nobody reads a second. net/http reads
// it before it sends an answer.
func limitDrain(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime))
	}
}
