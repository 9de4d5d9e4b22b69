package gate

import (
	"fmt"
	"net/http"
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
// allowed origin read what is answered. It is given the Origin headers.
func (x *exchange) checkOrigin(origins []string) *refusal {
	if !x.gate.allows(origins) {
		return &refusal{status: http.StatusForbidden, reason: reasonOrigin, code: codeOrigin, message: "Origin not allowed"}
	}
	x.origin = origins[0]
	exposeTo(x.response.Header(), x.origin)
	return nil
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
