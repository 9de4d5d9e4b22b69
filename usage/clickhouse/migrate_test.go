package clickhouse_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
)

// database is the name of the DSN's database.
func database(dsn string) string {
	path, _, _ := strings.Cut(dsn, "?")
	return path[strings.LastIndex(path, "/")+1:]
}

// TestMigrateTogether starts several gates at once on an empty database.
func TestMigrateTogether(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			var gates sync.WaitGroup
			const n = 8
			for i := range n {
				l := open(t, dsn)
				gates.Go(func() {
					if _, err := writeUntilDone(t.Context(), l, batch(i, 10)); err != nil {
						t.Error(err)
					}
				})
			}
			gates.Wait()
			wantMigrated(t, server, dsn, 10*n)
		})
	}
}

// TestMigrateProcesses does the same with processes.
func TestMigrateProcesses(t *testing.T) {
	const role = "TALLYGATE_TEST_MIGRATE"
	if gate, dsn, isGate := strings.Cut(os.Getenv(role), " "); isGate {
		n, err := strconv.Atoi(gate)
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, open(t, dsn), batch(n, 10))
		return
	}
	server := clickhousetest.Start(t)
	dsn := newDatabase(t, server, "clickhouse")
	var gates sync.WaitGroup
	const n = 4
	for i := range n {
		gate := exec.Command(os.Args[0], "-test.run=^TestMigrateProcesses$")
		gate.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", role, i, dsn))
		gates.Go(func() {
			if out, err := gate.CombinedOutput(); err != nil {
				t.Errorf("gate %d: %v\n%s", i, err, out)
			}
		})
	}
	gates.Wait()
	wantMigrated(t, server, dsn, 10*n)
}

// TestEarlierTables refuses tables from before the baseline with a sentence that
// says what to do, and leaves them as they are.
func TestEarlierTables(t *testing.T) {
	server := clickhousetest.Start(t)
	dsn := newDatabase(t, server, "clickhouse")
	db := database(dsn)
	server.Query(t, "CREATE TABLE "+db+".mcp_tool_usage_log (event_id UUID, ts DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY ts")
	server.Query(t, "CREATE TABLE "+db+".mcp_tool_usage_migrations (version UInt32, applied_at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY version")
	server.Query(t, "INSERT INTO "+db+".mcp_tool_usage_migrations (version) VALUES (1), (2), (3), (4)")
	err := open(t, dsn).Write(t.Context(), batch(1, 10))
	wantTransient(t, err)
	if want := "version 4, from before the first release"; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want one with %q", err, want)
	}
	if got := server.Query(t, "SELECT count(), max(version) FROM "+db+".mcp_tool_usage_migrations"); got != "4\t4" {
		t.Errorf("migrations: %s", got)
	}
	wantRows(t, server, dsn, 0)
}

// wantMigrated fails the test unless the database is as the last migration leaves
// it, with this many rows, all of them in the roll-up.
func wantMigrated(t *testing.T, server *clickhousetest.Server, dsn string, rows int) {
	t.Helper()
	wantRows(t, server, dsn, rows)
	db := database(dsn)
	if got := server.Query(t, "SELECT arraySort(groupUniqArray(version)) FROM "+db+".mcp_tool_usage_migrations"); got != "[12,13]" {
		t.Errorf("versions %s", got)
	}
	for _, name := range []string{"daily", "daily_by_user"} {
		without := "SELECT count() FROM system.parts WHERE active AND database = '" + db + "' AND table = 'mcp_tool_usage_log' AND NOT has(projections, '" + name + "')"
		if n := server.Query(t, without); n != "0" {
			t.Errorf("parts without the projection %s: %s", name, n)
		}
	}
	l := open(t, dsn)
	page, err := l.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: rows})
	if err != nil || page.Total != int64(rows) || len(page.Events) != rows {
		t.Errorf("history: %d of %d events, %v", len(page.Events), page.Total, err)
	}
	wantRows(t, server, dsn, rows)
}

