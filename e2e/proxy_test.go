package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestProxy runs what `tallygate proxy` prints, and starts it again. The upstream
// serves one path, which is not the endpoint that the client is told.
func TestProxy(t *testing.T) {
	gate, admin := fmt.Sprintf("127.0.0.1:%d", freePort(t)), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	data := filepath.Join(t.TempDir(), "data")
	args := []string{"proxy", "--to", "http://" + startStock(t) + "/messages", "--from", gate, "--admin", admin, "--name", "mine", "--data", data}
	run := func() *process {
		p := start(t, t.TempDir(), nil, args...)
		p.await(t, "the gate is ready", func() bool { return strings.Contains(p.output(), "A first call:") })
		return p
	}
	first := run()
	key, password := keyPattern.FindString(first.output()), submatch(passwordPattern, first.output())
	_, line, _ := strings.Cut(first.output(), "A first call:")
	if answer := sh(t, strings.TrimSpace(line)); !strings.Contains(answer, `"tools":[`) {
		t.Errorf("the printed call answers %s", answer)
	}
	if want := `claude mcp add --transport http mine http://` + gate + `/mcp --header "Authorization: Bearer ` + key + `"`; !strings.Contains(first.output(), want) {
		t.Errorf("%s is not in\n%s", want, first.output())
	}
	login := do(t, "POST", "http://"+admin+"/api/auth/login", fmt.Sprintf(`{"email":"admin@example.com","password":%q}`, password))
	if token, _ := login.json(t)["access_token"].(string); token == "" {
		t.Errorf("the printed login answers %d %s", login.status, login.body)
	}
	first.kill()
	if again := run().output(); strings.Contains(again, "(shown once)") || !strings.Contains(again, key[:11]+"…") {
		t.Errorf("the second start prints\n%s", again)
	}
}
