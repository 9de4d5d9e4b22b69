package gate_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/gate"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity/authn"
)

// pipes is a net.Listener whose connections are in memory, so that their
// deadlines are on the clock of a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (*pipes) Addr() net.Addr   { return &net.UnixAddr{Name: "memory"} }
func (p *pipes) dial() net.Conn { c, s := net.Pipe(); p.conns <- s; return c }

// oneLiveKey is an Authenticator to which the key "live" belongs to a user.
type oneLiveKey struct{ stubAuthenticator }

func (oneLiveKey) Authenticate(_ context.Context, presented string, _ netip.Addr) (*authn.Principal, *authn.Denial, error) {
	if presented != "live" {
		return nil, &authn.Denial{Reason: authn.Unknown}, nil
	}
	return &authn.Principal{UserID: "ann", KeyID: "k"}, nil, nil
}

// pipedSite is a gate whose clients come through pipes, from the address in
// X-From. What passes is answered 200.
func pipedSite(t *testing.T) (*pipes, *gate.CallRegistry) {
	t.Helper()
	calls, err := gate.NewCallRegistry(new(gatetest.Journal), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	backend := &gate.Backend{Authenticator: oneLiveKey{}, Calls: calls}
	g, err := gate.New(gate.Config{
		Backend:  func(context.Context) *gate.Backend { return backend },
		ClientIP: func(r *http.Request) string { return r.Header.Get("X-From") },
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = g.ServeHTTP(w, r, func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.Copy(w, r.Body)
			return err
		})
	})}
	go s.Serve(l) //nolint:errcheck // ErrServerClosed
	t.Cleanup(func() {
		_ = s.Close()
		calls.Close()
		synctest.Wait()
	})
	return l, calls
}

// halfOpen sends the head of a request and the first bytes of its body, which is
// a public message.
func (p *pipes) halfOpen(t *testing.T, from string, headers ...string) (c net.Conn, rest string) {
	t.Helper()
	return p.halfOpenTo(t, "/messages", from, headers...)
}

func (p *pipes) halfOpenTo(t *testing.T, path, from string, headers ...string) (c net.Conn, rest string) {
	t.Helper()
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	c = p.dial()
	t.Cleanup(func() { _ = c.Close() })
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-From: %s\r\n%s\r\n", path, len(ping), from, strings.Join(append(headers, ""), "\r\n"))
	if _, err := io.WriteString(c, head+ping[:5]); err != nil {
		t.Fatal(err)
	}
	return c, ping[5:]
}

// response reads a response, and returns its status and how long it took to come.
func response(t *testing.T, c net.Conn) (status int, body string, after time.Duration) {
	t.Helper()
	began := time.Now()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("after %v: %v", time.Since(began), err)
	}
	after = time.Since(began)
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res.StatusCode, string(b), after
}

// TestHalfOpenBody: without a live key a body has 10 s; with one it may take its
// time. What is refused before its body is read is answered within a second.
func TestHalfOpenBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, calls := pipedSite(t)
		for _, headers := range [][]string{nil, {"Authorization: Bearer dead"}} {
			c, _ := l.halfOpen(t, "192.0.2.1", headers...)
			status, body, after := response(t, c)
			if status != http.StatusRequestTimeout || after != 10*time.Second || !strings.HasPrefix(body, `{"jsonrpc":"2.0","id":null,"error":{"code":40801,`) {
				t.Errorf("%q: %d after %v: %s", headers, status, after, body)
			}
			if n, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("%q: the connection stays open: %d", headers, n)
			}
		}
		// A trickle does not prolong it.
		trickle, rest := l.halfOpen(t, "192.0.2.1")
		go func() {
			for i := range rest {
				time.Sleep(time.Second)
				if _, err := io.WriteString(trickle, rest[i:i+1]); err != nil {
					return
				}
			}
		}()
		if status, _, after := response(t, trickle); status != http.StatusRequestTimeout || after != 10*time.Second {
			t.Errorf("a trickle: %d after %v", status, after)
		}
		if n := calls.Counters().Counts().Refusals[gate.DefaultServer]["timeout"]; n != 3 {
			t.Errorf("%d timeouts are counted", n)
		}

		for what, headers := range map[string][]string{"origin": {"Origin: https://evil.example"}, "media type": {"Content-Encoding: gzip"}} {
			c, _ := l.halfOpen(t, "192.0.2.1", headers...)
			if status, body, after := response(t, c); status < 400 || after > time.Second {
				t.Errorf("%s: %d after %v: %s", what, status, after, body)
			}
		}

		register, _ := l.halfOpenTo(t, "/register", "192.0.2.1")
		if status, _, after := response(t, register); status != http.StatusNotFound || after > time.Second {
			t.Errorf("/register: %d after %v", status, after)
		}

		// The time ends with the body, and does not begin with a live key.
		for _, headers := range [][]string{{"Authorization: Bearer live"}, nil} {
			c, rest := l.halfOpen(t, "192.0.2.1", headers...)
			time.Sleep(9 * time.Second)
			if headers != nil {
				time.Sleep(time.Minute)
			}
			if _, err := io.WriteString(c, rest); err != nil {
				t.Fatal(err)
			}
			if status, body, _ := response(t, c); status != http.StatusOK {
				t.Errorf("%q: %d %s", headers, status, body)
			}
		}
	})
}

