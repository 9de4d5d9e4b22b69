package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallygate/tallygate/gate/gatetest"
)

// bareCaddy starts the same binary as a plain reverse proxy, and returns its
// address.
func bareCaddy(tb testing.TB, upstream string) (*process, string) {
	tb.Helper()
	dir, address := tb.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(tb))
	config := fmt.Sprintf("{\n\tadmin off\n}\nhttp://%s {\n\treverse_proxy %s {\n\t\ttransport http {\n\t\t\tkeepalive_idle_conns_per_host 1024\n\t\t}\n\t}\n}\n", address, upstream)
	if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	p := start(tb, dir, nil, "run")
	p.await(tb, "bare Caddy listens", func() bool { return listening(address) })
	return p, "http://" + address + "/messages"
}

// BenchmarkStreaming sends results of 64 MiB through the gate and through bare
// Caddy alternately. It reports the median times to the first and the last byte as
// ratios, and how much more memory the gate needs for each of 16 parallel calls.
func BenchmarkStreaming(b *testing.B) {
	const size, atOnce = 64 << 20, 16
	row := `{"ts_code":"600001.NX","trade_date":"2026-11-24","open":10.25,"close":10.5,"note":"a \"quoted\" row"},`
	body := longResult{
		{1, `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"rows":[`}, {size / len(row), row},
		{1, strings.TrimSuffix(row, ",")}, {1, `]}}}`},
	}
	upstream := startHandler(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = body.writeTo(w)
	})
	s := startSiteAt(b, upstream)
	key, _ := s.key(b, s.login(b), `{"key_name":"k"}`)
	bare, bareURL := bareCaddy(b, upstream)

	// get returns the seconds to the first and to the last byte.
	get := func(url string) (first, last float64) {
		req := s.keyedPost(b.Context(), key, gatetest.CallBody("x"))
		req.URL.Host = strings.Split(url, "/")[2]
		began := time.Now()
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		defer res.Body.Close()
		if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
			b.Error(err)
		}
		first = time.Since(began).Seconds()
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n < size {
			b.Errorf("%d bytes, %v", n, err)
		}
		return first, time.Since(began).Seconds()
	}
	var first, last [2][]float64
	for b.Loop() {
		for i, url := range []string{s.gate, bareURL} {
			f, l := get(url)
			first[i], last[i] = append(first[i], f), append(last[i], l)
		}
	}
	ratio := func(v [2][]float64) float64 {
		slices.Sort(v[0])
		slices.Sort(v[1])
		return v[0][len(v[0])/2] / v[1][len(v[1])/2]
	}
	b.ReportMetric(ratio(first), "first-byte-ratio")
	b.ReportMetric(ratio(last), "last-byte-ratio")

	var grown [2]int64
	for i, p := range []*process{s.process, bare} {
		before := p.peak(b)
		var calls sync.WaitGroup
		for range atOnce {
			calls.Go(func() { get([]string{s.gate, bareURL}[i]) })
		}
		calls.Wait()
		grown[i] = p.peak(b) - before
	}
	b.ReportMetric(float64(grown[0]-grown[1])/atOnce/(1<<20), "extra-MiB/call")
}
