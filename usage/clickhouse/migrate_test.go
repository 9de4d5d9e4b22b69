package clickhouse_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/tallygate/tallygate/usage"
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
					if err := l.Write(t.Context(), batch(i, 10)); err != nil {
						t.Error(err)
					}
				})
			}
			gates.Wait()
			wantRows(t, server, dsn, 10*n)
		})
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
