package gate_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
)

// longResult is a body that is made of repeated chunks.
type longResult []struct {
	times int
	chunk string
}

func (l longResult) writeTo(w io.Writer) error {
	for _, part := range l {
		// Blocks of a MiB at least, so that the upstream is not what takes the time.
		many := max(1, (1<<20)/max(1, len(part.chunk)))
		block := []byte(strings.Repeat(part.chunk, min(many, part.times)))
		for left := part.times; left > 0; left -= many {
			if _, err := w.Write(block[:min(left, many)*len(part.chunk)]); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestHostileUpstream: whatever an upstream sends passes as it came, memory does
// not grow with it, and the row says what is known.
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
			s := startSite(t, startHandler(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				h := sha256.New()
				_ = c.body.writeTo(io.MultiWriter(h, w))
				sent <- hex.EncodeToString(h.Sum(nil))
			}))
			key := s.key(t)
			before := resetPeak(t)
			res, err := s.begin(t.Context(), key, gatetest.CallBody("hostile"))
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
			row := s.journal.Await(t, 1)[0]
			if row["outcome"] != c.outcome || row["record_count"] != c.records || row["table_name"] != "t" {
				t.Errorf("the row is %v", row)
			}
			if grown := peak(t) - before; grown > 48*mib {
				t.Errorf("the process grew by %d MiB", grown/mib)
			}
		})
	}
}

// peak returns the most memory in bytes that the process has had since resetPeak.
func peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("there is no VmHWM")
	return 0
}

// resetPeak makes the present memory the peak, and returns it (proc(5), clear_refs).
func resetPeak(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	return peak(t)
}

// TestEarlyAnswer: an upstream that answers before it has read the call leaves a
// row like any other.
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
	s := startSite(t, l.Addr().String())
	key := s.key(t)
	body := strings.Replace(gatetest.CallBody("early"), `"do":`, `"more":"`+strings.Repeat("x", 3<<20)+`","do":`, 1)
	a := do(t, "POST", s.url, body, "Authorization: Bearer "+key)
	if a.status != http.StatusOK || !strings.HasSuffix(a.body, "[1,2]}}}") {
		t.Errorf("the client gets %d %s", a.status, a.body)
	}
	row := s.journal.Await(t, 1)[0]
	if row["outcome"] != "ok" || row["record_count"] != 2.0 || row["request_bytes"] != float64(len(body)) {
		t.Errorf("the row is %v", row)
	}
}
