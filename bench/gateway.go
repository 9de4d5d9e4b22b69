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
	key      string // the API key that callers send as "Authorization: Bearer KEY"
	cache    string // a folder for what is built or installed once, kept between runs
	self     string // this program, which a gateway for stdio servers runs with the argument stdio
}

// gateway is one that is measured.
type gateway struct {
	name    string                   // as the tables show it, with its version where it is not ours
	peer    bool                     // it is neither bare Caddy nor Tallygate
	mcp     bool                     // it is a peer that reads MCP
	path    string                   // of its endpoint
	session bool                     // it requires an initialize, and its Mcp-Session-Id on each call
	prepare func(cache string) error // builds or installs it
	start   func(d deployment) (*service, error)
	note    string // what a reader must know of the comparison
}

const (
	gateName     = "Tallygate"
	awayName     = "Tallygate, ledger away"
	portableName = "Tallygate, portable"
)

// The ledgers that Tallygate ships to. With a ledger that is away, events stay
// in the journal, so that the difference is what shipping costs.
const (
	sqliteLedger = "sqlite:data/usage.db"
	awayLedger   = "clickhouse://127.0.0.1:1/default"
)

// bareCaddy is what Tallygate is compared with: Caddy's own binary, with its
// reverse proxy configured as in the repository's Caddyfile.
var bareCaddy = gateway{
	name: "bare Caddy",
	path: "/mcp",
	prepare: func(cache string) error {
		return runIn(root, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(cache, "caddy"), "github.com/caddyserver/caddy/v2/cmd/caddy")
	},
	start: func(d deployment) (*service, error) {
		return startCaddy(d, "caddy", "{\n\tadmin off\n}\n"+site(d, ""))
	},
}

// tallygate is Tallygate with everything on, built with a tag unless it is "".
func tallygate(name, tag, ledger string) gateway {
	binary := strings.TrimSuffix("tallygate-"+tag, "-")
	return gateway{
		name: name,
		path: "/mcp",
		prepare: func(cache string) error {
			args := []string{"--silent", "build", "BINARY=" + filepath.Join(cache, binary)}
			if tag != "" {
				args = append(args, "TAGS="+tag)
			}
			return runIn(root, "make", args...)
		},
		start: func(d deployment) (*service, error) {
			if err := addKey(filepath.Join(d.dir, "data"), d.key); err != nil {
				return nil, err
			}
			return startCaddy(d, binary, "{\n\tadmin off\n\ttallygate {\n\t\tstore sqlite:data/tallygate.db\n\t\tledger "+ledger+
				"\n\t\tjournal data/journal\n\t}\n}\n"+site(d, "\ttallygate\n"))
		},
	}
}

// gatewaysOf returns what is measured beside bare Caddy. Bare Caddy measured a
// second time shows how exact the ratios of the others are.
func gatewaysOf(quick bool) []gateway {
	all := []gateway{
		tallygate(gateName, "", sqliteLedger),
		tallygate(awayName, "", awayLedger),
		tallygate(portableName, "purego", awayLedger),
	}
	if quick {
		return all
	}
	again := bareCaddy
	again.name = "bare Caddy again"
	return append(all, again, nginx(), rustProxy, nodeProxy)
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
func startCaddy(d deployment, binary, config string) (*service, error) {
	if _, err := configure(d, "Caddyfile", "%s", config); err != nil {
		return nil, err
	}
	return startService(d.dir, []string{"HOME=" + d.dir}, filepath.Join(d.cache, binary), "run")
}

// root is the repository's folder: this program runs in bench/.
const root = ".."

// runIn runs a command in a folder. Its output is part of the error.
func runIn(dir, command string, args ...string) error {
	cmd := exec.Command(command, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// configure writes a file that a gateway is started with.
func configure(d deployment, name, format string, args ...any) (path string, err error) {
	path = filepath.Join(d.dir, name)
	return path, os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o600)
}

// fileName returns the gateway's name as part of a file's name.
func (g gateway) fileName() string {
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(g.name), "-"), "-")
}
