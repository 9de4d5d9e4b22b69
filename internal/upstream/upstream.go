// Package upstream reads the address of an MCP server, and finds out whether it is
// reachable from other machines.
package upstream

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

// Address is where an MCP server is reached.
type Address struct {
	Dial string // HOST:PORT, or unix/PATH, as in a Caddy upstream
	Host string // the header Host
	TLS  bool
	Path string // with its query; "": the server has the endpoint's
}

// Parse reads what a server calls its own address: a URL, or host and port,
// perhaps with a path. No error repeats it, since its query may hold a secret.
func Parse(address string) (Address, error) {
	if strings.HasPrefix(address, "unix/") {
		return Address{Dial: address, Host: "localhost"}, nil
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	port := map[string]string{"http": "80", "https": "443"}
	switch {
	case err != nil || u.Hostname() == "" || port[u.Scheme] == "":
		return Address{}, errors.New("upstream: this is not an address, as in http://127.0.0.1:3001/mcp")
	case u.User != nil || u.Fragment != "":
		return Address{}, errors.New("upstream: an address has no user, password or fragment; set headers with a reverse_proxy of your own")
	}
	up := Address{Dial: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port[u.Scheme])), Host: u.Host, TLS: u.Scheme == "https"}
	if up.Path = u.RequestURI(); up.Path == "/" {
		up.Path = ""
	}
	return up, nil
}

// ExposedAt returns the address, other than loopback, at which a server on a machine
// with these addresses answers, or "".
func ExposedAt(ctx context.Context, dial string, machine []net.Addr) string {
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
