package clickhouse_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// TestRollUpIsRead holds that stats and totals come from the roll-up, and from
// which one, rather than from the events.
func TestRollUpIsRead(t *testing.T) {
	server := clickhousetest.Start(t, clickhousetest.Config(t, `<clickhouse><query_log><database>system</database><table>query_log</table>
		<flush_interval_milliseconds>100000</flush_interval_milliseconds></query_log></clickhouse>`))
	dsn := newDatabase(t, server, "http")
	l := open(t, dsn)
	mustWrite(t, l, usagetest.Batch(0, 20_000, time.Minute)) // two weeks
	everyone := usage.Filter{Server: "stock-data", Tool: "tool_1", Table: "table_1", Outcome: usage.OK}
	one := everyone
	one.UserID, one.KeyID = batch(0, 1).Events[0].UserID, batch(0, 1).Events[0].KeyID
	for name, test := range map[string]struct {
		filter usage.Filter
		want   string
	}{
		"everyone":           {usage.Filter{}, "daily"},
		"everyone, narrowed": {everyone, "daily"},
		"a user":             {usage.Filter{UserID: one.UserID}, "daily_by_user"},
		"a user, narrowed":   {one, "daily_by_user"},
	} {
		test.filter.From = usagetest.Start.Add(90 * time.Minute) // within a day
		server.Query(t, "SYSTEM FLUSH LOGS query_log")
		before := server.Query(t, "SELECT count() FROM system.query_log")
		if _, err := l.Stats(t.Context(), usage.StatsQuery{Filter: test.filter, Days: 30, Now: usagetest.Start.AddDate(0, 0, 20)}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.History(t.Context(), usage.HistoryQuery{Filter: test.filter, Page: 1, PageSize: 10}); err != nil {
			t.Fatal(err)
		}
		server.Query(t, "SYSTEM FLUSH LOGS query_log")
		got := server.Query(t, fmt.Sprintf(`SELECT arrayStringConcat(arraySort(groupUniqArray(arrayElement(splitByChar('.', p), -1))), ' '), countIf(empty(projections))
			FROM system.query_log LEFT ARRAY JOIN projections AS p
			WHERE type = 'QueryFinish' AND query LIKE '%%toDate32(ts)%%GROUP BY%%' AND query NOT LIKE '%%query_log%%' AND event_time_microseconds >
				(SELECT event_time_microseconds FROM system.query_log ORDER BY event_time_microseconds LIMIT 1 OFFSET %s - 1)`, before))
		if want := test.want + "\t0"; got != want {
			t.Errorf("%s: projections and queries without one: %q, want %q", name, got, want)
		}
	}
}

// TestDeletedEvents takes events away as operators do, one way after the other:
// stats and totals count what is left.
func TestDeletedEvents(t *testing.T) {
	server := clickhousetest.Start(t)
	dsn := newDatabase(t, server, "clickhouse")
	l := open(t, dsn)
	b := batch(0, 1_000)
	mustWrite(t, l, b)
	table := database(dsn) + ".mcp_tool_usage_log"
	erased, gone := b.Events[0].UserID, b.Events[1].UserID
	memory := usagetest.NewMemory()
	rest := usage.Batch{Token: "rest"}
	for _, statement := range []string{
		"DELETE FROM " + table + " WHERE user_id = '" + erased + "'",
		"ALTER TABLE " + table + " DELETE WHERE user_id = '" + gone + "' SETTINGS mutations_sync = 2",
		"OPTIMIZE TABLE " + table + " FINAL",
		"ALTER TABLE " + table + " DROP PARTITION 202602",
	} {
		server.Query(t, statement)
	}
	for _, e := range b.Events {
		if e.UserID != erased && e.UserID != gone && e.Time.Month() != time.February {
			rest.Events = append(rest.Events, e)
		}
	}
	if err := memory.Write(t.Context(), rest); err != nil {
		t.Fatal(err)
	}
	for _, f := range []usage.Filter{{}, {UserID: erased}, {UserID: b.Events[2].UserID}, {Table: "stock_basic"}} {
		hq, sq := usage.HistoryQuery{Filter: f, Page: 1, PageSize: 1_000}, usage.StatsQuery{Filter: f, Days: 7, Now: usagetest.Start}
		got, err := l.History(t.Context(), hq)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := memory.History(t.Context(), hq) // cannot fail
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("History(%+v) (-want +got):\n%s", hq, diff)
		}
		gotStats, err := l.Stats(t.Context(), sq)
		if err != nil {
			t.Fatal(err)
		}
		wantStats, _ := memory.Stats(t.Context(), sq) // cannot fail
		if diff := cmp.Diff(wantStats, gotStats); diff != "" {
			t.Errorf("Stats(%+v) (-want +got):\n%s", sq, diff)
		}
	}
}

