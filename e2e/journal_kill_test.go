package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
)

// TestKilledGate checks that a gate that is killed with -9 repeatedly under load
// leaves exactly one row for each call that was answered, in either ledger.
func TestKilledGate(t *testing.T) {
	server := clickhousetest.Start(t)
	native, _ := server.NewDatabase(t)
	for name, dsn := range map[string]string{"SQLite": "sqlite:data/usage.db", "ClickHouse": native} {
		t.Run(name, func(t *testing.T) {
			const kills, callers = 6, 4
			s := startSite(t, "TALLYGATE_LEDGER="+dsn)
			key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
			answered := map[string]bool{} // by request_id
			for life := range kills {
				for _, id := range killUnderLoad(t, s, key, life, callers) {
					answered[id] = true
				}
				s.run(t)
			}
			s.await(t, "the journal is empty", func() bool { return s.status(t)["pending_events"] == 0.0 })

			rows, events := map[string]int{}, map[string]bool{}
			exported := s.exported(t)
			for _, e := range exported {
				rows[e.RequestID]++
				events[e.ID.String()] = true
			}
			for id := range answered {
				if rows[id] != 1 {
					t.Errorf("call %s was answered and has %d rows", id, rows[id])
				}
			}
			if len(events) != len(exported) || len(rows) != len(exported) {
				t.Errorf("%d rows of %d events of %d calls", len(exported), len(events), len(rows))
			}
			// A kill may happen between a call's event and its answer.
			if more := len(rows) - len(answered); more > kills*callers {
				t.Errorf("%d rows of calls that were not answered", more)
			}
			t.Logf("%d kills: %d calls answered, %d rows", kills, len(answered), len(rows))
		})
	}
}

// killUnderLoad puts load on the site until its process is killed, and returns the
// ids, as JSON, of the calls whose whole result has come.
func killUnderLoad(t *testing.T, s *site, key string, life, callers int) (answered []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	begun := make(chan struct{})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	for c := range callers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprintf("%d-%d-%d", life, c, n)
				res, err := client.Do(s.keyedPost(ctx, key, stockCall(id, "stock_daily", 3)))
				if err != nil {
					return // the process is gone
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil {
					return
				}
				if res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"result"`) {
					t.Errorf("call %s answers %d %s", id, res.StatusCode, body)
					return
				}
				mu.Lock()
				if answered = append(answered, `"`+id+`"`); len(answered) == 50 {
					close(begun)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-begun:
	case <-time.After(time.Minute):
		t.Error("no calls are answered")
	}
	// At a random moment of the shipper's interval of a second.
	time.Sleep(rand.N(1500 * time.Millisecond))
	s.kill()
	cancel()
	wg.Wait()
	return answered
}
