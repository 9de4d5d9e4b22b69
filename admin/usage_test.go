package admin

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

func TestHistoryFilters(t *testing.T) {
	w := newWorld(t)
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	first, second := listedKey{ID: uuid.NewString(), Name: "first"}, listedKey{ID: uuid.NewString(), Name: "second"}
	a := event(w.ana, first, "list_tables", noon, usage.NullInt64{})
	b := event(w.ana, first, "query_stock", noon.Add(time.Minute), usage.Int64(0), "stock_basic", "stock_daily")
	c := event(w.ana, second, "query_stock", noon.Add(2*time.Minute), usage.Int64(3), "stock_daily")
	c.Outcome = usage.ToolError
	d := event(w.ana, second, "run & sql", noon.Add(3*time.Minute), usage.NullInt64{}, "trade_calendar")
	d.Outcome, d.RPCCode = usage.RPCError, usage.Int64(-32602)
	c.Server, d.Server = "stock-data", "stock-data"
	w.record(t, a, b, c, d)

	for _, tt := range []struct {
		query string
		want  []usage.Event
	}{
		{"", []usage.Event{d, c, b, a}},
		{"?server=stock-data", []usage.Event{d, c}},
		{"?server=stock-data&tool=query_stock", []usage.Event{c}},
		{"?server=stock", []usage.Event{}},
		{"?tool=query_stock", []usage.Event{c, b}},
		{"?tool=" + url.QueryEscape("run & sql"), []usage.Event{d}},
		{"?tool=query_", []usage.Event{}},
		{"?tool=%25", []usage.Event{}},
		{"?table=stock_daily", []usage.Event{c, b}},
		{"?table=stock_basic", []usage.Event{b}},
		{"?table=stock", []usage.Event{}},
		{"?key_id=" + second.ID, []usage.Event{d, c}},
		{"?outcome=ok", []usage.Event{b, a}},
		{"?outcome=tool_error", []usage.Event{c}},
		{"?outcome=aborted", []usage.Event{}},
		{"?from=2026-11-23T12:01:00Z", []usage.Event{d, c, b}},
		{"?to=2026-11-23T12:01:00Z", []usage.Event{a}},
		{"?from=2026-11-23T13:01:00%2B01:00&to=2026-11-23T12:02:00.000001Z", []usage.Event{c, b}},
		{"?tool=query_stock&key_id=" + first.ID + "&table=stock_daily&outcome=ok&from=2026-11-23T12:00:00Z&to=2026-11-23T13:00:00Z", []usage.Event{b}},
		{"?page=2&page_size=3", []usage.Event{a}},
		{"?page=2&page_size=1&tool=query_stock", []usage.Event{b}},
		{"?page_size=200", []usage.Event{d, c, b, a}},
	} {
		got := into[historyAnswer](t, w.as(t, w.ana, "GET", "/api/mcp-usage/history"+tt.query, ""), 200)
		if diff := cmp.Diff(tt.want, got.Items); diff != "" {
			t.Errorf("%q differs:\n%s", tt.query, diff)
		}
	}
}

// TestHistoryByCursor reads all pages while a call is added: by cursor each call
// that existed at the start appears once; by page number one appears twice.
func TestHistoryByCursor(t *testing.T) {
	w := newWorld(t)
	key := listedKey{ID: uuid.NewString()}
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	call := func(minute int) usage.Event {
		return event(w.ana, key, "query_stock", noon.Add(time.Duration(minute)*time.Minute), usage.NullInt64{})
	}
	a, b, c, d, e := call(0), call(1), call(2), call(3), call(4)
	w.record(t, a, b, c, d, e)
	get := func(query string) historyAnswer {
		t.Helper()
		return into[historyAnswer](t, w.as(t, w.ana, "GET", "/api/mcp-usage/history?page_size=2"+query, ""), 200)
	}
	want := func(got historyAnswer, page int, total int64, last bool, items ...usage.Event) {
		t.Helper()
		if diff := cmp.Diff(append([]usage.Event{}, items...), got.Items); diff != "" {
			t.Errorf("items differ:\n%s", diff)
		}
		if got.Page != page || got.PageSize != 2 || got.Total != total || (got.NextCursor == nil) != last {
			t.Errorf("page %d of %d, total %d, next cursor %v", got.Page, got.PageSize, got.Total, got.NextCursor)
		}
	}
	first := get("")
	want(first, 1, 5, false, e, d)
	w.record(t, call(5))
	want(get("&page=2"), 2, 6, false, d, c)
	second := get("&cursor=" + *first.NextCursor)
	want(second, 1, 6, false, c, b)
	want(get("&cursor="+*second.NextCursor), 1, 6, true, a)
	want(get("&tool=other&cursor="+*second.NextCursor), 1, 0, true)
}

