//go:build wild

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	claudeCode = "@anthropic-ai/claude-code@2.1.332"
	geminiCLI  = "@google/gemini-cli@0.61.0"
)

// TestVendorsClients checks that the command lines of Claude Code and Gemini connect
// through the gate as their documentation has it, and that Claude Code says what is
// wrong with a revoked key. Neither needs a login for that.
func TestVendorsClients(t *testing.T) {
	server := realServer{name: "FastMCP", path: "/mcp", command: pythonServer("fastmcp")}
	url := server.start(t)
	eventually(t, "the server listens", func() bool { return listening(hostOf(url)) })
	s := startRealSite(t, url)
	jwt := s.login(t)
	live, _ := s.key(t, jwt, `{"key_name":"k"}`)
	keys := map[string]string{"live": live, "revoked": s.revokedKey(t, jwt)}
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
