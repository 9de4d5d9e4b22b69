package gatetest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync/atomic"
	"testing"
)

// Upstream is a scripted MCP server: it answers each call as the call's argument
// "do" says. It stands for servers that misbehave, which no real one does on
// demand.
type Upstream struct {
	*httptest.Server
	Requests atomic.Int64 // so far
	Last     atomic.Pointer[http.Request]
	LastBody atomic.Pointer[string]
	Held     chan struct{} // receives when a "hold" begins
	Release  chan struct{} // "hold" waits until it is closed
	Gone     chan struct{} // receives when the client of a "hold" leaves
}

// StartUpstream starts an upstream, which ends with the test.
func StartUpstream(tb testing.TB) *Upstream {
	tb.Helper()
	u := &Upstream{Held: make(chan struct{}, 1), Release: make(chan struct{}), Gone: make(chan struct{}, 100)}
	u.Server = httptest.NewServer(u)
	tb.Cleanup(u.Close)
	return u
}

// Address returns host and port.
func (u *Upstream) Address() string { return u.Listener.Addr().String() }

// ServeHTTP answers a request as its call says.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.Requests.Add(1)
	b, _ := io.ReadAll(r.Body)
	body := string(b)
	u.Last.Store(r.Clone(r.Context()))
	u.LastBody.Store(&body)
	const rows = `"result":{"content":[],"structuredContent":{"rows":[{"a":1},{"a":2},{"a":3}]}}`
	json := func(status int, text string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	switch act := actIn(body); act {
	case "rows":
		json(200, `{"jsonrpc":"2.0","id":1,`+rows+`}`)
	case "late id":
		json(200, `{`+rows+`,"jsonrpc":"2.0","id":1}`+"\n")
	case "rpc error":
		json(200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}`)
	case "tool error":
		json(200, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"no"}],"isError":true}}`)
	case "http error":
		json(500, `{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"no"}}`)
	case "plain http error":
		http.Error(w, "no", http.StatusBadGateway)
	case "other id":
		json(200, `{"jsonrpc":"2.0","id":77,`+rows+`}`)
	case "id as a string":
		json(200, `{"jsonrpc":"2.0","id":"1",`+rows+`}`)
	case "error with the id null":
		json(200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}`)
	case "error without an id":
		json(200, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"no"}}`)
	case "broken json":
		json(200, `{"jsonrpc":"2.0","id":1,"result":{"content":[}`)
	case "nothing":
		w.WriteHeader(http.StatusAccepted)
	case "die":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "hold before the header":
		u.hold()
		<-r.Context().Done()
		u.Gone <- struct{}{}
	case "stream", "hold":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, ": hello\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}\n\n")
		_ = http.NewResponseController(w).Flush()
		if act == "hold" {
			u.hold()
			select {
			case <-u.Release:
			case <-r.Context().Done():
				u.Gone <- struct{}{}
				return
			}
		}
		_, _ = io.WriteString(w, "data: {\"jsonrpc\":\"2.0\",\"id\":1,"+rows+"}\n\n")
	default:
		json(200, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}
}

// hold says that a call is held, unless nobody has noticed the last one.
func (u *Upstream) hold() {
	select {
	case u.Held <- struct{}{}:
	default:
	}
}

// CallBody returns a tools/call that has an Upstream do something.
func CallBody(act string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_x","arguments":{"table":"t","do":%q}}}`, act)
}

// actIn returns what the call in a body has the upstream do, or "".
func actIn(body string) string {
	if found := actPattern.FindStringSubmatch(body); found != nil {
		return found[1]
	}
	return ""
}

var actPattern = regexp.MustCompile(`"do":"([^"]+)"`)
