package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/tallygate/tallygate/admin"
	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
)

// Pools of what outlives a config, so that a reload hands it from the old config to
// the new one. Authorities and limiters are found by their options and the store's
// DSN, ledgers by their DSN, pipelines by the journal's folder.
var (
	authorities = caddy.NewUsagePool() // of pooled[*authn.Authority]
	limiters    = caddy.NewUsagePool() // of pooled[closingLimiter]
	ledgers     = caddy.NewUsagePool() // of pooled[usage.Ledger]
	pipelines   = caddy.NewUsagePool() // of pooled[*pipeline]
)

// openTimeout bounds each attempt to open the store.
const openTimeout = 15 * time.Second

// How long a process that ends waits for the exchanges that it cancels, whose
// calls leave their events, and for its ledger.
const (
	cancelTimeout = 2 * time.Second
	flushTimeout  = 2 * time.Second
)

// backend is what the handlers of a running config work with. It is closed when
// the config and every request that began under it have released it.
type backend struct {
	authority *authn.Authority
	pipeline  *pipeline
	gate      gate.Backend // the same, for the gates
	admin     http.Handler
	health    *health

	store, ledger, journal string // what it was opened for: DSNs and a folder

	refs    atomic.Int64
	closers []func()
}

// openBackend opens what the app's config names, or takes it over from the previous
// config.
func openBackend(a *App) (_ *backend, err error) {
	b := new(backend)
	b.refs.Store(1)
	defer func() {
		if err != nil {
			b.release()
		}
	}()
	log := a.ctx.Slogger()
	dir, err := filepath.Abs(a.Journal.Folder)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	b.store, b.ledger, b.journal = a.Store, a.Ledger, dir
	running := latest.Load()
	if running != nil && !running.acquire() {
		running = nil // it was stopped: this is no reload
	}
	if running != nil {
		defer running.release()
		if err := a.checkReload(running, dir); err != nil {
			return nil, err
		}
	}
	file := fileOf(a.ledger)
	used := !isMissing(dir) || file != "" && !isMissing(file)

	// The options of an Authority cannot change, so a config with other options has
	// an Authority of its own.
	b.authority, err = open(b, authorities, fmt.Sprint(a.StaleOK, " ", a.Store), func() (*authn.Authority, error) {
		s, err := a.store.OpenStore()
		if err != nil {
			return nil, err
		}
		authority := authn.New(s, authn.Options{StaleOK: time.Duration(a.StaleOK)})
		first := func(ctx context.Context) error {
			if running != nil && running.store != a.Store {
				return existingUsers(ctx, authority)
			}
			return firstUser(ctx, authority, used, log)
		}
		wait := cmp.Or(time.Duration(a.StoreWait), defaultStoreWait)
		if running != nil {
			wait = 0 // the config in force goes on
		}
		// Caddy itself ends no config that is still starting.
		ctx, stop := signal.NotifyContext(a.ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := awaitStore(ctx, s, wait, log, first); err != nil {
			return nil, errors.Join(err, authority.Close())
		}
		return authority, nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}

	limiter, err := open(b, limiters, fmt.Sprint(a.StaleOK, " ", a.Store), func() (closingLimiter, error) {
		return closingLimiter{quota.NewLimiter(b.authority)}, nil
	})
	if err != nil {
		return nil, err
	}
	ledger, err := open(b, ledgers, a.Ledger, a.ledger.OpenLedger)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	if l, ok := ledger.(usage.Expirer); ok {
		b.startExpiring(log, l.Expire)
	}
	user := &pipelineUser{ledger, a.Journal.options(log), a.Journal.shipping(log)}
	b.pipeline, err = open(b, pipelines, dir, func() (*pipeline, error) { return openPipeline(dir, user) })
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	b.pipeline.attach(user)
	b.closers = append(b.closers, func() { b.pipeline.detach(user) })
	b.gate = gate.Backend{
		Authenticator: b.authority, Limiter: limiter.Limiter, Calls: b.pipeline.calls, Release: b.release,
	}

	b.health = &health{
		store: b.authority, pipeline: b.pipeline, staleOK: cmp.Or(time.Duration(a.StaleOK), authn.DefaultStaleOK), log: log, storeAt: time.Now(),
	}
	if running != nil && running.store == a.Store {
		b.health.storeAt = running.health.storeSeen() // a reload does not ask the store
	}
	b.admin, err = admin.New(admin.Config{
		Store: b.authority, Ledger: ledger, Secret: []byte(environment("TALLYGATE_JWT_SECRET")), Logger: log,
		KeyFormat: a.keyFormat, Registration: a.Registration, BaseURL: a.BaseURL, Ready: b.health.readiness,
	})
	if err != nil {
		return nil, fmt.Errorf("making the admin API, with TALLYGATE_JWT_SECRET: %w", err)
	}
	return b, nil
}

// latest is the backend of the config that started last. While Caddy replaces one
// config by another, a request may reach one that is cleaned up already, or that
// fails to start. It is served by the config in force.
var latest atomic.Pointer[backend]

// startTimeout bounds how long a request waits for its config to start.
const startTimeout = 5 * time.Second

// acquire returns the backend for one request, which the caller releases when the
// request is done. Caddy starts its apps in no fixed order, so a request may come
// before Start, and waits for it. It returns nil when there is no backend.
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

// acquire adds a reference. It returns false when the backend is closed.
func (b *backend) acquire() bool {
	for {
		n := b.refs.Load()
		if n == 0 {
			return false
		}
		if b.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release removes a reference, and closes everything with the last one.
func (b *backend) release() {
	if b.refs.Add(-1) > 0 {
		return
	}
	for _, c := range slices.Backward(b.closers) {
		c()
	}
}

// pooled is a value in a UsagePool that is closed when nobody uses it any more.
type pooled[T io.Closer] struct{ value T }

// Destruct closes the value.
func (p pooled[T]) Destruct() error { return p.value.Close() }

// closingLimiter is a Limiter for the pool.
type closingLimiter struct{ *quota.Limiter }

// Close returns unused calls to the store.
func (l closingLimiter) Close() error {
	l.Limiter.Close()
	return nil
}

// open returns the value under key in the pool, and opens it if it is not there. b
// gives it back when it is closed.
func open[T io.Closer](b *backend, pool *caddy.UsagePool, key string, open func() (T, error)) (T, error) {
	v, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		v, err := open()
		return pooled[T]{v}, err
	})
	if err != nil {
		var none T
		return none, err
	}
	b.closers = append(b.closers, func() {
		if _, err := pool.Delete(key); err != nil {
			caddy.Log().Named("tallygate").Error(err.Error())
		}
	})
	return v.(pooled[T]).value, nil
}

// pipeline is a journal, the calls that are recorded in it, and the shipper that
// empties it. It may have several users during a reload; the ledger and the options
// are those of the newest one.
type pipeline struct {
	journal *journal.Journal
	calls   *gate.CallRegistry
	shipper *journal.Shipper

	mu    sync.Mutex
	users []*pipelineUser // the newest last
}

// pipelineUser is the ledger and the options that one config gives a pipeline.
type pipelineUser struct {
	ledger   usage.Ledger
	journal  journal.Options
	shipping journal.ShipperOptions
}

func openPipeline(dir string, u *pipelineUser) (*pipeline, error) {
	j, err := journal.Open(dir, u.journal)
	if err != nil {
		return nil, err
	}
	calls, err := gate.NewCallRegistry(j, u.journal.Logger)
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return &pipeline{journal: j, calls: calls, shipper: journal.NewShipper(j, u.shipping)}, nil
}

func (p *pipeline) attach(u *pipelineUser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users = append(p.users, u)
	p.use()
}

// detach undoes attach. When a reload has failed, the user is the newest, and the
// previous one is in force again.
func (p *pipeline) detach(u *pipelineUser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.users, u)
	p.users = slices.Delete(p.users, i, i+1)
	p.use()
}

func (p *pipeline) use() {
	if len(p.users) == 0 {
		// So that the next start does not have to send the last second's events.
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		_ = p.shipper.Flush(ctx) // events that are not sent wait in the journal
		p.shipper.Use(nil)
		return
	}
	u := p.users[len(p.users)-1]
	_ = p.journal.Configure(u.journal) // Provision has checked that the options are valid
	p.shipper.Configure(u.shipping)
	p.shipper.Use(u.ledger)
}

// Close stops the shipper and closes the journal, whose events wait for the
// next start.
func (p *pipeline) Close() error {
	p.calls.Close()
	return errors.Join(p.shipper.Close(), p.journal.Close())
}

// firstUser makes the administrator that the environment names when the store has
// no user yet. When it names none, the log says what to do. used says that calls
// were recorded before, so that a store without users may be the wrong one.
func firstUser(ctx context.Context, store *authn.Authority, used bool, log *slog.Logger) error {
	users, err := store.Users(ctx)
	if err != nil || len(users) > 0 {
		return err
	}
	if used {
		log.Warn("the store has no user, although there is a ledger or a journal of an earlier start: is the store (TALLYGATE_STORE, or \"store\" in the Caddyfile) the right one, and this the right folder?")
	}
	email, password := environment("TALLYGATE_ADMIN_EMAIL"), environment("TALLYGATE_ADMIN_PASSWORD")
	if email == "" || password == "" {
		log.Warn("the store has no user: set TALLYGATE_ADMIN_EMAIL and TALLYGATE_ADMIN_PASSWORD and start again to make the first")
		return nil
	}
	u, err := identity.NewUser(ctx, email, password, identity.Admin)
	if err != nil {
		return fmt.Errorf("making the first user of TALLYGATE_ADMIN_EMAIL and TALLYGATE_ADMIN_PASSWORD: %w", err)
	}
	made, err := store.CreateFirstUser(ctx, u)
	if made {
		log.Info("made the first user", "email", u.Email)
	}
	return err
}
