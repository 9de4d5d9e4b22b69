package gate

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// CheckOrigins returns an error for what can never equal an Origin header, which
// is scheme://host[:port] (RFC 6454, section 6.2), and is not "*".
func CheckOrigins(origins []string) error {
	for _, o := range origins {
		u, err := url.Parse(o)
		if o != "*" && (err != nil || u.Scheme == "" || u.Host == "" || o != strings.ToLower(u.Scheme+"://"+u.Host)) {
			return fmt.Errorf("allow_origin: %q is no origin: it is scheme://host[:port] in lower case, as in https://app.example.com, or *", o)
		}
	}
	return nil
}

// checkOrigin refuses a web page whose origin is not allowed, and lets a page of an
// allowed origin read what is answered. It is given the Origin headers and the Host.
func (x *exchange) checkOrigin(origins []string, host string) *refusal {
	if !x.gate.allows(origins) && !isLocal(origins, host) {
		return &refusal{status: http.StatusForbidden, reason: reasonOrigin, code: codeOrigin, message: "Origin not allowed"}
	}
	x.origin = origins[0]
	exposeTo(x.response.Header(), x.origin)
	return nil
}

// isLocal reports whether a page of this machine calls a gate under a name of this
// machine. That cannot be DNS rebinding, whose Host is the attacker's name.
func isLocal(origins []string, host string) bool {
	if len(origins) != 1 || !isLoopback(host) {
		return false
	}
	scheme, authority, ok := strings.Cut(origins[0], "://")
	return ok && (scheme == "http" || scheme == "https") && isLoopback(authority)
}

// isLoopback reports whether a host, with or without a port, is a loopback address
// or localhost.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// allows reports whether a request with these Origin headers may pass. MCP asks
// for this against pages that reach a server through a name of their own (DNS
// rebinding): their Origin equals their Host, so equality allows nothing.
func (g *Gate) allows(origins []string) bool {
	return len(origins) == 1 && (slices.Contains(g.allowOrigin, origins[0]) || slices.Contains(g.allowOrigin, "*"))
}

// exposeTo lets a page of an allowed origin read a response and the headers that
// MCP clients need. It replaces what the upstream says about it, since browsers
// refuse two answers.
func exposeTo(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After")
	h.Del("Access-Control-Allow-Credentials")
	if !slices.Contains(h.Values("Vary"), "Origin") {
		h.Add("Vary", "Origin")
	}
}

// isPreflight reports whether a browser asks what a page may send (the Fetch
// standard, section 3.3.2). Such a request carries no key.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// answerPreflight allows a page all headers that it asks for. The gate and the
// upstream decide which of them mean anything.
func answerPreflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", "7200") // the longest that Chromium accepts
	w.WriteHeader(http.StatusNoContent)
}
