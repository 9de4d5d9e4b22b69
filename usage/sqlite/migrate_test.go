package sqlite

import (
	"database/sql/driver"
	"fmt"
	"io/fs"
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

// oldFile makes a ledger as a program did that knew the first versions of the
// schema only, with these events.
func oldFile(t *testing.T, path string, versions int, events []usage.Event) {
	t.Helper()
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	known := fstest.MapFS{}
	for _, name := range files[:versions] {
		data, err := fs.ReadFile(migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		known[filepath.Base(name)] = &fstest.MapFile{Data: data}
	}
	db, err := sqlitefile.Open(t.Context(), path, known)
	if err != nil {
		t.Fatal(err)
	}
	names, filled := columns, width-1 // table_name was derived
	if versions >= 4 {
		names, filled = columns+", table_name", width
	}
	r := newRows(1)
	for i := range events {
		row := make([]driver.NamedValue, width)
		if err := r.fill(row, &events[i]); err != nil {
			t.Fatal(err)
		}
		var values []any
		for _, v := range row[:filled] {
			values = append(values, v.Value)
		}
		if _, err := db.Exec("INSERT INTO mcp_tool_usage_log ("+names+") VALUES (?"+strings.Repeat(", ?", filled-1)+")", values...); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMigrate opens files of each older version: they hold what they held, and
// know their events when they come again.
func TestMigrate(t *testing.T) {
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
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= len(names); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "usage.db")
			if version < len(names) {
				oldFile(t, path, version, events)
			}
			l := openLedger(t, path)
			for _, b := range []usage.Batch{{}, {Token: "again", Events: events[:100]}, {Token: "all", Events: events}} {
				if version == len(names) {
					b = usage.Batch{Token: "all", Events: events}
				}
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
		})
	}
}
