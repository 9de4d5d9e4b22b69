package e2e

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// TestKillLosesNothing kills the gate at random moments under load, KILLS times,
// and checks that each call whose client has the whole result has exactly one row.
func TestKillLosesNothing(t *testing.T) {
	kills := envInt(t, "KILLS", 8)
	u := startFlowUpstream(t)
	s := startSiteAt(t, u.Listener.Addr().String())
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	c := flowClient{s, key}
	names := []string{"json", "crumbs", "crumbs, declared", "stream", "encoded", "input", "task", "task 2025"}

	var mu sync.Mutex
	answered := map[string]bool{}
	for kill := range kills {
		end := make(chan struct{})
		var load sync.WaitGroup
		for worker := range 8 {
			load.Add(1)
			go func() {
				defer load.Done()
				for i := 0; ; i++ {
					select {
					case <-end:
						return
					default:
					}
					f := flow{
						tool: fmt.Sprintf("query_%d_%d_%d", kill, worker, i), name: names[rand.IntN(len(names))],
						table: "t", rows: rand.IntN(50), id: "1", session: fmt.Sprintf("session of %d", worker),
					}
					if c.start(f) != nil || c.finish(f) != nil {
						continue // killed
					}
					mu.Lock()
					answered[f.tool] = true
					mu.Unlock()
				}
			}()
		}
		time.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond) // the moment is the test's input
		s.kill()
		close(end)
		load.Wait()
		s.run(t)
	}
	s.awaitTotal(t, s.login(t), int64(len(answered)), 1<<40) // what waits in the journal takes some batches
	s.stop(t)
	rows := s.ledgerRows(t)
	t.Logf("%d calls answered, %d rows, %d kills", len(answered), len(rows), kills)
	if len(answered) < 10*kills {
		t.Errorf("only %d calls were answered between %d kills", len(answered), kills)
	}
	for tool := range answered {
		if rows[tool] == 0 {
			t.Errorf("%s was answered and has no row", tool)
		}
	}
	for tool, n := range rows {
		if n > 1 {
			t.Errorf("%s has %d rows", tool, n)
		}
	}
}

// ledgerRows counts the rows of each tool in the ledger's file of a site that is
// not running.
func (s *site) ledgerRows(t *testing.T) map[string]int {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dir, "data", "usage.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT tool_name, count(*) FROM mcp_tool_usage_log GROUP BY tool_name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var tool string
		var n int
		if err := rows.Scan(&tool, &n); err != nil {
			t.Fatal(err)
		}
		counts[tool] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return counts
}
