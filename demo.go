package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/caddymodule"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/stockmcp"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "demo",
		Usage: "[--data <folder>] [--new-key]",
		Short: "Runs a stock MCP server, the gate and the admin API in one process",
		Long: `
Starts a sample MCP server with synthetic stock data on 127.0.0.1:9001, the gate
in front of it on :8001 and the admin API on :8000, on embedded SQLite, and
prints a login, an API key and settings to paste into an MCP client.

Everything is kept in --data, so that a second start goes on where the first
ended. The first start makes the user that TALLYGATE_ADMIN_EMAIL and
TALLYGATE_ADMIN_PASSWORD name, or else demo@example.com with a new password.
The password and the key are shown once; --new-key makes another key.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			data := cmd.Flags().String("data", filepath.Join("data", "demo"), "Folder for users, keys and usage")
			newKey := cmd.Flags().Bool("new-key", false, "Make another API key")
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				cmd.SilenceUsage = true
				return runDemo(cmd.Context(), cmd.OutOrStdout(), *data, *newKey)
			}
		},
	})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "stockmcp",
		Usage: "[--listen <address>]",
		Short: "Runs the sample MCP server with synthetic stock data, alone",
		Long: `
Serves MCP at /messages, without accounts or keys: what Tallygate is put in
front of. The data is synthetic and the same at every start.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			listen := cmd.Flags().String("listen", stockAddress, "Address to listen on")
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				cmd.SilenceUsage = true
				serve, err := startStock(*listen)
				if err != nil {
					return err
				}
				cmd.Printf("Stock MCP server: http://%s/messages\n", *listen)
				return serve()
			}
		},
	})
}

// The addresses of the demo. The last two are those of the Caddyfile.
const (
	stockAddress = "127.0.0.1:9001"
	adminAddress = ":8000"
	gateAddress  = ":8001"
)

// startStock listens, and returns a function that serves until the process ends.
func startStock(address string) (serve func() error, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the stock MCP server cannot listen: %w", err)
	}
	s, err := stockmcp.New()
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	return func() error { return server.Serve(l) }, nil
}

// runDemo runs the demo until a signal ends the process.
func runDemo(ctx context.Context, out io.Writer, data string, newKey bool) error {
	caddy.TrapSignals()
	for _, address := range []string{adminAddress, gateAddress} {
		if err := checkFree(address); err != nil {
			return err
		}
	}
	serve, err := startStock(stockAddress)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- serve() }()

	for name, value := range map[string]string{
		"TALLYGATE_STORE":    "sqlite:" + filepath.Join(data, "tallygate.db"),
		"TALLYGATE_LEDGER":   "sqlite:" + filepath.Join(data, "usage.db"),
		"TALLYGATE_JOURNAL":  filepath.Join(data, "journal"),
		"TALLYGATE_UPSTREAM": stockAddress,
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	store, err := caddymodule.OpenStore(os.Getenv("TALLYGATE_STORE"))
	if err != nil {
		return err
	}
	w := welcome{Data: data}
	if w.Password, err = demoPassword(ctx, store); err != nil {
		return err
	}
	config, err := demoConfig()
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	if err := w.login(ctx, store, newKey); err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	if err := welcomeText.Execute(out, w); err != nil {
		return err
	}
	return <-failed
}

// checkFree returns an error if an address is in use.
func checkFree(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("the demo cannot listen on %s: %w", address, err)
	}
	return l.Close()
}

// demoConfig returns the production Caddyfile as JSON with two changes. It does not
// use Caddy's admin endpoint and saved config, which a demo should not share with
// another Caddy on the machine. And it does not log what would hide the demo's
// output: warnings about those, and about protocols that need TLS.
func demoConfig() ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		return nil, err
	}
	no := false
	config.Admin = &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &no}}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{Level: "WARN"}, Exclude: []string{"admin"}},
	}}
	var web caddyhttp.App
	if err := json.Unmarshal(config.AppsRaw["http"], &web); err != nil {
		return nil, err
	}
	for _, server := range web.Servers {
		server.Protocols = []string{"h1"}
	}
	config.AppsRaw["http"] = caddyconfig.JSON(web, nil)
	return json.Marshal(config)
}

// demoPassword sets the login of the first user in the environment, if the store
// has no user and the environment names none. It returns the new password, or "".
func demoPassword(ctx context.Context, store identity.Store) (string, error) {
	users, err := store.Users(ctx)
	if err != nil || len(users) > 0 || os.Getenv("TALLYGATE_ADMIN_EMAIL") != "" {
		return "", err
	}
	password := rand.Text()
	return password, errors.Join(
		os.Setenv("TALLYGATE_ADMIN_EMAIL", "demo@example.com"),
		os.Setenv("TALLYGATE_ADMIN_PASSWORD", password))
}

// welcome is the content of the text that the demo prints. Password and Key are
// empty if they were shown at an earlier start, or come from the environment.
type welcome struct {
	Data, Email, Password, Key, KeyPrefix string
}

// login fills in the first user and one of their keys. It makes a new key if newKey
// is set or the user has no active one.
func (w *welcome) login(ctx context.Context, store identity.Store, newKey bool) error {
	users, err := store.Users(ctx)
	if err != nil {
		return err
	}
	if len(users) == 0 {
		return errors.New("TALLYGATE_ADMIN_EMAIL is set and TALLYGATE_ADMIN_PASSWORD is not: set both or neither")
	}
	owner := users[0]
	w.Email = owner.Email
	keys, err := store.Keys(ctx, owner.ID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Status(time.Now()) == identity.Active && !newKey {
			w.KeyPrefix = k.Prefix
			return nil
		}
	}
	record, key, err := identity.IssueKey(owner.ID, "demo", time.Time{})
	if err != nil {
		return err
	}
	w.Key = key
	return store.CreateKey(ctx, record)
}

// Shown returns the key as the clients' settings show it, or a placeholder.
func (w welcome) Shown() string {
	if w.Key != "" {
		return w.Key
	}
	return "sk-your-api-key-here"
}

var welcomeText = template.Must(template.New("").Parse(strings.TrimLeft(`
Tallygate's demo is running. Users, keys and usage are kept in {{.Data}}.

  MCP       http://localhost:8001/messages   the gate, in front of a stock MCP server with synthetic data
  Admin     http://localhost:8000            the admin API; /openapi.json describes it

  Login     {{.Email}}
  Password  {{if .Password}}{{.Password}}   (shown once){{else}}yours, of the first start{{end}}
  API key   {{if .Key}}{{.Key}}   (shown once){{else}}{{.KeyPrefix}}   (shown at an earlier start; --new-key makes another){{end}}

Claude Code:

  claude mcp add --transport http stock-data http://localhost:8001/messages --header "Authorization: Bearer {{.Shown}}"

Claude Code (.mcp.json) and Claude Desktop (claude_desktop_config.json):

  {
    "mcpServers": {
      "stock-data": {
        "type": "http",
        "url": "http://localhost:8001/messages",
        "transport": "streamable-http",
        "headers": { "Authorization": "Bearer {{.Shown}}" }
      }
    }
  }

Cursor (.cursor/mcp.json):

  {
    "mcpServers": {
      "stock-data": {
        "url": "http://localhost:8001/messages",
        "headers": { "Authorization": "Bearer {{.Shown}}" }
      }
    }
  }

A first call:

  curl -s -X POST http://localhost:8001/messages -H "Content-Type: application/json" -H "Authorization: Bearer {{.Shown}}" -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_daily","limit":3}}}'

`, "\n")))
