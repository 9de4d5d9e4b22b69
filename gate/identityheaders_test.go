package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
)

// TestIdentityHeaders: the upstream is told who calls, by the gate alone, and for
// requests that need a key.
func TestIdentityHeaders(t *testing.T) {
	u := gatetest.StartUpstream(t)
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	forged := []string{"X-User-Id: root", "x-user-email: root@example.com", "X-KEY-ID: 0", "X_User_Id: root", "X.User.Id: root", "X-Other: kept"}
	got := func(names ...string) string {
		var values []string
		for _, name := range names {
			values = append(values, strings.Join(u.Last.Load().Header.Values(name), ","))
		}
		return strings.Join(values, " ")
	}
	s := startSite(t, u.Address(), func(c *gate.Config) { c.IdentityHeaders = gate.DefaultIdentityHeaders })
	key, record := s.issue(t, identity.KeySpec{Name: "k"})
	auth := "Authorization: Bearer " + key
	for _, c := range []struct {
		what, body string
		headers    []string
		want       string
	}{
		{"a call", gatetest.CallBody("rows"), []string{auth}, owner + " " + owner + "@example.com " + record.ID + " kept"},
		{"a public message with a key", ping, []string{auth}, "   kept"},
		{"a public message", ping, nil, "   kept"},
		// A client names headers in Connection that a proxy is to remove.
		{"a call that has them removed", gatetest.CallBody("rows"), []string{auth, "Connection: X-User-Id, X-User-Email, X-Key-Id"}, owner + " " + owner + "@example.com " + record.ID + " kept"},
	} {
		if a := do(t, "POST", s.url, c.body, append(c.headers, forged...)...); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", c.what, a.status, a.body)
		}
		if values := got("X-User-Id", "X-User-Email", "X-Key-Id", "X-Other"); values != c.want {
			t.Errorf("%s: the upstream is told %q, want %q", c.what, values, c.want)
		}
	}

	// Names of the operator's, some of them; a value that cannot be sent is not.
	s = startSite(t, u.Address(), func(c *gate.Config) {
		c.IdentityHeaders = gate.IdentityHeaders{UserID: "remote-user", Email: "Remote-Email"}
	})
	backend := *s.backend.Load()
	backend.Authenticator = stubAuthenticator{principal: &authn.Principal{UserID: "ann", UserEmail: "ann@example.com\r\nX-Admin: 1", KeyID: "k"}}
	s.backend.Store(&backend)
	if a := do(t, "POST", s.url, gatetest.CallBody("rows"), "Authorization: Bearer x", "Remote-User: root", "Remote-Email: root", "X-Key-Id: kept"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if values := got("Remote-User", "Remote-Email", "X-Key-Id", "X-Admin"); values != "ann  kept " {
		t.Errorf("under other names the upstream is told %q", values)
	}

	// Without the option nothing is told.
	s = startSite(t, u.Address())
	s.post(t, s.key(t), gatetest.CallBody("rows"))
	if values := got("X-User-Id", "X-User-Email", "X-Key-Id"); values != "  " {
		t.Errorf("without the option the upstream is told %q", values)
	}
	for want, h := range map[string]gate.IdentityHeaders{
		`"X_User" is not a name`:                     {UserID: "X_User"},
		`"X-User\r\n" is not a name`:                 {UserID: "X-User\r\n"},
		"the header authorization has another use":   {Email: "authorization"},
		"the header Mcp-Session-Id has another use":  {KeyID: "Mcp-Session-Id"},
		"the header X-Forwarded-For has another use": {KeyID: "X-Forwarded-For"},
		"x-who is given twice":                       {UserID: "X-Who", KeyID: "x-who"},
	} {
		if _, err := gate.New(gate.Config{IdentityHeaders: h}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New returns %v, want an error with %q", err, want)
		}
	}
}
