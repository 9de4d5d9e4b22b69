package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
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
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
				panic(p)
			}
		}()
		return gate.ServeHTTP(flushCounting{rw, flushes}, r, proxy)
	})()
	return flushedAtOnce(seen), flushes.Load()
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
