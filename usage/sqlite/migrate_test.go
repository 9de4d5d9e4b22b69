package sqlite

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/internal/sqlitefile"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// TestEarlierLayout refuses a file from before the baseline with a sentence that
// says what to do, at each use, and leaves it as it is.
func TestEarlierLayout(t *testing.T) {
	for _, version := range []string{"00001", "00010"} {
		path := filepath.Join(t.TempDir(), "usage.db")
		old := fstest.MapFS{version + "_old.sql": {Data: []byte("-- +goose Up\nCREATE TABLE mcp_tool_usage_log (event_id TEXT);")}}
		db, err := sqlitefile.Open(t.Context(), path, old)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		l := openLedger(t, path)
		for range 2 {
			if err := l.Write(t.Context(), batch(0, 1)); err == nil || !strings.Contains(err.Error(), "from before the first release") || !strings.Contains(err.Error(), path) {
				t.Errorf("version %s: %v", version, err)
			}
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("version %s: the file changed (%v)", version, err)
		}
	}
}

// TestExtremeEvents writes unusual events, reopens the file and writes them
// again: they are stored as they were, once, and table_name is the first table.
func TestExtremeEvents(t *testing.T) {
	events := usagetest.Batch(0, 1_000, time.Hour).Events
	for i, change := range []func(*usage.Event){
		func(e *usage.Event) { *e = usage.Event{ID: e.ID, Time: e.Time} }, // all unknown
		func(e *usage.Event) { e.Tables = []string{""} },
		func(e *usage.Event) { e.Tables = []string{`"`, "a,b", "é\u2028<"} },
		func(e *usage.Event) { e.Time = time.Date(1, 2, 3, 4, 5, 6, 7_000, time.UTC) },
		func(e *usage.Event) { e.Time = time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC) },
		func(e *usage.Event) { e.Time = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) },
		func(e *usage.Event) { e.RecordCount = usage.Int64(-1 << 63) },
		func(e *usage.Event) { e.RecordCount = usage.Int64(1<<63 - 1) },
		func(e *usage.Event) { e.ID, e.Time = uuid.Max, events[0].Time },
		func(e *usage.Event) { e.ID, e.Time = uuid.Nil, events[0].Time },
	} {
		change(&events[100+i])
	}
	want := usagetest.NewMemory()
	if err := want.Write(t.Context(), usage.Batch{Token: "all", Events: events}); err != nil {
		t.Fatal(err)
	}
	all := usage.HistoryQuery{Page: 1, PageSize: len(events)}
	wantPage, _ := want.History(t.Context(), all) // cannot fail
	path := filepath.Join(t.TempDir(), "usage.db")
	mustWrite(t, openLedger(t, path), usage.Batch{Token: "all", Events: events})
	l := openLedger(t, path)
	for _, b := range []usage.Batch{{}, {Token: "again", Events: events[:100]}, {Token: "all", Events: events}} {
		mustWrite(t, l, b)
		page, err := l.History(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantPage, page); diff != "" {
			t.Fatalf("history (-want +got):\n%s", diff)
		}
		for _, q := range []usage.StatsQuery{
			{Days: 365, Now: usagetest.Start.AddDate(0, 1, 0)}, {Days: 2, Now: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)},
		} {
			got, err := l.Stats(t.Context(), q)
			want, _ := want.Stats(t.Context(), q) // cannot fail
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Fatalf("stats: %v (-want +got):\n%s", err, diff)
			}
		}
	}
	rows, err := l.read.Query("SELECT event_id, ifnull(table_name, '') FROM mcp_tool_usage_log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id uuid.UUID
		var table string
		if err := rows.Scan(&id, &table); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(events, func(e usage.Event) bool { return e.ID == id })
		if table != events[i].TableName() {
			t.Errorf("event %s: table_name %q, tables %q", id, table, events[i].Tables)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}
