package e2e

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallygate/tallygate/gate/gatetest"
	_ "modernc.org/sqlite"
)

// TestKillLosesNothing kills the gate at random moments under load, KILLS times,
// and checks that each call whose client has the whole result has exactly one row.
func TestKillLosesNothing(t *testing.T) {
	kills := envInt(t, "KILLS", 8)
	u := gatetest.StartFlowUpstream(t)
	s := startSiteAt(t, u.Address())
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	c := gatetest.Client{URL: s.gate, Key: key}
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
					f := gatetest.Flow{
						Tool: fmt.Sprintf("query_%d_%d_%d", kill, worker, i), Name: names[rand.IntN(len(names))],
						Table: "t", Rows: rand.IntN(50), ID: "1", Session: fmt.Sprintf("session-%d", worker),
					}
					if c.Run(f) != nil {
						continue // killed
					}
					mu.Lock()
					answered[f.Tool] = true
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

// TestPendingCallsSurvive holds that calls whose results come with later requests
// leave their rows although the gate is killed, or stopped, in between.
func TestPendingCallsSurvive(t *testing.T) {
	for name, end := range map[string]func(*site){
		"kill -9": func(s *site) { s.kill() },
		"SIGTERM": func(s *site) { s.stop(t) },
	} {
		t.Run(name, func(t *testing.T) {
			u := gatetest.StartFlowUpstream(t)
			s := startSiteAt(t, u.Address())
			key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
			c := gatetest.Client{URL: s.gate, Key: key}
			var all []gatetest.Flow
			for _, name := range gatetest.FlowNames() {
				if kind, _, _ := strings.Cut(name, ", "); kind == "resumed" || kind == "task" || kind == "task 2025" || kind == "input" {
					i := len(all)
					all = append(all, gatetest.Flow{Tool: fmt.Sprintf("query_%d", i), Name: name, Table: "t", Rows: i, ID: "1", Session: fmt.Sprint("session-", i)})
				}
			}
			for _, f := range all {
				if err := c.Start(f); err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
			}
			end(s)
			s.run(t)
			for _, f := range all {
				if err := c.Finish(f); err != nil {
					t.Fatalf("%s goes on: %v", f.Name, err)
				}
			}
			gatetest.CheckRows(t, s.awaitCalls(t, s.login(t), len(all)), all, u)
			end(s) // nothing may come back
			s.run(t)
			gatetest.CheckRows(t, s.awaitCalls(t, s.login(t), len(all)), all, u)
		})
	}
}

func envInt(tb testing.TB, name string, fallback int) int {
	tb.Helper()
	v := os.Getenv(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		tb.Fatal(err)
	}
	return n
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
