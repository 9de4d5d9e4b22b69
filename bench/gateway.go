package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// deployment is what a gateway is started with.
type deployment struct {
	dir      string // an empty folder of its own
	port     int    // to listen on, on 127.0.0.1
	upstream string // HOST:PORT of the MCP server, which answers at /mcp
	key      string // the API key that callers show as "Authorization: Bearer KEY"
	cache    string // a folder for what is built or installed once, kept between runs
	self     string // this program, which a gateway with stdio runs as its upstream, with the argument stdio
}

// gateway is one that is measured.
type gateway struct {
	name    string                   // as the tables show it, with its version where it is not ours
	mcp     bool                     // it is an MCP gateway: it knows what it passes
	path    string                   // where it answers
	session bool                     // it wants an initialize first, and its Mcp-Session-Id on each call
	stdio   bool                     // it runs the upstream itself, as a program that speaks MCP over stdio
	prepare func(cache string) error // builds or installs it; nil: nothing to do
	start   func(d deployment) (*service, error)
	bearer  func(caller int) (next func() []byte) // the Authorization header of a caller's next call; nil: that of the deployment's key
	warm    func(*callers)                        // brings it to where it is measured; nil: calls for a while
	note    string                                // what a reader must know of the comparison
}

// bareCaddy is what the gate is measured against: Caddy's own binary with a
// reverse proxy that is set up as the gate's is.
var bareCaddy = gateway{
	name:    "bare Caddy",
	path:    "/mcp",
	prepare: func(cache string) error { return build(cache, "caddy", "github.com/caddyserver/caddy/v2/cmd/caddy") },
	start: func(d deployment) (*service, error) {
		return startCaddy(d, "caddy", bareConfig(d))
	},
}

// roomyCaddy is bare Caddy with a heap about as large as the gate gives itself.
var roomyCaddy = gateway{
	name: "bare Caddy, GOGC=400",
	path: "/mcp",
	start: func(d deployment) (*service, error) {
		return startCaddy(d, "caddy", bareConfig(d), "GOGC=400")
	},
	note: "the gate lets its heap grow further before it is collected; this is what that brings Caddy",
}

// The ledgers that gates ship to. A ledger that is away leaves events in the
// journal: what then is missing is what shipping costs.
const (
	sqliteLedger = "sqlite:data/usage.db"
	awayLedger   = "clickhouse://127.0.0.1:1/default"
)

// gate is Tallygate with everything on, built with a tag unless it is empty.
func gate(name, tag, ledger string) gateway {
	binary := "tallygate"
	if tag != "" {
		binary += "-" + tag
	}
	return gateway{
		name:    name,
		path:    "/mcp",
		prepare: func(cache string) error { return build(cache, binary, "github.com/tallygate/tallygate", "-tags="+tag) },
		start: func(d deployment) (*service, error) {
			return startCaddy(d, binary, gateConfig(d, ledger, ""))
		},
	}
}

// bareConfig is the Caddyfile of bare Caddy.
func bareConfig(d deployment) string { return "{\n\tadmin off\n}\n" + site(d, "") }

// gateConfig is the Caddyfile of a gate with more lines inside its directive.
func gateConfig(d deployment, ledger, rules string) string {
	return "{\n\tadmin off\n\ttallygate {\n\t\tstore sqlite:data/tallygate.db\n\t\tledger " + ledger + "\n\t\tjournal data/journal\n\t}\n}\n" +
		site(d, "\ttallygate {\n"+rules+"\t}\n")
}

// site is the site of the repository's Caddyfile, with a directive in front of
// the reverse proxy.
func site(d deployment, directive string) string {
	return fmt.Sprintf(`http://127.0.0.1:%d {
%s	reverse_proxy %s {
		header_up Host {upstream_hostport}
		request_buffers 64KiB
		transport http {
			keepalive_idle_conns_per_host 1024
		}
	}
}
`, d.port, directive, d.upstream)
}

// startCaddy starts a Caddy with a Caddyfile.
func startCaddy(d deployment, binary, config string, env ...string) (*service, error) {
	if err := os.WriteFile(filepath.Join(d.dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	if strings.Contains(config, "\ttallygate") && d.key != "" {
		if err := addKey(filepath.Join(d.dir, "data"), d.key); err != nil {
			return nil, err
		}
	}
	return startService(d.dir, append(env, "HOME="+d.dir), filepath.Join(d.cache, binary), "run")
}

// build builds a package of this module or of one that it is made of.
func build(cache, binary, pkg string, flags ...string) error {
	args := append(append([]string{"build", "-trimpath", "-o", filepath.Join(cache, binary)}, flags...), pkg)
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// nameless is a gateway's name as part of a file's.
func (g gateway) nameless() string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(g.name), "-"), "-")
}
