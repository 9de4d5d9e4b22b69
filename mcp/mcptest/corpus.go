// Package mcptest has hostile requests to MCP servers: bodies and framings that
// decoders, servers and proxies disagree about.
package mcptest

import (
	"fmt"
	"slices"
	"strings"
)

// Attack is one request of the corpus. Each tries to have an upstream run
// something that the gate did not see, or saw as something else.
type Attack struct {
	Section string // of the corpus; its Why tells what the attack is there for
	Name    string
	Verb    string   // HTTP method
	Target  string   // of the request line
	Headers []string // "Name: value"
	Body    []byte
	How     Wire

	// Raw is the bytes on the connection instead of all that, where framing is
	// the point. {first} and {last} stand for headers that every request has;
	// {last} closes the connection.
	Raw string
}

// String is the attack for a person, and enough to send it by hand.
func (a Attack) String() string {
	if a.Raw != "" {
		return fmt.Sprintf("%s: %s\n%.2000q", a.Section, a.Name, a.Raw)
	}
	return fmt.Sprintf("%s: %s\n%s %s %q (wire %d)\n%.2000q", a.Section, a.Name, a.Verb, a.Target, a.Headers, a.How, a.Body)
}

// Wire is how a body goes over the connection.
type Wire int

// The ways in which a body goes over the connection.
const (
	Plain      Wire = iota // HTTP/1.1 with a Content-Length
	Chunked                // in chunks of seven bytes
	OneByte                // in chunks of one byte
	Expecting              // after Expect: 100-continue
	HTTP2                  // HTTP/2 without TLS, where the server has it
	StreamOpen             // the answer may never end
)

// WantsJSON is what an honest client sends with every POST.
var WantsJSON = []string{"Content-Type: application/json", Accepts}

// Accepts is the Accept header of an honest client.
const Accepts = "Accept: application/json, text/event-stream"

// Corpus is attacks, section by section.
type Corpus struct {
	Sections []Section
	Attacks  []Attack
}

// Section is attacks of one kind.
type Section struct {
	Name string
	Why  string // what decoders or servers disagree about
}

// NewCorpus is all attacks, always the same.
func NewCorpus() *Corpus {
	c := new(Corpus)
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

// begin begins a section.
func (c *Corpus) begin(name, why string) {
	c.Sections = append(c.Sections, Section{name, why})
}

// add adds a body, sent as an honest client would.
func (c *Corpus) add(name, body string) { c.with(name, body, WantsJSON...) }

// with adds a body with these headers and no others.
func (c *Corpus) with(name, body string, headers ...string) {
	c.put(Attack{Name: name, Verb: "POST", Headers: headers, Body: []byte(body)})
}

// and adds a body with headers beside those of an honest client.
func (c *Corpus) and(name, body string, headers ...string) {
	c.with(name, body, append(slices.Clone(WantsJSON), headers...)...)
}

// put adds an attack to the section that was begun last.
func (c *Corpus) put(a Attack) {
	a.Section = c.Sections[len(c.Sections)-1].Name
	if a.Target == "" {
		a.Target = "/messages"
	}
	c.Attacks = append(c.Attacks, a)
}

// raw adds a connection's bytes.
func (c *Corpus) raw(name string, parts ...string) {
	c.put(Attack{Name: name, Raw: strings.Join(parts, "")})
}

// message is a JSON-RPC request with these members beside its version and id.
func message(members ...string) string {
	return `{"jsonrpc":"2.0","id":1,` + strings.Join(members, ",") + `}`
}

const (
	// bothParams suit a call and an initialize alike.
	bothParams = `"params":{"name":"count","arguments":{},"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`
	callParams = `"params":{"name":"count","arguments":{}}`
	otherCall  = `{"jsonrpc":"2.0","id":2,"method":"tools/call",` + callParams + `}`
)

// Messages that hide nothing. The params of Initialize are those of a call of
// the tool count too, for what takes it for one.
const (
	Call        = `{"jsonrpc":"2.0","id":1,"method":"tools/call",` + callParams + `}`
	Ping        = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	Initialize  = `{"jsonrpc":"2.0","id":1,"method":"initialize",` + bothParams + `}`
	Initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
)

// escaped writes a character as a JSON escape.
func escaped(char rune) string { return fmt.Sprintf(`\u%04x`, char) }

func allEscaped(s string) string {
	var b strings.Builder
	for _, char := range s {
		b.WriteString(escaped(char))
	}
	return b.String()
}
