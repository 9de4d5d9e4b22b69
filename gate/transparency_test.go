package gate_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tallygate/tallygate/gate/gatetest"
)

// TestTransparency: what the upstream and the client get differs from a straight
// exchange only in what the gate is for.
func TestTransparency(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key := s.key(t)
	for _, act := range []string{"rows", "stream", "rpc error", "http error", "plain http error", "broken json", "nothing"} {
		body := " \n" + strings.Replace(gatetest.CallBody(act), `"id":1`, `"id" : 1`, 1) + "\t"
		straight := do(t, "POST", u.URL, body, "X-Custom: kept", "Accept: application/json")
		gated := do(t, "POST", s.url, body, "X-Custom: kept", "Accept: application/json", "Authorization: Bearer "+key)
		if got := *u.LastBody.Load(); got != body {
			t.Errorf("%s: the upstream got %q, want %q", act, got, body)
		}
		r := u.Last.Load()
		if r.Header.Get("Authorization") != "" || r.Header.Get("X-Custom") != "kept" ||
			r.Header.Get("Accept") != "application/json" || r.Header.Get("Accept-Encoding") != "identity" || r.Host != u.Address() {
			t.Errorf("%s: the upstream got %s %v", act, r.URL, r.Header)
		}
		for _, h := range []http.Header{straight.header, gated.header} {
			h.Del("Date")
		}
		if diff := cmp.Diff([]any{straight.status, straight.header, straight.body}, []any{gated.status, gated.header, gated.body}); diff != "" {
			t.Errorf("%s: straight and through the gate differ:\n%s", act, diff)
		}
	}
	do(t, "POST", s.url, gatetest.CallBody("rows"), "Authorization: Bearer "+key, "Accept: */*")
	if got := u.Last.Load().Header.Get("Accept"); got != "application/json, text/event-stream" {
		t.Errorf("Accept: */* went upstream as %q", got)
	}
}

// TestNothingIsHeldBack has an upstream send an answer in chunks of all sizes.
// Whatever ends a line of an event stream, or the reply in a JSON body, comes to
// the client before the upstream sends more.
func TestNothingIsHeldBack(t *testing.T) {
	const begin, end = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"`, `"}]}}`
	chunks := []string{begin, "a", strings.Repeat("b", 5000), strings.Repeat("c", 16<<10-1), strings.Repeat("d", 16<<10), strings.Repeat("e", 32<<10),
		strings.Repeat("f", 300<<10), strings.Repeat("g", 20<<10), "h", end}
	for media, c := range map[string]struct {
		chunks []string
		awaits func(chunk string) bool
	}{
		"application/json": {chunks, func(chunk string) bool { return chunk == end }},
		"text/event-stream": {
			slices.Concat([]string{"event: message\n", "data: "}, chunks, []string{"\n", "\n", ": " + strings.Repeat("i", 40<<10) + "\n", "\n", ":\n"}),
			func(chunk string) bool { return strings.HasSuffix(chunk, "\n") },
		},
	} {
		came := make(chan int64, 1) // bytes so far; the last value only
		upstream := startHandler(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			sent, timeout := int64(0), time.After(30*time.Second)
			for _, chunk := range c.chunks {
				_, _ = io.WriteString(w, chunk)
				_ = http.NewResponseController(w).Flush()
				sent += int64(len(chunk))
				for n := int64(-1); c.awaits(chunk) && n < sent; {
					select {
					case n = <-came:
					case <-timeout:
						t.Errorf("%s: of %d bytes that the upstream has sent, %d have come", media, sent, n)
						return
					}
				}
			}
		})
		s := startSite(t, upstream)
		res, err := s.begin(t.Context(), s.key(t), gatetest.CallBody("rows"))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var got []byte
		for buf := make([]byte, 64<<10); err == nil; {
			var n int
			n, err = res.Body.Read(buf)
			got = append(got, buf[:n]...)
			select {
			case <-came:
			default:
			}
			came <- int64(len(got))
		}
		if !errors.Is(err, io.EOF) || string(got) != strings.Join(c.chunks, "") {
			t.Errorf("%s: %d bytes came, which are not those that were sent: %v", media, len(got), err)
		}
		if row := s.journal.Await(t, 1)[0]; row["outcome"] != "ok" {
			t.Errorf("%s: the row is %v", media, row)
		}
	}
}

// TestBrokenOff: what an upstream has sent and flushed of a message comes to the
// client although the upstream dies then.
func TestBrokenOff(t *testing.T) {
	const begun = `data: {"jsonrpc":"2.0","id":1,"result":{`
	s := startSite(t, startHandler(t, func(w http.ResponseWriter, _ *http.Request) {
		gatetest.WriteEvent(w, begun)
		panic(http.ErrAbortHandler)
	}))
	res, err := s.begin(t.Context(), s.key(t), gatetest.CallBody("die"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err == nil || string(got) != begun {
		t.Errorf("the client gets %q, %v", got, err)
	}
	if row := s.journal.Await(t, 1)[0]; row["outcome"] != "aborted" || row["response_bytes"] != float64(len(begun)) {
		t.Errorf("the row is %v", row)
	}
}
