// Command tallygate puts API keys and a usage ledger in front of an MCP server
// that has neither. It is Caddy with Tallygate's modules and those of Caddy's
// that a reverse proxy needs (modules.go), and two commands of its own: demo
// and stockmcp.
package main

import (
	"cmp"
	_ "embed"
	"os"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// version is the release, as "v1.2.3". A release sets it by
// -ldflags "-X main.version=v1.2.3"; otherwise it is what Go knows of the build.
var version string

// gcPercent lets the heap grow further before it is collected. A gate has only a
// few MB in use, so that Go's default of 100 would collect it dozens of times a
// second under load. Caddy sets the memory limit, which bounds the heap in any case.
const gcPercent = 200

// caddyfile is the production configuration, which `demo` runs too.
//
//go:embed Caddyfile
var caddyfile []byte

func main() {
	caddy.CustomBinaryName = "tallygate"
	caddy.CustomLongDescription = "Tallygate puts API keys and a usage ledger in front of an MCP server.\nIt is Caddy with more modules and commands; Caddy's own work as they do there."
	// Caddy's `version` command prints this in front of Caddy's own version.
	caddy.CustomVersion = "Tallygate " + ownVersion() + ", Caddy"
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	caddycmd.Main()
}

// ownVersion returns the version of this binary, or "(devel)" for a build from
// a folder that says none.
func ownVersion() string {
	built := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		built = info.Main.Version
	}
	return cmp.Or(version, built, "(devel)")
}
