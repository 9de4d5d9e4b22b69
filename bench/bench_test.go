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

// TestMain is also the upstream that the benchmark starts.
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

// TestCompare measures a little of what the benchmark does: all answers come
// and are right, through Caddy, the gate and what Debian has.
func TestCompare(t *testing.T) {
	e, err := newEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	gateways := []gateway{bareCaddy, gate(gateName, "", sqliteLedger), nginx(), haproxy()}
	for _, g := range gateways {
		if err := g.prepare(e.cache); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []scenario{
		{newResult(2<<10, 0, false), "fixed", 16}, {newResult(1<<20, 1, false), "fixed", 4}, {newResult(64<<10, 1000, false), "fixed", 2},
		{newResult(64<<10, 0, true), "mcp-go", 2},
	} {
		samples, err := compare(s, gateways, plan{cycles: 2, window: 50 * time.Millisecond, peers: 1, processes: 2}, e)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range measurements(s, samples) {
			if m.Error != "" || m.Calls == 0 || m.Failed > 0 || m.P50 < m.FirstP50 || m.FirstP50 <= 0 || m.CPU <= 0 || m.Peak < 1 {
				t.Errorf("%s: %+v", s, m)
			}
		}
	}
}

// TestKeyChecked: those that say they check keys do.
func TestKeyChecked(t *testing.T) {
	e, err := newEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.close)
	s := scenario{newResult(2<<10, 0, false), "fixed", 1}
	upstream, address, err := e.startUpstream(s.upstream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(upstream.end)
	for _, g := range []gateway{gate(gateName, "", sqliteLedger), nginx(), haproxy()} {
		if err := g.prepare(e.cache); err != nil {
			t.Fatal(err)
		}
		c := &contender{sample: &sample{gateway: g}}
		if err := e.start(c, address, s); err != nil {
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

// TestWrongAnswers: an answer counts only when it is the result, whole.
func TestWrongAnswers(t *testing.T) {
	r := newResult(2<<10, 0, false)
	right := append([]byte(`{"jsonrpc":"2.0","id":7`), r.tail...)
	if err := r.check(right, "fixed"); err != nil {
		t.Fatal(err)
	}
	event := append([]byte("event: message\ndata: "), append(bytes.Clone(right), "\n\n"...)...)
	if err := r.check(event, "fixed"); err != nil {
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
		if r.check(wrong, "fixed") == nil {
			t.Errorf("%s counts as an answer", name)
		}
	}
}

// TestEstimate: the interval holds the median, and narrows with more values.
func TestEstimate(t *testing.T) {
	var few, many []float64
	for i := range 400 {
		v := 1 + float64(i*7919%100)/1000
		if many = append(many, v); i < 20 {
			few = append(few, v)
		}
	}
	a, b := estimateOf(few), estimateOf(many)
	for _, e := range []estimate{a, b} {
		if e.Low > e.Value || e.Value > e.High {
			t.Errorf("%+v", e)
		}
	}
	if b.High-b.Low >= a.High-a.Low || b.Value < 1.04 || b.Value > 1.06 {
		t.Errorf("few %+v, many %+v", a, b)
	}
	// What comes in few windows counts by what it costs.
	bare := &sample{windows: make([]window, 10)}
	gate := &sample{windows: make([]window, 10)}
	for i := range bare.windows {
		bare.windows[i] = window{calls: make([]call, 100), took: time.Second}
		gate.windows[i] = bare.windows[i]
	}
	gate.windows[3].took = 6 * time.Second
	if got := gate.ratio(bare).Value; math.Abs(got-10.0/15) > 1e-9 {
		t.Errorf("a window that took six times as long among ten: ratio %v, want %v", got, 10.0/15)
	}
	if got := estimateOf(nil); got != (estimate{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

// TestReport: what is written is read again, and the pictures are there.
func TestReport(t *testing.T) {
	r := &report{Machine: "m", When: "today"}
	for i, name := range []string{bareCaddy.name, gateName, "other"} {
		r.Measurements = append(r.Measurements, measurement{
			Result: "2KB", Upstream: "fixed", Callers: 16, Gateway: name, MCP: i == 2, Calls: 10, P99: 1 + float64(i)/4, FirstP50: 1, Peak: 10,
			Rate: spread{100 / float64(i+1), 90, 110}, Ratio: estimate{1 / float64(i+1), 0.1, 1.1},
		})
	}
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	again, err := readReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	text := again.markdown()
	for _, want := range []string{"**0.50**–0.50, want ≥ 0.95", "1.25–**1.25**", "Tallygate over other | **1.50**", "| other | 33.3 (90.0–110.0) | 0.333 (0.100–1.100) |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, name := range []string{"caddy.svg", "gateways.svg", "p99.svg"} {
		if svg, err := os.ReadFile(dir + "/" + name); err != nil || !bytes.Contains(svg, []byte("</svg>")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