// TestKeylessFlood: of the bodies without a live key, a client may have so many
// under way at a time, and all clients together so many. That concerns nobody with
// a live key, and ends with the flood.
func TestKeylessFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, calls := pipedSite(t)
		refused := func(from string) {
			t.Helper()
			c, _ := l.halfOpen(t, from)
			status, body, after := response(t, c)
			if status != http.StatusTooManyRequests || after != 0 || !strings.Contains(body, `"code":42902`) {
				t.Errorf("one body more from %s: %d after %v: %s", from, status, after, body)
			}
		}
		passes := func(from string, headers ...string) {
			t.Helper()
			c, rest := l.halfOpen(t, from, headers...)
			if _, err := io.WriteString(c, rest); err != nil {
				t.Fatal(err)
			}
			if status, body, _ := response(t, c); status != http.StatusOK {
				t.Errorf("from %s, %q: %d %s", from, headers, status, body)
			}
		}
		for i := range 64 {
			l.halfOpen(t, "192.0.2.1")
			l.halfOpen(t, fmt.Sprintf("2001:db8::%x", i+1))
		}
		synctest.Wait()
		refused("192.0.2.1")
		refused("2001:db8::ffff:1")
		passes("192.0.2.2")
		passes("2001:db8:0:1::1")
		passes("192.0.2.1", "X-API-Key: live")
		for i := range 1024 - 2*64 {
			l.halfOpen(t, fmt.Sprintf("198.51.%d.%d", i/256, i%256))
		}
		synctest.Wait()
		refused("192.0.2.2")
		refused("") // of an unknown address
		passes("192.0.2.2", "Authorization: Bearer live")
		passes("192.0.2.1", "Authorization: Bearer live")
		if n := calls.Counters().Counts().Refusals[gate.DefaultServer]["busy"]; n != 4 {
			t.Errorf("%d refusals are counted", n)
		}
		time.Sleep(11 * time.Second)
		passes("192.0.2.1")
		passes("2001:db8::1")
		passes("")
	})
}

// growing is a body that comes in parts, and sees how much memory it is given.
type growing struct {
	rest   *bytes.Reader
	read   int
	excess int // the most memory that it was given beyond what had come
}

func (g *growing) Read(p []byte) (int, error) {
	g.excess = max(g.excess, len(p)-g.read)
	if g.rest.Len() == 0 {
		return 0, errors.New("the connection is broken")
	}
	n, err := g.rest.Read(p[:min(len(p), 10_000)])
	g.read += n
	return n, err
}

// TestBodyMemory: a body gets memory as it comes, whatever length it declares.
func TestBodyMemory(t *testing.T) {
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	key := s.key(t)
	whole := `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":"` + strings.Repeat("x", 3<<20) + `"}}`
	for _, c := range []struct {
		comes, declared int
		status          int
	}{
		{0, 4 << 20, 400}, {1, 4 << 20, 400}, {200_000, 4 << 20, 400}, {len(whole), len(whole), 200}, {len(whole), len(whole) + 1, 400},
	} {
		body := &growing{rest: bytes.NewReader([]byte(whole[:c.comes]))}
		r := httptest.NewRequest("POST", "/messages", io.NopCloser(body))
		r.ContentLength = int64(c.declared)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		if err := s.gate.ServeHTTP(w, r, s.forward); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || c.status == 200 && w.Body.String() != whole {
			t.Errorf("%d of %d bytes answer %d with %d bytes", c.comes, c.declared, w.Code, w.Body.Len())
		}
		if body.excess > 64<<10 {
			t.Errorf("%d of %d bytes: memory for %d bytes that had not come", c.comes, c.declared, body.excess)
		}
	}
}
