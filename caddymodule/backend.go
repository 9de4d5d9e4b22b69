package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/tallygate/tallygate/admin"
	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/quota"
	"github.com/tallygate/tallygate/usage"
)

// What outlives a config is shared between the old one and the new: stores and
// their limits by their options and DSN, their users' sessions and ledgers by
// their DSN, journals by their folder.
var (
	authorities = caddy.NewUsagePool() // of pooled[*authn.Authority]
	limiters    = caddy.NewUsagePool() // of pooled[closingLimiter]
	ledgers     = caddy.NewUsagePool() // of pooled[usage.Ledger]
	pipelines   = caddy.NewUsagePool() // of pooled[*pipeline]
	sessionPool = caddy.NewUsagePool() // of pooled[*sessions], by the store's DSN
)

// openTimeout bounds how long a config waits for its store.
const openTimeout = 15 * time.Second

// How long a process that ends waits for the requests that it breaks off to
// leave their events, and for its ledger.
const (
	lastRequests = 2 * time.Second
	lastFlush    = 2 * time.Second
)

// backend is what the handlers of a running config work with. It lives until
// the config and every request that began under it have let go.
type backend struct {
	authority *authn.Authority
	limiter   *quota.Limiter
	sessions  *sessions
	pipeline  *pipeline
	admin     http.Handler

	refs    atomic.Int64
	closers []func()
}

// openBackend opens or takes over what the app's config names.
func openBackend(a *App) (_ *backend, err error) {
	b := new(backend)
	b.refs.Store(1)
	defer func() {
		if err != nil {
			b.release()
		}
	}()
	log := a.ctx.Slogger()

	// An Authority's options are those that it was made with: a config that
	// changes them has one of its own.
	b.authority, err = open(b, authorities, fmt.Sprint(a.StaleOK, " ", a.Store), func() (*authn.Authority, error) {
		s, err := a.store.OpenStore()
		if err != nil {
			return nil, err
		}
		return authn.New(s, authn.Options{StaleOK: time.Duration(a.StaleOK)}), nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	ctx, cancel := context.WithTimeout(a.ctx, openTimeout)
	defer cancel()
	if err := firstUser(ctx, b.authority, log); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}

	limiter, err := open(b, limiters, fmt.Sprint(a.StaleOK, " ", a.Store), func() (closingLimiter, error) {
		return closingLimiter{quota.NewLimiter(b.authority)}, nil
	})
	if err != nil {
		return nil, err
	}
	b.limiter = limiter.Limiter
	if b.sessions, err = open(b, sessionPool, a.Store, newSessions); err != nil {
		return nil, err
	}
	ledger, err := open(b, ledgers, a.Ledger, a.ledger.OpenLedger)
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	dir, err := filepath.Abs(a.Journal.Folder)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	user := &pipelineUser{ledger, a.Journal.options(log), a.Journal.shipping(log)}
	b.pipeline, err = open(b, pipelines, dir, func() (*pipeline, error) { return openPipeline(dir, user) })
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	b.pipeline.attach(user)
	b.closers = append(b.closers, func() { b.pipeline.detach(user) })

	b.admin, err = admin.New(admin.Config{
		Store: b.authority, Ledger: ledger, Secret: []byte(os.Getenv("TALLYGATE_JWT_SECRET")), Logger: log,
		KeyFormat: a.keyFormat, Registration: a.Registration, BaseURL: a.BaseURL,
	})
	if err != nil {
		return nil, fmt.Errorf("making the admin API, with TALLYGATE_JWT_SECRET: %w", err)
	}
	return b, nil
}

// acquire takes a reference, unless the last one is gone.
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

// release gives a reference back; with the last one, all is closed.
func (b *backend) release() {
	if b.refs.Add(-1) > 0 {
		return
	}
	for _, c := range slices.Backward(b.closers) {
		c()
	}
}

// pooled makes a value of a UsagePool out of what has to be closed.
type pooled[T io.Closer] struct{ value T }

// Destruct closes the value when its last user is gone.
func (p pooled[T]) Destruct() error { return p.value.Close() }

// closingLimiter is a Limiter for the pool.
type closingLimiter struct{ *quota.Limiter }

// Close gives back what the Limiter has in hand.
func (l closingLimiter) Close() error {
	l.Limiter.Close()
	return nil
}

// open takes the value under key out of the pool, or opens it into the pool,
// and has b give it back.
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

// pipeline is a journal and the shipper that empties it. A reload may change
// the ledger and the options under it: those of the newest user hold.
type pipeline struct {
	journal *usage.Journal
	shipper *usage.Shipper
	open    *openCalls
	log     *slog.Logger
	calls   [5]atomic.Int64 // by their outcome's place in usage.Outcomes
	keys    keyStats

	unknowns unknowns

	mu    sync.Mutex
	users []*pipelineUser // the newest last
}

// pipelineUser is what one config wants of a pipeline.
type pipelineUser struct {
	ledger   usage.Ledger
	journal  usage.JournalOptions
	shipping usage.ShipperOptions
}

func openPipeline(dir string, u *pipelineUser) (*pipeline, error) {
	j, err := usage.OpenJournal(dir, u.journal)
	if err != nil {
		return nil, err
	}
	p := &pipeline{journal: j, shipper: usage.NewShipper(j, u.shipping), log: u.journal.Logger}
	p.open = newOpenCalls(p)
	if err := p.open.restore(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// record counts an event and appends it to the journal, which tells in the log
// and in the metrics what it could not keep: no call fails for it. Of a call
// that the journal holds, it lets go.
func (p *pipeline) record(e *usage.Event, held bool) {
	p.calls[slices.Index(usage.Outcomes, e.Outcome)].Add(1)
	if held {
		_ = p.journal.Settle(e)
	} else {
		_ = p.journal.Append(e)
	}
}

func (p *pipeline) attach(u *pipelineUser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users = append(p.users, u)
	p.use()
}

// detach undoes one attach. Where a reload failed, that is the newest, and
// all is as before again.
func (p *pipeline) detach(u *pipelineUser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.users, u)
	p.users = slices.Delete(p.users, i, i+1)
	p.use()
}

func (p *pipeline) use() {
	if len(p.users) == 0 {
		// Spares the next start the last second's events, if the ledger is there.
		ctx, cancel := context.WithTimeout(context.Background(), lastFlush)
		defer cancel()
		_ = p.shipper.Flush(ctx) // what is left waits in the journal
		p.shipper.Use(nil)
		return
	}
	u := p.users[len(p.users)-1]
	_ = p.journal.Configure(u.journal) // the options are valid, Provision has seen to that
	p.shipper.Configure(u.shipping)
	p.shipper.Use(u.ledger)
}

// Close stops the shipper and closes the journal, whose events wait for the
// next start.
func (p *pipeline) Close() error {
	p.open.stop()
	return errors.Join(p.shipper.Close(), p.journal.Close())
}

// firstUser makes the administrator that the environment names, where the
// store has no user yet, and says what to do where it names none.
func firstUser(ctx context.Context, store *authn.Authority, log *slog.Logger) error {
	users, err := store.Users(ctx)
	if err != nil || len(users) > 0 {
		return err
	}
	email, password := os.Getenv("TALLYGATE_ADMIN_EMAIL"), os.Getenv("TALLYGATE_ADMIN_PASSWORD")
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
