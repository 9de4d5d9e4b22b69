package usage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/sqlite"
)

// A batch that is written twice is stored once, so a writer that does not know
// whether a write succeeded can repeat it.
func ExampleLedger() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	sqliteLedger, err := sqlite.Open("sqlite:" + filepath.Join(dir, "usage.db"))
	if err != nil {
		panic(err)
	}
	var ledger usage.Ledger = sqliteLedger
	defer ledger.Close()

	ctx, now := context.Background(), time.Date(2026, 3, 14, 9, 30, 0, 0, time.UTC)
	event := func(tool string, records usage.NullInt64, outcome usage.Outcome) usage.Event {
		return usage.Event{
			ID: usage.NewID(now), Time: now, UserID: "ann", KeyID: "laptop", Tool: tool,
			Tables: []string{"stocks"}, RecordCount: records, Outcome: outcome,
		}
	}
	batch := usage.Batch{Token: "1", Events: []usage.Event{
		event("query", usage.Int64(40), usage.OK),
		event("query", usage.Int64(2), usage.OK),
		event("refresh", usage.NullInt64{}, usage.ToolError), // its records are unknown
	}}
	for range 2 {
		if err := ledger.Write(ctx, batch); err != nil {
			panic(err)
		}
	}

	failed := usage.Filter{Outcome: usage.ToolError}
	page, err := ledger.History(ctx, usage.HistoryQuery{Filter: failed, Page: 1, PageSize: 10})
	if err != nil {
		panic(err)
	}
	for _, e := range page.Events {
		fmt.Println(e.UserID, "called", e.Tool, "on", e.TableName()+":", e.Outcome)
	}

	stats, err := ledger.Stats(ctx, usage.StatsQuery{Days: 7, Now: now})
	if err != nil {
		panic(err)
	}
	fmt.Println(stats.TotalCalls, "calls,", stats.TotalRecords, "records")
	for _, tool := range stats.TopTools {
		fmt.Println(tool.Tool, tool.Calls, tool.Records)
	}
	// Output:
	// ann called refresh on stocks: tool_error
	// 3 calls, 42 records
	// query 2 42
	// refresh 1 0
}
