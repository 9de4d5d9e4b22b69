// Package caddymodule is all of Tallygate that knows Caddy: the app, which the
// handlers of a config share; the adapters of the gate and of the admin API; their
// Caddyfile directives and metrics. Package commands has the commands.
package caddymodule

import (
	"cmp"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/identity"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App is shared by the gates and the admin API of one config: the store of users
// and keys, the ledger of events, and the journal that keeps events until the
// ledger has them. A config that does not mention it gets the defaults.
// Placeholders such as {env.NAME} are replaced in every field.
type App struct {
	// The DSN of the store, where users and API keys live; its scheme names the
	// module in the namespace tallygate.stores: `sqlite:PATH`.
	// Default: the environment variable TALLYGATE_STORE, or else
	// `sqlite:data/tallygate.db`.
	Store string `json:"store,omitempty"`

	// The DSN of the ledger, where events end up; its scheme names the module in
	// the namespace tallygate.ledgers: `sqlite:PATH`, with `?ttl=90d` to delete
	// events after 90 days, `clickhouse://user:password@host:9000/database`, or `http://…` and
	// `https://…` for ClickHouse over HTTP.
	// Default: the environment variable TALLYGATE_LEDGER, or else
	// `sqlite:data/usage.db`.
	Ledger string `json:"ledger,omitempty"`

	// How long known keys go on working while the store cannot be reached. All
	// other keys are answered with 503 then. Negative: not at all.
	// Default: 5m.
	StaleOK caddy.Duration `json:"stale_ok,omitempty"`

	// How long a gate that starts waits for a PostgreSQL that cannot be reached yet.
	// Negative: not at all. Default: 30s.
	StoreWait caddy.Duration `json:"store_wait,omitempty"`

	// The prefix of new API keys, by which people and secret scanners recognize
	// them: 2 to 24 letters, digits, _ or -, a letter first and _ or - last, as in
	// `acme_live_`. Keys with an earlier prefix go on working.
	// Default: `sk-`.
	KeyPrefix string `json:"key_prefix,omitempty"`

	// Whether anyone may make themselves a user of the admin API, without an
	// invitation. Default: false.
	Registration bool `json:"registration,omitempty"`

	// The address at which people reach the admin API, as in
	// `https://keys.example.com`, for the links of invitations. Default: the address
	// at which the inviting admin reached it, with http where a proxy in front ends
	// TLS.
	BaseURL string `json:"base_url,omitempty"`

	// The journal, where events wait for the ledger.
	Journal JournalConfig `json:"journal,omitzero"`

	ctx       caddy.Context
	store     StoreOpener
	ledger    LedgerOpener
	keyFormat identity.KeyFormat
	servers   map[string][]ToolRule // the rules of each server that a gate stands in front of
	upstreams []gate.Upstream       // to which gates proxy
	listens   []string              // addresses of the servers with a gate or the admin API
	started   chan struct{}         // closed when Start has set backend, or has failed
	backend   atomic.Pointer[backend]
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tallygate", New: func() caddy.Module { return new(App) }}
}

// Provision loads the guests that the DSNs name. It opens nothing, so that
// `caddy validate` leaves no trace.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx = ctx
	a.started = make(chan struct{})
	if err := a.complete(); err != nil {
		return err
	}

	guest, err := loadGuest(ctx, "store", a.Store)
	if err != nil {
		return err
	}
	a.store = guest.(StoreOpener)
	if guest, err = loadGuest(ctx, "ledger", a.Ledger); err != nil {
		return err
	}
	a.ledger = guest.(LedgerOpener)
	return ctx.GetMetricsRegistry().Register(collector{a})
}

// complete replaces placeholders, fills in the defaults and checks the rest.
func (a *App) complete() (err error) {
	a.Store = setting(a.Store, "TALLYGATE_STORE", "sqlite:data/tallygate.db")
	a.Ledger = setting(a.Ledger, "TALLYGATE_LEDGER", "sqlite:data/usage.db")
	a.BaseURL = expand(a.BaseURL)
	if a.BaseURL != "" {
		if err := identity.CheckBaseURL(a.BaseURL); err != nil {
			return fmt.Errorf("base_url: %w", err)
		}
	}
	a.KeyPrefix = cmp.Or(expand(a.KeyPrefix), identity.DefaultMark)
	if a.keyFormat, err = identity.NewKeyFormat(a.KeyPrefix); err != nil {
		return fmt.Errorf("key_prefix: %w", err)
	}
	return a.Journal.complete()
}

// Start opens the store, the ledger and the journal, or takes over those that the
// previous config has open under the same names.
func (a *App) Start() error {
	defer close(a.started)
	listeners := tcpListeners()
	if err := checkPorts(a.listens, listeners); err != nil {
		return err
	}
	a.warnIfControlled(listeners)
	b, err := openBackend(a)
	if err != nil {
		return err
	}
	a.backend.Store(b)
	latest.Store(b)
	for _, up := range a.upstreams {
		go warnIfExposed(a.ctx, up, a.ctx.Slogger())
	}
	return nil
}

// Stop does nothing: Caddy stops its apps in no fixed order, and the HTTP app
// may still be finishing calls. Cleanup comes after all of them.
func (*App) Stop() error { return nil }

// Cleanup releases the backend. Calls and streams that outlive their config keep
// it open until the last of them ends. When the process exits, those that outlive
// the grace period are cancelled, so that they leave their events.
func (a *App) Cleanup() error {
	if b := a.backend.Load(); b != nil {
		if caddy.Exiting() {
			b.pipeline.calls.CancelInFlight(cancelTimeout)
		}
		b.release()
	}
	return nil
}

// setting returns a value after its placeholders are replaced; where that is empty,
// the value of an environment variable; where that is empty too, a default.
func setting(value, env, fallback string) string {
	return cmp.Or(expand(value), environment(env), fallback)
}

// environment returns an environment variable of this process, or "".
func environment(name string) string { return expand("{env." + name + "}") }

// expand replaces the placeholders in a value. It removes newlines at its end, which
// a secret has that was written to a file by an editor or a shell.
func expand(value string) string {
	return strings.TrimRight(caddy.NewReplacer().ReplaceAll(value, ""), "\r\n")
}

// scheme returns the part of a DSN that names its module. The DSN may hold a
// password, so no error repeats it.
func scheme(what, dsn string) (string, error) {
	name, rest, ok := strings.Cut(dsn, ":")
	if !ok || name == "" || rest == "" {
		return "", fmt.Errorf("%s: a DSN is SCHEME:…, as in sqlite:data/tallygate.db; this one has no scheme", what)
	}
	if module, ok := schemeAliases[name]; ok {
		name = module
	}
	return name, nil
}

// loadGuest loads the module that a DSN names. what is "store" or "ledger".
func loadGuest(ctx caddy.Context, what, dsn string) (any, error) {
	name, err := scheme(what, dsn)
	if err != nil {
		return nil, err
	}
	id := "tallygate." + what + "s." + name
	if _, err := caddy.GetModule(id); err != nil {
		return nil, fmt.Errorf("%s: no module %s is built in for the scheme %q; there are: %s",
			what, id, name, strings.Join(guestNames("tallygate."+what+"s"), ", "))
	}
	return ctx.LoadModuleByID(id, caddyJSON(guestConfig{DSN: dsn}))
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
