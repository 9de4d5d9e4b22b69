package e2e

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// attack is one request of the corpus. Each tries to have an upstream run
// something that the gate did not see, or saw as something else.
type attack struct {
	section string // of the corpus; sections tells why it is there
	name    string
	verb    string   // HTTP method
	target  string   // of the request line
	headers []string // "Name: value"
	body    []byte
	how     wire

	// raw is the bytes on the connection instead of all that, where framing is
	// the point. {first} and {last} stand for headers that every request has;
	// {last} closes the connection.
	raw string
}

// wire is how a body goes over the connection.
type wire int

const (
	plain      wire = iota // HTTP/1.1 with a Content-Length
	chunked                // in chunks of seven bytes
	oneByte                // in chunks of one byte
	expecting              // after Expect: 100-continue
	http2                  // HTTP/2 without TLS, where the server has it
	streamOpen             // the answer may never end
)

// wantsJSON is what an honest client sends with every POST.
var wantsJSON = []string{"Content-Type: application/json", accepts}

const accepts = "Accept: application/json, text/event-stream"

// corpus collects attacks, section by section.
type corpus struct {
	section  string
	sections [][2]string // name, why
	attacks  []attack
}

// begin begins a section: why names what decoders or servers disagree about.
func (c *corpus) begin(name, why string) {
	c.section = name
	c.sections = append(c.sections, [2]string{name, why})
}

// add adds a body, sent as an honest client would.
func (c *corpus) add(name, body string) { c.with(name, body, wantsJSON...) }

// with adds a body with these headers and no others.
func (c *corpus) with(name, body string, headers ...string) {
	c.put(attack{name: name, verb: "POST", headers: headers, body: []byte(body)})
}

// and adds a body with headers beside those of an honest client.
func (c *corpus) and(name, body string, headers ...string) {
	c.with(name, body, append(slices.Clone(wantsJSON), headers...)...)
}

func (c *corpus) put(a attack) {
	a.section = c.section
	if a.target == "" {
		a.target = "/messages"
	}
	c.attacks = append(c.attacks, a)
}

// raw adds a connection's bytes.
func (c *corpus) raw(name string, parts ...string) {
	c.put(attack{name: name, raw: strings.Join(parts, "")})
}

// message is a JSON-RPC request with these members beside its version and id.
func message(members ...string) string {
	return `{"jsonrpc":"2.0","id":1,` + strings.Join(members, ",") + `}`
}

const (
	// params suit a call and an initialize alike.
	bothParams = `"params":{"name":"count","arguments":{},"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`

	callParams  = `"params":{"name":"count","arguments":{}}`
	call        = `{"jsonrpc":"2.0","id":1,"method":"tools/call",` + callParams + `}`
	otherCall   = `{"jsonrpc":"2.0","id":2,"method":"tools/call",` + callParams + `}`
	ping        = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	initialize  = `{"jsonrpc":"2.0","id":1,"method":"initialize",` + bothParams + `}`
)

// newCorpus is all attacks, always the same.
func newCorpus() *corpus {
	c := new(corpus)
	c.methods()
	c.names()
	c.params()
	c.shapes()
	c.batches()
	c.depthAndSize()
	c.syntax()
	c.text()
	c.encodings()
	c.contentTypes()
	c.revisions()
	c.wires()
	c.verbsAndPaths()
	c.headers()
	c.framing()
	return c
}

// escaped writes a character as a JSON escape.
func escaped(char rune) string { return fmt.Sprintf(`\u%04x`, char) }

func allEscaped(s string) string {
	var b strings.Builder
	for _, char := range s {
		b.WriteString(escaped(char))
	}
	return b.String()
}

// TestCorpus holds that the corpus can be told apart and cited.
func TestCorpus(t *testing.T) {
	c := newCorpus()
	seen := map[string]bool{}
	bodies := map[string]string{}
	for _, a := range c.attacks {
		id := a.section + ": " + a.name
		if seen[id] {
			t.Errorf("%q is there twice", id)
		}
		seen[id] = true
		content := fmt.Sprintf("%s %s %q %q %d %q", a.verb, a.target, a.headers, a.body, a.how, a.raw)
		if same := bodies[content]; same != "" {
			t.Errorf("%q is the same request as %q", id, same)
		}
		bodies[content] = id
	}
	if again := newCorpus(); !slices.EqualFunc(c.attacks, again.attacks, func(a, b attack) bool {
		return a.name == b.name && a.raw == b.raw && bytes.Equal(a.body, b.body)
	}) {
		t.Error("the corpus is another one each time")
	}
	for _, s := range c.sections {
		n := 0
		for _, a := range c.attacks {
			if a.section == s[0] {
				n++
			}
		}
		if n == 0 || s[1] == "" {
			t.Errorf("section %q has %d attacks and the reason %q", s[0], n, s[1])
		}
		t.Logf("%4d %s: %s", n, s[0], s[1])
	}
	t.Logf("%4d attacks", len(c.attacks))
}
