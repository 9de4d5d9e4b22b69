package admin

import (
	"context"
	"encoding/json"
	"net/http"
)

// Readiness is the reply of /readyz: whether the gate can serve and record calls,
// and what that depends on.
type Readiness struct {
	Status string           `json:"status"` // Ready or NotReady
	Checks map[string]Check `json:"checks"` // by name: store, ledger, journal
}

// Check is the state of one thing that the gate depends on.
type Check struct {
	OK bool `json:"ok"`
	// Reason says why it is not OK, without addresses and secrets: anyone may read
	// it.
	Reason string `json:"reason,omitempty"`
}

// The values of Readiness.Status.
const (
	Ready    = "ready"
	NotReady = "not_ready"
)

// health is the reply of /healthz, which says that the process serves requests.
type health struct {
	Status string `json:"status"`
}

func healthz(context.Context, *request) (any, error) { return health{"ok"}, nil }

func (a *API) readyz(ctx context.Context, _ *request) (any, error) {
	return a.ready(ctx), nil
}

// ServeStarting answers /healthz and /readyz while there is no API yet, and reports
// whether the request was for one of them.
func ServeStarting(w http.ResponseWriter, r *http.Request) bool {
	status, body := http.StatusOK, any(health{"ok"})
	switch r.URL.Path {
	case "/healthz":
	case "/readyz":
		status = http.StatusServiceUnavailable
		body = Readiness{NotReady, map[string]Check{"store": {Reason: "the gate is starting, and waits for its store of users and keys"}}}
	default:
		return false
	}
	text, _ := json.Marshal(body) // strings always marshal
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // nothing to do if the client has gone
	return true
}
