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
	"time"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
)

// database is the name of the DSN's database.
func database(dsn string) string {
	path, _, _ := strings.Cut(dsn, "?")
	return path[strings.LastIndex(path, "/")+1:]
}

// oldTable is mcp_tool_usage_log as the first version made it, which had it
// sorted by user and no roll-up.
const oldTable = `CREATE TABLE %[1]s.mcp_tool_usage_log
(
    event_id UUID CODEC(ZSTD(1)), ts DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    user_id LowCardinality(String), user_email LowCardinality(String), key_id LowCardinality(String), key_name LowCardinality(String),
    tool_name LowCardinality(String), table_name LowCardinality(Nullable(String)) DEFAULT nullIf(tables[1], ''), tables Array(LowCardinality(String)),
    record_count Nullable(Int64) CODEC(ZSTD(1)), outcome LowCardinality(String), http_status Nullable(Int64) CODEC(ZSTD(1)), rpc_code Nullable(Int64) CODEC(ZSTD(1)),
    duration_us Int64 CODEC(T64, ZSTD(1)), request_bytes Int64 CODEC(T64, ZSTD(1)), response_bytes Int64 CODEC(T64, ZSTD(1)),
    session_id Nullable(String) CODEC(ZSTD(1)), request_id String CODEC(ZSTD(1)), protocol_version LowCardinality(Nullable(String)),
    client_name LowCardinality(Nullable(String)), client_version LowCardinality(Nullable(String)), remote_ip LowCardinality(String)
)
ENGINE = MergeTree PARTITION BY toYYYYMM(ts) ORDER BY (user_id, ts)
SETTINGS non_replicated_deduplication_window = 100000, fsync_after_insert = 1, fsync_part_directory = 1`

// makeOldTable makes a database as the first version left it, with the rows of
// the batches in it.
func makeOldTable(t *testing.T, server *clickhousetest.Server, dsn string, batches ...usage.Batch) {
	t.Helper()
	server.Query(t, fmt.Sprintf(oldTable, database(dsn)))
	server.Query(t, "CREATE TABLE "+database(dsn)+".mcp_tool_usage_migrations (version UInt32, applied_at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY version")
	for _, b := range batches {
		// The columns are the same, so today's program can fill them.
		other := newDatabase(t, server, "http")
		mustWrite(t, open(t, other), b)
		const names = "event_id, ts, user_id, user_email, key_id, key_name, tool_name, tables, record_count, outcome, http_status, rpc_code, " +
			"duration_us, request_bytes, response_bytes, session_id, request_id, protocol_version, client_name, client_version, remote_ip"
		server.Query(t, fmt.Sprintf("INSERT INTO %s.mcp_tool_usage_log (%s) SELECT %s FROM %s.mcp_tool_usage_log", database(dsn), names, names, database(other)))
	}
	server.Query(t, "INSERT INTO "+database(dsn)+".mcp_tool_usage_migrations (version) VALUES (1)")
}

// TestMigrateTogether starts several gates at once, on an empty database and on
// one of the first version.
func TestMigrateTogether(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		for _, old := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s old %v", protocol, old), func(t *testing.T) {
				dsn, rows := newDatabase(t, server, protocol), 0
				if old {
					makeOldTable(t, server, dsn, batch(100, 1_000))
					rows = 1_000
				}
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
				wantMigrated(t, server, dsn, rows+10*n)
			})
		}
	}
}

// TestMigrateProcesses does it with processes.
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
	for _, old := range []bool{false, true} {
		dsn, rows := newDatabase(t, server, "clickhouse"), 0
		if old {
			makeOldTable(t, server, dsn, batch(100, 1_000))
			rows = 1_000
		}
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
		wantMigrated(t, server, dsn, rows+10*n)
	}
}

// wantMigrated fails the test unless the database is as the last migration
// leaves it, with this many rows, all of them in the roll-up in the end.
func wantMigrated(t *testing.T, server *clickhousetest.Server, dsn string, rows int) {
	t.Helper()
	wantRows(t, server, dsn, rows)
	db := database(dsn)
	if got := server.Query(t, "SELECT arraySort(groupUniqArray(version)) FROM "+db+".mcp_tool_usage_migrations"); got != "[1,2,3,4]" {
		t.Errorf("versions %s", got)
	}
	for _, name := range []string{"daily", "daily_by_user"} {
		without := "SELECT count() FROM system.parts WHERE active AND database = '" + db + "' AND table = 'mcp_tool_usage_log' AND NOT has(projections, '" + name + "')"
		for deadline := time.Now().Add(30 * time.Second); server.Query(t, without) != "0"; <-time.After(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("parts without the projection %s: %s", name, server.Query(t, without))
			}
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
		if want := map[bool]int{false: 4, true: 5}[strings.Contains(dsn, "cluster")]; len(statements) != want {
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
		if columns := strings.Count(lines[i], "\t") + 1 - 4; columns != 22 {
			t.Errorf("row %d: * has %d columns, want 22", i, columns)
		}
	}
}
