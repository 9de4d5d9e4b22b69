package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestRecordedFirst: before the last bytes of an answer go to the client, its
// event is in the journal.
func TestRecordedFirst(t *testing.T) {
	w := newBenchWorld(t)
	gate := w.gate(t)
	journal := w.backend.pipeline.journal
	for _, c := range benchCalls() {
		before := journal.Stats().Appended
		pieces, recorded := 0, int64(0)
		c.reading = func() {
			pieces++
			recorded = journal.Stats().Appended - before
		}
		proxy := &answering{answer: c.answer}
		c.through(t, w, func(rw http.ResponseWriter, r *http.Request) error { return gate.ServeHTTP(rw, r, proxy) })()
		if recorded != 1 || pieces < len(c.answer.body)>>15 {
			t.Errorf("%s: %d events when the last of %d pieces went out, want 1", c.name, recorded, pieces)
		}
	}
}

// TestFlushes holds that each piece is flushed of which the client can use
// something, and no large one of which it cannot.
func TestFlushes(t *testing.T) {
	w := newBenchWorld(t)
	gate := w.gate(t)
	long := strings.Repeat("a", 20<<10)
	const begin, end = `{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"`, `"}]}}`
	event := "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n"
	for media, pieces := range map[string][]struct {
		text    string
		flushed bool
	}{
		"text/event-stream": {
			{": hello\n", true}, {"data: " + begin, true}, {"short", true}, {long, false}, {long, false},
			{end + "\n\n" + long + "\n", true},
		},
		"text/event-stream; charset=utf-8": {
			{event + "data: " + begin + long, true}, {long, false}, {"\r" + "data: " + long, true}, {long, false},
			{long + end, true}, // the answer
			{"\n\n" + long, true}, {long, true},
		},
		"application/json": {{begin, true}, {long, false}, {"\n" + long + "\n", false}, {end, true}},
	} {
		var body, got, want strings.Builder
		proxy := caddyhttp.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) error {
			rw.Header().Set("Content-Type", media)
			for _, p := range pieces {
				if _, err := io.WriteString(rw, p.text); err != nil {
					return err
				}
				before := got.Len()
				if err := http.NewResponseController(rw).Flush(); err != nil {
					return err
				}
				if got.Len() == before {
					got.WriteString("-")
				}
			}
			return nil
		})
		for _, p := range pieces {
			body.WriteString(p.text)
			want.WriteString(map[bool]string{true: "f", false: "-"}[p.flushed])
		}
		c := benchCall{answer: answer{media, []byte(body.String())}}
		c.through(t, w, func(rw http.ResponseWriter, r *http.Request) error {
			return gate.ServeHTTP(flushNoting{rw, &got}, r, proxy)
		})()
		if got.String() != want.String() {
			t.Errorf("%s: flushed %s, want %s", media, &got, &want)
		}
	}
}

// flushNoting writes an f for each flush.
type flushNoting struct {
	http.ResponseWriter
	flushes *strings.Builder
}

func (f flushNoting) FlushError() error {
	_, err := f.flushes.WriteString("f")
	return err
}
