package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// TestExport: an export has the calls that history lists, whatever the filter.
func TestExport(t *testing.T) {
	w := newWorld(t)
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	key := listedKey{ID: uuid.NewString(), Name: "=cmd|' /C calc'!A0"}
	for i := range 12 {
		u := w.ana
		if i%4 == 3 {
			u = w.ben
		}
		e := event(u, key, []string{"query_stock", "list, \"tables\"\n"}[i%2], noon.Add(time.Duration(i)*time.Minute), usage.Int64(int64(i)), "a", "b")
		e.Outcome = usage.Outcomes[i%len(usage.Outcomes)]
		e.RPCCode = usage.Int64(-32602)
		e.ClientName = "+1"
		w.record(t, e)
	}
	for _, query := range []string{
		"", "&tool=query_stock", "&table=b", "&table=c", "&key_id=" + key.ID, "&outcome=ok",
		"&from=2026-11-23T12:03:00Z", "&to=2026-11-23T12:03:00Z", "&from=2026-11-23T12:03:00Z&to=2026-11-23T12:05:00Z&tool=query_stock",
	} {
		for _, user := range []string{"", "&user=all", "&user=ben@example.com"} {
			as := w.ana
			if user != "" {
				as = w.root
			}
			want := into[historyAnswer](t, w.as(t, as, "GET", "/api/mcp-usage/history?page_size=200"+query+user, ""), 200).Items

			got := w.as(t, as, "GET", "/api/mcp-usage/export?format=ndjson"+query+user, "")
			events := []usage.Event{}
			for line := range bytes.Lines(got.body) {
				var e usage.Event
				if err := json.Unmarshal(line, &e); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				events = append(events, e)
			}
			if diff := cmp.Diff(want, events); diff != "" || got.status != 200 {
				t.Errorf("%s%s: status %d, NDJSON differs:\n%s", query, user, got.status, diff)
			}

			got = w.as(t, as, "GET", "/api/mcp-usage/export?format=csv"+query+user, "")
			records, err := csv.NewReader(bytes.NewReader(got.body)).ReadAll()
			if err != nil || len(records) != len(want)+1 {
				t.Fatalf("%s%s: status %d, %d records, %v", query, user, got.status, len(records), err)
			}
			column := func(name string) int { return slices.Index(records[0], name) }
			for i, r := range records[1:] {
				if r[column("event_id")] != want[i].ID.String() || r[column("tool_name")] != want[i].Tool ||
					r[column("key_name")] != "'"+key.Name || r[column("client_name")] != "'+1" || r[column("rpc_code")] != "-32602" ||
					r[column("tables")] != `["a","b"]` {
					t.Errorf("record %d is %q", i, r)
				}
			}
		}
	}
}

func TestExportHeaders(t *testing.T) {
	w := newWorld(t)
	for format, contentType := range map[string]string{"csv": "text/csv; charset=utf-8; header=present", "ndjson": "application/x-ndjson"} {
		for _, method := range []string{"GET", "HEAD"} {
			got := w.as(t, w.ana, method, "/api/mcp-usage/export?format="+format, "")
			if got.status != 200 || got.header.Get("Content-Type") != contentType || got.header.Get("Content-Disposition") != `attachment; filename="tallygate-usage.`+format+`"` {
				t.Errorf("%s %s: status %d, headers %v", method, format, got.status, got.header)
			}
		}
	}
	for query, words := range map[string]string{
		"":                          "format is missing: it must be csv or ndjson",
		"?format=parquet":           `format must be csv or ndjson, not "parquet"`,
		"?format=spreadsheet-csv":   "format must be csv or ndjson",
		"?format=csv&page=1":        `unknown query parameter "page"`,
		"?format=csv&from=now":      "from must be a day or a time",
		"?format=csv&outcome=maybe": "outcome must be one of",
		"?format=csv&key_id=maybe":  "key_id must be the key_id of a key",
	} {
		refused(t, w.as(t, w.ana, "GET", "/api/mcp-usage/export"+query, ""), 400, "invalid_request", words)
	}
	refused(t, w.as(t, w.ana, "GET", "/api/mcp-usage/export?format=csv&user=all", ""), 403, "forbidden", "only an admin")
	refused(t, w.as(t, w.root, "GET", "/api/mcp-usage/export?format=csv&user=nobody@example.com", ""), 404, "not_found", "no user")
}

