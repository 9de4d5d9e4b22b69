package admin

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// TestStatsBy breaks a day's calls down by every dimension.
func TestStatsBy(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	one, two := listedKey{ID: "0192f0c1-2345-7abc-8def-0123456789ab", Name: "one"}, listedKey{ID: "0192f0c1-2345-7abc-8def-0123456789ac", Name: "two"}
	call := func(k listedKey, server, tool, client string, took time.Duration, outcome usage.Outcome, tables ...string) {
		e := event(w.ana, k, tool, now, usage.Int64(10), tables...)
		e.Server, e.ClientName, e.DurationUS, e.Outcome, e.RequestBytes, e.ResponseBytes = server, client, took.Microseconds(), outcome, 100, 1000
		w.record(t, e)
	}
	call(one, "stock-data", "query", "cursor", time.Millisecond, usage.OK, "a", "b")
	call(one, "files", "query", "cursor", 2*time.Millisecond, usage.ToolError, "a")
	call(one, "stock-data", "query", "claude", 3*time.Millisecond, usage.OK)
	call(two, "files", "list", "", 500*time.Microsecond, usage.Aborted)
	w.record(t, event(w.ben, listedKey{ID: uuid.NewString()}, "ben's", now, usage.NullInt64{}))
	w.record(t, event(w.ana, one, "old", now.AddDate(0, 0, -40), usage.NullInt64{}))

	group := func(name string, calls, errors int64, p50, p99 int64) statsGroup {
		return statsGroup{
			Name: name, Calls: calls, Errors: errors, ErrorShare: float64(errors) / float64(calls),
			Records: 10 * calls, RequestBytes: 100 * calls, ResponseBytes: 1000 * calls, P50: p50, P95: p99, P99: p99,
		}
	}
	named := func(g statsGroup, name string) statsGroup {
		g.KeyName = name
		return g
	}
	for query, want := range map[string][]statsGroup{
		"total":                 {group("", 4, 2, 1000, 3000)},
		"day":                   {group(now.UTC().Format(time.DateOnly), 4, 2, 1000, 3000)},
		"server":                {group("files", 2, 2, 500, 2000), group("stock-data", 2, 0, 1000, 3000)},
		"tool&server=files":     {group("list", 1, 1, 500, 500), group("query", 1, 1, 2000, 2000)},
		"tool":                  {group("query", 3, 1, 2000, 3000), group("list", 1, 1, 500, 500)},
		"table":                 {group("a", 2, 1, 1000, 2000), group("b", 1, 0, 1000, 1000)},
		"key":                   {named(group(one.ID, 3, 1, 2000, 3000), "one"), named(group(two.ID, 1, 1, 500, 500), "two")},
		"client":                {group("cursor", 2, 1, 1000, 2000), group("", 1, 1, 500, 500), group("claude", 1, 0, 3000, 3000)},
		"client&limit=1":        {group("cursor", 2, 1, 1000, 2000)},
		"tool&outcome=ok":       {group("query", 2, 0, 1000, 3000)},
		"tool&table=b":          {group("query", 1, 0, 1000, 1000)},
		"tool&key_id=" + two.ID: {group("list", 1, 1, 500, 500)},
		"client&tool=list":      {group("", 1, 1, 500, 500)},
		"tool&tool=none":        {},
	} {
		got := into[statsAnswer](t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats?by="+query, ""), 200)
		if got.Groups == nil {
			t.Fatalf("by=%s answers no groups", query)
		}
		if diff := cmp.Diff(want, *got.Groups); diff != "" {
			t.Errorf("by=%s differs:\n%s", query, diff)
		}
		var calls int64 // the sums keep to the same filter
		for _, g := range want {
			calls += g.Calls
		}
		if by := got.By; by != usage.ByTable && query != "client&limit=1" && got.TotalCalls != calls {
			t.Errorf("by=%s: %d calls in all, %d in groups", query, got.TotalCalls, calls)
		}
	}
	if got := into[statsAnswer](t, w.as(t, w.root, "GET", "/api/mcp-usage/stats?by=tool&user=all", ""), 200); len(*got.Groups) != 3 {
		t.Errorf("of everyone there are %d tools", len(*got.Groups))
	}
	// Every day that was asked for is there, whatever the limit.
	if got := into[statsAnswer](t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats?by=day&days=60&limit=1", ""), 200); len(*got.Groups) != 2 {
		t.Errorf("there are %d days", len(*got.Groups))
	}
	if got := into[map[string]any](t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats", ""), 200); got["groups"] != nil || got["by"] != nil {
		t.Errorf("without by, the answer is %v", got)
	}

	w.serve(t, w.store, noBreakdown{w.ledger})
	refused(t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats?by=tool", ""), 503, "ledger_unavailable", "ledger unavailable")
}

// noBreakdown is a ledger whose Breakdown fails.
type noBreakdown struct{ usage.Ledger }

func (noBreakdown) Breakdown(context.Context, usage.BreakdownQuery) ([]usage.Group, error) {
	return nil, errors.New("out of memory")
}
