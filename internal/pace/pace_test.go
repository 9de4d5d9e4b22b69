package pace

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// TestCallsGoFirst has two ends of a connection answer each other beside work
// that takes seconds, on one processor: as often as they do so by themselves,
// but for the work's share. With runtime.Gosched in place of Rest they come to
// a thousandth.
func TestCallsGoFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rounds := func() (n int) {
		var b [1]byte
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); n++ {
			if _, err := c.Write(b[:]); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, b[:]); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}

	alone := rounds()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var w Worker
		for {
			select {
			case <-stop:
				return
			default:
				spin(50 * time.Microsecond)
				w.Rest()
			}
		}
	}()
	CallBegins()
	beside := rounds()
	CallEnds()
	close(stop)
	<-stopped
	if beside < alone/10 {
		t.Errorf("%d rounds beside the work, %d without it", beside, alone)
	}
}

// TestNobodyWaits: where no call is under way, work takes no rest.
func TestNobodyWaits(t *testing.T) {
	var w Worker
	begun := w
	for range 10 {
		spin(2 * slice)
		w.Rest()
	}
	if w != begun {
		t.Errorf("it rested, or was about to: %+v", w)
	}
}

func spin(d time.Duration) {
	begun := time.Now()
	for time.Since(begun) < d {
		runtime.KeepAlive(begun)
	}
}