func TestHistoryRefuses(t *testing.T) {
	w := newWorld(t)
	w.record(t, event(w.ana, listedKey{ID: uuid.NewString()}, "a", time.Now(), usage.NullInt64{}), event(w.ana, listedKey{ID: uuid.NewString()}, "b", time.Now(), usage.NullInt64{}))
	for _, c := range []struct{ query, words string }{
		{"page=0", `page must be a whole number from 1 to 2147483647, not "0"`},
		{"page=-1", "page must be"},
		{"page=1.5", "page must be"},
		{"page=one", "page must be"},
		{"page=", "page is empty"},
		{"page=2147483648", "page must be"},
		{"page=99999999999999999999", "page must be"},
		{"page=1&page=2", "page is given 2 times"},
		{"page_size=0", `page_size must be a whole number from 1 to 200, not "0"`},
		{"page_size=201", "page_size must be"},
		{"page_size=all", "page_size must be"},
		{"cursor=", "cursor is empty"},
		{"cursor=2", `cursor must be the next_cursor of an answer, not "2"`},
		{"cursor=" + url.QueryEscape(usage.Cursor{}.String()+"\n"), "cursor must be the next_cursor"},
		{"page=1&cursor=" + usage.Cursor{}.String(), "leave page out"},
		{"limit=20", `unknown query parameter "limit": there are page, page_size, cursor, server, tool, table, key_id, outcome, from, to and user`},
		{"tool=", "tool is empty"},
		{"tool=a&tool=b", "tool is given 2 times"},
		{"tool=%ff", "tool is not valid UTF-8"},
		{"key_id=mine", "key_id must be the key_id of a key"},
		{"outcome=fine", "outcome must be one of [ok tool_error rpc_error http_error aborted]"},
		{"outcome=OK", "outcome must be one of"},
		{"from=yesterday", "from must be a day or a time in RFC 3339"},
		{"to=2026-11-31", "to must be a day or a time in RFC 3339"},
		{"from=2026-11-23T12:00:00+01:00", "a + is sent as %2B"},
		{"from=2026-11-23T12:00:00Z&to=2026-11-23T12:00:00Z", "from must be before to"},
		{"from=2026-11-24T12:00:00Z&to=2026-11-23T12:00:00Z", "from must be before to"},
		{"page=1;page_size=2", "malformed"},
	} {
		refused(t, w.as(t, w.ana, "GET", "/api/mcp-usage/history?"+c.query, ""), 400, "invalid_request", c.words)
	}
	for query, words := range map[string]string{
		"page=2":                        "page 2 is out of range: the last page is 1",
		"page=3&page_size=1":            "page 3 is out of range: the last page is 2",
		"page=2147483647&page_size=200": "the last page is 1",
		"page=2&tool=c":                 "the last page is 1",
	} {
		refused(t, w.as(t, w.ana, "GET", "/api/mcp-usage/history?"+query, ""), 404, "page_out_of_range", words)
	}
}

func TestStatsDays(t *testing.T) {
	w := newWorld(t)
	key := listedKey{ID: uuid.NewString()}
	w.record(t,
		event(w.ana, key, "a", time.Now(), usage.Int64(1)),
		event(w.ana, key, "a", time.Now().AddDate(0, 0, -10), usage.Int64(2)),
		event(w.ana, key, "a", time.Now().AddDate(0, 0, -100), usage.Int64(4)),
		event(w.ana, key, "a", time.Now().AddDate(0, 0, -400), usage.Int64(8)),
	)
	for query, want := range map[string]usage.Stats{
		"":          {Days: 30, TotalCalls: 2, TotalRecords: 3},
		"?days=1":   {Days: 1, TotalCalls: 1, TotalRecords: 1},
		"?days=366": {Days: 366, TotalCalls: 3, TotalRecords: 7},
	} {
		got := into[usage.Stats](t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats"+query, ""), 200)
		if got.Days != want.Days || len(got.Daily) != want.Days || got.TotalCalls != want.TotalCalls || got.TotalRecords != want.TotalRecords {
			t.Errorf("%q: %d days in %d entries, %d calls, %d records; want %+v", query, got.Days, len(got.Daily), got.TotalCalls, got.TotalRecords, want)
		}
	}
	for query, words := range map[string]string{
		"days=0":            `days must be a whole number from 1 to 366, not "0"`,
		"days=367":          "days must be",
		"days=-30":          "days must be",
		"days=1e2":          "days must be",
		"days=":             "days is empty",
		"days=1&days=2":     "days is given 2 times",
		"day=1":             `unknown query parameter "day": there are days, from, to, by, limit, server, tool, table, key_id, outcome and user`,
		"days=30&page=1":    `unknown query parameter "page"`,
		"by=":               "by is empty",
		"by=color":          `by must be one of [total day server tool table user key client], not "color"`,
		"by=Day":            "by must be one of",
		"limit=5":           "limit is of groups",
		"by=key&limit=0":    `limit must be a whole number from 1 to 1000, not "0"`,
		"by=key&limit=1001": "limit must be",
		"tool=":             "tool is empty",
		"key_id=mine":       "key_id must be the key_id of a key",
		"outcome=fine":      "outcome must be one of",
	} {
		refused(t, w.as(t, w.ana, "GET", "/api/mcp-usage/stats?"+query, ""), 400, "invalid_request", words)
	}
}
