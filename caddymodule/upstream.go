package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// defaultUpstream is where the stock server of the demo listens.
const defaultUpstream = "127.0.0.1:9001"

// keepalive is how long an idle connection to the upstream is kept. Servers close
// it after 2 (Gunicorn) or 5 seconds (Uvicorn, Node), and a call that is sent just
// then is lost, since nobody knows whether it ran.
const keepalive = time.Second

// upstream is where an MCP server is reached.
type upstream struct {
	dial string // as in a Caddy upstream
	host string // the header Host
	tls  bool
	path string // with its query; "" for the endpoint's
}

// parseUpstream reads what a server calls its own address: a URL, or host and port,
// perhaps with a path. No error repeats it, since its query may hold a secret.
func parseUpstream(address string) (upstream, error) {
	if strings.HasPrefix(address, "unix/") {
		return upstream{dial: address, host: "localhost"}, nil
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	port := map[string]string{"http": "80", "https": "443"}
	switch {
	case err != nil || u.Hostname() == "" || port[u.Scheme] == "":
		return upstream{}, errors.New("upstream: this is not an address, as in http://127.0.0.1:3001/mcp")
	case u.User != nil || u.Fragment != "":
		return upstream{}, errors.New("upstream: an address has no user, password or fragment; set headers with a reverse_proxy of your own")
	}
	up := upstream{dial: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port[u.Scheme])), host: u.Host, tls: u.Scheme == "https"}
	if up.path = u.RequestURI(); up.path == "/" {
		up.path = ""
	}
	return up, nil
}

// provisionProxy makes the proxy to the upstream, and returns the upstream's path.
func (g *Gate) provisionProxy(ctx caddy.Context) (path string, err error) {
	if g.UpstreamPath != "" {
		return "", errors.New("upstream_path: upstream names the path, too: give one of them")
	}
	up, err := parseUpstream(setting(g.Upstream, "TALLYGATE_UPSTREAM", defaultUpstream))
	if err != nil {
		return "", err
	}
	proxy, err := ctx.LoadModuleByID("http.handlers.reverse_proxy", caddyJSON(up.proxy()))
	if err != nil {
		return "", err
	}
	g.proxy = proxy.(caddyhttp.MiddlewareHandler)
	g.app.upstreams = append(g.app.upstreams, up.dial)
	return up.path, nil
}

// proxy returns the config of a proxy to the upstream.
func (up upstream) proxy() *reverseproxy.Handler {
	transport := reverseproxy.HTTPTransport{KeepAlive: &reverseproxy.KeepAlive{
		IdleConnTimeout: caddy.Duration(keepalive),
		// One for each caller at once: a call that has to connect first is slower.
		MaxIdleConnsPerHost: 1024,
	}}
	if up.tls {
		transport.TLS = new(reverseproxy.TLSConfig)
	}
	return &reverseproxy.Handler{
		TransportRaw: caddyJSON(struct {
			Protocol string `json:"protocol"`
			reverseproxy.HTTPTransport
		}{"http", transport}),
		Upstreams: reverseproxy.UpstreamPool{{Dial: up.dial}},
		// MCP servers on a loopback address refuse a foreign Host.
		Headers: &headers.Handler{Request: &headers.HeaderOps{Set: http.Header{"Host": {up.host}}}},
		// The header and the body of a call go upstream in one write.
		RequestBuffers: 64 << 10,
	}
}

// warnIfExposed warns of an MCP server on this machine that can be reached past the
// gate.
func warnIfExposed(ctx context.Context, dial string, log *slog.Logger) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return // nothing is known, and nothing is wrong with the gate
	}
	if address := exposedAt(ctx, dial, addresses); address != "" {
		log.Warn("the MCP server can be reached without the gate: let it listen on a loopback address only, or close its port to other machines", "address", address)
	}
}

// exposedAt returns the address, other than loopback, at which a server on a machine
// with these addresses answers, or "".
func exposedAt(ctx context.Context, dial string, machine []net.Addr) string {
	host, port, err := net.SplitHostPort(dial)
	if err != nil {
		return "" // a Unix socket
	}
	local := strings.EqualFold(host, "localhost")
	var outer []string
	for _, a := range machine {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := prefix.Addr().Unmap()
		local = local || ip.String() == host
		if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			outer = append(outer, net.JoinHostPort(ip.String(), port))
		}
	}
	dialer := net.Dialer{Timeout: time.Second}
	for _, address := range outer {
		if !local {
			break
		}
		if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			_ = conn.Close()
			return address
		}
	}
	return ""
}
