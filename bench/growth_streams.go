package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallygate/tallygate/internal/freeport"
)

// manyStreams is from how many on memory is theirs: of a few, it is what the
// heap happened to grow meanwhile.
const manyStreams = 1000

// growStreams opens more and more event streams through the gate and through
// bare Caddy: what memory each takes, and how calls fare beside them.
func growStreams(e *environment, quick bool) ([]curve, error) {
	sizes, p := []int{10, 1_000, 5_000, 20_000}, plan{cycles: 40, window: 200 * time.Millisecond, peers: 1}
	if quick {
		sizes, p = []int{1_000}, plan{cycles: 8, window: 100 * time.Millisecond, peers: 1}
	}
	sizes, err := asFilesAllow(sizes)
	if err != nil {
		return nil, err
	}
	kinds := []streamKind{
		{name: bareCaddy.name, start: startBareWithAdmin},
		{name: gateName + ", one key", start: startGateWithAdmin},
		{name: gateName + ", keys of their own", start: startGateWithAdmin, manyKeys: true},
	}
	each := make([]curve, len(kinds))
	more := make([]curve, len(kinds))
	rate := make([]curve, len(kinds))
	work := make([]curve, len(kinds))
	for k, kind := range kinds {
		each[k] = curve{Figure: "memory of a stream", Unit: "KiB", Series: kind.name}
		more[k] = curve{Figure: "memory of a stream as a ratio to bare Caddy", Series: kind.name}
		work[k] = curve{Figure: "CPU time of a call beside the streams as a ratio to without", Series: kind.name}
		rate[k] = curve{Figure: "calls/s beside the streams as a ratio to without", Series: kind.name}
	}
	for _, n := range sizes {
		store, err := e.fillStore(n)
		if err != nil {
			return nil, err
		}
		defer store.remove()
		var bare float64
		for k, kind := range kinds {
			f, err := e.besideStreams(kind, store, p)
			if err != nil {
				return nil, fmt.Errorf("%s, %d streams: %w", kind.name, n, err)
			}
			if k == 0 {
				bare = f.memory
			}
			if n >= manyStreams {
				each[k].Points = append(each[k].Points, once(f.memory/1024).at(n))
				more[k].Points = append(more[k].Points, once(f.memory/bare).at(n))
			}
			rate[k].Points = append(rate[k].Points, f.rate.at(n))
			work[k].Points = append(work[k].Points, f.work.at(n))
		}
	}
	var all []curve
	for _, c := range [][]curve{each, more[1:], rate, work} {
		all = append(all, c...)
	}
	for i := range all {
		all[i].Group, all[i].X = "streams", "open streams"
	}
	return all, nil
}

// streamKind is a gateway that streams are opened through.
type streamKind struct {
	name     string
	start    func(d deployment, admin int) (*service, error)
	manyKeys bool // each stream shows a key of its own
}

// streamsFound is what was found of a streamKind.
type streamsFound struct {
	memory float64  // of a stream, in bytes
	rate   estimate // calls/s beside the streams, to those without
	work   estimate // and the CPU time of a call, likewise
}

func startBareWithAdmin(d deployment, admin int) (*service, error) {
	return startCaddy(d, "caddy", withAdmin(bareConfig(d), admin))
}

func startGateWithAdmin(d deployment, admin int) (*service, error) {
	return startCaddy(d, "tallygate", withAdmin(gateConfig(d, sqliteLedger, ""), admin))
}

// withAdmin turns on the endpoint by which a Caddy collects its garbage.
func withAdmin(config string, port int) string {
	return strings.Replace(config, "admin off", fmt.Sprint("admin 127.0.0.1:", port), 1)
}

// streamed is a contender with streams, and its twin without.
type streamed struct {
	with, without contender
	streams       []net.Conn
	memory        float64
}

func (s *streamed) end() {
	for _, c := range s.streams {
		_ = c.Close()
	}
	for _, c := range []*contender{&s.with, &s.without} {
		if c.callers != nil {
			c.callers.close()
			c.service.end()
		}
	}
}

// besideStreams measures a kind with a stream for each key of a store.
func (e *environment) besideStreams(kind streamKind, store *filledStore, p plan) (found streamsFound, err error) {
	upstream, address, err := e.startUpstream("streams")
	if err != nil {
		return found, err
	}
	defer upstream.end()
	var s streamed
	defer s.end()
	if err := e.startStreamed(&s, kind, address, store, p); err != nil {
		return found, err
	}
	goRound([][]*contender{{&s.with}, {&s.without}}, p)
	if err := errors.Join(s.with.err, s.without.err, s.check()); err != nil {
		return found, err
	}
	return streamsFound{
		s.memory, s.with.ratio(s.without.sample), s.with.compared(s.without.sample, window.work),
	}, nil
}

