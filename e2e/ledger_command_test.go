package e2e

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/clickhouse/clickhousetest"
)

// ledger runs `tallygate ledger` beside the site, with its config, to its end.
func (s *site) ledger(tb testing.TB, args ...string) (stdout, stderr string, code int) {
	tb.Helper()
	return s.command(tb, "", append([]string{"ledger"}, args...)...)
}

// status is the output of `ledger status --json`.
func (s *site) status(tb testing.TB) map[string]any {
	tb.Helper()
	stdout, stderr, code := s.ledger(tb, "status", "--json")
	if code != 0 {
		tb.Fatalf("ledger status: %d %s", code, stderr)
	}
	return answer{body: stdout}.json(tb)
}

// exported is a line of `ledger export` as NDJSON.
func (s *site) exported(tb testing.TB, flags ...string) (events []usage.Event) {
	tb.Helper()
	stdout, stderr, code := s.ledger(tb, append([]string{"export", "--format", "ndjson"}, flags...)...)
	if code != 0 {
		tb.Fatalf("ledger export: %d %s", code, stderr)
	}
	for line := range strings.Lines(stdout) {
		var e usage.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			tb.Fatalf("%v in %q", err, line)
		}
		events = append(events, e)
	}
	return events
}

// stockCall returns a call of the stock server.
func stockCall(id, table string, limit int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"tools/call","params":{"name":"query_table","arguments":{"table":%q,"limit":%d}}}`, id, table, limit)
}

// rewrite changes the site's Caddyfile and starts the site again.
func (s *site) rewrite(tb testing.TB, old, changed string) {
	tb.Helper()
	s.stop(tb)
	name := filepath.Join(s.dir, "Caddyfile")
	text := readFile(tb, name)
	if strings.Count(text, old) != 1 {
		tb.Fatalf("the Caddyfile has %q %d times", old, strings.Count(text, old))
	}
	if err := os.WriteFile(name, []byte(strings.Replace(text, old, changed, 1)), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.run(tb)
}

// useLedger sets the ledger of the site's next run.
func (s *site) useLedger(dsn string) {
	s.env = append(s.env, "TALLYGATE_LEDGER="+dsn) // the last one holds
}

// TestLedgerStatus checks that the status of a journal can be read while its gate
// runs, after it was killed, and if there never was one.
func TestLedgerStatus(t *testing.T) {
	nowhere := fmt.Sprintf("http://127.0.0.1:%d/usage", freePort(t))
	s := startSite(t, "TALLYGATE_LEDGER="+nowhere)
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	before := time.Now()
	for n := range 3 {
		if a := do(t, "POST", s.gate, stockCall(fmt.Sprint(n), "stock_basic", 1), "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Fatalf("the call answers %d %s", a.status, a.body)
		}
	}
	check := func(inUse bool) {
		t.Helper()
		status := s.status(t)
		want := map[string]any{"in_use": inUse, "pending_events": 3.0, "segments": 1.0, "set_aside_events": 0.0, "damaged_bytes": 0.0, "held_calls": 0.0}
		for name, value := range want {
			if status[name] != value {
				t.Errorf("%s is %v, want %v", name, status[name], value)
			}
		}
		oldest, err := time.Parse(time.RFC3339, fmt.Sprint(status["oldest_event"]))
		if err != nil || oldest.Before(before.Add(-time.Millisecond)) || oldest.After(time.Now()) || status["oldest_event_age_seconds"].(float64) <= 0 {
			t.Errorf("status %v, %v", status, err)
		}
		if status["pending_bytes"].(float64) < 600 || status["bytes"] != status["pending_bytes"] {
			t.Errorf("status %v", status)
		}
	}
	check(true)
	s.await(t, "a batch is under way", func() bool { return s.status(t)["pending_batches"] == 1.0 })
	stdout, _, code := s.ledger(t, "status")
	for _, text := range []string{"In use             yes\n", "Events waiting     3 (", " ago)\n"} {
		if !strings.Contains(stdout, text) {
			t.Errorf("the status lacks %q:\n%s", text, stdout)
		}
	}
	if code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, stderr, code := s.ledger(t, "status", "--check", "--max-age", "1h"); code != 0 {
		t.Errorf("--check --max-age 1h: %d %s", code, stderr)
	}
	if _, _, code := s.ledger(t, "status", "--check", "--max-age", "1ms"); code != 3 {
		t.Errorf("--check --max-age 1ms: %d", code)
	}
	s.kill()
	check(false)
	if stdout, stderr, code := s.ledger(t, "status", "--config", "Caddyfile", "--adapter", "caddyfile"); code != 0 || !strings.Contains(stdout, "In use             no\n") {
		t.Errorf("with --config: %d %s %s", code, stdout, stderr)
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "data", "journal")); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := s.ledger(t, "status"); code != 1 || !strings.Contains(stderr, "there is none") {
		t.Errorf("without a journal: %d %s", code, stderr)
	}
	if _, stderr, code := s.ledger(t, "status", "--config", "nowhere"); code != 1 || !strings.Contains(stderr, "nowhere") {
		t.Errorf("without its config: %d %s", code, stderr)
	}
}

// rejecting is a ledger that rejects every event.
type rejecting struct{ usage.Ledger }

func (rejecting) Write(context.Context, usage.Batch) error { return usage.ErrRejected }

// TestLedgerReplay checks that `ledger replay` ships rejected events exactly once,
// beside a running gate, and that events rejected again stay in the journal.
func TestLedgerReplay(t *testing.T) {
	server := clickhousetest.Start(t)
	native, _ := server.NewDatabase(t)
	_, overHTTP := server.NewDatabase(t)
	t.Run("SQLite", func(t *testing.T) { testLedgerReplay(t, "sqlite:data/usage.db", 0) })
	t.Run("ClickHouse", func(t *testing.T) { testLedgerReplay(t, native, 1) })
	t.Run("ClickHouse over HTTP", func(t *testing.T) { testLedgerReplay(t, overHTTP, 1) })
}

// testLedgerReplay runs it on a ledger that permanently rejects an event of a far
// year, or on one that does not.
func testLedgerReplay(t *testing.T, dsn string, rejected int) {
	s := startSite(t, "TALLYGATE_LEDGER="+dsn)
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	if a := do(t, "POST", s.gate, stockCall("first", "stock_basic", 1), "Authorization: Bearer "+key); a.status != http.StatusOK {
		t.Fatalf("the call answers %d %s", a.status, a.body)
	}
	s.awaitCalls(t, jwt, 1)
	like := s.exported(t)[0]
	s.stop(t)

	dir := filepath.Join(s.dir, "data", "journal")
	silent := slog.New(slog.DiscardHandler)
	j, err := journal.Open(dir, journal.Options{Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	const n = 7
	for i := range n {
		e := like
		e.ID, e.RequestID = uuid.Must(uuid.NewV7()), fmt.Sprintf(`"rejected %d"`, i)
		if i == n/2 {
			e.Time = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		if err := j.Append(&e); err != nil {
			t.Fatal(err)
		}
	}
	shipper := journal.NewShipper(j, journal.ShipperOptions{Logger: silent})
	shipper.Use(rejecting{})
	if err := errors.Join(shipper.Flush(t.Context()), shipper.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}

	s.run(t)
	if status := s.status(t); status["set_aside_events"] != float64(n) || status["in_use"] != true {
		t.Errorf("status %v", status)
	}
	if _, _, code := s.ledger(t, "status", "--check"); code != 3 {
		t.Errorf("--check with events set aside: %d", code)
	}
	damaged := filepath.Join(dir, "rejected", "damaged.json")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := s.env
	s.useLedger(fmt.Sprintf("http://127.0.0.1:%d/usage", freePort(t)))
	if _, stderr, code := s.ledger(t, "replay"); code != 1 {
		t.Errorf("without a ledger: %d %s", code, stderr)
	}
	s.env = env
	want := fmt.Sprintf("%d events sent, %d stay set aside\n", n-rejected, 1+rejected)
	if stdout, stderr, code := s.ledger(t, "replay"); code != 3 || !strings.HasSuffix(stdout, want) {
		t.Errorf("replay: %d %s %s", code, stdout, stderr)
	}
	if err := os.Remove(damaged); err != nil {
		t.Fatal(err)
	}
	stdout, _, code := s.ledger(t, "replay")
	want = fmt.Sprintf("0 events sent, %d stay set aside\n", rejected)
	if !strings.HasSuffix(stdout, want) || (code == 0) != (rejected == 0) {
		t.Errorf("replay again: %d %s", code, stdout)
	}
	if status := s.status(t); status["set_aside_events"] != float64(rejected) {
		t.Errorf("status %v", status)
	}
	seen := map[string]int{}
	for _, e := range s.exported(t) {
		seen[e.RequestID]++
	}
	rows := map[string]int{`"first"`: 1}
	for i := range n {
		if i != n/2 || rejected == 0 {
			rows[fmt.Sprintf(`"rejected %d"`, i)] = 1
		}
	}
	if diff := cmp.Diff(rows, seen); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestLedgerExport checks that each format has the same events, that each flag
// filters them, and that errors are reported.
func TestLedgerExport(t *testing.T) {
	s := startSite(t)
	jwt := s.login(t)
	key, keyID := s.key(t, jwt, `{"key_name":"k"}`)
	second, _ := s.key(t, jwt, `{"key_name":"second"}`)
	other := s.keyOfAnotherUser(t)
	post := func(key, body string) {
		t.Helper()
		if a := do(t, "POST", s.gate, body, "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Fatalf("the call answers %d %s", a.status, a.body)
		}
	}
	for n := range 5 {
		post(key, stockCall(fmt.Sprint("basic ", n), "stock_basic", 1))
	}
	post(second, stockCall("daily", "stock_daily", 2))
	s.awaitCalls(t, jwt, 6)
	between := time.Now()
	post(other, stockCall("others", "stock_daily", 3))
	post(key, `{"jsonrpc":"2.0","id":"list","method":"tools/call","params":{"name":"list_tables","arguments":{}}}`)
	post(key, stockCall("error", "no_such_table", 3))
	s.await(t, "the last events reach the ledger", func() bool { return s.status(t)["pending_events"] == 0.0 })

	all := s.exported(t)
	if len(all) != 9 {
		t.Fatalf("%d events, want 9", len(all))
	}
	times := between.UTC().Format(time.RFC3339Nano)
	yesterday, tomorrow := between.UTC().Add(-25*time.Hour).Format(time.DateOnly), between.UTC().Add(25*time.Hour).Format(time.DateOnly)
	for flags, want := range map[string]int{
		"--tool query_table": 8, "--tool list_tables": 1, "--table stock_daily": 2, "--key " + keyID: 7,
		"--user other@example.com": 1, "--user " + all[8].UserID: 8, "--outcome tool_error": 1, "--outcome aborted": 0,
		"--from " + times: 3, "--to " + times: 6, "--from " + yesterday + " --to " + tomorrow: 9, "--to " + yesterday: 0,
		"--table stock_daily --user ops@example.com": 1,
	} {
		if got := len(s.exported(t, strings.Fields(flags)...)); got != want {
			t.Errorf("%s: %d events, want %d", flags, got, want)
		}
	}

	stdout, _, _ := s.ledger(t, "export")
	lines, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	if err != nil || len(lines) != 10 || lines[0][0] != "event_id" {
		t.Fatalf("CSV: %v\n%s", err, stdout)
	}
	output := filepath.Join(s.dir, "usage.ndjson")
	if _, stderr, code := s.ledger(t, "export", "--output", output); code != 0 {
		t.Fatalf("NDJSON in a file: %d %s", code, stderr)
	}
	file, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(file)), "\n")
	if len(rows) != 9 {
		t.Fatalf("NDJSON in a file: %d rows", len(rows))
	}
	for i, e := range all {
		var row usage.Event
		if err := json.Unmarshal([]byte(rows[i]), &row); err != nil {
			t.Fatal(err)
		}
		if lines[i+1][0] != e.ID.String() || row.ID != e.ID {
			t.Errorf("event %d is %s in NDJSON, %s in CSV, %s in a file", i, e.ID, lines[i+1][0], row.ID)
		}
		if row.RecordCount != e.RecordCount {
			t.Errorf("event %d: %v records in a file, want %v", i, row.RecordCount, e.RecordCount)
		}
	}
	if left, err := filepath.Glob(output + "*"); err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
	for _, c := range [][2]string{
		{"--format xml", "csv, ndjson"}, {"--output usage.txt", "csv, ndjson"}, {"--from yesterday", "--from"}, {"--to 2026-13-01", "--to"},
		{"--outcome fine", "--outcome"}, {"--user nobody@example.com", "nobody@example.com"}, {"--output nowhere/usage.csv", "nowhere"},
	} {
		if stdout, stderr, code := s.ledger(t, append([]string{"export"}, strings.Fields(c[0])...)...); code != 1 || stdout != "" || !strings.Contains(stderr, c[1]) {
			t.Errorf("%s: %d %s %s", c[0], code, stdout, stderr)
		}
	}
	s.useLedger(fmt.Sprintf("http://127.0.0.1:%d/usage", freePort(t)))
	if _, stderr, code := s.ledger(t, "export", "--output", "away.csv"); code != 1 || stderr == "" {
		t.Errorf("without a ledger: %d %s", code, stderr)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "away*")); err != nil || len(left) != 0 {
		t.Errorf("files %v, %v", left, err)
	}
}
