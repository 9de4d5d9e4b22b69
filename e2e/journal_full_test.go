package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
)

// metric reads one of the site's metrics.
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

// fullSite starts a site whose ledger is unavailable and whose journal is small. It
// returns the site and the URL of its metrics.
func fullSite(t *testing.T, upstream, onFull string) (s *site, metrics string) {
	t.Helper()
	s = startSiteAt(t, upstream, fmt.Sprintf("TALLYGATE_LEDGER=http://127.0.0.1:%d/usage", freePort(t)))
	port := freePort(t)
	// The end of the global options, and the first site.
	s.rewrite(t, "\t}\n}\n\n:", fmt.Sprintf(
		"\t}\n\ttallygate {\n\t\tjournal {\n\t\t\tmax_size 64KiB\n\t\t\t%s\n\t\t}\n\t}\n}\n:%d {\n\tmetrics\n}\n\n:", onFull, port))
	return s, fmt.Sprintf("http://127.0.0.1:%d/metrics", port)
}

// TestFullJournalRefuses checks that with `on_full refuse` a full journal makes the
// gate reply to calls, and to nothing else, with 503 before they reach the upstream,
// and that every call that was answered has its row in the end.
func TestFullJournalRefuses(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s, metrics := fullSite(t, u.Address(), "on_full refuse")
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	auth := "Authorization: Bearer " + key
	answered := 0
	for do(t, "POST", s.gate, gatetest.CallBody("rows"), auth).status == http.StatusOK {
		if answered++; answered > 1000 {
			t.Fatal("the journal is never full")
		}
	}
	reached := u.Requests.Load()
	for _, id := range []string{`7`, `"seven"`} {
		a := do(t, "POST", s.gate, strings.Replace(gatetest.CallBody("rows"), `"id":1`, `"id":`+id, 1), auth)
		if want := `{"jsonrpc":"2.0","id":` + id + `,"error":{"code":50302,"message":"Usage cannot be recorded now; try again"}}`; a.status != http.StatusServiceUnavailable ||
			a.body != want || a.header.Get("Retry-After") != "1" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("a full journal: %d %v %s", a.status, a.header, a.body)
		}
	}
	if got := u.Requests.Load(); got != reached {
		t.Errorf("%d refused calls reached the upstream", got-reached)
	}
	if a := do(t, "POST", s.gate, gatetest.CallBody("rows")); a.status != http.StatusUnauthorized {
		t.Errorf("a call without a key: %d %s", a.status, a.body)
	}
	for _, method := range []string{"ping", "initialize", "tools/list"} {
		before := u.Requests.Load()
		do(t, "POST", s.gate, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q}`, method), auth)
		if u.Requests.Load() != before+1 {
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
		if do(t, "POST", s.gate, gatetest.CallBody("rows"), auth).status != http.StatusOK {
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

// TestFullJournalDrops checks that by default calls go on, and that the metrics and
// the log say exactly what is lost.
func TestFullJournalDrops(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s, metrics := fullSite(t, u.Address(), "on_full drop")
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	const calls = 400
	for range calls {
		if a := do(t, "POST", s.gate, gatetest.CallBody("rows"), "Authorization: Bearer "+key); a.status != http.StatusOK {
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

// TestReloadJournal checks that a reload changes on_full and max_size of a journal
// that stays open.
func TestReloadJournal(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s, _ := fullSite(t, u.Address(), "on_full drop")
	control := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.rewrite(t, "admin off", "admin "+control)
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	call := func() int {
		return do(t, "POST", s.gate, gatetest.CallBody("rows"), "Authorization: Bearer "+key).status
	}
	for !strings.Contains(s.output(), "usage events are being lost") {
		if status := call(); status != http.StatusOK {
			t.Fatalf("under drop a call answers %d", status)
		}
	}
	name := filepath.Join(s.dir, "Caddyfile")
	for _, change := range []struct {
		old, changed string
		want         int
	}{
		{"on_full drop", "on_full refuse", http.StatusServiceUnavailable},
		{"max_size 64KiB", "max_size 1MiB", http.StatusOK},
		{"max_size 1MiB", "max_size 64KiB", http.StatusServiceUnavailable},
		{"on_full refuse", "on_full drop", http.StatusOK},
	} {
		text := strings.Replace(readFile(t, name), change.old, change.changed, 1)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		reload := exec.Command(binary, "reload", "--address", control)
		reload.Dir = s.dir
		reload.Env = append(cleanEnv(), append([]string{"HOME=" + t.TempDir()}, s.env...)...)
		if out, err := reload.CombinedOutput(); err != nil {
			t.Fatalf("reload: %v\n%s", err, out)
		}
		// Caddy may still answer under the old config for a moment.
		s.await(t, change.changed+" is in force", func() bool { return call() == change.want })
	}
}

// TestDiskFullUnderTheGate checks that calls go on when the journal's disk is full,
// and that each of them has a row or is counted as lost.
func TestDiskFullUnderTheGate(t *testing.T) {
	disk := t.TempDir()
	err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=128k")
	if errors.Is(err, syscall.EPERM) {
		t.Log("mounting is not allowed here; TestDiskFull in ./usage has a disk that is full by quota")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	u := gatetest.StartUpstream(t)
	s, metrics := fullSite(t, u.Address(), "max_held 10")
	s.rewrite(t, "max_size 64KiB", "max_size 1GiB")
	s.stop(t)
	s.env = append(s.env, "TALLYGATE_JOURNAL="+filepath.Join(disk, "journal"))
	s.run(t)
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	const calls = 800
	for range calls {
		if a := do(t, "POST", s.gate, gatetest.CallBody("rows"), "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Fatalf("on a full disk the call answers %d %s", a.status, a.body)
		}
	}
	lost := metric(t, metrics, "tallygate_events_lost_failed_total")
	if lost == 0 || lost == calls {
		t.Errorf("%d events lost of %d", lost, calls)
	}
	s.kill() // on a full disk
	s.useLedger("sqlite:data/usage.db")
	s.run(t)
	s.awaitTotal(t, s.login(t), int64(calls-lost), int64(calls-lost))
}
