package commands

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"text/template"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/gate"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "proxy",
		Usage: "--to <url> [--from <address>] [--admin <address>] [--name <name>] [--data <folder>] [--new-key]",
		Short: "Runs a gate in front of an MCP server, without a Caddyfile",
		Long: `
Puts a gate on :8001 and the admin API on :8000 in front of the MCP server whose
own address is --to, as in http://127.0.0.1:3001/mcp, and prints a login, an API key
and settings to paste into an MCP client.

Users, keys and usage are kept in --data, so that a second start goes on where the
first ended; without --data, the variables TALLYGATE_STORE, TALLYGATE_LEDGER and
TALLYGATE_JOURNAL hold where they are set. The first start makes the user that
TALLYGATE_ADMIN_EMAIL and TALLYGATE_ADMIN_PASSWORD name, or else admin@example.com
with a new password. The password and the key are shown once; --new-key makes
another key.

The MCP server must listen where only the gate reaches it, on a loopback address
at best. A server that speaks MCP on standard input and output comes behind the
gate by a bridge:

  uvx mcp-proxy --host 127.0.0.1 --port 3001 -- npx -y @modelcontextprotocol/server-everything
  tallygate proxy --to http://127.0.0.1:3001/mcp

For TLS, rules of your own, several servers and everything else, write a Caddyfile.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			s := Standalone{
				Endpoint: "/mcp", Email: "admin@example.com", KeyName: "first", Title: "Tallygate is running.", Subject: "your MCP server",
				Call: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`,
				Note: "Clients open a session before they call. A server that insists on one answers\nthis call, which has none, with 400.",
			}
			flags := cmd.Flags()
			flags.StringVar(&s.Upstream, "to", "", "What the MCP server calls its own address, as in http://127.0.0.1:3001/mcp")
			flags.StringVar(&s.Gate, "from", ":8001", "Address that the gate listens on")
			flags.StringVar(&s.Admin, "admin", ":8000", "Address that the admin API listens on")
			flags.StringVar(&s.Server, "name", gate.DefaultServer, "Name of the MCP server in usage, scopes and the clients' settings")
			flags.StringVar(&s.Data, "data", "data", "Folder for users, keys and usage")
			flags.BoolVar(&s.NewKey, "new-key", false, "Make another API key")
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				cmd.SilenceUsage = true
				s.KeepEnv = !flags.Changed("data")
				var err error
				if s.Caddyfile, err = proxyCaddyfile(s); err != nil {
					return err
				}
				if err := s.Start(cmd.Context(), cmd.OutOrStdout()); err != nil {
					return err
				}
				select {} // until a signal ends the process
			}
		},
	})
}

// proxyCaddyfile returns the Caddyfile that the flags of the command stand for.
func proxyCaddyfile(s Standalone) ([]byte, error) {
	if s.Upstream == "" {
		return nil, errors.New("--to is missing: the MCP server's own address, as in --to http://127.0.0.1:3001/mcp")
	}
	if err := gate.CheckServer(s.Server); err != nil {
		return nil, fmt.Errorf("--name: %w", err)
	}
	type site struct{ Host, Port string }
	sites := map[string]site{}
	for flag, address := range map[string]string{"from": s.Gate, "admin": s.Admin} {
		host, port, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || port == "" || strings.Trim(port, "0123456789") != "" || host != "" && host != "localhost" && ip == nil {
			return nil, fmt.Errorf("--%s: %q is no address to listen on, as in :8001 or 127.0.0.1:8001", flag, address)
		}
		sites[flag] = site{host, port}
	}
	var text bytes.Buffer
	err := proxyTemplate.Execute(&text, map[string]any{"Server": s.Server, "From": sites["from"], "Admin": sites["admin"]})
	return text.Bytes(), err
}

var proxyTemplate = template.Must(template.New("").Parse(`{
	grace_period 10s
	servers {
		timeouts {
			read_header 10s
		}
	}
}
http://:{{.Admin.Port}} {
	{{with .Admin.Host}}bind {{.}}{{end}}
	tallygate_admin
}
http://:{{.From.Port}} {
	{{with .From.Host}}bind {{.}}{{end}}
	tallygate {{.Server}} {
		upstream {env.TALLYGATE_UPSTREAM}
	}
}
`))
