package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/tallygate/tallygate/internal/freeport"
)

// scenario is one kind of load on all gateways.
type scenario struct {
	result   *result
	upstream string // fixed or mcp-go
	callers  int
}

// String names a result as the tables do.
func (r *result) String() string {
	name := sizeName(r.size)
	switch {
	case r.text:
		name += " as a text"
	case r.events == 1:
		name += " SSE"
	case r.events > 1:
		name += fmt.Sprintf(" SSE, %d events", r.events)
	}
	return name
}

// sample is how one gateway did in a scenario.
type sample struct {
	gateway gateway
	windows []window // by cycle; nil calls where it was not measured in one
	idle    int64    // memory in bytes before the first window
	peak    int64    // the most in any
	err     error    // why it was not measured, or what went wrong in a window
}

// contender is a process of a gateway's that is up, with its callers.
type contender struct {
	*sample
	service *service
	url     string
	pids    []int
	callers *callers
}

// plan is how long a comparison takes.
type plan struct {
	cycles    int           // in each of which Caddy and the gate are measured once
	window    time.Duration // of load on one gateway
	peers     int           // the others are measured in one cycle out of so many
	processes int           // of Caddy's and the gate's, which take turns; of the others there is one
}

// mostOfPeers bounds in bytes the answers to all callers where MCP gateways of
// others are measured: beyond, one window takes some of them minutes.
const mostOfPeers = 16 << 20

// compare measures the gateways in front of one upstream. They are all up, and
// it goes round them in short windows, so that what the machine does meanwhile
// meets all alike. But for the one under load all stand still (SIGSTOP): what a
// gateway leaves for later, it does in windows of its own.
func compare(s scenario, gateways []gateway, p plan, e *environment) ([]*sample, error) {
	upstream, address, err := e.startUpstream(s.upstream)
	if err != nil {
		return nil, err
	}
	defer upstream.end()
	var samples []*sample
	var up [][]*contender // of one sample each
	defer func() {
		for _, c := range slices.Concat(up...) {
			c.callers.close()
			c.service.end()
		}
	}()
	for _, g := range gateways {
		if g.stdio && s.upstream != "fixed" || g.mcp && s.result.size*s.callers > mostOfPeers {
			continue
		}
		sample := &sample{gateway: g, windows: make([]window, p.cycles)}
		samples = append(samples, sample)
		n := 1
		if slices.Contains(always, g.name) {
			n = max(1, p.processes)
		}
		var processes []*contender
		for range n {
			c := &contender{sample: sample}
			if sample.err = e.start(c, address, s); sample.err != nil {
				break
			}
			processes = append(processes, c)
		}
		if len(processes) > 0 {
			up = append(up, processes)
		}
	}
	goRound(up, p)
	return samples, nil
}

// goRound measures contenders that are up and stand still, in all cycles: of
// those of one sample, one at random.
func goRound(up [][]*contender, p plan) {
	// While others started and warmed up, a gateway may have let its connections
	// go: Caddy does after five minutes.
	for _, c := range slices.Concat(up...) {
		c.service.resume()
		c.callers.close()
		c.callers.load(100 * time.Millisecond)
		c.service.pause()
	}
	for cycle := range p.cycles {
		for _, i := range rand.Perm(len(up)) {
			c := up[i][rand.IntN(len(up[i]))]
			if slices.Contains(always, c.gateway.name) || cycle%p.peers == 0 {
				c.measure(cycle, p.window)
			}
		}
	}
}

// always are the gateways that are measured in every cycle.
var always = []string{bareCaddy.name, gateName, awayName}

const gateName = "Tallygate"

// measure loads a gateway for a window.
func (c *contender) measure(cycle int, most time.Duration) {
	c.service.resume()
	before := cpu(c.pids)
	stop := c.watchMemory()
	w := c.callers.load(most)
	stop()
	w.cpu = cpu(c.pids) - before
	c.service.pause()
	c.windows[cycle] = w
	if w.err != nil {
		c.err = fmt.Errorf("%d calls failed in a window: %w", w.errors, w.err)
	}
}

// watchMemory takes the peak until stop is called.
func (c *contender) watchMemory() (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			c.peak = max(c.peak, memory(c.pids))
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// environment is where the benchmark runs.
type environment struct {
	dir   string // of its own, removed at the end
	cache string // kept
	key   string
	self  string // this program
	runs  int    // gateways that were started
}

// start starts a gateway and connects its callers; then it stands still.
func (e *environment) start(c *contender, upstream string, s scenario) (err error) {
	port, err := freeport.Next()
	if err != nil {
		return err
	}
	e.runs++
	d := deployment{
		dir: filepath.Join(e.dir, fmt.Sprint(e.runs, "-", c.gateway.nameless())), port: port,
		upstream: upstream, key: e.key, cache: e.cache, self: e.self,
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return err
	}
	if c.service, err = c.gateway.start(d); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.service.end()
		}
	}()
	if err := c.service.await(port); err != nil {
		return err
	}
	c.url = fmt.Sprint("http://127.0.0.1:", port, c.gateway.path)
	check := func(answer []byte) error { return s.result.check(answer, s.upstream) }
	if err := eventually(func() (err error) {
		c.callers, err = connect(c.gateway, c.url, e.key, s.result.tool, s.callers, check)
		return err
	}); err != nil {
		return err
	}
	c.callers.load(200 * time.Millisecond) // connections are made, pools filled
	if c.gateway.warm != nil {
		c.gateway.warm(c.callers)
	}
	c.pids = c.service.pids()
	c.idle = max(c.idle, memory(c.pids))
	c.service.pause()
	return nil
}

// eventually tries for a while.
func eventually(try func() error) error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err := try(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// check tells whether an answer has the result, however a gateway wrote it.
func (r *result) check(answer []byte, upstream string) error {
	if r.events > 0 || bytes.HasPrefix(answer, []byte("event:")) || bytes.HasPrefix(answer, []byte("data:")) || bytes.HasPrefix(answer, []byte("id:")) {
		var last []byte
		for line := range bytes.Lines(answer) {
			if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
				last = bytes.TrimSpace(data)
			}
		}
		answer = last
	}
	var got struct {
		ID     json.Number
		Result struct {
			Content           []struct{ Text string }
			StructuredContent json.RawMessage
		}
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		return fmt.Errorf("the answer is no JSON: %w: %.100q", err, answer)
	}
	text, structured := r.content()
	same := len(got.Result.Content) == 1 && got.Result.Content[0].Text == text
	if structured != "" && upstream == "fixed" {
		same = same && sameJSON(got.Result.StructuredContent, []byte(structured))
	}
	if !same {
		return fmt.Errorf("the answer has another result: %.200q", answer)
	}
	if got.ID == "" {
		return fmt.Errorf("the answer has no id: %.200q", answer)
	}
	return nil
}

// sameJSON tells whether two texts have the same values, however they are
// written.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// startUpstream starts an upstream on the load's cores and returns its address.
func (e *environment) startUpstream(kind string) (*service, string, error) {
	port, err := freeport.Next()
	if err != nil {
		return nil, "", err
	}
	e.runs++
	dir := filepath.Join(e.dir, fmt.Sprint(e.runs, "-upstream"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, "", err
	}
	s, err := startOn(loadCores, dir, nil, e.self, kind, strconv.Itoa(port))
	if err != nil {
		return nil, "", err
	}
	if err := s.await(port); err != nil {
		s.end()
		return nil, "", err
	}
	return s, fmt.Sprint("127.0.0.1:", port), nil
}
