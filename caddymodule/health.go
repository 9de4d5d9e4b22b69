package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tallygate/tallygate/admin"
	"github.com/tallygate/tallygate/identity"
)

// How long the answer of a check is used, and how long a check may take.
const (
	healthMaxAge  = time.Second
	healthTimeout = 2 * time.Second
)

// health is the state of what a backend depends on, looked at no more than once in
// healthMaxAge.
type health struct {
	store interface {
		User(ctx context.Context, id string) (identity.User, error)
	}
	pipeline *pipeline
	staleOK  time.Duration // for which known keys work without the store
	log      *slog.Logger

	mu      sync.Mutex
	storeAt time.Time // when the store answered last
	at      time.Time // of state
	state   admin.Readiness
}

// readiness returns the state, for /readyz and for the metrics. A gate whose ledger
// is away is ready as long as its journal takes events, and one whose store is away
// as long as known keys work: replicas that share a store would otherwise all be
// taken out of service at once.
func (h *health) readiness(ctx context.Context) admin.Readiness {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state.Status != "" && time.Since(h.at) < healthMaxAge {
		return h.state
	}
	// The answer is for others, too, if this client goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	_, storeErr := h.store.User(ctx, "readyz") // nobody has this ID
	if errors.Is(storeErr, identity.ErrNotFound) {
		storeErr = nil
	}
	if storeErr == nil {
		h.storeAt = time.Now()
	}
	fresh := admin.Readiness{Status: admin.Ready, Checks: map[string]admin.Check{}}
	for _, c := range []struct {
		name, reason string
		err          error
	}{
		{"store", "users and keys cannot be read: only keys that this gate knows work, for a while", storeErr},
		{"ledger", "the ledger does not take events: they wait in the journal", h.pipeline.shipper.Stats().Err},
		{"journal", "the journal is full or cannot be written", h.pipeline.journal.Room()},
	} {
		before, known := h.state.Checks[c.name]
		switch {
		case c.err == nil:
			fresh.Checks[c.name] = admin.Check{OK: true}
			if known && !before.OK {
				h.log.Info("a check of /readyz succeeds again", "check", c.name)
			}
			continue
		case !known || before.OK:
			h.log.Warn("a check of /readyz fails", "check", c.name, "error", c.err)
		}
		fresh.Checks[c.name] = admin.Check{Reason: c.reason}
		if c.name == "journal" || c.name == "store" && time.Since(h.storeAt) >= h.staleOK {
			fresh.Status = admin.NotReady
		}
	}
	h.state, h.at = fresh, time.Now()
	return fresh
}

// storeSeen returns when the store answered last.
func (h *health) storeSeen() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.storeAt
}
