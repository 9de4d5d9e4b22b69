package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/tallygate/tallygate/mcp/mcptest"
)

// The ways in which each attack is sent to each upstream.
const (
	straight = "straight" // past the gate
	keyless  = "keyless"  // through the gate, in a session that was opened without a key
	revoked  = "revoked"  // through the gate with a revoked key, in a session that was opened past it
	live     = "live"     // through the gate with a live key
)

// TestNothingSlipsThrough sends every attack of the corpus to every real
// upstream, directly and through the gate. What an upstream runs directly shows that
// an attack is effective. Through the gate it runs only public methods without a
// live key. With a live key, every tool that runs leaves a row that names it, and
// every body arrives as it was sent.
func TestNothingSlipsThrough(t *testing.T) {
	c := mcptest.NewCorpus()
	upstreams := startRealUpstreams(t)
	rec := startRecorder(t)
	addresses := []string{rec.Listener.Addr().String()}
	for _, u := range upstreams {
		addresses = append(addresses, u.address)
	}
	s, gates := startGates(t, addresses)
	jwt := s.login(t)
	revokedKey, id := s.key(t, jwt, `{"key_name":"revoked"}`)
	if a := do(t, "POST", s.admin+"/api/mcp-keys/revoke", `{"key_id":"`+id+`"}`, jwt); a.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}

	var g errgroup.Group
	key, _ := s.key(t, jwt, `{"key_name":"recorder"}`)
	g.Go(func() error {
		without, with := &caller{address: gates[0], hasHTTP2: true}, &caller{address: gates[0], key: key, hasHTTP2: true}
		return errors.Join(without.sendAll(c.Attacks, keyless), with.sendAll(c.Attacks, live))
	})
	for i, u := range upstreams {
		key, _ := s.key(t, jwt, `{"key_name":"`+u.name+`"}`)
		g.Go(func() error {
			if err := u.attack(c.Attacks, gates[i+1], key, revokedKey); err != nil {
				return fmt.Errorf("%s, %w", u.name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}

	bites := map[int]bool{}       // attacks that run a tool somewhere, past the gate
	metered := map[string][]run{} // tools that ran with a live key, by upstream
	for _, u := range upstreams {
		bitesHere := map[int]bool{}
		for _, r := range u.runs(t) {
			way, n, _ := strings.Cut(r.Label, "/")
			i, err := strconv.Atoi(n)
			switch {
			case err != nil:
				if !r.public() {
					t.Errorf("%s: %s ran for a request labeled %q", u.name, r.What, r.Label)
				}
			case way == straight && r.tool() != "":
				bites[i], bitesHere[i] = true, true
			case way == live && r.tool() != "":
				metered[u.name] = append(metered[u.name], r)
			case (way == keyless || way == revoked) && !r.public():
				t.Errorf("%s, %s: %s ran for\n%s", u.name, way, r.What, c.Attacks[i])
			}
		}
		t.Logf("%-32s %4d attacks run a tool past the gate; with a live key tools run %4d times", u.name, len(bitesHere), len(metered[u.name]))
		if len(bitesHere) < len(c.Attacks)/10 {
			t.Errorf("only %d attacks bite %s: the corpus has lost its teeth", len(bitesHere), u.name)
		}
	}
	for _, section := range c.Sections {
		n, biting := 0, 0
		for i, a := range c.Attacks {
			if a.Section == section.Name {
				n++
				if bites[i] {
					biting++
				}
			}
		}
		t.Logf("%-22s %4d attacks, %4d bite", section.Name, n, biting)
	}
	s.checkMetered(t, metered, c.Attacks)
	rec.check(t, c.Attacks)
	if strings.Contains(s.output(), "panic") {
		t.Error("the gate has panicked")
	}
	if !t.Failed() {
		t.Logf("%d attacks × %d upstreams: %d run a tool past the gate, 0 run anything keyed through it without a live key", len(c.Attacks), len(upstreams), len(bites))
	}
}

// attack sends the attacks in every way.
func (u realUpstream) attack(attacks []mcptest.Attack, gate, key, revokedKey string) error {
	past := &caller{address: u.address}
	through := func(key string) *caller { return &caller{address: gate, key: key, hasHTTP2: true} }
	for _, way := range []struct {
		name           string
		opener, sender *caller
	}{
		{straight, past, past},
		{keyless, through(""), through("")},
		{revoked, past, through(revokedKey)},
		{live, through(key), through(key)},
	} {
		if err := way.opener.open(way.name + "/session"); err != nil {
			return fmt.Errorf("%s: opening a session: %w", way.name, err)
		}
		way.sender.session = way.opener.session
		if err := way.sender.sendAll(attacks, way.name); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		// A rejected request was not rejected because its session had ended.
		last := &caller{address: u.address, session: way.sender.session}
		r, err := last.do(&mcptest.Attack{Verb: "POST", Target: "/messages", Headers: mcptest.WantsJSON, Body: []byte(mcptest.Ping)}, way.name+"/last")
		if err != nil {
			return fmt.Errorf("%s: a ping after all attacks: %w", way.name, err)
		}
		if r.status != http.StatusOK {
			return fmt.Errorf("%s: a ping in the session after all attacks is answered with %d", way.name, r.status)
		}
	}
	return nil
}

// sendAll sends all attacks, one after the other. Those that violate HTTP are sent
// in parallel, since many of them wait for an answer that never comes. It opens a
// new session if an attack may have ended the last one. If there are no sessions,
// attacks with a live key send their label as session ID: the upstream ignores it,
// and the gate records it in the row.
func (c *caller) sendAll(attacks []mcptest.Attack, way string) error {
	stateful, ends := c.session != "", way == straight || way == live
	send := func(c caller, i int) (reply, error) {
		label := fmt.Sprintf("%s/%d", way, i)
		if way == live && !stateful {
			c.session = label
		}
		return c.do(&attacks[i], label)
	}
	for i, a := range attacks {
		if a.Raw != "" {
			continue
		}
		r, err := send(*c, i)
		if way != straight && err != nil {
			return fmt.Errorf("%w through the gate for\n%s", err, a)
		}
		if way != straight && r.status >= 500 {
			return fmt.Errorf("%d through the gate for\n%s", r.status, a)
		}
		if stateful && ends && (err != nil || r.status == http.StatusNotFound || a.Verb == http.MethodDelete) {
			if err := c.open(way + "/session"); err != nil {
				return err
			}
		}
	}
	var g errgroup.Group
	g.SetLimit(16)
	for i, a := range attacks {
		if a.Raw == "" {
			continue
		}
		g.Go(func() error {
			c := *c
			if stateful && ends {
				if err := c.open(way + "/session"); err != nil {
					return err
				}
			}
			_, err := send(c, i)
			return err
		})
	}
	return g.Wait()
}

// metering is what a row and a run have in common. Rows of upstreams with sessions
// have the session ID instead of a label.
type metering struct{ upstream, tool, label string }

func newMetering(upstream, tool, label string) metering {
	if strings.Contains(upstream, "stateful") {
		label = ""
	}
	return metering{upstream, tool, label}
}

// checkMetered checks that the successful calls in the history are exactly the tools
// that ran with a live key.
func (s *site) checkMetered(tb testing.TB, metered map[string][]run, attacks []mcptest.Attack) {
	tb.Helper()
	ran, well, aborted := map[metering]int{}, map[metering]int{}, map[metering]int{}
	for name, runs := range metered {
		for _, r := range runs {
			ran[newMetering(name, r.tool(), r.Label)]++
		}
	}
	for _, row := range s.historyToHere(tb) {
		name := row["key_name"].(string)
		if _, known := metered[name]; !known {
			continue
		}
		session, _ := row["session_id"].(string) // null without one
		m := newMetering(name, row["tool_name"].(string), session)
		switch row["outcome"] {
		case "ok":
			well[m]++
		case "aborted":
			aborted[m]++
		}
	}
	for m, n := range ran {
		what := "some attack"
		least := n
		if _, i, labeled := strings.Cut(m.label, "/"); labeled {
			at, err := strconv.Atoi(i)
			if err != nil {
				tb.Fatal(err)
			}
			what = attacks[at].String()
		}
		// A client that violates HTTP may be gone before the answer comes.
		if m.label == "" || strings.HasPrefix(what, "framing: ") {
			least -= aborted[m]
		}
		if well[m] > n || well[m] < least {
			tb.Errorf("%v ran %d times with a live key; %d rows say so, and %d that it was aborted\n%s", m, n, well[m], aborted[m], what)
		}
	}
	for m, n := range well {
		if ran[m] == 0 {
			tb.Errorf("%v has %d rows and did not run", m, n)
		}
	}
}

// historyToHere returns the rows of all calls until now. The journal keeps their
// order: once the row of one more call exists, all others do.
func (s *site) historyToHere(tb testing.TB) (rows []map[string]any) {
	tb.Helper()
	jwt := s.login(tb)
	key, _ := s.key(tb, jwt, `{"key_name":"one more"}`)
	do(tb, "POST", s.gate, mcptest.Call, "Authorization: Bearer "+key)
	page := func(n int) (items []any, more bool) {
		v := do(tb, "GET", fmt.Sprintf("%s/api/mcp-usage/history?page=%d&page_size=200", s.admin, n), "", jwt).json(tb)
		return v["items"].([]any), v["total"].(float64) > float64(n*200)
	}
	eventually(tb, "the row of one more call", func() bool {
		items, _ := page(1)
		return len(items) > 0 && items[0].(map[string]any)["key_name"] == "one more"
	})
	for n, more := 1, true; more; n++ {
		var items []any
		items, more = page(n)
		for _, item := range items {
			rows = append(rows, item.(map[string]any))
		}
	}
	return rows
}

// recorder is an upstream that records the bodies it receives.
type recorder struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string][][]byte // by label
}

func startRecorder(tb testing.TB) *recorder {
	tb.Helper()
	r := &recorder{bodies: map[string][][]byte{}}
	r.Server = httptest.NewServer(r)
	tb.Cleanup(r.Close)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		b = []byte(err.Error())
	}
	r.mu.Lock()
	label := req.Header.Get("X-Case")
	if text := fmt.Sprint(req.Header, req.Trailer); keyPattern.MatchString(text) {
		b = []byte("a key in " + text)
	}
	r.bodies[label] = append(r.bodies[label], b)
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
}

