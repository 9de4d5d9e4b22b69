package caddymodule

import (
	"net/http"
	"testing"
)

// TestRecordedFirst: when the last bytes of an answer go to the client, its
// event is in the journal.
func TestRecordedFirst(t *testing.T) {
	w := newBenchWorld(t)
	gate := w.gate(t)
	journal := w.backend.pipeline.journal
	for _, c := range benchCalls() {
		before := journal.Stats().Appended
		chunks, recorded := 0, int64(0)
		c.reading = func() {
			chunks++
			recorded = journal.Stats().Appended - before
		}
		proxy := &answering{answer: c.answer}
		c.through(t, w, func(rw http.ResponseWriter, r *http.Request) error { return gate.ServeHTTP(rw, r, proxy) })()
		if recorded != 1 || chunks < len(c.answer.body)>>15 {
			t.Errorf("%s: %d events when the last of %d chunks went out, want 1", c.name, recorded, chunks)
		}
	}
}
