package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	gocmp "github.com/google/go-cmp/cmp"
)

// piece is written to a response at once, and flushed.
type piece struct {
	text    string
	flushed bool // at once, and not put off
}

// TestFlushes holds that each piece is flushed at once with which the client can
// do something, and no other.
func TestFlushes(t *testing.T) {
	w := newBenchWorld(t)
	long := strings.Repeat("a", 20<<10)
	const begin, end = `{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"`, `"}]}}`
	event := "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n"
	for media, pieces := range map[string][]piece{
		"text/event-stream": {
			{": hello\n", false}, {"\n", true}, {"data: " + begin, false}, {"short", false}, {long, false},
			{end + "\n\n" + long + "\n", true}, {"\n", true}, {event, true},
		},
		"text/event-stream; charset=utf-8": {
			{event + "data: " + begin + long, true}, {long, false}, {"\r" + "data: " + long, false}, {long, false},
			{long + end, false}, // the answer, but for the end of its event
			{"\n\n" + long, true}, {long, true},
		},
		"application/json": {{begin, false}, {long, false}, {"\n" + long + "\n", false}, {end, true}, {"\n", true}},
	} {
		t.Run(media, func(t *testing.T) {
			calmly(t, func() string {
				w.gate(t).endsPromptly.Store(false)
				if got, _ := w.flushes(t, media, pieces, nil); got != flushedAtOnce(pieces) {
					return "flushed " + got + ", want " + flushedAtOnce(pieces)
				}
				return ""
			})
		})
	}
}

// TestLateFlush holds that what answers a call waits for the end of its response
// only where that came at once the last time, and never long.
func TestLateFlush(t *testing.T) {
	w := newBenchWorld(t)
	const notification = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n"
	flushed := func(_ http.ResponseWriter, flushes *atomic.Int64) {
		for i := 0; i < 10_000 && flushes.Load() == 0; i++ {
			time.Sleep(time.Millisecond)
		}
	}
	const answered = "data: {\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{}}\n\n"
	for _, c := range []struct {
		what   string
		likely bool // the end came at once
		pieces []piece
		end    func(rw http.ResponseWriter, flushes *atomic.Int64)
		late   int64 // flushes behind the pieces'
		learnt bool  // the end comes at once
	}{
		{what: "the end comes at once, for the first time", pieces: []piece{{answered, true}}, learnt: true},
		{what: "the end comes at once", likely: true, pieces: []piece{{answered, false}}, learnt: true},
		{what: "a notification before does not wait", likely: true, pieces: []piece{{notification, true}, {answered, false}}, learnt: true},
		{what: "more comes behind", likely: true, pieces: []piece{{answered, false}, {notification, true}, {notification, true}}, learnt: true},
		{what: "the end comes late", likely: true, pieces: []piece{{answered, false}}, late: 1, end: flushed},
		{what: "the end comes late, as before", pieces: []piece{{answered, true}}, end: func(http.ResponseWriter, *atomic.Int64) {
			time.Sleep(2 * tooLate)
		}},
		{what: "the rest of an event comes late", pieces: []piece{{"data: {", false}}, late: 1, end: flushed},
		{what: "who asks twice means it", likely: true, pieces: []piece{{answered, false}}, late: 1, learnt: true, end: func(rw http.ResponseWriter, _ *atomic.Int64) {
			if err := http.NewResponseController(rw).Flush(); err != nil {
				t.Error(err)
			}
		}},
		{what: "the upstream breaks off behind its answer", likely: true, pieces: []piece{{answered, false}}, late: 1, learnt: true, end: func(http.ResponseWriter, *atomic.Int64) {
			panic(http.ErrAbortHandler)
		}},
		{what: "the upstream breaks off in the midst", pieces: []piece{{"data: {", false}}, late: 1, end: func(http.ResponseWriter, *atomic.Int64) {
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			calmly(t, func() string {
				likely := w.gate(t).endsPromptly
				likely.Store(c.likely)
				got, late := w.flushes(t, "text/event-stream", c.pieces, c.end)
				if want := flushedAtOnce(c.pieces); got != want || late != c.late || likely.Load() != c.learnt {
					return fmt.Sprintf("flushed %s and then %d times, the next end is likely to come at once: %v; want %s, %d, %v",
						got, late, likely.Load(), want, c.late, c.learnt)
				}
				return ""
			})
		})
	}
}

