package caddymodule

import (
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/tallygate/tallygate/admin"
)

func init() {
	caddy.RegisterModule(new(Admin))
}

// Admin serves the admin API: login, API keys, and usage. It answers every
// path, with 404 for one it does not know.
type Admin struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (*Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.tallygate_admin", New: func() caddy.Module { return new(Admin) }}
}

// Provision finds the app.
func (a *Admin) Provision(ctx caddy.Context) error {
	app, err := ctx.App("tallygate")
	if err != nil {
		return err
	}
	a.app = app.(*App)
	a.app.addListens(ctx)
	return nil
}

// ServeHTTP answers with the admin API.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if a.app.backend.Load() == nil && latest.Load() == nil && admin.ServeStarting(w, r) {
		return nil
	}
	b := a.app.acquire(r.Context())
	if b == nil {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, err := w.Write([]byte(`{"error":{"code":"store_unavailable","message":"the admin API is starting: try again shortly"}}`))
		return err
	}
	defer b.release()
	if ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ip != "" {
		// Behind a trusted proxy this is the client's address, not the proxy's:
		// failed logins count against it.
		client := *r
		client.RemoteAddr = net.JoinHostPort(ip, "0")
		r = &client
	}
	b.admin.ServeHTTP(w, r)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Admin)(nil)
	_ caddyhttp.MiddlewareHandler = (*Admin)(nil)
)
