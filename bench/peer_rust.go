package main

import (
	"path/filepath"
)

// rustProxy is the MCP gateway with the best published figures.
var rustProxy = gateway{
	name: "mcp-proxy 0.6.0 (Rust)", mcp: true,
	path: "/", session: true,
	prepare: func(cache string) error {
		dir := filepath.Join(cache, "rust")
		return once(dir, "mcp-proxy 0.6.0", func() error {
			return run(dir, "nice", "-n", "19", "cargo", "install", "--quiet", "--locked", "--root", dir, "mcp-proxy@0.6.0")
		})
	},
	start: func(d deployment) (*service, error) {
		config, err := configure(d, "proxy.toml", rustConfig, d.port, d.key, d.upstream)
		if err != nil {
			return nil, err
		}
		return startService(d.dir, []string{"TOKIO_WORKER_THREADS=1"}, filepath.Join(d.cache, "rust/bin/mcp-proxy"), "--config", config)
	},
	note: "checks the key, reads requests and results and writes them anew; records nothing as set up here",
}

// rustConfig has the port, the key and the upstream. The names of its tools
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

[[backends.aliases]]
from = "query_2kb"
to = "2kb"

[[backends.aliases]]
from = "query_64kb"
to = "64kb"

[[backends.aliases]]
from = "query_1mb"
to = "1mb"

[[backends.aliases]]
from = "query_16mb"
to = "16mb"

[observability]
log_level = "error"
`
