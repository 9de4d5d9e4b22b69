package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// metric reads one of the site's metrics off a site that serves them.
func metric(tb testing.TB, url, name string) int {
	tb.Helper()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(do(tb, "GET", url, "").body)
	if found == nil {
		tb.Fatalf("there is no metric %s", name)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		tb.Fatal(err)
	}
	return int(n)
}

// fullSite is a site whose ledger is away and whose journal is small, and the
// URL of its metrics.
func fullSite(t *testing.T, upstream, onFull string) (s *site, metrics string) {
	t.Helper()
	s = startSiteAt(t, upstream, fmt.Sprintf("TALLYGATE_LEDGER=http://127.0.0.1:%d/usage", freePort(t)))
	port := freePort(t)
	s.rewrite(t, "journal \"{$TALLYGATE_JOURNAL:data/journal}\"\n\t}\n}\n", fmt.Sprintf(
		"journal \"{$TALLYGATE_JOURNAL:data/journal}\" {\n\t\t\tmax_size 64KiB\n\t\t\t%s\n\t\t}\n\t}\n}\n:%d {\n\tmetrics\n}\n", onFull, port))
	return s, fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
}

// TestFullJournalRefuses holds that `on_full refuse` answers calls with 503
// once the journal is full, before they reach the upstream, and nothing else;
// and that every call that was answered has its row in the end.
func TestFullJournalRefuses(t *testing.T) {
	u := startUpstream(t)
	s, metrics := fullSite(t, u.address(), "on_full refuse")
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	auth := "Authorization: Bearer " + key
	answered := 0
	for do(t, "POST", s.gate, callBody("rows"), auth).status == http.StatusOK {
		if answered++; answered > 1000 {
			t.Fatal("the journal is never full")
		}
	}
	reached := u.requests.Load()
	for _, id := range []string{`7`, `"seven"`} {
		a := do(t, "POST", s.gate, strings.Replace(callBody("rows"), `"id":1`, `"id":`+id, 1), auth)
		if want := `{"jsonrpc":"2.0","id":` + id + `,"error":{"code":50302,"message":"Usage cannot be recorded now; try again"}}`; a.status != http.StatusServiceUnavailable ||
			a.body != want || a.header.Get("Retry-After") != "1" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("a full journal: %d %v %s", a.status, a.header, a.body)
		}
	}
	if got := u.requests.Load(); got != reached {
		t.Errorf("%d refused calls reached the upstream", got-reached)
	}
	if a := do(t, "POST", s.gate, callBody("rows")); a.status != http.StatusUnauthorized {
		t.Errorf("a call without a key: %d %s", a.status, a.body)
	}
	for _, method := range []string{"ping", "initialize", "tools/list"} {
		before := u.requests.Load()
		do(t, "POST", s.gate, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q}`, method), auth)
		if u.requests.Load() != before+1 {
			t.Errorf("%s does not reach the upstream", method)
		}
	}
	if lost, refused := metric(t, metrics, "tallygate_events_lost_full_total"), metric(t, metrics, "tallygate_calls_refused_total"); lost != 0 || refused < 3 {
		t.Errorf("%d events lost, %d calls refused", lost, refused)
	}
	if !strings.Contains(s.output(), "calls are refused") {
		t.Error("the log says nothing")
	}

	s.stop(t)
	s.useLedger("sqlite:data/usage.db")
	s.run(t)
	s.await(t, "calls pass again", func() bool {
		if do(t, "POST", s.gate, callBody("rows"), auth).status != http.StatusOK {
			return false
		}
		answered++
		return true
	})
	s.awaitCalls(t, s.login(t), answered)
	seen := map[string]bool{}
	for _, e := range s.exported(t) {
		seen[e.ID.String()] = true
	}
	if len(seen) != answered {
		t.Errorf("%d calls answered, %d events", answered, len(seen))
	}
}

// TestFullJournalDrops holds that by default calls go on, and that the metrics
// and the log tell exactly what is lost.
func TestFullJournalDrops(t *testing.T) {
	u := startUpstream(t)
	s, metrics := fullSite(t, u.address(), "on_full drop")
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	const calls = 250
	for range calls {
		if a := do(t, "POST", s.gate, callBody("rows"), "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Fatalf("the call answers %d %s", a.status, a.body)
		}
	}
	lost, refused := metric(t, metrics, "tallygate_events_lost_full_total"), metric(t, metrics, "tallygate_calls_refused_total")
	if lost == 0 || lost == calls || refused != 0 {
		t.Errorf("%d events lost, %d calls refused, of %d", lost, refused, calls)
	}
	if !strings.Contains(s.output(), "usage events are being lost") {
		t.Error("the log says nothing")
	}
	if got := s.status(t)["pending_events"]; got != float64(calls-lost) {
		t.Errorf("%v events wait, want %d", got, calls-lost)
	}
	s.stop(t)
	s.useLedger("sqlite:data/usage.db")
	s.run(t)
	s.awaitTotal(t, s.login(t), int64(calls-lost), int64(calls-lost))
}
