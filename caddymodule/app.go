// Package caddymodule is all of Tallygate that knows Caddy: the app, which
// holds what a config's handlers share; the gate in front of an upstream; the
// adapter of the admin API; their Caddyfile directives and metrics.
package caddymodule

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/tallygate/tallygate/identity"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App is what the gates and the admin API of one config share: the store of
// users and keys, the ledger of events, and the journal that holds events
// until the ledger has them. A config that says nothing of it gets the
// defaults. Placeholders such as {env.NAME} are replaced in every field.
type App struct {
	// The DSN of the store, where users and API keys live; its scheme names the
	// module in the namespace tallygate.stores: `sqlite:PATH`.
	// Default: the environment variable TALLYGATE_STORE, or else
	// `sqlite:data/tallygate.db`.
	Store string `json:"store,omitempty"`

	// The DSN of the ledger, where events end up; its scheme names the module in
	// the namespace tallygate.ledgers: `sqlite:PATH`,
	// `clickhouse://user:password@host:9000/database`, or `http://…` and
	// `https://…` for ClickHouse over HTTP.
	// Default: the environment variable TALLYGATE_LEDGER, or else
	// `sqlite:data/usage.db`.
	Ledger string `json:"ledger,omitempty"`

	// How long keys that are known go on working while the store cannot be
	// reached. All other keys are answered with 503 then. Negative: not at all.
	// Default: 5m.
	StaleOK caddy.Duration `json:"stale_ok,omitempty"`

	// What the API keys that are made begin with, by which people and secret
	// scanners know them: 2 to 24 letters, digits, _ or -, a letter first and _ or
	// - last, as in `acme_live_`. Keys made under another prefix go on working.
	// Default: `sk-`.
	KeyPrefix string `json:"key_prefix,omitempty"`

	// Whether anyone may make themselves a user of the admin API, without an
	// invitation. Default: false.
	Registration bool `json:"registration,omitempty"`

	// Where people reach the admin API, as in `https://keys.example.com`, for the
	// links of invitations. Default: where the admin who invites reached it, by
	// http where a proxy in front ends TLS.
	BaseURL string `json:"base_url,omitempty"`

	// The journal, where events wait for the ledger.
	Journal JournalConfig `json:"journal,omitzero"`

	ctx       caddy.Context
	store     StoreOpener
	ledger    LedgerOpener
	keyFormat identity.KeyFormat
	started   chan struct{} // closed by Start, when backend is there or never will be
	backend   atomic.Pointer[backend]
}

// latest is the backend of the config that started last. A request may reach a
// config that is cleaned up already, or that turns out not to start, while
// Caddy replaces one by another; it is served as under the one in force.
var latest atomic.Pointer[backend]

// startTimeout bounds how long a request waits for its config to start.
const startTimeout = 5 * time.Second

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
	a.BaseURL = caddy.NewReplacer().ReplaceAll(a.BaseURL, "")
	if u, err := url.Parse(a.BaseURL); a.BaseURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return fmt.Errorf("base_url: %q is no address, as in https://keys.example.com", a.BaseURL)
	}
	a.KeyPrefix = cmp.Or(caddy.NewReplacer().ReplaceAll(a.KeyPrefix, ""), identity.DefaultMark)
	if a.keyFormat, err = identity.NewKeyFormat(a.KeyPrefix); err != nil {
		return fmt.Errorf("key_prefix: %w", err)
	}
	return a.Journal.complete()
}

// Start opens the store, the ledger and the journal, or takes over those that
// the config before this one has open under the same names.
func (a *App) Start() error {
	defer close(a.started)
	b, err := openBackend(a)
	if err != nil {
		return err
	}
	a.backend.Store(b)
	latest.Store(b)
	return nil
}

// Stop does nothing: Caddy stops its apps in no fixed order, and the HTTP app
// may still be finishing calls. Cleanup comes after all of them.
func (*App) Stop() error { return nil }

// Cleanup lets go of what Start opened. Calls and streams that outlive their
// config keep it open until the last of them ends; those that outlive the
// grace period of a process that exits are broken off, so that they leave their
// events.
func (a *App) Cleanup() error {
	if b := a.backend.Load(); b != nil {
		if caddy.Exiting() {
			b.pipeline.open.endRequests(lastRequests)
		}
		b.release()
	}
	return nil
}

// acquire returns what a request works with; the caller releases it when the
// request is done. Caddy starts its apps in no fixed order, so that a request
// may come before Start and waits for it. Without a backend it returns nil.
func (a *App) acquire(ctx context.Context) *backend {
	if b := a.backend.Load(); b != nil && b.acquire() {
		return b
	}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-a.started:
	case <-timeout.C:
	case <-ctx.Done():
	}
	for _, b := range []*backend{a.backend.Load(), latest.Load()} {
		if b != nil && b.acquire() {
			return b
		}
	}
	return nil
}

// setting is a value after its placeholders, or the value of an environment
// variable, or a default.
func setting(value, env, fallback string) string {
	repl := caddy.NewReplacer()
	for _, v := range []string{value, "{env." + env + "}"} {
		if v = repl.ReplaceAll(v, ""); v != "" {
			return v
		}
	}
	return fallback
}

// scheme is the part of a DSN that names its module. The DSN itself may hold a
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

// loadGuest loads the module that a DSN names: what is "store" or "ledger".
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
