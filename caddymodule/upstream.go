package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/tallygate/tallygate/gate"
)

// defaultUpstream is where the stock server of the demo listens.
const defaultUpstream = "127.0.0.1:9001"

// keepalive is how long an idle connection to the upstream is kept. Servers close
// it after 2 (Gunicorn) or 5 seconds (Uvicorn, Node), and a call that is sent just
// then is lost, since nobody knows whether it ran.
const keepalive = time.Second

// provisionProxy makes the proxy to the upstream, and returns the upstream's path.
func (g *Gate) provisionProxy(ctx caddy.Context) (path string, err error) {
	if g.UpstreamPath != "" {
		return "", errors.New("upstream_path: upstream names the path, too: give one of them")
	}
	up, err := gate.ParseUpstream(setting(g.Upstream, "TALLYGATE_UPSTREAM", defaultUpstream))
	if err != nil {
		return "", err
	}
	proxy, err := ctx.LoadModuleByID("http.handlers.reverse_proxy", caddyJSON(proxyTo(up)))
	if err != nil {
		return "", err
	}
	g.proxy = proxy.(caddyhttp.MiddlewareHandler)
	g.app.upstreams = append(g.app.upstreams, up)
	return up.Path, nil
}

// proxyTo returns the config of a proxy to an upstream.
func proxyTo(up gate.Upstream) *reverseproxy.Handler {
	transport := reverseproxy.HTTPTransport{KeepAlive: &reverseproxy.KeepAlive{
		IdleConnTimeout: caddy.Duration(keepalive),
		// One for each caller at once: a call that has to connect first is slower.
		MaxIdleConnsPerHost: 1024,
	}}
	if up.TLS {
		transport.TLS = new(reverseproxy.TLSConfig)
	}
	return &reverseproxy.Handler{
		TransportRaw: caddyJSON(struct {
			Protocol string `json:"protocol"`
			reverseproxy.HTTPTransport
		}{"http", transport}),
		Upstreams: reverseproxy.UpstreamPool{{Dial: up.Address}},
		// MCP servers on a loopback address refuse a foreign Host.
		Headers: &headers.Handler{Request: &headers.HeaderOps{Set: http.Header{"Host": {up.Host}}}},
		// The header and the body of a call go upstream in one write.
		RequestBuffers: 64 << 10,
	}
}

// warnIfExposed warns of an MCP server on this machine that can be reached past the
// gate.
func warnIfExposed(ctx context.Context, up gate.Upstream, log *slog.Logger) {
	if address := up.ExposedAt(ctx); address != "" {
		log.Warn("the MCP server can be reached without the gate: let it listen on a loopback address only, or close its port to other machines", "address", address)
	}
}
