// Command tallygate puts API keys and a usage ledger in front of an MCP server
// that has neither. It is Caddy with its standard modules and Tallygate's, and
// two commands of its own: demo and stockmcp.
package main

import (
	_ "embed"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/tallygate/tallygate/caddymodule"
)

// caddyfile is the production shape, which `demo` runs too.
//
//go:embed Caddyfile
var caddyfile []byte

func main() {
	caddycmd.Main()
}
