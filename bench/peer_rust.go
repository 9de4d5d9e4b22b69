package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// rustProxy is the MCP gateway with the best published figures.
var rustProxy = gateway{
	name: "mcp-proxy 0.6.0 (Rust)", mcp: true,
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
	note: "checks the key, reads requests and results and writes them anew; records nothing as set up here",
}

// rustConfig has the port, the key, the upstream and the aliases. The names of its tools
// begin with their backend's; the aliases make query_2kb out of query + _ + 2kb,
// so that callers see the upstream's own names.
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