// startStreamed starts the twins, and opens a stream for each key of the store
// through one of them.
func (e *environment) startStreamed(s *streamed, kind streamKind, upstream string, store *filledStore, p plan) error {
	var admin int
	g := gateway{name: kind.name, path: "/mcp", start: func(d deployment) (_ *service, err error) {
		if admin, err = freeport.Next(); err != nil {
			return nil, err
		}
		if kind.manyKeys {
			if err := store.copyTo(d.dir + "/data"); err != nil {
				return nil, err
			}
		}
		d.key = e.key
		return kind.start(d, admin)
	}}
	for _, c := range []*contender{&s.without, &s.with} {
		c.sample = &sample{gateway: g, windows: make([]window, p.cycles)}
		if err := e.start(c, upstream, scenario{small(), "streams", 16}); err != nil {
			return err
		}
	}
	s.with.service.resume()
	defer s.with.service.pause()
	before, err := settled(s.with.pids, admin)
	if err != nil {
		return err
	}
	bearer := func(i int) []byte {
		if kind.manyKeys {
			return store.bearer(i)
		}
		return []byte("Bearer " + e.key)
	}
	if s.streams, err = openStreams(s.with.callers.all[0].client.Addr, store.keys, bearer); err != nil {
		return err
	}
	after, err := settled(s.with.pids, admin)
	if err != nil {
		return err
	}
	s.memory = float64(after-before) / float64(len(s.streams))
	return nil
}

// check tells whether all streams are still open, and nothing more came.
func (s *streamed) check() error {
	s.with.service.resume()
	for i, c := range s.streams {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Microsecond))
		if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("stream %d of %d did not stay open: %d bytes, %w", i+1, len(s.streams), n, err)
		}
	}
	return nil
}

// settled is the memory in bytes when garbage has been collected and no more is
// given back.
func settled(pids []int, admin int) (int64, error) {
	for range 2 { // what is in a pool goes with the second collection
		res, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/heap?gc=1", admin))
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return 0, err
		}
		if res.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("collecting garbage by Caddy's admin endpoint: HTTP %d", res.StatusCode)
		}
	}
	least := memory(pids)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if now := memory(pids); now < least-least/200 {
			least, end = now, time.Now().Add(2*time.Second)
		}
	}
	return least, nil
}

// openStreams opens n streams, each having had an event when it returns.
func openStreams(address string, n int, bearer func(int) []byte) ([]net.Conn, error) {
	streams := make([]net.Conn, n)
	var opening errgroup.Group
	opening.SetLimit(64)
	for i := range n {
		opening.Go(func() (err error) {
			streams[i], err = openStream(address, bearer(i))
			return err
		})
	}
	if err := opening.Wait(); err != nil {
		for _, c := range streams {
			if c != nil {
				_ = c.Close()
			}
		}
		return nil, err
	}
	return streams, nil
}

func openStream(address string, bearer []byte) (_ net.Conn, err error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "GET /mcp HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nAccept: text/event-stream\r\nMcp-Protocol-Version: 2025-06-18\r\n\r\n", address, bearer); err != nil {
		return nil, err
	}
	var answer []byte
	for !bytes.Contains(answer, []byte(streamEvent)) {
		if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")[:min(13, len(answer))]) {
			return nil, fmt.Errorf("a stream was answered: %.300q", answer)
		}
		var piece [1024]byte
		n, err := c.Read(piece[:])
		answer = append(answer, piece[:n]...)
		if err != nil {
			return nil, fmt.Errorf("a stream ended with %w behind %.300q", err, answer)
		}
	}
	return c, c.SetDeadline(time.Time{})
}

// filesBeside is how many files a gateway has open beside two for each stream.
const filesBeside = 500

// asFilesAllow lets this process and those that it starts open as many files as
// so many streams take. Where it may not, it cuts the numbers down and says so.
func asFilesAllow(sizes []int) ([]int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	files := func(streams int) uint64 { return uint64(2*streams + filesBeside) }
	need := files(sizes[len(sizes)-1])
	if need <= limit.Cur {
		return sizes, nil
	}
	refused := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: need, Max: max(limit.Max, need)})
	if refused == nil {
		return sizes, nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit.Max, Max: limit.Max}); err != nil {
		return nil, err
	}
	most := (int(limit.Max) - filesBeside) / 2 / 100 * 100
	if most < 100 {
		return nil, fmt.Errorf("the hard limit of %d open files in a process is too low for streams, and cannot be raised (%w): run this after ulimit -Hn %d", limit.Max, refused, need)
	}
	fmt.Printf("%d streams take %d open files in the gateway; the hard limit of %d cannot be raised here (%v), so there are %d at most\n",
		sizes[len(sizes)-1], need, limit.Max, refused, most)
	fit := slices.DeleteFunc(slices.Clone(sizes), func(n int) bool { return n > most })
	return slices.Compact(append(fit, most)), nil
}