// TestClusterStatements has ClickHouse parse what it cannot run here: the
// statements for a cluster with Keeper.
func TestClusterStatements(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, dsn := range []string{"http://h/db?cluster=prod", "http://h/db?cluster={cluster}", "http://h/db?cluster=prod&replicated=false", "http://h/db"} {
		statements, err := clickhouse.Statements(dsn)
		if err != nil {
			t.Fatal(err)
		}
		replicated := strings.Contains(dsn, "cluster") && !strings.Contains(dsn, "replicated=false")
		for _, statement := range statements {
			quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(statement)
			parsed := server.Query(t, "SELECT formatQuerySingleLine('"+quoted+"')")
			if strings.Contains(parsed, "ON CLUSTER") != (replicated && !strings.HasPrefix(parsed, "INSERT")) {
				t.Errorf("%s: %s", dsn, parsed)
			}
			if create := strings.HasPrefix(parsed, "CREATE"); create && strings.Contains(parsed, "ReplicatedMergeTree(") != (replicated && !strings.Contains(parsed, "Distributed(")) {
				t.Errorf("%s: %s", dsn, parsed)
			}
		}
		if want := map[bool]int{false: 2, true: 3}[strings.Contains(dsn, "cluster")]; len(statements) != want {
			t.Errorf("%s: %d statements, want %d", dsn, len(statements), want)
		}
	}
}

// TestNewerTables refuses tables that a newer version has made, and touches nothing.
func TestNewerTables(t *testing.T) {
	server := clickhousetest.Start(t)
	dsn := newDatabase(t, server, "clickhouse")
	mustWrite(t, open(t, dsn), batch(0, 10))
	server.Query(t, "INSERT INTO "+database(dsn)+".mcp_tool_usage_migrations (version) VALUES (1000)")
	err := open(t, dsn).Write(t.Context(), batch(1, 10))
	wantTransient(t, err)
	if want := "version 1000, made by a newer tallygate"; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want one with %q", err, want)
	}
	wantRows(t, server, dsn, 10)
}

// TestTableGone drops the table under a ledger that has used it: after one
// error the ledger makes it anew.
func TestTableGone(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			l := open(t, dsn)
			mustWrite(t, l, batch(0, 10))
			server.Query(t, "DROP TABLE "+database(dsn)+".mcp_tool_usage_log SYNC")
			wantTransient(t, l.Write(t.Context(), batch(1, 10)))
			if err := l.Write(t.Context(), batch(1, 10)); err != nil {
				t.Fatal(err)
			}
			wantRows(t, server, dsn, 10)
		})
	}
}

// TestOtherTable finds a table of that name which is another: an operator has
// to see to it, and no event must be set aside meanwhile.
func TestOtherTable(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, columns := range []string{
		"x Int64",
		"event_id UUID, ts DateTime64(6, 'UTC'), user_id Int64",
	} {
		for _, protocol := range protocols {
			dsn := newDatabase(t, server, protocol)
			server.Query(t, "CREATE TABLE "+database(dsn)+".mcp_tool_usage_log ("+columns+") ENGINE = MergeTree ORDER BY tuple()")
			if err := open(t, dsn).Write(t.Context(), batch(0, 10)); err == nil || errors.Is(err, usage.ErrRejected) {
				t.Errorf("%s, columns %s: Write: %v", protocol, columns, err)
			}
		}
	}
}

// TestSelectStar reads the table as an operator would who looks at it directly.
func TestSelectStar(t *testing.T) {
	server := clickhousetest.Start(t)
	dsn := newDatabase(t, server, "clickhouse")
	b := batch(0, 2)
	b.Events[0].Tables, b.Events[0].RecordCount, b.Events[0].SessionID = nil, usage.NullInt64{}, ""
	b.Events[1].Tables, b.Events[1].SessionID = []string{"first", "second"}, "s"
	mustWrite(t, open(t, dsn), b)
	got := server.Query(t, "SELECT table_name, tables, record_count, session_id, * FROM "+database(dsn)+".mcp_tool_usage_log ORDER BY ts FORMAT TSV")
	lines := strings.Split(got, "\n")
	for i, want := range []string{`\N	[]	\N	\N	`, `first	['first','second']	1	s	`} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("row %d: %q, want it to begin with %q", i, lines[i], want)
		}
		if columns := strings.Count(lines[i], "\t") + 1 - 4; columns != len(usage.Columns) {
			t.Errorf("row %d: * has %d columns, want %d", i, columns, len(usage.Columns))
		}
	}
}
