package e2e

import (
	"net"
	"sync/atomic"
	"testing"
)

// listener accepts and counts connections, and sends nothing.
type listener struct {
	address     string
	connections atomic.Int64
}

func listenAndCount(tb testing.TB) *listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	counter := &listener{address: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			counter.connections.Add(1)
			_ = c.Close()
		}
	}()
	return counter
}
