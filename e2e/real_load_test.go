package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// TestLoad holds that strangers take nothing from live keys: while they open sessions,
// and while they hold connections on which a body never comes, a key's session goes
// on, a new session opens, and the admin API answers. Then all callers call at once.
//
// LOAD is the share, in percent, of 20,000 half-open bodies (or as many as this process
// may open files), 10,000 sessions and 1,000 callers: 5 by default, and 100 in
// `make soak`.
func TestLoad(t *testing.T) {
	share := 5
	if v := os.Getenv("LOAD"); v != "" {
		var err error
		if share, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	bodies, sessions, callers := 200*share, 100*share, 10*share
	s := startSiteAt(t, startSDKUpstream(t, sdk.StreamableHTTPOptions{}).address)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	bodies = min(bodies, s.limitFiles(t)-2*callers-500) // each takes a file of this process

	owner := openSession(t, s, key)
	calls := 0
	check := func(while string) {
		t.Helper()
		began := time.Now()
		for _, session := range []string{owner, openSession(t, s, key)} {
			if err := callOnce(t.Context(), s, key, session); err != nil {
				t.Errorf("%s: %v", while, err)
			}
			calls++
		}
		s.login(t)
		do(t, "GET", s.admin+"/api/mcp-keys/list", "", jwt).json(t)
		t.Logf("%s: two calls and the admin API took %v; the gate has %d MiB", while, time.Since(began).Round(time.Millisecond), s.residentMiB(t))
	}
	check("alone")

	strangers := inParallel(sessions, func(int) error {
		res, err := http.DefaultClient.Do(s.initialize(t.Context(), ""))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("initialize without a key: %s", res.Status)
		}
		return nil
	})
	check("while strangers open sessions")
	if err := strangers.Wait(); err != nil {
		t.Error(err)
	}
	check(fmt.Sprintf("after %d sessions of strangers", sessions))

	opened := make(chan net.Conn, bodies)
	half := inParallel(bodies, func(i int) error {
		// 60 from an address: fewer than one address may have.
		from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(i/60>>8), byte(i/60))}
		c, err := (&net.Dialer{LocalAddr: from, Timeout: 20 * time.Second}).Dial("tcp", hostOf(s.gate))
		if err != nil {
			return err
		}
		opened <- c
		_, err = io.WriteString(c, "POST /messages HTTP/1.1\r\nHost: gate\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
		return err
	})
	check("while half-open bodies come")
	if err := half.Wait(); err != nil {
		t.Error(err)
	}
	check(fmt.Sprintf("with %d half-open bodies", len(opened)))
	close(opened)
	for c := range opened {
		_ = c.Close()
	}

	var ready atomic.Int32
	begin := make(chan struct{})
	var all errgroup.Group
	for range callers {
		all.Go(func() error {
			if int(ready.Add(1)) == callers {
				close(begin)
			}
			<-begin
			return callOnce(t.Context(), s, key, owner)
		})
	}
	if err := all.Wait(); err != nil {
		t.Errorf("%d callers at once: %v", callers, err)
	}
	calls += callers
	check(fmt.Sprintf("after %d callers at once", callers))
	s.awaitTotal(t, jwt, int64(calls), int64(calls))
}

// inParallel calls f n times, 100 at a time.
func inParallel(n int, f func(i int) error) *errgroup.Group {
	outer, inner := new(errgroup.Group), new(errgroup.Group)
	inner.SetLimit(100)
	outer.Go(func() error {
		for i := range n {
			inner.Go(func() error { return f(i) })
		}
		return inner.Wait()
	})
	return outer
}

// initialize returns a request that opens a session.
func (s *site) initialize(ctx context.Context, key string) *http.Request {
	req := s.keyedPost(ctx, key, initializeBody)
	if key == "" {
		req.Header.Del("Authorization")
	}
	return req
}

// openSession opens a session with a key, and returns its id.
func openSession(tb testing.TB, s *site, key string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	res, err := http.DefaultClient.Do(s.initialize(ctx, key))
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	id := res.Header.Get("Mcp-Session-Id")
	if id == "" {
		tb.Fatalf("initialize: %s", res.Status)
	}
	return id
}

// lastID is the last id of a request, of which a session has each once.
var lastID atomic.Int64

// callOnce makes one call in a session, on a connection of its own.
func callOnce(ctx context.Context, s *site, key, session string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	const body = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"t","limit":3}}}`
	req := s.keyedPost(ctx, key, fmt.Sprintf(body, lastID.Add(1)))
	req.Header.Set("Mcp-Session-Id", session)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !strings.Contains(string(text), `"rows":[0,0,0]`) {
		return fmt.Errorf("a call is answered %s %s", res.Status, text)
	}
	return nil
}

// filesOfGate is how many files the gate may open in TestLoad, as under many a
// service manager.
const filesOfGate = 4096

// limitFiles lets the site's process open no more than filesOfGate, and returns how
// many this process may.
func (s *site) limitFiles(tb testing.TB) int {
	tb.Helper()
	limit := unix.Rlimit{Cur: filesOfGate, Max: filesOfGate}
	var own unix.Rlimit
	if err := errors.Join(
		unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil),
		unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &own),
	); err != nil {
		tb.Fatal(err)
	}
	return int(min(own.Cur, 1<<20))
}

// residentMiB returns the memory of the site's process.
func (s *site) residentMiB(tb testing.TB) int {
	tb.Helper()
	text := readFile(tb, fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	pages, err := strconv.Atoi(strings.Fields(text)[1])
	if err != nil {
		tb.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}
