package commands

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestProxyFlags: what the flags of proxy stand for is a Caddyfile, or is refused
// with what to give instead.
func TestProxyFlags(t *testing.T) {
	good := Standalone{Upstream: "http://127.0.0.1:3001/mcp", Gate: ":8001", Admin: ":8000", Server: "default"}
	for name, change := range map[string]func(*Standalone){
		"":                                 func(*Standalone) {},
		"an address":                       func(s *Standalone) { s.Gate, s.Admin = "127.0.0.1:9001", "[::1]:9000" },
		"--to is missing":                  func(s *Standalone) { s.Upstream = "" },
		"--from: \"8001\" is no address":   func(s *Standalone) { s.Gate = "8001" },
		"--from: \":x\" is no address":     func(s *Standalone) { s.Gate = ":x" },
		"--admin: \"gate.example.com:80\"": func(s *Standalone) { s.Admin = "gate.example.com:80" },
		"--from: \"localhost}:1\" is no":   func(s *Standalone) { s.Gate = "localhost}:1" },
		"--name: ":                         func(s *Standalone) { s.Server = "a b {" },
	} {
		s := good
		change(&s)
		text, err := proxyCaddyfile(s)
		if !strings.HasPrefix(name, "-") {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, text)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLocalURL: a client on this machine gets an address that it can reach.
func TestLocalURL(t *testing.T) {
	for address, want := range map[string]string{
		":8001": "http://localhost:8001", "0.0.0.0:8001": "http://localhost:8001", "[::]:8001": "http://localhost:8001",
		"127.0.0.1:8001": "http://127.0.0.1:8001", "[::1]:8001": "http://[::1]:8001",
	} {
		if got := localURL(address); got != want {
			t.Errorf("%s is reached at %s, want %s", address, got, want)
		}
	}
}
