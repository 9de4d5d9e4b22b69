package gate

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Upstream is where an MCP server is reached.
type Upstream struct {
	Address string // Host:port, or unix/PATH
	Host    string // the header Host
	TLS     bool
	Path    string // with its query, for Config.UpstreamPath; "" for the endpoint's
}

// ParseUpstream reads what a server calls its own address: a URL, or host and port,
// perhaps with a path. No error repeats it, since its query may hold a secret.
func ParseUpstream(address string) (Upstream, error) {
	if strings.HasPrefix(address, "unix/") {
		return Upstream{Address: address, Host: "localhost"}, nil
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	port := map[string]string{"http": "80", "https": "443"}
	switch {
	case err != nil || u.Hostname() == "" || port[u.Scheme] == "":
		return Upstream{}, errors.New("upstream: this is not an address, as in http://127.0.0.1:3001/mcp")
	case u.User != nil || u.Fragment != "":
		return Upstream{}, errors.New("upstream: an address has no user, password or fragment; set headers with a reverse_proxy of your own")
	}
	up := Upstream{Address: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port[u.Scheme])), Host: u.Host, TLS: u.Scheme == "https"}
	if up.Path = u.RequestURI(); up.Path == "/" {
		up.Path = ""
	}
	return up, nil
}

// ExposedAt returns an address of this machine, other than loopback, at which the
// upstream answers, or "" where there is none or the upstream is elsewhere.
func (u Upstream) ExposedAt(ctx context.Context) string {
	machine, err := net.InterfaceAddrs()
	if err != nil {
		return "" // nothing is known
	}
	return u.exposedAt(ctx, machine)
}

// exposedAt is ExposedAt on a machine with these addresses.
func (u Upstream) exposedAt(ctx context.Context, machine []net.Addr) string {
	host, port, err := net.SplitHostPort(u.Address)
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
