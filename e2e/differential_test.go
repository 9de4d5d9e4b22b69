package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The ways in which each attack goes to each upstream.
const (
	straight = "straight" // past the gate
	keyless  = "keyless"  // through the gate, in a session that was opened without a key
	revoked  = "revoked"  // through the gate with a revoked key, in a session that was opened past it
	live     = "live"     // through the gate with a live key
)

// TestNothingSlipsThrough sends every attack of the corpus to every real
// upstream, past the gate and through it. What an upstream runs past the gate
// shows that an attack bites. Through the gate it runs nothing but public
// methods without a live key; and with one, every tool that runs leaves a row
// that names it, and every body arrives as it was sent.
func TestNothingSlipsThrough(t *testing.T) {
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
	attacks := newCorpus().attacks

	var wg sync.WaitGroup
	go1 := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	recKey, _ := s.key(t, jwt, `{"key_name":"recorder"}`)
	go1(func() error {
		for way, key := range map[string]string{keyless: "", live: recKey} {
			c := &caller{address: gates[0], key: key, hasHTTP2: true}
			if err := c.all(attacks, way); err != nil {
				return fmt.Errorf("the recorder, %s: %w", way, err)
			}
		}
		return nil
	})
	for i, u := range upstreams {
		key, _ := s.key(t, jwt, `{"key_name":"`+u.name+`"}`)
		go1(func() error {
			past := &caller{address: u.address}
			through := func(key string) *caller { return &caller{address: gates[i+1], key: key, hasHTTP2: true} }
			if err := past.all(attacks, straight); err != nil {
				return fmt.Errorf("%s, straight: %w", u.name, err)
			}
			for _, way := range []struct {
				name   string
				caller *caller
				opener *caller
			}{{keyless, through(""), through("")}, {revoked, through(revokedKey), past}, {live, through(key), through(key)}} {
				if err := way.opener.open(way.name + "/session"); err != nil {
					return fmt.Errorf("%s, opening a session, %s: %w", u.name, way.name, err)
				}
				way.caller.session = way.opener.session
				if err := way.caller.all(attacks, way.name); err != nil {
					return fmt.Errorf("%s, %s: %w", u.name, way.name, err)
				}
				// Nothing was refused for a session that had ended.
				alive := &caller{address: u.address, session: way.caller.session}
				if _, err := alive.do(&attack{verb: "POST", target: "/messages", headers: wantsJSON, body: []byte(call)}, way.name+"/alive"); err != nil {
					return fmt.Errorf("%s, a call after %s: %w", u.name, way.name, err)
				}
			}
			return nil
		})
	}
	wg.Wait()

	bites := map[int]bool{}       // attacks that run a tool somewhere, past the gate
	metered := map[string][]run{} // tools that ran with a live key, by upstream
	for _, u := range upstreams {
		bitesHere, keyed := map[int]bool{}, 0
		alive := map[string]bool{}
		for _, r := range u.runs(t) {
			way, n, _ := strings.Cut(r.Label, "/")
			i, err := strconv.Atoi(n)
			switch {
			case n == "alive":
				alive[way] = alive[way] || r.tool() != ""
			case err != nil:
				if !r.public() {
					t.Errorf("%s: %s ran for a request labelled %q", u.name, r.What, r.Label)
				}
			case way == straight:
				if r.tool() != "" {
					bites[i], bitesHere[i] = true, true
				}
			case way == live:
				if r.tool() != "" {
					metered[u.name] = append(metered[u.name], r)
				}
			case !r.public():
				keyed++
				t.Errorf("%s, %s: %s ran for\n%s", u.name, way, r.What, attacks[i].show())
			}
		}
		for _, way := range []string{keyless, revoked, live} {
			if !alive[way] {
				t.Errorf("%s: its session had ended before the attacks did, %s", u.name, way)
			}
		}
		t.Logf("%-32s %4d attacks run a tool past the gate, %4d with a live key, %d keyed runs without", u.name, len(bitesHere), len(metered[u.name]), keyed)
		if len(bitesHere) == 0 {
			t.Errorf("no attack runs a tool of %s past the gate", u.name)
		}
	}
	t.Logf("%d attacks × %d upstreams; %d run a tool somewhere past the gate", len(attacks), len(upstreams), len(bites))

	s.checkMetered(t, metered, attacks)
	rec.check(t, attacks)
	if strings.Contains(s.output(), "panic") {
		t.Error("the gate has panicked")
	}
}

// all sends every attack, and opens a new session where one ended it. An
// upstream without sessions ignores the label that it gets as one, and the
// gate keeps it in the row.
func (c *caller) all(attacks []attack, way string) error {
	if way == straight {
		if err := c.open(way + "/session"); err != nil {
			return err
		}
	}
	stateful := c.session != ""
	for i := range attacks {
		a, label := &attacks[i], fmt.Sprintf("%s/%d", way, i)
		if way == live && !stateful {
			c.session = label
		}
		res, err := c.do(a, label)
		if !stateful || way == keyless || way == revoked {
			continue
		}
		if err != nil || res.StatusCode == http.StatusNotFound || res.StatusCode == 0 || a.verb == http.MethodDelete || way == straight && res.StatusCode >= 400 {
			if err := c.open(way + "/session"); err != nil {
				return err
			}
		}
	}
	if !stateful {
		c.session = ""
	}
	return nil
}