// endlessLedger has an endless history, and may fail after some pages.
type endlessLedger struct {
	usage.Ledger
	pages  int
	fail   int // page
	event  usage.Event
	served *int
}

func (l endlessLedger) History(_ context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	*l.served++
	if *l.served == l.fail {
		return usage.HistoryPage{}, errors.New("connection refused")
	}
	events := make([]usage.Event, q.PageSize)
	for i := range events {
		events[i] = l.event
		events[i].ID = uuid.UUID{byte(*l.served >> 8), byte(*l.served), byte(i >> 8), byte(i)}
		events[i].Time = l.event.Time.Add(-time.Duration(*l.served*q.PageSize+i) * time.Microsecond)
	}
	page := usage.HistoryPage{Events: events}
	if last := events[len(events)-1]; *l.served < l.pages {
		page.Next = usage.Cursor{Time: last.Time, ID: last.ID}.String()
	}
	return page, nil
}

func (w *world) serveEndless(t testing.TB, pages, fail int) {
	t.Helper()
	e := event(w.ana, listedKey{ID: uuid.NewString()}, strings.Repeat("tool", 100), time.Now(), usage.Int64(1), "table")
	w.serve(t, w.store, endlessLedger{w.ledger, pages, fail, e, new(int)})
}

// TestExportBreaksOff: if the ledger fails at once, the reply is a 503; if it fails
// later, the connection is aborted and the error is logged.
func TestExportBreaksOff(t *testing.T) {
	w := newWorld(t)
	ask := func() (answer, error) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.server.URL+"/api/mcp-usage/export?format=ndjson", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.token(t, w.ana))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		return answer{resp.StatusCode, resp.Header, body}, err
	}
	w.serveEndless(t, 9, 1)
	got, err := ask()
	refused(t, got, 503, "ledger_unavailable", "ledger unavailable")
	if err != nil || got.header.Get("Content-Disposition") != "" {
		t.Errorf("%v, headers %v", err, got.header)
	}

	w.serveEndless(t, 9, 3)
	got, err = ask()
	if got.status != 200 || !errors.Is(err, io.ErrUnexpectedEOF) || len(got.body) == 0 {
		t.Errorf("status %d, %d bytes, %v", got.status, len(got.body), err)
	}
	if !strings.Contains(w.log.String(), "download aborted") || bytes.Contains(got.body, []byte("refused")) {
		t.Errorf("the log says %q", w.log.String())
	}
}

// TestExportMemory: the memory of an export does not grow with its size.
func TestExportMemory(t *testing.T) {
	w := newWorld(t)
	const pages = 50
	w.serveEndless(t, pages, 0)
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.server.URL+"/api/mcp-usage/export?format=csv", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token(t, w.ana))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var lines, bytes int
	var peak uint64
	for scan := bufio.NewScanner(resp.Body); scan.Scan(); lines++ {
		if bytes += len(scan.Bytes()); lines%10_000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	if lines != pages*5000+1 || bytes < 140<<20 {
		t.Errorf("%d lines of %d bytes", lines, bytes)
	}
	if peak > 64<<20 {
		t.Errorf("%d MiB of memory for %d MiB", peak>>20, bytes>>20)
	}
}

// TestExportClientGoes: a client that goes away ends the reading; it is not an
// error.
func TestExportClientGoes(t *testing.T) {
	w := newWorld(t)
	w.serveEndless(t, 1<<40, 0)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/api/mcp-usage/export?format=csv", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token(t, w.ana))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = resp.Body.Close()
	w.server.Close() // waits for the request to end
	if log := w.log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("the log says %s", fmt.Sprintf("%.500s", log))
	}
}
