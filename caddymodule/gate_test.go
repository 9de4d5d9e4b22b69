package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestSameServer: several gates may stand in front of one server, with the same
// rules, or without any where it answers only what is no endpoint.
func TestSameServer(t *testing.T) {
	const rule = "{\n tool query_* {\n table arguments.table\n }\n }"
	other := strings.ReplaceAll(rule, "query_*", "*")
	for _, test := range []struct{ first, second, refused string }{
		{"tallygate", "tallygate", ""},
		{"tallygate " + rule, "tallygate default " + rule, ""},
		{"tallygate a " + rule, "tallygate b", ""},
		{"tallygate " + rule, "tallygate", ""},
		{"tallygate a", "tallygate a " + rule, ""},
		{"tallygate " + rule, "tallygate " + other, `the server "default"`},
		{"tallygate a " + other, "tallygate a " + rule, `the server "a"`},
	} {
		text := ":8001 {\n" + test.first + "\n}\n:8002 {\n" + test.second + "\n}\n"
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var c caddy.Config
		if err := caddy.StrictUnmarshalJSON(config, &c); err != nil {
			t.Fatal(err)
		}
		err = caddy.Validate(&c)
		if (err == nil) != (test.refused == "") || err != nil && !strings.Contains(err.Error(), test.refused) {
			t.Errorf("%s\n%v, want an error with %q", text, err, test.refused)
		}
	}
}

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
