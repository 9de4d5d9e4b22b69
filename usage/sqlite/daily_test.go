package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// rollUp is the SELECT of what the roll-up has to be.
const rollUp = `SELECT (ts - iif(ts < 0, 86399999999, 0)) / 86400000000 AS day, server, tool_name, ifnull(tables, '[]') AS touched, outcome,
		count(*), ifnull(sum(record_count >> 32), 0), ifnull(sum(record_count & 0xffffffff), 0)
	FROM mcp_tool_usage_log GROUP BY day, server, tool_name, touched, outcome`

// wantRollUp checks that the roll-up has the sums of the log.
func wantRollUp(t testing.TB, l *Ledger) {
	t.Helper()
	var missing, excess int
	if err := l.read.QueryRow("SELECT count(*) FROM (" + rollUp + " EXCEPT SELECT * FROM mcp_tool_usage_daily)").Scan(&missing); err != nil {
		t.Fatal(err)
	}
	if err := l.read.QueryRow("SELECT count(*) FROM (SELECT * FROM mcp_tool_usage_daily EXCEPT " + rollUp + ")").Scan(&excess); err != nil {
		t.Fatal(err)
	}
	if missing > 0 || excess > 0 {
		t.Fatalf("the roll-up has %d rows that are not right, and lacks %d", excess, missing)
	}
}

// TestRollUp writes batches of which any part may be stored already, and then
// deletes rows: the roll-up always has the sums of the log.
func TestRollUp(t *testing.T) {
	events := usagetest.Batch(0, 2_000, 20*time.Minute).Events
	for i := range events {
		switch i % 7 {
		case 0:
			events[i].Tables = nil
		case 1:
			events[i].RecordCount = usage.NullInt64{}
		case 2:
			events[i].RecordCount = usage.Int64(-1 << 63)
		case 3:
			events[i].RecordCount = usage.Int64(1<<63 - 1)
		case 4:
			events[i].Time = events[i].Time.AddDate(-56, 0, 0) // on both sides of 1970
		case 5:
			events[i].Outcome = usage.Aborted
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		l := openLedger(t, filepath.Join(t.TempDir(), "usage.db"))
		stored := make(map[int]bool)
		for range rapid.IntRange(1, 5).Draw(rt, "batches") {
			from := rapid.IntRange(0, len(events)-1).Draw(rt, "from")
			size := rapid.IntRange(1, min(250, len(events)-from)).Draw(rt, "size")
			mustWrite(t, l, usage.Batch{Token: "some", Events: events[from : from+size]})
			for i := range size {
				stored[from+i] = true
			}
			wantTotal(t, l, int64(len(stored)))
			wantRollUp(t, l)
		}
		at := rapid.SampledFrom(events).Draw(rt, "delete before").Time
		if _, err := l.write.Exec("DELETE FROM mcp_tool_usage_log WHERE ts < ?", at.UnixMicro()); err != nil {
			t.Fatal(err)
		}
		wantRollUp(t, l)
	})
}
