package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/identity"
)

// caddyProcess is a Caddy in this process with one site on a Unix socket.
type caddyProcess struct {
	client http.Client
	key    string
	load   func(site string)
}

// startCaddy runs a Caddy until the test ends.
func startCaddy(t *testing.T, site string) *caddyProcess {
	t.Helper()
	dir := t.TempDir()
	c := new(caddyProcess)
	// Each config has a socket of its own: on one that it takes over, the server of
	// the config before may answer for a moment.
	socket, loads := "", 0
	c.client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	c.load = func(site string) {
		t.Helper()
		loads++
		socket = fmt.Sprintf("%s/gate%d.sock", dir, loads)
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(strings.NewReplacer("DIR", dir, "SOCKET", socket, "SITE", site).Replace(`{
	admin off
	persist_config off
	grace_period 1h
	tallygate {
		store "sqlite:DIR/tallygate.db"
		ledger "sqlite:DIR/usage.db"
		journal "DIR/journal"
	}
}
http:// {
	bind unix/SOCKET
	SITE
}
`)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Load(adapted, true); err != nil {
			t.Fatal(err)
		}
	}
	c.load(site)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	user, err := identity.NewUser(t.Context(), "ann@example.com", "a long password", identity.Member)
	if err != nil {
		t.Fatal(err)
	}
	record, key, err := identity.KeyFormat{}.Issue(user.ID, identity.KeySpec{Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	authority := latest.Load().authority
	if err := authority.CreateUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if err := authority.CreateKey(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	c.key = key
	return c
}

// send sends a request with a key.
func (c *caddyProcess) send(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://gate.example.com"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.key)
	res, err := c.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// post sends a message with a key.
func (c *caddyProcess) post(t *testing.T, path, body string) (status int, answer string) {
	t.Helper()
	res := c.send(t, "POST", path, body) //nolint:bodyclose // the test closes it when it ends
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

const listMessage = `{"jsonrpc":"2.0","id":5,"method":"tools/list"}`

// TestProxied: a gate proxies to what the server calls its own address, and so does
// one with a reverse_proxy of the operator's, in the forms of earlier Caddyfiles
// too. The upstream here serves MCP at /mcp/ alone, and redirects to it by the Host
// that it is given.
func TestProxied(t *testing.T) {
	var host atomic.Value
	mcp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host.Store(r.Host)
		switch r.URL.Path {
		case "/mcp/":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":5,"result":{"tools":[]}}`)
		case "/mcp":
			http.Redirect(w, r, "http://"+r.Host+"/mcp/", http.StatusTemporaryRedirect)
		default:
			http.NotFound(w, r)
		}
	}))
	defer mcp.Close()
	address := mcp.Listener.Addr().String()
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	t.Setenv("TALLYGATE_UPSTREAM", mcp.URL+"/mcp")
	c := startCaddy(t, "tallygate {\n\t\tupstream {env.TALLYGATE_UPSTREAM}\n\t}")
	const good, unserved = `"result":{"tools":[]}`, "Nothing is served at this path: the MCP endpoint is "
	for i, site := range []struct {
		text string
		want map[string]string // what is in the answers, by path
	}{
		{"tallygate {\n\t\tupstream {env.TALLYGATE_UPSTREAM}\n\t}", map[string]string{"/messages": good, "/mcp": good, "/messages/": good, "/mcp/": good, "/sse": unserved + "/messages or /mcp"}},
		{"tallygate {\n\t\tupstream " + mcp.URL + "/mcp/\n\t}", map[string]string{"/messages": good, "/mcp": good}},
		{"tallygate {\n\t\tupstream " + address + "\n\t}", map[string]string{"/mcp": good, "/messages": "404 page not found"}},
		{"tallygate {\n\t\tendpoint /stock\n\t\tupstream_path /mcp\n\t}\n\treverse_proxy " + address, map[string]string{"/stock": good, "/stock/": good, "/mcp": unserved + "/stock"}},
		{"handle /mcp* {\n\t\ttallygate\n\t\treverse_proxy " + address + " {\n\t\t\theader_up Host {upstream_hostport}\n\t\t}\n\t}\n\thandle {\n\t\ttallygate\n\t\trespond 404\n\t}", map[string]string{"/mcp": good, "/mcp/": good, "/mcp-admin": unserved, "/other": unserved}},
		{"handle_path /stock/* {\n\t\ttallygate\n\t\treverse_proxy " + address + "\n\t}", map[string]string{"/stock/mcp": good, "/stock/x": unserved}},
		{"tallygate {\n\t\tupstream " + down.URL + "/mcp\n\t}", map[string]string{"/mcp": `{"jsonrpc":"2.0","id":5,"error":{"code":50203,"message":"The MCP server behind the gate cannot be reached; try again later"}}`}},
		{"tallygate", map[string]string{"/mcp": "There is no MCP server behind the gate"}},
	} {
		c.load(site.text)
		for path, want := range site.want {
			if status, answer := c.post(t, path, listMessage); !strings.Contains(answer, want) || (status == http.StatusOK) != (want == good) || strings.Contains(answer, address) {
				t.Errorf("site %d: %s is answered %d %s, want %s", i, path, status, answer, want)
			}
		}
		if got := host.Load(); i < 3 && got != address {
			t.Errorf("site %d: the upstream gets the Host %v, want its own, %s", i, got, address)
		}
	}
}

// TestKeepalive: the gate has given up an idle connection before the upstream may
// close it, which is 2 seconds with Gunicorn.
func TestKeepalive(t *testing.T) {
	up, err := gate.ParseUpstream("https://mcp.example.com/mcp")
	if err != nil {
		t.Fatal(err)
	}
	var transport reverseproxy.HTTPTransport
	if err := json.Unmarshal(proxyTo(up).TransportRaw, &transport); err != nil {
		t.Fatal(err)
	}
	if idle := time.Duration(transport.KeepAlive.IdleConnTimeout); idle <= 0 || idle >= 2*time.Second {
		t.Errorf("idle connections are kept for %v", idle)
	}
	if !transport.TLSEnabled() {
		t.Error("an upstream of https is spoken to without TLS")
	}
}

// TestStreamsEndWithTheirConfig: a stream that waits for nothing does not delay the
// end of its config, of which there is one with each reload and stop.
func TestStreamsEndWithTheirConfig(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": hello\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer upstream.Close()
	site := fmt.Sprintf("tallygate {\n\t\tupstream %s/mcp\n\t}", upstream.URL)
	c := startCaddy(t, site)
	stream := c.send(t, "GET", "/mcp", "").Body //nolint:bodyclose // the test closes it when it ends
	if _, err := io.ReadFull(stream, make([]byte, len(": hello\n\n"))); err != nil {
		t.Fatal(err)
	}
	c.load(site + "\n\theader X-Config second")
	// With the config's grace period of an hour, this would not return.
	if rest, _ := io.ReadAll(stream); len(rest) > 0 {
		t.Errorf("the stream goes on with %q", rest)
	}
}
