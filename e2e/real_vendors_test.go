//go:build wild

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	claudeCode = "@anthropic-ai/claude-code@2.1.332"
	geminiCLI  = "@google/gemini-cli@0.61.0"

	supergateway = "supergateway@4.0.0"
)

// overStdio returns the command of server-everything on standard input and output,
// behind the bridge that README names.
func overStdio(tb testing.TB, port int) (line, env []string) {
	stdio := fmt.Sprintf("%s %s stdio", npmNode, filepath.Join(install(tb, "npm", serverEverything), "mcp-server-everything"))
	return []string{npmNode, "--import", onLoopback, filepath.Join(install(tb, "npm", supergateway), "supergateway"),
		"--stdio", stdio, "--outputTransport", "streamableHttp", "--port", strconv.Itoa(port)}, nil
}

// startProxy runs `tallygate proxy` in front of a server, and returns its site and the
// key that it prints.
func startProxy(t *testing.T, url string) (s *site, key string) {
	t.Helper()
	gate, admin := fmt.Sprint("127.0.0.1:", freePort(t)), fmt.Sprint("127.0.0.1:", freePort(t))
	s = &site{dir: t.TempDir(), gate: "http://" + gate + "/mcp", admin: "http://" + admin}
	s.process = start(t, s.dir, []string{"TALLYGATE_ADMIN_EMAIL=" + adminEmail, "TALLYGATE_ADMIN_PASSWORD=" + adminPassword},
		"proxy", "--to", url, "--from", gate, "--admin", admin)
	s.await(t, "it prints a key", func() bool { key = keyPattern.FindString(s.output()); return key != "" })
	return s, key
}

// TestVendorsClients checks that the command lines of Claude Code and Gemini connect
// through `tallygate proxy` as their documentation has it, to a server with HTTP and
// to one on standard input, and that Claude Code says what is wrong with a revoked
// key. Neither needs a login for that.
func TestVendorsClients(t *testing.T) {
	for _, server := range []realServer{
		{name: "FastMCP", path: "/mcp", command: pythonServer("fastmcp")},
		{name: "server-everything behind supergateway", path: "/mcp", command: overStdio},
	} {
		t.Run(server.name, func(t *testing.T) {
			url := server.start(t)
			eventually(t, "the server listens", func() bool { return listening(hostOf(url)) })
			s, live := startProxy(t, url)
			testVendorsClients(t, s, map[string]string{"live": live, "revoked": s.revokedKey(t, s.login(t))})
		})
	}
}

// testVendorsClients checks the clients with keys by their names; "none" has none.
func testVendorsClients(t *testing.T, s *site, keys map[string]string) {
	for _, c := range []struct {
		name string
		line []string
		env  []string
		add  []string // before the name
		want map[string]string
	}{
		{
			name: "Claude Code",
			line: []string{filepath.Join(install(t, "npm", claudeCode), "claude")},
			env:  []string{"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"},
			add:  []string{"mcp", "add", "--transport", "http"},
			want: map[string]string{"live": "✔ Connected", "revoked": "! Needs authentication", "none": "takes an API key, not OAuth"},
		},
		{
			name: "Gemini CLI",
			line: []string{npmNode, filepath.Join(install(t, "npm", geminiCLI), "gemini")},
			env:  []string{"GEMINI_CLI_TRUST_WORKSPACE=true", "GEMINI_TELEMETRY_ENABLED=false"},
			add:  []string{"mcp", "add", "--scope", "user", "--transport", "http"},
			want: map[string]string{"live": "- Connected"}, // it does not ask for the tools, which need a key
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			command := func(args ...string) string {
				line := append(append([]string{}, c.line...), args...)
				cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
				cmd.Dir, cmd.Env = dir, append(append(cleanEnv(), "HOME="+dir), c.env...)
				cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", args[:2], err, out)
				}
				return string(out)
			}
			for name := range c.want {
				args := append(append([]string{}, c.add...), name, s.gate)
				if key := keys[name]; key != "" {
					args = append(args, "--header", "Authorization: Bearer "+key)
				}
				command(args...)
			}
			list := command("mcp", "list")
			t.Log(list)
			for name, want := range c.want {
				if _, line, found := strings.Cut(list, name+": "); !found || !strings.Contains(strings.SplitN(line, "\n", 2)[0], want) {
					t.Errorf("of %s it does not say %q:\n%s", name, want, list)
				}
			}
		})
	}
}
