package gate

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// IdentityHeaders are the names of the headers that tell the upstream who calls.
// An empty name sends nothing.
type IdentityHeaders struct {
	UserID string `json:"user_id,omitempty"`
	Email  string `json:"email,omitempty"`
	KeyID  string `json:"key_id,omitempty"`
}

// DefaultIdentityHeaders are the names where the operator gives none.
var DefaultIdentityHeaders = IdentityHeaders{UserID: "X-User-Id", Email: "X-User-Email", KeyID: "X-Key-Id"}

var (
	// headerName is what a header may be called. Names with an underscore or a dot
	// do not go upstream.
	headerName = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z-]*$`)

	// reservedHeader are the headers that HTTP, MCP, the gate or the proxy behind
	// it use for something else.
	reservedHeader = regexp.MustCompile(`(?i)^(Accept.*|Content-.*|Mcp-.*|Sec-.*|Proxy-.*|X-Forwarded-(For|Host|Proto)|` +
		`Authorization|X-Api-Key|Connection|Keep-Alive|Cookie|Host|Origin|Referer|Te|Trailer|Transfer-Encoding|Upgrade|Via|Last-Event-Id)$`)
)

// Check returns an error for a name that cannot be used.
func (h IdentityHeaders) Check() error {
	var seen []string
	for _, name := range h.names() {
		switch {
		case !headerName.MatchString(name):
			return fmt.Errorf("identity_headers: %q is not a name for a header: it has letters, digits and hyphens, as in X-User-Id", name)
		case reservedHeader.MatchString(name):
			return fmt.Errorf("identity_headers: the header %s has another use: choose another name, as in X-User-Id", name)
		case slices.ContainsFunc(seen, func(other string) bool { return strings.EqualFold(name, other) }):
			return fmt.Errorf("identity_headers: %s is given twice", name)
		}
		seen = append(seen, name)
	}
	return nil
}

// names returns the names that are set.
func (h IdentityHeaders) names() []string {
	return slices.DeleteFunc([]string{h.UserID, h.Email, h.KeyID}, func(name string) bool { return name == "" })
}

// tellIdentity tells the upstream who makes a request that needed a key. The
// client's own headers of these names never pass.
func (x *exchange) tellIdentity(h http.Header) {
	names := &x.gate.identityHeaders
	if *names == (IdentityHeaders{}) {
		return
	}
	var user, email, key string
	if p := x.principal; p != nil {
		user, email, key = p.UserID, p.UserEmail, p.KeyID
	}
	setHeader(h, names.UserID, user)
	setHeader(h, names.Email, email)
	setHeader(h, names.KeyID, key)
}

// setHeader replaces a header, or removes it where there is no value that can be
// sent: one with a control character would be refused by the proxy.
func setHeader(h http.Header, name, value string) {
	if name == "" {
		return
	}
	h.Del(name)
	if value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		h.Set(name, value)
	}
}
