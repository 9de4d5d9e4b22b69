package gate_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// TestClientHasGone: a call costs nothing any more when its client has gone, even
// before the upstream has answered: the upstream's request ends, the call's place
// among the concurrent calls is free, and its row is written.
func TestClientHasGone(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan struct{})
	var begun atomic.Bool
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if begun.Swap(true) {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // net/http sees that a client has gone when its body is read
		close(asked)
		<-r.Context().Done()
		close(gone)
	}))
	key, _ := s.issue(t, identity.KeySpec{Name: "k", Limits: identity.Limits{ConcurrentCalls: 1}})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-asked
		leave()
	}()
	if res, err := s.begin(ctx, key, gatetest.CallBody("rows")); err == nil {
		_ = res.Body.Close()
		t.Fatalf("the call answers %d", res.StatusCode)
	}
	<-gone
	if row := s.journal.Await(t, 1)[0]; row["outcome"] != "aborted" || row["http_status"] != nil || row["table_name"] != "t" {
		t.Errorf("the row is %v", row)
	}
	if a := s.post(t, key, gatetest.CallBody("rows")); a.status != http.StatusOK {
		t.Errorf("the next call answers %d %s", a.status, a.body)
	}
}

// TestRefusedCallsAreNotRead: what a refused call asks for is not looked at,
// whatever it is refused for.
func TestRefusedCallsAreNotRead(t *testing.T) {
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, _ *http.Request) { t.Error("a call reached the upstream") }))
	scoped, _ := s.issue(t, identity.KeySpec{Name: "k", Scopes: []string{"none"}})
	s.journal.Refuse(errors.New("full"))
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query","arguments":{"query":"SELECT 1 FROM t"}}}`
	if a := s.post(t, s.key(t), body); a.status != http.StatusServiceUnavailable {
		t.Errorf("a call that cannot be recorded answers %d %s", a.status, a.body)
	}
	s.journal.Refuse(nil)
	for _, key := range []string{scoped, "sk-unknown"} {
		s.post(t, key, body)
	}
	if row := s.journal.Await(t, 1)[0]; row["tables"] != nil || row["outcome"] != "rpc_error" {
		t.Errorf("the row of a refused call is %v", row)
	}
}
