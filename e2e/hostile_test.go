package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
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
			{1, "data: " + progress + "\n\ndata: " + `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"rows":[`}, {rows - 1, row},
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
			res, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, callBody("huge")))
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

// TestHostileUpstream holds that whatever an upstream sends passes as it came,
// that the gate does not grow with it, and that the row says what is known.
func TestHostileUpstream(t *testing.T) {
	const mib = 1 << 20
	head := `{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"rows":[`
	for _, c := range []struct {
		name, contentType string
		body              longResult
		outcome           string
		records           any
	}{
		{"an endless line", "text/event-stream", longResult{{96 * mib, "x"}}, "aborted", nil},
		{"an endless field name, then a result", "text/event-stream", longResult{{96 * mib, "x"}, {1, ": y\n\ndata: " + head + "1,2]}}}\n\n"}}, "ok", 2.0},
		{"an endless string", "application/json", longResult{{1, head + `"`}, {96 * mib, "x"}}, "aborted", nil},
		{"an endless name", "application/json", longResult{{1, `{"jsonrpc":"2.0","id":1,"`}, {96 * mib, "x"}, {1, `":1,"result":{"structuredContent":{"rows":[1,2,3]}}}`}}, "ok", 3.0},
		{"an endless id", "application/json", longResult{{1, `{"jsonrpc":"2.0","id":"`}, {96 * mib, "1"}, {1, `","result":{}}`}}, "aborted", nil},
		{"endless depth", "application/json", longResult{{1, head}, {96 * mib, "["}}, "aborted", nil},
		{"an endless number", "application/json", longResult{{1, `{"jsonrpc":"2.0","id":`}, {96 * mib, "1"}}, "aborted", nil},
		{"endless events", "text/event-stream", longResult{{4 * mib, "data: {}\n\nid: 1\nevent: x\n\n"}, {1, "data: " + head + "]}}}\n\n"}}, "ok", 0.0},
		{"endless replies to nobody", "text/event-stream", longResult{{mib, "data: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{\"structuredContent\":{\"rows\":[1]}}}\n\n"}, {1, "data: " + head + "1]}}}\n\n"}}, "ok", 1.0},
		{"endless members", "application/json", longResult{{1, `{"jsonrpc":"2.0","id":1,"result":{`}, {4 * mib, `"name of a table":"t",`}, {1, `"structuredContent":{"rows":[]}}}`}}, "ok", 0.0},
		{"no JSON", "application/json", longResult{{mib, "\x00\xff{]"}}, "aborted", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := make(chan string, 1)
			s := startSiteAt(t, startHandler(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				h := sha256.New()
				_ = c.body.writeTo(io.MultiWriter(h, w))
				sent <- hex.EncodeToString(h.Sum(nil))
			}))
			jwt := s.login(t)
			key, _ := s.key(t, jwt, `{"key_name":"k"}`)
			before := s.peak(t)
			res, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, callBody("hostile")))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			h := sha256.New()
			if _, err := io.Copy(h, res.Body); err != nil {
				t.Fatal(err)
			}
			if got, want := hex.EncodeToString(h.Sum(nil)), <-sent; got != want {
				t.Error("the client gets other bytes than the upstream sends")
			}
			row := s.awaitCalls(t, jwt, 1)[0]
			if row["outcome"] != c.outcome || row["record_count"] != c.records || row["table_name"] != "t" {
				t.Errorf("the row is %v", row)
			}
			if grown := s.peak(t) - before; grown > 48*mib {
				t.Errorf("the gate grew by %d MiB", grown/mib)
			}
			if out := s.output(); strings.Contains(out, "panic") {
				t.Error("something panicked")
			}
		})
	}
}

// TestEarlyAnswer holds that an upstream which answers before it has read the
// call leaves a row like any other.
func TestEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 512)); err != nil { // the beginning
					return
				}
				const body = `{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"rows":[1,2]}}}`
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				_, _ = io.Copy(io.Discard, conn) // so that no reset destroys the answer
			}()
		}
	}()
	s := startSiteAt(t, l.Addr().String())
	jwt := s.login(t)
	key, _ := s.key(t, jwt, `{"key_name":"k"}`)
	body := strings.Replace(callBody("early"), `"do":`, `"more":"`+strings.Repeat("x", 3<<20)+`","do":`, 1)
	a := do(t, "POST", s.gate, body, "Authorization: Bearer "+key)
	if a.status != http.StatusOK || !strings.HasSuffix(a.body, "[1,2]}}}") {
		t.Errorf("the client gets %d %s", a.status, a.body)
	}
	row := s.awaitCalls(t, jwt, 1)[0]
	if row["outcome"] != "ok" || row["record_count"] != 2.0 || row["request_bytes"] != float64(len(body)) {
		t.Errorf("the row is %v", row)
	}
}

// TestStopLeavesRows holds that calls that outlive the grace period of a gate
// that stops leave their rows.
func TestStopLeavesRows(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
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
		res, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, callBody("hold"))) //nolint:bodyclose // in the goroutine
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
