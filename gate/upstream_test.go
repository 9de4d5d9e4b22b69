package gate

import (
	"net"
	"strings"
	"testing"
)

// TestParseUpstream: what a server calls its own address says where it is dialed,
// and at which path.
func TestParseUpstream(t *testing.T) {
	for address, want := range map[string]Upstream{
		"127.0.0.1:3001":                   {Address: "127.0.0.1:3001", Host: "127.0.0.1:3001"},
		"http://127.0.0.1:3001":            {Address: "127.0.0.1:3001", Host: "127.0.0.1:3001"},
		"http://127.0.0.1:3001/":           {Address: "127.0.0.1:3001", Host: "127.0.0.1:3001"},
		"http://127.0.0.1:3001/mcp":        {Address: "127.0.0.1:3001", Host: "127.0.0.1:3001", Path: "/mcp"},
		"127.0.0.1:3001/mcp/":              {Address: "127.0.0.1:3001", Host: "127.0.0.1:3001", Path: "/mcp/"},
		"http://mcp.internal/a%2Fb?x=1":    {Address: "mcp.internal:80", Host: "mcp.internal", Path: "/a%2Fb?x=1"},
		"http://mcp.internal?x=1":          {Address: "mcp.internal:80", Host: "mcp.internal", Path: "/?x=1"},
		"https://mcp.example.com/mcp":      {Address: "mcp.example.com:443", Host: "mcp.example.com", TLS: true, Path: "/mcp"},
		"https://mcp.example.com:8443/mcp": {Address: "mcp.example.com:8443", Host: "mcp.example.com:8443", TLS: true, Path: "/mcp"},
		"http://[::1]:3001/mcp":            {Address: "[::1]:3001", Host: "[::1]:3001", Path: "/mcp"},
		"unix//run/mcp.sock":               {Address: "unix//run/mcp.sock", Host: "localhost"},
	} {
		if got, err := ParseUpstream(address); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v, want %+v", address, got, err, want)
		}
	}
	for _, address := range []string{
		"", "/mcp", "http:///mcp", "ftp://host/mcp", ":3001", "http://user:secret@host/mcp", "http://host/mcp#secret", "http://Host:secret/", "{env.secret}",
	} {
		if up, err := ParseUpstream(address); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q is read as %+v, %v", address, up, err)
		}
	}
}

// TestExposed: a server that listens on all addresses of this machine is exposed.
func TestExposed(t *testing.T) {
	for _, c := range []struct {
		listen, dial string
		warns        bool
	}{{"127.0.0.1:0", "127.0.0.1", false}, {"0.0.0.0:0", "127.0.0.1", true}, {"0.0.0.0:0", "localhost", true}, {"0.0.0.0:0", "192.0.2.1", false}} {
		l, err := net.Listen("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		own, err := net.InterfaceAddrs()
		if err != nil {
			t.Fatal(err)
		}
		exposed := Upstream{Address: net.JoinHostPort(c.dial, port)}.exposedAt(t.Context(), own)
		_ = l.Close()
		if (exposed != "") != (c.warns && machineHasAddress(own)) {
			t.Errorf("a server on %s, reached at %s, is exposed at %q", c.listen, c.dial, exposed)
		}
	}
}

// machineHasAddress reports whether the machine has another address than loopback.
func machineHasAddress(own []net.Addr) bool {
	for _, a := range own {
		if ip := a.(*net.IPNet).IP; !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}
