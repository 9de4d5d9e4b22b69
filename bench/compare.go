package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/tallygate/tallygate/internal/freeport"
)

// String returns the result's name, such as "64KB SSE".
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

// sample is what was measured of one gateway in a scenario.
type sample struct {
	gateway gateway
	windows []window // by cycle; the zero window where it was not measured
	idle    int64    // memory in bytes before the first window
	peak    int64    // the most in any window
	err     error    // why it was not measured, or what went wrong in a window
}

// contender is a gateway's process that is up, with its callers.
type contender struct {
	*sample
	service *service
	pids    []int
	url     string
	callers *callers
}

// maxPeerAnswers is a limit in bytes for the answers to all callers. Beyond it,
// peers that read MCP are not measured: one window takes some of them minutes.
const maxPeerAnswers = 16 << 20

// compare measures the gateways in front of one upstream. They are all up, and
// short windows of load go from one to the next, so that whatever else the
// machine does affects all alike. All but the one under load are stopped
// (SIGSTOP): what a gateway leaves for later it does in its own windows.
func compare(s scenario, gateways []gateway, p plan, e *environment) ([]*sample, error) {
	upstream, address, err := e.startUpstream()
	if err != nil {
		return nil, err
	}
	defer upstream.end()
	var samples []*sample
	var up [][]*contender // one slice for each sample
	defer func() {
		for _, c := range slices.Concat(up...) {
			c.callers.close()
			c.service.end()
		}
	}()
	for _, g := range gateways {
		if g.mcp && s.result.size*s.callers > maxPeerAnswers {
			continue
		}
		sample := &sample{gateway: g, windows: make([]window, p.cycles)}
		samples = append(samples, sample)
		n := max(1, p.processes)
		if g.peer {
			n = 1
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
	measureAll(up, p)
	return samples, nil
}

// measureAll measures contenders that are up and stopped, in all cycles: in
// each cycle one process of each sample, chosen at random.
func measureAll(up [][]*contender, p plan) {
	// While others started and warmed up, a gateway may have closed its idle
	// connections: Caddy does after five minutes.
	for _, c := range slices.Concat(up...) {
		c.service.resume()
		c.callers.close()
		c.callers.load(100 * time.Millisecond)
		c.service.pause()
	}
	for cycle := range p.cycles {
		for _, i := range rand.Perm(len(up)) {
			c := up[i][rand.IntN(len(up[i]))]
			if !c.gateway.peer || cycle%p.peers == 0 {
				c.measure(cycle, p.window)
			}
		}
	}
}

// measure loads a gateway for a window.
func (c *contender) measure(cycle int, duration time.Duration) {
	c.service.resume()
	before := cpu(c.pids)
	stop := c.watchMemory()
	w := c.callers.load(duration)
	stop()
	w.cpu = cpu(c.pids) - before
	c.service.pause()
	c.windows[cycle] = w
	if w.err != nil {
		c.err = w.err
	}
}

// watchMemory samples the memory until stop is called, and keeps the peak.
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

// start starts a gateway and connects its callers. Afterwards it is stopped.
func (e *environment) start(c *contender, upstream string, s scenario) (err error) {
	port, err := freeport.Next()
	if err != nil {
		return err
	}
	dir, err := e.newDir(c.gateway.fileName())
	if err != nil {
		return err
	}
	if c.service, err = c.gateway.start(deployment{dir: dir, port: port, upstream: upstream, key: e.key, cache: e.cache, self: e.self}); err != nil {
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
	if err := eventually(func() (err error) {
		c.callers, err = connect(c.gateway, c.url, e.key, s)
		return err
	}); err != nil {
		return err
	}
	c.callers.load(200 * time.Millisecond) // connections are made, pools filled
	c.pids = c.service.pids()
	c.idle = max(c.idle, memory(c.pids))
	c.service.pause()
	return nil
}

// eventually calls try until it succeeds, for ten seconds at most.
func eventually(try func() error) error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err := try(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// check returns an error unless an answer has the result, however the gateway
// encoded it.
func (r *result) check(answer []byte) error {
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
		return fmt.Errorf("the answer is not JSON: %w: %.100q", err, answer)
	}
	text, structured := r.content()
	same := len(got.Result.Content) == 1 && got.Result.Content[0].Text == text
	if structured != "" {
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

// sameJSON reports whether two texts have the same JSON value.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// startUpstream starts the upstream on the load's cores and returns its address.
func (e *environment) startUpstream() (*service, string, error) {
	port, err := freeport.Next()
	if err != nil {
		return nil, "", err
	}
	dir, err := e.newDir("upstream")
	if err != nil {
		return nil, "", err
	}
	s, err := startOn(loadCores, dir, nil, e.self, "http", strconv.Itoa(port))
	if err != nil {
		return nil, "", err
	}
	if err := s.await(port); err != nil {
		s.end()
		return nil, "", err
	}
	return s, fmt.Sprint("127.0.0.1:", port), nil
}
