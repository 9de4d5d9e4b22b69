package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// peers are the gateways that others made and that package managers offer,
// each set up for speed as far as it can be: one worker on one core, no log of
// calls, connections kept. What one does not do is told in its note.
func peers() []gateway {
	return []gateway{
		nginx(), haproxy(), envoy(),
		rustProxy, nodeProxy, supergateway, pythonProxy,
	}
}

// unmeasured is a gateway that a reader may miss, and why it is missing.
type unmeasured struct{ name, why string }

// notServed is why most of those in Go are missing.
const notServed = "the Go module proxy answers that its module is not available"

var notMeasured = []unmeasured{
	{"ToolHive 0.63.0", "does not build from the Go module proxy, with Go 1.27.3 either: six modules that it needs are not available at its versions (toolhive-core/redisconn, jwkfetch, x/exp/jsonrpc2, sentry-go/otel/otlp, timestamp-authority, json-canonicalization), and no other version of it is listed"},
	{"Traefik 3.7.13", "go install refuses a module whose go.mod has replace directives"},
	{"TBXark mcp-proxy", notServed},
	{"hyprmcp mcp-gateway", notServed},
	{"dgellow mcp-front", notServed},
	{"smart-mcp-proxy mcpproxy-go", notServed},
	{"Unla", notServed},
	{"Docker MCP Gateway", notServed},
	{"Envoy AI Gateway (aigw)", notServed + "; Envoy itself is measured, with its MCP filter"},
	{"Bifrost", notServed + ", and its npm package downloads a binary from its maker"},
	{"agentgateway", "on no package registry: binaries, containers, or a build from its source"},
	{"Kong, Obot", "on no package registry: containers and installers of their own"},
	{"LiteLLM, IBM ContextForge", "on PyPI, not tried: applications with a database and an admin API of their own, far more than a gateway in front of one server"},
}

// runIn runs a command that installs something. When it fails, its output tells why.
func runIn(dir, command string, args ...string) error {
	cmd := exec.Command(command, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// installOnce does an installation unless the folder's stamp says that this very one
// has been done. The stamp is written last, so that half of one is done again.
func installOnce(dir, stamp string, install func() error) error {
	file := filepath.Join(dir, "installed")
	if done, err := os.ReadFile(file); err == nil && string(done) == stamp {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := install(); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(stamp), 0o600)
}

// configure writes the file that a gateway is started with.
func configure(d deployment, name, format string, args ...any) (path string, err error) {
	path = filepath.Join(d.dir, name)
	return path, os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600)
}
