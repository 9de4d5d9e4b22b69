package main

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain also runs the upstream that the benchmark starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		if err := serve(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestCompare runs a little of the benchmark: all answers come and are correct,
// through bare Caddy, Tallygate and nginx. What is measured is not judged.
func TestCompare(t *testing.T) {
	e, gateways := prepared(t, bareCaddy, tallygate(gateName, "", sqliteLedger), nginx())
	for _, s := range []scenario{
		{newResult(2<<10, 0, false), 16}, {newResult(1<<20, 1, false), 4}, {newResult(64<<10, 1000, false), 2}, {newResult(64<<10, 0, true), 2},
	} {
		samples, err := compare(s, gateways, plan{cycles: 2, window: 50 * time.Millisecond, peers: 1, processes: 2}, e)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range measurements(s, samples) {
			if m.err != nil || m.calls == 0 || m.failed > 0 || m.p50 < m.firstP50 || m.firstP50 <= 0 || m.cpu <= 0 || m.peak < 1 {
				t.Errorf("%s: %+v", s, m)
			}
		}
	}
}

// prepared returns an environment in which gateways can be started.
func prepared(t *testing.T, gateways ...gateway) (*environment, []gateway) {
	t.Helper()
	e, err := newEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	for _, g := range gateways {
		if err := g.prepare(e.cache); err != nil {
			t.Fatal(err)
		}
	}
	return e, gateways
}

// TestKeyChecked checks that the gateways that are said to check keys do.
func TestKeyChecked(t *testing.T) {
	e, gateways := prepared(t, tallygate(gateName, "", sqliteLedger), nginx())
	upstream, address, err := e.startUpstream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(upstream.end)
	for _, g := range gateways {
		c := &contender{sample: &sample{gateway: g}}
		if err := e.start(c, address, scenario{newResult(2<<10, 0, false), 1}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.service.end)
		c.service.resume()
		for _, key := range []string{"", e.key + "x"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_2kb"}}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			if key != "" {
				req.Header.Set("Authorization", "Bearer "+key)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s answers %s to the key %q", g.name, res.Status, key)
			}
		}
	}
}

// TestWrongAnswers checks that only the whole result counts as an answer.
func TestWrongAnswers(t *testing.T) {
	r := newResult(2<<10, 0, false)
	right := append([]byte(`{"jsonrpc":"2.0","id":7`), r.tail...)
	if err := r.check(right); err != nil {
		t.Fatal(err)
	}
	event := append([]byte("event: message\ndata: "), append(bytes.Clone(right), "\n\n"...)...)
	if err := r.check(event); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string][]byte{
		"an error":   []byte(`{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"no"}}`),
		"cut":        right[:len(right)-10],
		"without id": append([]byte(`{"jsonrpc":"2.0"`), r.tail...),
		"other rows": bytes.Replace(right, []byte(`"open":`), []byte(`"opem":`), 1),
		"a row less": bytes.Replace(right, []byte(`"rows":[{`), []byte(`"rows":[],"more":[{`), 1),
		"nothing":    nil,
	} {
		if r.check(wrong) == nil {
			t.Errorf("%s counts as an answer", name)
		}
	}
}

// TestBootstrap checks that the interval holds the median, and narrows with more
// values.
func TestBootstrap(t *testing.T) {
	var few, many []float64
	for i := range 400 {
		v := 1 + float64(i*7919%100)/1000
		if many = append(many, v); i < 20 {
			few = append(few, v)
		}
	}
	a, b := bootstrap(few, median), bootstrap(many, median)
	for _, e := range []estimate{a, b} {
		if e.low > e.value || e.value > e.high {
			t.Errorf("%+v", e)
		}
	}
	if b.high-b.low >= a.high-a.low || b.value < 1.04 || b.value > 1.06 {
		t.Errorf("few %+v, many %+v", a, b)
	}
	if got := bootstrap(nil, median); got != (estimate{}) {
		t.Errorf("no values: %+v", got)
	}
}

// TestRatio checks that what happens in few windows counts by what it costs.
func TestRatio(t *testing.T) {
	bare := &sample{windows: make([]window, 10)}
	gate := &sample{windows: make([]window, 10)}
	for i := range bare.windows {
		bare.windows[i] = window{calls: make([]call, 100), took: time.Second}
		gate.windows[i] = bare.windows[i]
	}
	gate.windows[3].took = 6 * time.Second
	if got := gate.ratio(bare).value; math.Abs(got-10.0/15) > 1e-9 {
		t.Errorf("one of ten windows took six times as long: ratio %v, want %v", got, 10.0/15)
	}
}

// TestGoals checks that a goal is missed by its own figure only, and by calls
// that failed.
func TestGoals(t *testing.T) {
	s := scenario{newResult(1<<20, 0, false), 16}
	bare := measurement{scenario: s, gateway: bareCaddy.name, calls: 10, ratio: estimate{1, 1, 1}, firstP50: 100}
	gate := measurement{scenario: s, gateway: awayName, calls: 10, ratio: estimate{0.75, 0.7, 0.8}, firstP50: 110}
	slow, late, failed := gate, gate, gate
	slow.ratio.value, late.firstP50, failed.failed = 0.74, 111, 1
	for name, c := range map[string]struct {
		m       measurement
		reached bool
	}{"reached": {gate, true}, "too few calls": {slow, false}, "a late first byte": {late, false}, "a failed call": {failed, false}} {
		text, reached := check([]measurement{bare, c.m})
		if reached != c.reached || strings.Contains(text, "FAIL") == c.reached {
			t.Errorf("%s: reached %v\n%s", name, reached, text)
		}
	}
	if text, reached := check(nil); !reached || strings.Contains(text, "pass") {
		t.Errorf("nothing was measured: %v\n%s", reached, text)
	}
}