// check checks that each body that passed the gate arrived once, byte by byte as it
// was sent.
func (r *recorder) check(tb testing.TB, attacks []mcptest.Attack) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	passed := map[string]int{}
	for label, bodies := range r.bodies {
		way, n, _ := strings.Cut(label, "/")
		i, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		passed[way]++
		a := &attacks[i]
		if a.Raw != "" {
			continue // what its body is depends on who reads it
		}
		sent := a.Body
		if a.Verb != http.MethodPost {
			sent = nil // the gate forwards no body there
		}
		if len(bodies) != 1 || !bytes.Equal(bodies[0], sent) {
			tb.Errorf("%s: the upstream got %.500q for\n%s", way, bodies, a)
		}
	}
	if passed[keyless] == 0 || passed[live] <= passed[keyless] {
		tb.Errorf("%v attacks passed the gate", passed)
	}
	tb.Logf("of %d attacks %d pass without a key, being public, and %d with one, each as it was sent", len(attacks), passed[keyless], passed[live])
}

// startGates starts a site with one gate for each upstream, configured as in the
// repository's Caddyfile.
func startGates(tb testing.TB, upstreams []string) (s *site, gates []string) {
	tb.Helper()
	text := readFile(tb, filepath.Join(root, "Caddyfile"))
	const gateSite, upstream = "\n:8001 {", "{env.TALLYGATE_UPSTREAM}"
	begin := strings.Index(text, gateSite)
	if begin < 0 || strings.Count(text[begin:], upstream) != 1 {
		tb.Fatal("the Caddyfile has another gate than expected")
	}
	text, block := text[:begin], text[begin:]
	admin := freePort(tb)
	for old, changed := range map[string]string{
		"\n:8000 {":                          fmt.Sprintf("\n:%d {", admin),
		"\tadmin unix/tallygate.sock|0600\n": "\tadmin off\n",
		// HTTP/2 without TLS, as behind a load balancer.
		"\tservers {\n": "\tservers {\n\t\tprotocols h1 h2c\n",
	} {
		if strings.Count(text, old) != 1 {
			tb.Fatalf("the Caddyfile has %q %d times", old, strings.Count(text, old))
		}
		text = strings.Replace(text, old, changed, 1)
	}
	for _, address := range upstreams {
		port := freePort(tb)
		gates = append(gates, fmt.Sprintf("127.0.0.1:%d", port))
		text += strings.NewReplacer(gateSite, fmt.Sprintf("\n:%d {", port), upstream, address).Replace(block)
	}
	s = &site{
		dir:   tb.TempDir(),
		gate:  "http://" + gates[0] + "/messages",
		admin: fmt.Sprintf("http://127.0.0.1:%d", admin),
		env:   []string{"TALLYGATE_ADMIN_EMAIL=" + adminEmail, "TALLYGATE_ADMIN_PASSWORD=" + adminPassword},
	}
	if err := os.WriteFile(filepath.Join(s.dir, "Caddyfile"), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.run(tb)
	return s, gates
}
