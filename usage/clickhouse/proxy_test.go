package clickhouse_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands between a ledger and its server, and spoils their conversation.
type proxy struct {
	addr     string
	listener net.Listener
	target   string

	// limit is how many bytes of one connection may go to the server before
	// spoil is called, instead of their forwarding; 0 means all.
	limit atomic.Int64
	spoil func(*link)
	// delay is how long each 4 KiB, or less, take on their way to the server.
	delay atomic.Int64

	mu    sync.Mutex
	links map[*link]bool
	all   sync.WaitGroup
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	mute           atomic.Bool // the server's answers no longer reach the client
}

func (l *link) close() {
	_ = l.client.Close() // either may be closed already
	_ = l.server.Close()
}

// newProxy starts a proxy for the DSN's server, with TLS on the client's side
// when there is a config for it, and returns it and the DSN that goes through it.
func newProxy(t *testing.T, dsn string, config *tls.Config) (*proxy, *url.URL) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String(), listener: listener, target: u.Host, links: make(map[*link]bool)}
	if config != nil {
		p.listener = tls.NewListener(listener, config)
	}
	p.all.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.cut()
		p.all.Wait()
	})
	u.Host = p.addr
	return p, u
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server}
		p.mu.Lock()
		p.links[l] = true
		p.mu.Unlock()
		p.all.Go(func() {
			defer l.close()
			p.forward(l)
		})
		p.all.Go(func() {
			defer l.close()
			p.answer(l)
		})
	}
}

// forward copies what the client sends.
func (p *proxy) forward(l *link) {
	buf := make([]byte, 4096)
	var sent int64
	for {
		n, err := l.client.Read(buf)
		if err != nil {
			return
		}
		sent += int64(n)
		if limit := p.limit.Load(); limit > 0 && sent > limit {
			p.spoil(l)
		}
		if delay := p.delay.Load(); delay > 0 {
			<-time.After(time.Duration(delay))
		}
		if _, err := l.server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// answer copies what the server sends, until the link is mute: from then on it
// only listens.
func (p *proxy) answer(l *link) {
	buf := make([]byte, 4096)
	for {
		n, err := l.server.Read(buf)
		if err != nil {
			return
		}
		if l.mute.Load() {
			_, _ = io.Copy(io.Discard, l.server)
			return
		}
		if _, err := l.client.Write(buf[:n]); err != nil {
			return
		}
	}
}
