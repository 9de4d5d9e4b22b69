package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
)

// startHandler starts an upstream that is one handler.
func startHandler(tb testing.TB, h http.HandlerFunc) string {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// peak is the most memory that the process has had, in bytes.
func (p *process) peak(tb testing.TB) int64 {
	tb.Helper()
	for line := range strings.Lines(readFile(tb, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return kb << 10
		}
	}
	tb.Fatal("no VmHWM")
	return 0
}

// longResult is a body that is written piece by piece: how many times which.
type longResult []struct {
	times int
	piece string
}

func (l longResult) writeTo(w io.Writer) error {
	for _, part := range l {
		// Pieces of a MiB at least, so that the upstream is not what takes the time.
		many := max(1, (1<<20)/max(1, len(part.piece)))
		block := []byte(strings.Repeat(part.piece, min(many, part.times)))
		for left := part.times; left > 0; left -= many {
			if _, err := w.Write(block[:min(left, many)*len(part.piece)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestHugeResult holds that a result of a GiB and ten million rows is counted
// right as it passes, and not gathered.
func TestHugeResult(t *testing.T) {
	const rows = 10_000_000
	row := `{"ts_code":"600001.NX","trade_date":"2026-11-24","open":10.25,"close":10.5,"note":"a \"quoted\" row, {[ }"},`
	for name, body := range map[string]longResult{
		"application/json": {
			{1, `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"rows":[`}, {rows - 1, row},
			{1, strings.TrimSuffix(row, ",")}, {1, `]}}}`},
		},
		"text/event-stream": {
			{1, "data: " + gatetest.Progress + "\n\ndata: " + `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"rows":[`}, {rows - 1, row},
			{1, strings.TrimSuffix(row, ",")}, {1, "]}}}\n\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSiteAt(t, startHandler(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", name)
				_ = body.writeTo(w) // a client that leaves is seen by its side
			}))
			jwt := s.login(t)
			key, _ := s.key(t, jwt, `{"key_name":"k"}`)
			before := s.peak(t)
			res, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, gatetest.CallBody("huge")))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			n, err := io.Copy(io.Discard, res.Body)
			if err != nil || n < 1<<30 {
				t.Fatalf("the client gets %d bytes, %v", n, err)
			}
			if row := s.awaitCalls(t, jwt, 1)[0]; row["record_count"] != float64(rows) || row["outcome"] != "ok" {
				t.Errorf("the row is %v", row)
			}
			if grown := s.peak(t) - before; grown > 64<<20 {
				t.Errorf("the gate grew by %d MiB for a result of a GiB", grown>>20)
			}
		})
	}
}

// TestStopLeavesRows holds that calls that outlive the grace period of a gate
// that stops leave their rows.
func TestStopLeavesRows(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSiteAt(t, u.Address())
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	s.stop(t)
	caddyfile := filepath.Join(s.dir, "Caddyfile")
	text := strings.Replace(readFile(t, caddyfile), "grace_period 10s", "grace_period 500ms", 1)
	if err := os.WriteFile(caddyfile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run(t)
	const calls = 20
	ended := make(chan error, calls)
	for range calls {
		res, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, gatetest.CallBody("hold"))) //nolint:bodyclose // in the goroutine
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer res.Body.Close()
			_, err := io.Copy(new(bytes.Buffer), res.Body)
			ended <- err
		}()
	}
	s.stop(t)
	for range calls {
		if err := <-ended; err == nil {
			t.Error("a stream that the gate broke off ended in peace")
		}
	}
	s.run(t)
	for _, row := range s.awaitCalls(t, s.login(t), calls) {
		if row["outcome"] != "aborted" || row["http_status"] != 200.0 || row["record_count"] != nil || row["table_name"] != "t" {
			t.Errorf("the row is %v", row)
		}
	}
}
