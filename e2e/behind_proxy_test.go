package e2e

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestBehindProxy: with the shipped Caddyfile's lines for a proxy, a client is known
// by the address that the proxy saw, and cannot choose it: neither by a header of its
// own, which the proxy passes on, nor by going past the proxy. Without the lines, the
// gate warns.
func TestBehindProxy(t *testing.T) {
	s := startSite(t)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	call := func(from, forwarded, want string) {
		t.Helper()
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext}}
		req := s.keyedPost(t.Context(), key, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_basic","limit":1}}}`)
		req.Header.Set("X-Forwarded-For", forwarded)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		var got any
		s.await(t, "the call in the history", func() bool {
			items := do(t, "GET", s.admin+"/api/mcp-usage/history?page_size=1", "", jwt).json(t)["items"].([]any)
			if len(items) == 1 {
				got = items[0].(map[string]any)["remote_ip"]
			}
			return got == want
		})
	}
	call("127.0.0.1", "203.0.113.9", "127.0.0.1")
	s.await(t, "a warning", func() bool { return strings.Contains(s.output(), "that is not trusted") })

	s.rewrite(t, "# trusted_proxies static 10.0.0.0/8", "trusted_proxies static 127.0.0.1/32")
	s.rewrite(t, "# trusted_proxies_strict", "trusted_proxies_strict")
	call("127.0.0.1", "203.0.113.9, 192.0.2.7", "192.0.2.7")
	if strings.Contains(s.output(), "that is not trusted") {
		t.Error("the gate warns of a trusted proxy")
	}
	call("127.0.0.2", "203.0.113.9", "127.0.0.2")
}
