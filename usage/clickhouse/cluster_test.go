package clickhouse_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// twoShards is a cluster without Keeper, where each server gets its tables from
// a ledger of its own.
type twoShards []*clickhousetest.Server

func startTwoShards(t *testing.T) twoShards {
	return clickhousetest.StartCluster(t, "two", 2)
}

// newDatabase makes a database on both servers, and returns a DSN to it on each.
func (s twoShards) newDatabase(t *testing.T, protocol string) []string {
	dsns := make([]string, len(s))
	for i := range s {
		dsns[i] = newDatabase(t, s[i], protocol) + "?cluster=two&replicated=false"
	}
	return dsns
}

// newTables is newDatabase with the tables in it.
func (s twoShards) newTables(t *testing.T, protocol string) []string {
	dsns := s.newDatabase(t, protocol)
	for _, dsn := range dsns {
		l, err := clickhouse.Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = l.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: 1}) // fails while the other server lacks its table
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	return dsns
}

// wantRows fails the test unless both shards together hold this many rows, no
// event twice, and each shard about half of them.
func (s twoShards) wantRows(t *testing.T, dsn string, want int) {
	t.Helper()
	wantRows(t, s[0], dsn, want)
	wantRows(t, s[1], dsn, want)
	for i := range s {
		var rows int
		if _, err := fmt.Sscan(s[i].Query(t, "SELECT count() FROM "+database(dsn)+".mcp_tool_usage_log_local"), &rows); err != nil {
			t.Fatal(err)
		}
		if rows < want/3 || rows > want*2/3 {
			t.Errorf("shard %d holds %d rows of %d", i, rows, want)
		}
	}
}

func TestTwoShards(t *testing.T) {
	servers := startTwoShards(t)
	usagetest.RunSharded(t, func(t *testing.T) func() (usage.Ledger, error) {
		dsns, next := servers.newTables(t, "clickhouse"), 0
		return func() (usage.Ledger, error) {
			next++
			return clickhouse.Open(dsns[next%2]) // whichever server a gate is sent to
		}
	})
}

// TestShardFaults kills one of two shards, and writes through either server.
func TestShardFaults(t *testing.T) {
	servers := startTwoShards(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsns := servers.newDatabase(t, protocol)
			first := open(t, dsns[0])
			// The other server has no table yet: one half of the batch may be
			// there, the other is not.
			wantTransient(t, first.Write(t.Context(), batch(0, 1_000)))
			second := open(t, dsns[1])
			mustWrite(t, second, batch(0, 1_000))
			mustWrite(t, first, batch(0, 1_000))
			servers.wantRows(t, dsns[0], 1_000)

			servers[1].Kill()
			wantTransient(t, first.Write(t.Context(), batch(1, 1_000)))
			_, err := first.Stats(t.Context(), usage.StatsQuery{Days: 1, Now: usagetest.Start})
			wantTransient(t, err) // rather than half of it
			servers[1].Restart(t)
			mustWrite(t, first, batch(1, 1_000))
			mustWrite(t, open(t, dsns[0]), batch(1, 1_000))
			mustWrite(t, open(t, dsns[1]), batch(1, 1_000))
			servers.wantRows(t, dsns[0], 2_000)

			page, err := second.History(t.Context(), usage.HistoryQuery{Page: 2, PageSize: 700})
			if err != nil {
				t.Fatal(err)
			}
			stats, err := second.Stats(t.Context(), usage.StatsQuery{Days: 2, Now: usagetest.Start.AddDate(0, 0, 1)})
			if err != nil || page.Total != 2_000 || len(page.Events) != 700 || stats.TotalCalls != 2_000 {
				t.Errorf("history of %d, a page of %d, stats of %d calls: %v", page.Total, len(page.Events), stats.TotalCalls, err)
			}
		})
	}
}

// TestTokensOfShards relies on the shards' memory of tokens alone: each knows
// its half of a batch again.
func TestTokensOfShards(t *testing.T) {
	servers := startTwoShards(t)
	dsns := servers.newTables(t, "http")
	l := open(t, dsns[0])
	mustWrite(t, l, batch(0, 10))
	mustWrite(t, l, batch(1, 1_000))
	mustWrite(t, l, batch(1, 1_000)) // not in doubt, so not looked up
	servers.wantRows(t, dsns[0], 1_010)
}

// TestClusterMix finds tables that do not go with what the DSN says of a cluster.
func TestClusterMix(t *testing.T) {
	servers := startTwoShards(t)
	distributed := servers.newTables(t, "http")[0]
	plain := newDatabase(t, servers[0], "http")
	mustWrite(t, open(t, plain), batch(0, 10))
	for dsn, want := range map[string]string{
		strings.TrimSuffix(distributed, "?cluster=two&replicated=false"): "name its cluster in the DSN",
		plain + "?cluster=two&replicated=false":                          "RENAME it to mcp_tool_usage_log_local",
	} {
		err := open(t, dsn).Write(t.Context(), batch(1, 10))
		wantTransient(t, err)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want one with %q", err, want)
		}
	}

	// What the error says helps.
	for _, statement := range []string{"RENAME TABLE mcp_tool_usage_log TO mcp_tool_usage_log_local", "DROP TABLE mcp_tool_usage_migrations"} {
		name := database(plain) + "."
		servers[0].Query(t, strings.NewReplacer("TABLE ", "TABLE "+name, "TO ", "TO "+name).Replace(statement))
	}
	servers[1].Query(t, "CREATE DATABASE "+database(plain))
	for _, server := range servers {
		dsn := strings.TrimSuffix(server.HTTPURL, "default") + database(plain) + "?cluster=two&replicated=false"
		_, _ = open(t, dsn).Stats(t.Context(), usage.StatsQuery{Days: 1, Now: usagetest.Start}) // fails while the other server lacks its table
	}
	l := open(t, plain+"?cluster=two&replicated=false")
	mustWrite(t, l, batch(1, 10))
	wantRows(t, servers[0], plain, 20)
}