// TestFirstPiece holds that a small first piece that is only a part leaves with
// the next one, or late, and always before the response ends.
func TestFirstPiece(t *testing.T) {
	w := newBenchWorld(t)
	const begin, end = `{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"`, `"}]}}`
	most := begin + strings.Repeat("a", smallPiece-len(begin))
	long := strings.Repeat("b", usualPiece)
	for _, c := range []struct {
		what   string
		media  string
		pieces []string // written
		late   bool     // no piece comes before what is held has left
		fails  int      // at which byte of the response
		panics bool
		want   []string // what the client's side is given at once
	}{
		{what: "all at once", pieces: []string{begin + end}, want: []string{begin + end}},
		{what: "more comes", pieces: []string{begin, end}, want: []string{begin + end}},
		{what: "only the first", pieces: []string{begin, "c", "d", end}, want: []string{begin + "c", "d", end}},
		{what: "as much as is held", pieces: []string{most, long, end}, want: []string{most + long, end}},
		{what: "too large to be held", pieces: []string{most + "c", end}, want: []string{most + "c", end}},
		{what: "what comes is too large to be copied", pieces: []string{begin, long + long, end}, want: []string{begin, long + long, end}},
		{what: "an event", media: "text/event-stream", pieces: []string{"data: " + begin, end + "\n\n"}, want: []string{"data: " + begin + end + "\n\n"}},
		{what: "not read", media: "text/plain", pieces: []string{begin, end}, want: []string{begin, end}},
		{what: "more comes late", pieces: []string{begin, end}, late: true, want: []string{begin, end}},
		{what: "nothing more comes", pieces: []string{begin}, want: []string{begin}},
		{what: "the upstream breaks off", pieces: []string{begin}, panics: true, want: []string{begin}},
		{what: "the client has gone", pieces: []string{begin, end}, fails: 10, want: []string{begin + end}},
		{what: "the client goes in the second piece", pieces: []string{begin, end}, fails: len(begin) + 1, want: []string{begin + end}},
	} {
		t.Run(c.what, func(t *testing.T) {
			seen, miscounted := new(piecesSeen), ""
			proxy := caddyhttp.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) error {
				rw.Header().Set("Content-Type", cmp.Or(c.media, "application/json"))
				taken := 0
				for i, p := range c.pieces {
					n, err := io.WriteString(rw, p)
					taken += n
					switch {
					case errors.Is(err, errGone):
						if want := max(c.fails, len(c.pieces[0])); taken != want {
							miscounted = fmt.Sprintf("%d bytes are said to be written, want %d", taken, want)
						}
						return err
					case err != nil || n != len(p):
						t.Errorf("piece %d of %d bytes: %d written, %v", i, len(p), n, err)
					}
					for i := 0; c.late && i < 10_000 && len(seen.all()) == 0; i++ {
						time.Sleep(time.Millisecond)
					}
				}
				if c.fails > 0 {
					t.Error("who writes is not told that the client has gone")
				}
				if c.panics {
					panic(http.ErrAbortHandler)
				}
				return nil
			})
			gate := w.gate(t)
			b := benchCall{answer: answer{cmp.Or(c.media, "application/json"), nil}}
			calmly(t, func() string { // what is busy beside may have a piece that comes at once look late
				*seen, miscounted = piecesSeen{fails: c.fails}, ""
				b.through(t, w, func(rw http.ResponseWriter, r *http.Request) error {
					seen.ResponseWriter = rw
					_ = unlessAborted(func() error { return gate.ServeHTTP(seen, r, proxy) })
					return nil
				})()
				if diff := gocmp.Diff(c.want, seen.all()); diff != "" {
					return "written at once (-want +got):\n" + diff
				}
				return miscounted
			})
		})
	}
}

// piecesSeen notes what is written at once, and fails at a byte.
type piecesSeen struct {
	http.ResponseWriter
	mu     sync.Mutex
	pieces []string
	fails  int // 0: never
}

var errGone = errors.New("the client has gone")

func (s *piecesSeen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pieces = append(s.pieces, string(p))
	if s.fails > 0 {
		return s.fails, errGone
	}
	return len(p), nil
}

func (s *piecesSeen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pieces
}

// calmly tries a few times, since what is busy beside may have an end that comes
// at once look late, until try has nothing to say.
func calmly(t *testing.T, try func() string) {
	t.Helper()
	var why string
	for range 20 {
		if why = try(); why == "" {
			return
		}
	}
	t.Error(why)
}

// flushedAtOnce has an f for each piece that is flushed at once, and a - for
// each other.
func flushedAtOnce(pieces []piece) (s string) {
	for _, p := range pieces {
		s += map[bool]string{true: "f", false: "-"}[p.flushed]
	}
	return s
}

// flushes has an upstream answer a call in pieces, each of which it flushes, and
// end the response. It returns what was flushed at once, as flushedAtOnce would,
// and how often the response was flushed then.
func (w *benchWorld) flushes(t *testing.T, media string, pieces []piece, end func(http.ResponseWriter, *atomic.Int64)) (atOnce string, late int64) {
	t.Helper()
	flushes, seen := new(atomic.Int64), slices.Clone(pieces)
	proxy := caddyhttp.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) error {
		rw.Header().Set("Content-Type", media)
		for i, p := range seen {
			if _, err := io.WriteString(rw, p.text); err != nil {
				return err
			}
			flushes.Store(0)
			if err := http.NewResponseController(rw).Flush(); err != nil {
				return err
			}
			seen[i].flushed = flushes.Load() > 0
		}
		flushes.Store(0)
		if end != nil {
			end(rw, flushes)
		}
		return nil
	})
	var body strings.Builder
	for _, p := range pieces {
		body.WriteString(p.text)
	}
	gate := w.gate(t)
	c := benchCall{answer: answer{media, []byte(body.String())}}
	c.through(t, w, func(rw http.ResponseWriter, r *http.Request) error {
		return unlessAborted(func() error { return gate.ServeHTTP(flushCounting{rw, flushes}, r, proxy) })
	})()
	return flushedAtOnce(seen), flushes.Load()
}

// unlessAborted serves, and takes a response for served that is broken off.
func unlessAborted(serve func() error) error {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			panic(p)
		}
	}()
	return serve()
}

// flushCounting counts how often a response is flushed.
type flushCounting struct {
	http.ResponseWriter
	flushes *atomic.Int64
}

func (f flushCounting) FlushError() error {
	f.flushes.Add(1)
	return nil
}
