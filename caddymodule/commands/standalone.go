package commands

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/tallygate/tallygate/identity"
)

// Standalone is a gate and its admin API that run without a config of the
// operator's, and tell a newcomer all that they need.
type Standalone struct {
	Caddyfile []byte
	Upstream  string // what the MCP server calls its own address
	Gate      string // address that the gate listens on
	Admin     string // address that the admin API listens on
	Endpoint  string // path that the clients' settings name
	Server    string // name of the MCP server in the clients' settings
	Data      string // folder for users, keys and usage
	KeepEnv   bool   // whether TALLYGATE_STORE and its like hold where they are set
	Email     string // of the first user, unless the environment names one
	KeyName   string // of the key that is made
	NewKey    bool   // whether to make a key although there is one

	// What is printed: what runs, what the gate stands in front of, and a first call.
	Title, Subject, Call string
	// What is to be known of the call, "" for nothing.
	Note string
}

// Start starts the gate and prints its settings. The gate runs until a signal ends
// the process.
func (s Standalone) Start(ctx context.Context, out io.Writer) error {
	caddy.TrapSignals()
	if err := s.CheckAddresses(); err != nil {
		return err
	}
	if err := s.setEnv(); err != nil {
		return err
	}
	settings, err := host.Settings(nil)
	if err != nil {
		return err
	}
	store, err := host.OpenStore(settings.Store)
	if err != nil {
		return err
	}
	w := welcome{Standalone: s}
	if w.Password, err = firstPassword(ctx, store, s.Email); err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	if err := w.login(ctx, store); err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	return welcomeText.Execute(out, w)
}

// CheckAddresses returns an error if an address to listen on is in use. Caddy would
// share it with another Caddy.
func (s Standalone) CheckAddresses() error {
	for _, address := range []string{s.Admin, s.Gate} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("the gate cannot listen on %s: %w", address, err)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// setEnv says where the gate finds everything, as the environment of a gate with a
// Caddyfile would.
func (s Standalone) setEnv() error {
	for name, value := range map[string]string{
		"TALLYGATE_STORE":   "sqlite:" + filepath.Join(s.Data, "tallygate.db"),
		"TALLYGATE_LEDGER":  "sqlite:" + filepath.Join(s.Data, "usage.db"),
		"TALLYGATE_JOURNAL": filepath.Join(s.Data, "journal"),
	} {
		if s.KeepEnv && os.Getenv(name) != "" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return os.Setenv("TALLYGATE_UPSTREAM", s.Upstream)
}

// config returns the Caddyfile as JSON with two changes. It does not use Caddy's
// admin endpoint and saved config, which are shared with every other Caddy on the
// machine. And it does not log what would hide the printed text: warnings about
// those, and about protocols that need TLS.
func (s Standalone) config() ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(s.Caddyfile, map[string]any{"filename": "Caddyfile"})
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

// firstPassword sets the login of the first user in the environment, if the store
// has no user and the environment names none. It returns the new password, or "".
func firstPassword(ctx context.Context, store identity.Store, email string) (string, error) {
	users, err := store.Users(ctx)
	if err != nil || len(users) > 0 || os.Getenv("TALLYGATE_ADMIN_EMAIL") != "" {
		return "", err
	}
	password := rand.Text()
	return password, errors.Join(
		os.Setenv("TALLYGATE_ADMIN_EMAIL", email),
		os.Setenv("TALLYGATE_ADMIN_PASSWORD", password))
}

// welcome is the content of the text that is printed. Password and Key are empty
// if they were shown at an earlier start, or come from the environment.
type welcome struct {
	Standalone
	Login, Password, Key, KeyPrefix string
}

// login fills in the first user and one of their keys. It makes a new key if that
// is asked for or the user has no active one.
func (w *welcome) login(ctx context.Context, store identity.Store) error {
	users, err := store.Users(ctx)
	if err != nil {
		return err
	}
	if len(users) == 0 {
		return errors.New("TALLYGATE_ADMIN_EMAIL is set and TALLYGATE_ADMIN_PASSWORD is not: set both or neither")
	}
	owner := users[0]
	w.Login = owner.Email
	keys, err := store.Keys(ctx, owner.ID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Status(time.Now()) == identity.Active && !w.NewKey {
			w.KeyPrefix = k.Prefix
			return nil
		}
	}
	record, key, err := identity.IssueKey(owner.ID, w.KeyName, time.Time{})
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

// URL returns the address of the MCP endpoint on this machine.
func (w welcome) URL() string { return localURL(w.Gate) + w.Endpoint }

// AdminURL returns the address of the admin API on this machine.
func (w welcome) AdminURL() string { return localURL(w.Admin) }

// Kept says where users, keys and usage are.
func (w welcome) Kept() string {
	if w.KeepEnv && (os.Getenv("TALLYGATE_STORE") != "sqlite:"+filepath.Join(w.Data, "tallygate.db")) {
		return "the store and the ledger that the environment names"
	}
	return w.Data
}

// localURL returns the URL of what listens on an address, for a client on this
// machine.
func localURL(address string) string {
	host, port, _ := net.SplitHostPort(address) // which is listened on
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

var welcomeText = template.Must(template.New("").Parse(strings.TrimLeft(`
{{.Title}} Users, keys and usage are kept in {{.Kept}}.

  MCP       {{.URL}}   the gate, in front of {{.Subject}}
  Admin     {{.AdminURL}}   the admin API; /openapi.json describes it

  Login     {{.Login}}
  Password  {{if .Password}}{{.Password}}   (shown once){{else}}yours, of the first start{{end}}
  API key   {{if .Key}}{{.Key}}   (shown once){{else}}{{.KeyPrefix}}   (shown at an earlier start; --new-key makes another){{end}}

Claude Code:

  claude mcp add --transport http {{.Server}} {{.URL}} --header "Authorization: Bearer {{.Shown}}"

Claude Code (.mcp.json) and Claude Desktop (claude_desktop_config.json):

  {
    "mcpServers": {
      "{{.Server}}": {
        "type": "http",
        "url": "{{.URL}}",
        "transport": "streamable-http",
        "headers": { "Authorization": "Bearer {{.Shown}}" }
      }
    }
  }

A Claude Desktop that takes no URL there runs a bridge:

  {
    "mcpServers": {
      "{{.Server}}": {
        "command": "npx",
        "args": ["mcp-remote", "{{.URL}}", "--header", "Authorization:${KEY}"],
        "env": { "KEY": "Bearer {{.Shown}}" }
      }
    }
  }

Cursor (.cursor/mcp.json):

  {
    "mcpServers": {
      "{{.Server}}": {
        "url": "{{.URL}}",
        "headers": { "Authorization": "Bearer {{.Shown}}" }
      }
    }
  }

{{with .Note}}{{.}}

{{end}}A first call:

  curl -s -X POST {{.URL}} -H "Content-Type: application/json" -H "Authorization: Bearer {{.Shown}}" -d '{{.Call}}'

`, "\n")))
