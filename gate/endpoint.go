package gate

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tallygate/tallygate/mcp"
)

// DefaultEndpoints are the paths that a gate serves when its config names none.
var DefaultEndpoints = []string{"/messages", "/mcp"}

// endpoint is a path at which the gate serves its server, and where its requests
// go.
type endpoint struct {
	path      string     // without a slash at its end
	spellings [2]url.URL // of the upstream's path: as it was configured, and with or without a slash at its end
	uris      [2]string  // the same, as in a request line
	current   atomic.Uint32
}

// endpointPath matches what has one spelling only: a path of unreserved
// characters (RFC 3986, section 2.3) that no client escapes or cleans.
var endpointPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$`)

// CheckEndpoints returns an error for paths that cannot be endpoints.
func CheckEndpoints(paths []string) error {
	for _, p := range paths {
		switch {
		case p == "" || !endpointPath.MatchString(p):
			return fmt.Errorf("endpoint: %q is not a path of letters, digits, - . _ and ~, as in /mcp", p)
		case isDiscovery(p):
			return fmt.Errorf("endpoint: clients look for an authorization server at %s", p)
		}
	}
	return nil
}

// checkUpstreamPath returns an error for what is not the path of an upstream, with
// its query if it has one. "" stands for the path of the endpoint. The error does
// not repeat the path, whose query may hold a secret.
func checkUpstreamPath(path string) error {
	u, err := url.ParseRequestURI(path)
	if path != "" && (err != nil || path[0] != '/' || u.Fragment != "" || strings.Contains(path, "#")) {
		return errors.New("upstream_path: this is not a path, as in /mcp")
	}
	return nil
}

// newEndpoints returns the endpoints of a config, whose paths have been checked.
func newEndpoints(paths []string, upstreamPath string) []*endpoint {
	if len(paths) == 0 {
		paths = DefaultEndpoints
	}
	var all []*endpoint
	for _, p := range paths {
		e := &endpoint{path: strings.TrimSuffix(p, "/")}
		if slices.ContainsFunc(all, func(other *endpoint) bool { return other.path == e.path }) {
			continue
		}
		e.spellings[0] = url.URL{Path: p}
		if upstreamPath != "" {
			u, _ := url.ParseRequestURI(upstreamPath) // it has been checked
			e.spellings[0] = url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
		}
		e.spellings[1] = otherSpelling(e.spellings[0])
		e.uris = [2]string{e.spellings[0].RequestURI(), e.spellings[1].RequestURI()}
		all = append(all, e)
	}
	return all
}

// otherSpelling returns a URL with a slash at the end of its path removed or added.
func otherSpelling(u url.URL) url.URL {
	if u.Path == "/" {
		return u
	}
	change := func(s string) string {
		if short, ok := strings.CutSuffix(s, "/"); ok {
			return short
		}
		return s + "/"
	}
	u.Path = change(u.Path)
	if u.RawPath != "" {
		u.RawPath = change(u.RawPath)
	}
	return u
}

// findEndpoint returns the endpoint that a request is for: its path is the
// endpoint's, byte for byte, or that and a slash. A path that is escaped or that
// some server would clean is no endpoint's, so it cannot mean one thing here and
// another behind the gate.
func (g *Gate) findEndpoint(r *http.Request) (*endpoint, *refusal) {
	path := r.URL.Path
	if r.URL.RawPath == "" && path != "" {
		path = strings.TrimSuffix(path, "/")
		for _, e := range g.endpoints {
			if e.path != path {
				continue
			}
			if r.URL.RawQuery != "" {
				return nil, &refusal{status: http.StatusBadRequest, reason: reasonPath, code: mcp.CodeInvalidRequest,
					message: "The endpoint takes no query: leave out the ? and what follows it; the transport is streamable HTTP, not the older HTTP+SSE"}
			}
			return e, nil
		}
	}
	return nil, &refusal{status: http.StatusNotFound, reason: reasonPath, code: codePath, message: g.notServed}
}

// notServedMessage says which paths are served.
func notServedMessage(endpoints []*endpoint) string {
	var served []string
	for _, e := range endpoints {
		served = append(served, e.path)
		if e.path == "" {
			served[len(served)-1] = "/"
		}
	}
	list := served[0]
	if last := len(served) - 1; last > 0 {
		list = strings.Join(served[:last], ", ") + " or " + served[last]
	}
	return "Nothing is served at this path: the MCP endpoint is " + list + ", with the transport streamable HTTP"
}

// address sends a request to the upstream's path. Nothing of the client's own URL
// is left in it.
func (e *endpoint) address(r *http.Request) {
	i := e.current.Load()
	u := e.spellings[i] // a copy: what follows may change it
	r.URL, r.RequestURI = &u, e.uris[i]
}

// follow takes in that the upstream redirects a request to a location. It returns
// true where that is the other spelling of the upstream's path, which is used from
// then on. The host is not compared: it is what the upstream takes for its own.
func (e *endpoint) follow(r *http.Request, location string) bool {
	u, err := r.URL.Parse(location)
	if err != nil {
		return false
	}
	for i := range e.spellings {
		s := &e.spellings[i]
		if s.Path != r.URL.Path && u.EscapedPath() == s.EscapedPath() && (u.RawQuery == "" || u.RawQuery == s.RawQuery) {
			e.current.Store(uint32(i))
			return true
		}
	}
	return false
}
