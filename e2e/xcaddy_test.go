package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestXcaddy runs the xcaddy line of xcaddy.Dockerfile without Docker, and adds one
// directive to a stock Caddy's config.
func TestXcaddy(t *testing.T) {
	dockerfile := readFile(t, filepath.Join(root, "xcaddy.Dockerfile"))
	line := submatch(regexp.MustCompile(`(?s)\nRUN (CGO_ENABLED=0 xcaddy build .*?[^\\])\n`), dockerfile)
	if line == "" {
		t.Fatal("xcaddy.Dockerfile has no xcaddy line")
	}
	built := filepath.Join(t.TempDir(), "caddy")
	line = strings.NewReplacer(
		"xcaddy build", "go run github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5 build",
		"=/src", "="+root,
		"/usr/bin/caddy", built,
	).Replace(line)
	// The repository is not a published module. The go command may take a module
	// proxy's reply to that for a failure, so that it is given an empty proxy next.
	proxy, _, _ := strings.Cut(strings.TrimSpace(sh(t, "go env GOPROXY")), ",")
	sh(t, line, "GOPROXY="+proxy+"|file://"+t.TempDir())

	modules := sh(t, built+" list-modules")
	for _, id := range []string{
		"tallygate", "http.handlers.tallygate", "http.handlers.tallygate_admin",
		"tallygate.stores.sqlite", "tallygate.ledgers.sqlite", "tallygate.ledgers.clickhouse",
	} {
		if !strings.Contains(modules, "\n"+id+"\n") {
			t.Errorf("the built Caddy has no module %s", id)
		}
	}

	stock := startStock(t)
	dir, port := t.TempDir(), freePort(t)
	config := fmt.Sprintf("{\n\tadmin off\n}\n\n:%d {\n\ttallygate\n\treverse_proxy %s\n}\n", port, stock)
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	stockBinary := binary
	binary = built
	defer func() { binary = stockBinary }()
	caddy := start(t, dir, nil, "run")
	url := fmt.Sprintf("http://127.0.0.1:%d/messages", port)
	caddy.await(t, "Caddy listens", func() bool { return listening(fmt.Sprintf("127.0.0.1:%d", port)) })
	if a := do(t, "POST", url, `{"jsonrpc":"2.0","id":"a","method":"tools/list"}`); a.status != http.StatusUnauthorized ||
		a.body != `{"jsonrpc":"2.0","id":"a","error":{"code":40101,"message":"API key required"}}` {
		t.Errorf("without a key: %d %s", a.status, a.body)
	}
	if a := do(t, "GET", strings.Replace(url, "/messages", "/.well-known/oauth-protected-resource", 1), ""); a.status != http.StatusNotFound {
		t.Errorf("discovery: %d %s", a.status, a.body)
	}
}

// TestValidate checks that `validate` creates no file and opens no connection.
func TestValidate(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(readFile(t, filepath.Join(root, "Caddyfile"))), 0o600); err != nil {
		t.Fatal(err)
	}
	ledger := listenAndCount(t)
	validate := func(env ...string) (string, error) {
		cmd := exec.Command(binary, "validate")
		cmd.Dir = dir
		cmd.Env = append(cleanEnv(), append([]string{"HOME=" + t.TempDir()}, env...)...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, env := range [][]string{nil, {"TALLYGATE_LEDGER=clickhouse://" + ledger.address + "/default"}} {
		if out, err := validate(env...); err != nil || !strings.Contains(out, "Valid configuration") {
			t.Errorf("validate %v: %v\n%s", env, err, out)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("validate made files: %v", entries)
	}
	if n := ledger.connections.Load(); n != 0 {
		t.Errorf("validate made %d connections", n)
	}
	for dsn, want := range map[string]string{
		"nonsense":      "this one has no scheme",
		"mysql:secret!": "no module tallygate.stores.mysql is built in",
	} {
		out, err := validate("TALLYGATE_STORE=" + dsn)
		if err == nil || !strings.Contains(out, want) || strings.Contains(out, "secret!") {
			t.Errorf("with TALLYGATE_STORE=%s: %v\n%s", dsn, err, out)
		}
	}
}
