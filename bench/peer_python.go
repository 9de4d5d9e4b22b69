package main

import (
	_ "embed"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

//go:embed python/requirements.txt
var requirements string

// preparePython installs the peers that PyPI offers into an environment of their own.
func preparePython(cache string) error {
	dir := filepath.Join(cache, "python")
	return installOnce(dir, requirements, func() error {
		if err := runIn(dir, "python3", "-m", "venv", dir); err != nil {
			return err
		}
		file := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(file, []byte(requirements), 0o600); err != nil {
			return err
		}
		return runIn(dir, filepath.Join(dir, "bin/pip"), "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", "-r", file)
	})
}

var pythonProxy = gateway{
	name: "mcp-proxy 0.13.0 (Python)", mcp: true,
	path: "/mcp", session: true, stdio: true,
	prepare: preparePython,
	start: func(d deployment) (*service, error) {
		return startService(d.dir, nil, filepath.Join(d.cache, "python/bin/mcp-proxy"),
			"--port", strconv.Itoa(d.port), "--log-level", "ERROR", "--", d.self, "stdio")
	},
	note: "checks no key, has none to check; always answers JSON; its upstream is a program, whom it spares HTTP",
}

// envoy comes as a wheel with the binary in it.
func envoy() gateway {
	return gateway{
		name: "Envoy 1.40.0, API keys and MCP filter", mcp: true,
		path:    "/mcp",
		prepare: preparePython,
		start:   startEnvoy,
		note:    "its MCP filter reads requests (method, tool) and refuses what is no MCP; it reads no result and records nothing",
	}
}

// envoyConfig has the port, the key, and the upstream's host and port.
const envoyConfig = `
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: mcp
          generate_request_id: false
          stream_idle_timeout: 0s
          server_header_transformation: PASS_THROUGH
          route_config:
            virtual_hosts:
            - name: mcp
              domains: ["*"]
              routes:
              - match: {path: /mcp}
                route: {cluster: upstream, timeout: 0s, host_rewrite_literal: "%[3]s:%[4]s"}
          http_filters:
          - name: envoy.filters.http.api_key_auth
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth
              credentials: [{key: "%[2]s", client: caller}]
              key_sources: [{header: Authorization}]
              forwarding: {hide_credentials: true}
          - name: envoy.filters.http.mcp
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.mcp.v3.Mcp
              traffic_mode: REJECT_NO_MCP
              max_request_body_size: 4194304
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
  clusters:
  - name: upstream
    connect_timeout: 5s
    circuit_breakers:
      thresholds: [{max_connections: 65536, max_pending_requests: 65536, max_requests: 65536}]
    load_assignment:
      cluster_name: upstream
      endpoints:
      - lb_endpoints: [{endpoint: {address: {socket_address: {address: "%[3]s", port_value: %[4]s}}}}]
`

func startEnvoy(d deployment) (*service, error) {
	host, port, err := net.SplitHostPort(d.upstream)
	if err != nil {
		return nil, err
	}
	config, err := configure(d, "envoy.yaml", envoyConfig, d.port, d.key, host, port)
	if err != nil {
		return nil, err
	}
	return startService(d.dir, nil, filepath.Join(d.cache, "python/bin/envoy"),
		"--config-path", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
}
