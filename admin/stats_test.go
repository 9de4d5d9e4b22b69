package admin

import (
	"context"
	"errors"
	"strings"
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
		"user":                  {{Name: w.ana.ID, UserEmail: w.ana.Email, Calls: 4, Errors: 2, ErrorShare: 0.5, Records: 40, RequestBytes: 400, ResponseBytes: 4000, P50: 1000, P95: 3000, P99: 3000}},
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

// TestStatsOfDays asks for days by from and to, which include both, as in history
// and exports.
func TestStatsOfDays(t *testing.T) {
	w := newWorld(t)
	key := listedKey{ID: uuid.NewString()}
	for day := range 6 { // two on each, at its beginning and at its end
		at := time.Date(2026, 2, 26+day, 0, 0, 0, 0, time.UTC)
		w.record(t, event(w.ana, key, "query", at, usage.Int64(1)), event(w.ana, key, "query", at.Add(24*time.Hour-time.Microsecond), usage.Int64(1)))
	}
	for query, want := range map[string]int64{
		"from=2026-02-27&to=2026-02-28":                     4,
		"from=2026-02-28&to=2026-02-28":                     2,
		"from=2026-02-27T00:00:00Z&to=2026-03-02T00:00:00Z": 6,
		"from=2026-02-27T01:00:00%2B01:00&to=2026-03-01":    6,
		"days=2&to=2026-03-01":                              4,
		"to=2026-02-27":                                     4,
		"from=2026-01-01&to=2026-02-25":                     0,
	} {
		got := into[statsAnswer](t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats?by=day&"+query, ""), 200)
		if got.TotalCalls != want || len(got.Daily) != got.Days || len(*got.Groups) != int(want/2) {
			t.Errorf("%s: %d calls, %d of %d days, %d with calls; want %d", query, got.TotalCalls, len(got.Daily), got.Days, len(*got.Groups), want)
		}
		if strings.Contains(query, "days") {
			continue
		}
		if page := into[historyAnswer](t, w.as(t, w.ana, "GET", "/api/mcp-usage/history?"+query, ""), 200); page.Total != want {
			t.Errorf("%s: the history has %d calls, want %d", query, page.Total, want)
		}
	}
	for query, says := range map[string]string{
		"from=2026-02-27T12:00:00Z":     "from must be a day",
		"to=2026-02-27T12:00:00Z":       "to must be a day",
		"from=2026-02-27&days=3":        "leave days out",
		"from=2026-02-27&to=2026-02-26": "from must be before to",
		"from=2020-02-27":               "at most 366 days before to",
		"from=2190-01-01":               "not after that",
	} {
		refused(t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats?"+query, ""), 400, "invalid_request", says)
	}
}

// noBreakdown is a ledger whose Breakdown fails.
type noBreakdown struct{ usage.Ledger }

func (noBreakdown) Breakdown(context.Context, usage.BreakdownQuery) ([]usage.Group, error) {
	return nil, errors.New("out of memory")
}
