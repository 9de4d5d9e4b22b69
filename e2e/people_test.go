package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
)

// TestPeopleOptions checks that the options about users and keys reach the admin
// API, and that registration is closed without them.
func TestPeopleOptions(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSiteAt(t, u.Address())
	const register = `{"email":"new@example.com","password":"a long enough password"}`
	if a := do(t, "POST", s.admin+"/api/auth/register", register); a.status/100 != 4 {
		t.Errorf("without the option a registration answers %d %s", a.status, a.body)
	}
	s.stop(t)
	caddyfile := filepath.Join(s.dir, "Caddyfile")
	text := strings.Replace(readFile(t, caddyfile), "\tgrace_period 10s\n", "\tgrace_period 10s\n\ttallygate {\n\t\tregistration\n\t\tbase_url https://keys.example.com\n\t\tkey_prefix acme_live_\n\t}\n", 1)
	if err := os.WriteFile(caddyfile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(t)
	if a := do(t, "POST", s.admin+"/api/auth/register", register); a.status/100 != 2 {
		t.Errorf("a registration answers %d %s", a.status, a.body)
	}
	jwt := s.login(t)
	invited := do(t, "POST", s.admin+"/api/users/invite", `{"email":"more@example.com"}`, jwt)
	if invited.status/100 != 2 || !strings.Contains(invited.body, `"https://keys.example.com/invite#`) {
		t.Errorf("an invitation answers %d %s", invited.status, invited.body)
	}
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	if !strings.HasPrefix(key, "acme_live_") {
		t.Errorf("the key begins with %.4s", key)
	}
	if a := do(t, "POST", s.gate, gatetest.CallBody("rows"), "Authorization: Bearer "+key); a.status != http.StatusOK {
		t.Errorf("a call with it answers %d %s", a.status, a.body)
	}
}
