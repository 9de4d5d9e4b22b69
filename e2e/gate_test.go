package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
)

// TestCallsAreRows counts both sides of concurrent calls, through a kill -9 and
// a restart in their middle.
func TestCallsAreRows(t *testing.T) {
	s := startSite(t)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	answered := func(stop func(done int64) bool) (calls, records int64) {
		var n, sum atomic.Int64
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := 0; !stop(n.Load()); i++ {
					limit := 1 + (worker*31+i)%97
					body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_daily","limit":%d}}}`, i, limit)
					req := s.keyedPost(t.Context(), key, body)
					res, err := http.DefaultClient.Do(req)
					if err != nil {
						return // killed
					}
					b, err := io.ReadAll(res.Body)
					_ = res.Body.Close()
					if err != nil {
						return
					}
					if res.StatusCode != http.StatusOK || !strings.Contains(string(b), fmt.Sprintf(`"row_count":%d`, limit)) {
						t.Errorf("a call answers %d %.200s", res.StatusCode, b)
						return
					}
					n.Add(1)
					sum.Add(int64(limit))
				}
			}()
		}
		wg.Wait()
		return n.Load(), sum.Load()
	}

	calls, records := answered(func(done int64) bool { return done >= 400 })
	var kill sync.Once
	killed, killedRecords := answered(func(done int64) bool {
		if done >= 400 {
			kill.Do(s.kill)
		}
		return false
	})
	s.run(t)
	more, moreRecords := answered(func(done int64) bool { return done >= 100 })
	jwt = s.login(t)
	calls, records = calls+killed+more, records+killedRecords+moreRecords

	// Up to one call a worker was recorded and its answer cut off by the kill.
	var stats map[string]any
	eventually(t, "the rows", func() bool {
		stats = do(t, "GET", s.admin+"/api/mcp-usage/stats?days=1", "", jwt).json(t)
		return stats["total_calls"].(float64) >= float64(calls)
	})
	total := stats["total_calls"].(float64)
	extra := int64(total) - calls
	extraRecords := int64(stats["total_records"].(float64)) - records
	if extra > 8 || extraRecords < extra || extraRecords > extra*97 {
		t.Errorf("%d calls with %d records were answered; %d more calls with %d records were recorded", calls, records, extra, extraRecords)
	}
	seen := map[any]bool{}
	for page := 1; len(seen) < int(total); page++ {
		a := do(t, "GET", fmt.Sprintf("%s/api/mcp-usage/history?page=%d&page_size=200", s.admin, page), "", jwt)
		if a.status != http.StatusOK {
			t.Fatalf("page %d: %d %s", page, a.status, a.body)
		}
		for _, item := range a.json(t)["items"].([]any) {
			id := item.(map[string]any)["event_id"]
			if seen[id] {
				t.Fatalf("event %v is there twice", id)
			}
			seen[id] = true
		}
	}
}

// swap is another letter than c.
func swap(c byte) string {
	if c == 'x' {
		return "y"
	}
	return "x"
}

// TestOtherPath holds that the shipped Caddyfile answers a path that is no
// endpoint itself.
func TestOtherPath(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSiteAt(t, u.Address())
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	if a := do(t, "GET", strings.Replace(s.gate, "/messages", "/other", 1), "", "Authorization: Bearer "+key); a.status != http.StatusNotFound {
		t.Errorf("another path answers %d %s", a.status, a.body)
	}
	if n := u.Requests.Load(); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
}