// TestFarPages holds pages far from the first, where minutes are counted, to
// those that go on from page to page.
func TestFarPages(t *testing.T) {
	server := clickhousetest.Start(t)
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			dsn := newDatabase(t, server, protocol)
			l := open(t, dsn)
			for n := range 3 {
				mustWrite(t, l, usagetest.Batch(n, 10_000, 9*time.Second)) // each of the same day
			}
			for _, f := range []usage.Filter{{}, {Table: "stock_basic"}, {
				From: usagetest.Start.Add(time.Hour / 3), To: usagetest.Start.Add(20*time.Hour + time.Millisecond),
			}} {
				const size = 1_700
				q := usage.HistoryQuery{Filter: f, PageSize: size}
				for page := 1; ; page++ {
					byPage, err := l.History(t.Context(), usage.HistoryQuery{Filter: f, Page: page, PageSize: size})
					if err != nil {
						t.Fatal(err)
					}
					if page > 1 {
						byCursor, err := l.History(t.Context(), q)
						if err != nil {
							t.Fatal(err)
						}
						if diff := cmp.Diff(byCursor, byPage); diff != "" {
							t.Fatalf("page %d of %+v (-by cursor +by number):\n%s", page, f, diff)
						}
					}
					if q.Cursor = byPage.Next; q.Cursor == "" {
						if got := int64((page-1)*size + len(byPage.Events)); got != byPage.Total || page < 6 {
							t.Errorf("%d events on %d pages, the total is %d", got, page, byPage.Total)
						}
						break
					}
				}
			}
			past, err := l.History(t.Context(), usage.HistoryQuery{Page: math.MaxInt, PageSize: 1})
			if err != nil || past.Total != 30_000 || past.Events != nil {
				t.Errorf("past the end: %+v, %v", past, err)
			}
		})
	}
}

// TestTTL changes how long events are kept.
func TestTTL(t *testing.T) {
	server := clickhousetest.Start(t, clickhousetest.UsersConfig(t, users))
	dsn := newDatabase(t, server, "http")
	table := database(dsn) + ".mcp_tool_usage_log"
	ttl := func() string {
		create := server.Query(t, "SELECT engine_full FROM system.tables WHERE database = '"+database(dsn)+"' AND name = 'mcp_tool_usage_log'")
		_, ttl, _ := strings.Cut(create, "TTL ")
		ttl, _, _ = strings.Cut(ttl, " SETTINGS")
		return ttl
	}
	use := func(dsn, want string) {
		t.Helper()
		if _, err := open(t, dsn).Stats(t.Context(), usage.StatsQuery{Days: 1, Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if got := ttl(); got != want {
			t.Fatalf("%s: TTL %q, want %q", dsn, got, want)
		}
	}
	use(dsn+"?ttl=none", "")
	b := batch(0, 100)
	for i := range b.Events { // one every ten days, into the past
		b.Events[i].Time = time.Now().AddDate(0, 0, -10*i).UTC().Truncate(time.Microsecond)
	}
	b.Events[99].Time = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) // a clock went astray
	mustWrite(t, open(t, dsn), b)
	use(dsn, "")
	wantRows(t, server, dsn, 100)

	use(dsn+"?ttl=400d", "toDate32(ts) + toIntervalDay(400)")
	use(as(dsn, "inserter", password)+"?ttl=400d", "toDate32(ts) + toIntervalDay(400)") // who may not ALTER, and need not
	use(dsn, "toDate32(ts) + toIntervalDay(400)")
	err := open(t, as(dsn, "inserter", password)+"?ttl=300d").Write(t.Context(), batch(1, 1))
	if wantTransient(t, err); !strings.Contains(err.Error(), "privileges") {
		t.Errorf("error %q, want one about privileges", err)
	}
	// Months of which every event is too old go whole.
	limit := time.Now().UTC().AddDate(0, 0, -400)
	for deadline := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) {
		oldest, err := time.Parse(time.DateTime, server.Query(t, "SELECT min(toDateTime(ts, 'UTC')) FROM "+table))
		if err != nil {
			t.Fatal(err)
		}
		if oldest.AddDate(0, 1, 0).After(limit) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the oldest event is of %s", oldest)
		}
	}
	left := 0
	for _, e := range b.Events {
		if firstOfMonth := e.Time.AddDate(0, 0, 1-e.Time.Day()).Truncate(24 * time.Hour); !firstOfMonth.AddDate(0, 1, 0).Before(limit) {
			left++
		}
	}
	if left < 40 || left > 45 {
		t.Fatalf("%d events of this test are left", left)
	}
	got := server.Query(t, "SELECT count() FROM "+table)
	var rows int
	if _, err := fmt.Sscan(got, &rows); err != nil || rows < left-3 || rows > left { // the month at the limit may have gone or not
		t.Errorf("%s rows, want about %d", got, left)
	}
	wantRows(t, server, dsn, rows)
	use(dsn+"?ttl=none", "")
}

// TestCompression stores and reads under every compression, by both protocols,
// as a user with a password.
func TestCompression(t *testing.T) {
	server := clickhousetest.Start(t, clickhousetest.UsersConfig(t, users))
	for _, protocol := range protocols {
		dsn := newDatabase(t, server, protocol)
		for n, compress := range []string{"", "true", "false", "none", "lz4", "lz4hc", "zstd", "gzip", "deflate", "br"} {
			if protocol == "clickhouse" && n > 6 {
				break // those are HTTP's
			}
			l := open(t, as(dsn, "gate", password)+"?compress="+compress)
			if compress == "" {
				l = open(t, as(dsn, "gate", password))
			}
			mustWrite(t, l, batch(n, 1_000))
			wantRows(t, server, dsn, 1_000*(n+1))
			page, err := l.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: 1_000})
			if err != nil || page.Total != int64(1_000*(n+1)) || len(page.Events) != 1_000 {
				t.Errorf("%s compress=%s: %d of %d events, %v", protocol, compress, len(page.Events), page.Total, err)
			}
		}
	}
}
