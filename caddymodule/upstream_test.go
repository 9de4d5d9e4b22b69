package caddymodule

import (
	"strings"
	"testing"
)

// TestParseUpstream: what a server calls its own address says where it is dialed,
// and at which path.
func TestParseUpstream(t *testing.T) {
	for address, want := range map[string]upstream{
		"127.0.0.1:3001":                   {dial: "127.0.0.1:3001", host: "127.0.0.1:3001"},
		"http://127.0.0.1:3001":            {dial: "127.0.0.1:3001", host: "127.0.0.1:3001"},
		"http://127.0.0.1:3001/":           {dial: "127.0.0.1:3001", host: "127.0.0.1:3001"},
		"http://127.0.0.1:3001/mcp":        {dial: "127.0.0.1:3001", host: "127.0.0.1:3001", path: "/mcp"},
		"127.0.0.1:3001/mcp/":              {dial: "127.0.0.1:3001", host: "127.0.0.1:3001", path: "/mcp/"},
		"http://mcp.internal/a%2Fb?x=1":    {dial: "mcp.internal:80", host: "mcp.internal", path: "/a%2Fb?x=1"},
		"http://mcp.internal?x=1":          {dial: "mcp.internal:80", host: "mcp.internal", path: "/?x=1"},
		"https://mcp.example.com/mcp":      {dial: "mcp.example.com:443", host: "mcp.example.com", tls: true, path: "/mcp"},
		"https://mcp.example.com:8443/mcp": {dial: "mcp.example.com:8443", host: "mcp.example.com:8443", tls: true, path: "/mcp"},
		"http://[::1]:3001/mcp":            {dial: "[::1]:3001", host: "[::1]:3001", path: "/mcp"},
		"unix//run/mcp.sock":               {dial: "unix//run/mcp.sock", host: "localhost"},
	} {
		if got, err := parseUpstream(address); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v, want %+v", address, got, err, want)
		}
	}
	for _, address := range []string{
		"", "/mcp", "http:///mcp", "ftp://host/mcp", ":3001", "http://user:secret@host/mcp", "http://host/mcp#secret", "http://host:secret/", "{env.secret}",
	} {
		if up, err := parseUpstream(address); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q is read as %+v, %v", address, up, err)
		}
	}
}
