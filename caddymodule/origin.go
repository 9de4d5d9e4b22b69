package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// checkOrigins refuses what can never equal an Origin header, which is
// scheme://host[:port] (RFC 6454, section 6.2).
func checkOrigins(origins []string) error {
	for _, o := range origins {
		u, err := url.Parse(o)
		if o != "*" && (err != nil || u.Scheme == "" || u.Host == "" || o != strings.ToLower(u.Scheme+"://"+u.Host)) {
			return fmt.Errorf("allow_origin: %q is no origin: it is scheme://host[:port] in lower case, as in https://app.example.com, or *", o)
		}
	}
	return nil
}

// allows tells whether a request with these Origin headers may pass. MCP asks
// for this against pages that reach a server through a name of their own (DNS
// rebinding): their Origin equals their Host, so equality allows nothing.
func (g *Gate) allows(origins []string) bool {
	return len(origins) == 1 && (slices.Contains(g.AllowOrigin, origins[0]) || slices.Contains(g.AllowOrigin, "*"))
}

// exposeTo lets a page of an allowed origin read a response and the headers
// that MCP clients need. It replaces what the upstream says of the matter:
// browsers refuse two answers. Without an origin it does nothing.
func (g *Gate) exposeTo(h http.Header, origin string) {
	if origin == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, Retry-After")
	h.Del("Access-Control-Allow-Credentials")
	if !slices.Contains(h.Values("Vary"), "Origin") {
		h.Add("Vary", "Origin")
	}
}

// isPreflight tells whether a browser asks what a page may send (the Fetch
// standard, section 3.3.2). It carries no key.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// answerPreflight allows a page whatever headers it asks for: which of them
// mean anything is for the gate and the upstream to say.
func answerPreflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Access-Control-Max-Age", "7200") // the most that Chromium takes
	w.WriteHeader(http.StatusNoContent)
}