// checkMetered holds that the tools that ran with a live key, and no others,
// are the calls of the history that went well.
func (s *site) checkMetered(tb testing.TB, metered map[string][]run, attacks []attack) {
	tb.Helper()
	type metering struct{ upstream, tool, label string }
	want := map[metering]int{}
	for name, runs := range metered {
		for _, r := range runs {
			m := metering{name, r.tool(), r.Label}
			if strings.Contains(name, "stateful") {
				m.label = "" // its rows hold its own sessions
			}
			want[m]++
		}
	}
	// The journal keeps its order: with the row of a last call all others are there.
	jwt := s.login(tb)
	key, _ := s.key(tb, jwt, `{"key_name":"last"}`)
	do(tb, "POST", s.gate, call, "Authorization: Bearer "+key)
	history := func(page int) (items []any, more bool) {
		v := do(tb, "GET", fmt.Sprintf("%s/api/mcp-usage/history?page=%d&page_size=200", s.admin, page), "", jwt).json(tb)
		return v["items"].([]any), v["total"].(float64) > float64(page*200)
	}
	eventually(tb, "the row of the last call", func() bool {
		items, _ := history(1)
		return len(items) > 0 && items[0].(map[string]any)["key_name"] == "last"
	})
	got := map[metering]int{}
	other := map[string]any{} // rows of calls that did not go well, by label
	for page, more := 1, true; more; page++ {
		var items []any
		items, more = history(page)
		for _, item := range items {
			row := item.(map[string]any)
			session, _ := row["session_id"].(string) // null without one
			m := metering{row["key_name"].(string), row["tool_name"].(string), session}
			if strings.Contains(m.upstream, "stateful") {
				m.label = ""
			}
			if _, real := metered[m.upstream]; !real {
				continue
			}
			if row["outcome"] == "ok" {
				got[m]++
			} else {
				other[m.upstream+m.label] = row
			}
		}
	}
	for m, n := range want {
		if got[m] != n {
			_, i, _ := strings.Cut(m.label, "/")
			at, _ := strconv.Atoi(i)
			tb.Errorf("%v ran %d times with a live key and has %d rows\n%s\n%v", m, n, got[m], attacks[at].show(), other[m.upstream+m.label])
		}
	}
	for m, n := range got {
		if want[m] == 0 {
			tb.Errorf("%v has %d rows and did not run", m, n)
		}
	}
}

// recorder is an upstream that keeps the bodies that it gets.
type recorder struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string][][]byte // by label
}

func startRecorder(tb testing.TB) *recorder {
	tb.Helper()
	r := &recorder{bodies: map[string][][]byte{}}
	r.Server = httptest.NewServer(r)
	tb.Cleanup(r.Server.Close)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		b = []byte(err.Error())
	}
	r.mu.Lock()
	label := req.Header.Get("X-Case")
	r.bodies[label] = append(r.bodies[label], b)
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
}

// check holds that what passed the gate is byte by byte what was sent, once.
func (r *recorder) check(tb testing.TB, attacks []attack) {
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
		if a.raw != "" {
			continue // what its body is depends on who reads it
		}
		sent := a.body
		if a.verb != http.MethodPost {
			sent = nil // the gate forwards no body there
		}
		if len(bodies) != 1 || !bytes.Equal(bodies[0], sent) {
			tb.Errorf("%s: the upstream got %.500q for\n%s", way, bodies, a.show())
		}
	}
	if passed[keyless] == 0 || passed[live] <= passed[keyless] {
		tb.Errorf("%v attacks passed the gate", passed)
	}
	tb.Logf("of %d attacks %d pass without a key, being public, and %d with one, each as it was sent", len(attacks), passed[keyless], passed[live])
}

// show is the attack for a person, and enough to send it by hand.
func (a *attack) show() string {
	if a.raw != "" {
		return fmt.Sprintf("%s: %s\n%.2000q", a.section, a.name, a.raw)
	}
	return fmt.Sprintf("%s: %s\n%s %s %q (wire %d)\n%.2000q", a.section, a.name, a.verb, a.target, a.headers, a.how, a.body)
}

// startGates starts a site with a gate of its own in front of each upstream,
// every one of them as the repo's Caddyfile has it.
func startGates(tb testing.TB, upstreams []string) (s *site, gates []string) {
	tb.Helper()
	text := readFile(tb, filepath.Join(root, "Caddyfile"))
	const gateSite, upstream = "\n:8001 {", "{$TALLYGATE_UPSTREAM:127.0.0.1:9001}"
	begin := strings.Index(text, gateSite)
	if begin < 0 || strings.Count(text[begin:], upstream) != 1 {
		tb.Fatal("the Caddyfile has another gate than expected")
	}
	text, block := text[:begin], text[begin:]
	ports := freePorts(tb, len(upstreams)+1)
	for old, changed := range map[string]string{
		"\n:8000 {": fmt.Sprintf("\n:%d {", ports[0]),
		// HTTP/2 without TLS, as behind a load balancer that speaks it.
		"\tgrace_period 10s\n": "\tgrace_period 10s\n\tadmin off\n\tservers {\n\t\tprotocols h1 h2c\n\t}\n",
	} {
		if strings.Count(text, old) != 1 {
			tb.Fatalf("the Caddyfile has %q %d times", old, strings.Count(text, old))
		}
		text = strings.Replace(text, old, changed, 1)
	}
	for i, address := range upstreams {
		port := ports[i+1]
		gates = append(gates, fmt.Sprintf("127.0.0.1:%d", port))
		text += strings.NewReplacer(gateSite, fmt.Sprintf("\n:%d {", port), upstream, address).Replace(block)
	}
	s = &site{
		dir:   tb.TempDir(),
		gate:  "http://" + gates[0] + "/messages",
		admin: fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		env:   []string{"TALLYGATE_ADMIN_EMAIL=" + adminEmail, "TALLYGATE_ADMIN_PASSWORD=" + adminPassword},
	}
	if err := os.WriteFile(filepath.Join(s.dir, "Caddyfile"), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.run(tb)
	return s, gates
}

// freePorts is n different ports that nothing listens on now.
func freePorts(tb testing.TB, n int) []int {
	tb.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
