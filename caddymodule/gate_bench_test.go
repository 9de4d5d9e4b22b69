package caddymodule

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/usage"
)

// BenchmarkGate measures what the gate adds to a call, with everything on: the key
// from SQLite, strict reading, the default rule, a journal on disk. The handler
// behind it answers as reverse_proxy does. Batches of 64 calls with the gate and
// without it alternate: extra-ns/call and extra-allocs/call are the difference,
// ns/op and allocs/op are with the gate. The times are the tenth percentile of the
// batches, so that other load on the machine counts little.
func BenchmarkGate(b *testing.B) {
	w := newBenchWorld(b)
	gate := w.gate(b)
	for _, c := range benchCalls() {
		b.Run(c.name, func(b *testing.B) {
			proxy := &answering{answer: c.answer}
			compare(b, w,
				c.through(b, w, func(rw http.ResponseWriter, r *http.Request) error { return gate.ServeHTTP(rw, r, proxy) }),
				c.through(b, w, proxy.ServeHTTP))
		})
	}
}

// BenchmarkProxied is BenchmarkGate with the whole of Caddy's server and its
// reverse_proxy on both sides; nothing but the network is missing.
func BenchmarkProxied(b *testing.B) {
	w := newBenchWorld(b)
	for _, c := range benchCalls() {
		if !strings.HasSuffix(c.name, "/rows/session") {
			continue
		}
		b.Run(c.name, func(b *testing.B) {
			memory.answer = c.answer
			serve := func(s *caddyhttp.Server) func(http.ResponseWriter, *http.Request) error {
				return func(rw http.ResponseWriter, r *http.Request) error {
					s.ServeHTTP(rw, r)
					return nil
				}
			}
			compare(b, w, c.through(b, w, serve(w.gated)), c.through(b, w, serve(w.bare)))
		})
	}
}

// compare times two ways to make a call, which alternate.
func compare(b *testing.B, w *benchWorld, gated, bare func()) {
	const turn, drained = 64, 20_000
	for range turn {
		gated()
		bare()
	}
	var with, without []float64 // ns a call, by turn
	for b.Loop() {
		begin := time.Now()
		for range turn {
			gated()
		}
		between := time.Now()
		for range turn {
			bare()
		}
		end := time.Now()
		with = append(with, float64(between.Sub(begin))/turn)
		without = append(without, float64(end.Sub(between))/turn)
		if len(with)%(drained/turn) == 0 {
			w.drain(b)
		}
	}
	w.drain(b)
	slices.Sort(with)
	slices.Sort(without)
	tenth := len(with) / 10
	allocs := mallocs(gated)
	b.ReportMetric(with[tenth], "ns/op")
	b.ReportMetric(float64(allocs), "allocs/op")
	b.ReportMetric(with[tenth]-without[tenth], "extra-ns/call")
	b.ReportMetric(float64(allocs-mallocs(bare)), "extra-allocs/call")
}

// mallocs returns how often f allocates, without what happens seldom (a map that
// grows, a pool that a collection has emptied) and in the background.
func mallocs(f func()) int64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	least := int64(1 << 62)
	for range 10 {
		const runs = 100
		var before, after runtime.MemStats
		f()
		runtime.ReadMemStats(&before)
		for range runs {
			f()
		}
		runtime.ReadMemStats(&after)
		least = min(least, int64(after.Mallocs-before.Mallocs)/runs)
	}
	return least
}

// benchCall is a tools/call and its answer.
type benchCall struct {
	name    string
	request string // the body; benchRequest where it is empty
	answer  answer
	session string
	reading func() // called for each chunk that the client reads; nil: nothing to do
}

func benchCalls() (calls []benchCall) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"200B", 200}, {"2KB", 2 << 10}, {"64KB", 64 << 10}, {"1MB", 1 << 20}} {
		for _, format := range []string{"JSON", "SSE"} {
			for _, shape := range []string{"rows", "text"} {
				message := benchMessage(shape, size.bytes)
				a := answer{"application/json", message}
				if format == "SSE" {
					a = answer{"text/event-stream", slicesConcat("event: message\ndata: ", message, "\n\n")}
				}
				for _, session := range []string{"session", "plain"} {
					c := benchCall{name: strings.Join([]string{size.name, format, shape, session}, "/"), answer: a}
					if session == "session" {
						c.session = "7f3a2c41-58f5-4a2b-9a63-3f1de2b8c9d0"
					}
					calls = append(calls, c)
				}
			}
		}
	}
	return calls
}

func slicesConcat(before string, message []byte, behind string) []byte {
	return append(append([]byte(before), message...), behind...)
}

// benchMessage returns a result of about size bytes: rows as structured content, or
// the same as JSON in a text.
func benchMessage(shape string, size int) []byte {
	var rows strings.Builder
	for i := 0; i == 0 || rows.Len() < size-200; i++ {
		if i > 0 {
			rows.WriteByte(',')
		}
		fmt.Fprintf(&rows, `{"ts_code":"%06d.SZ","trade_date":"2024-%02d-%02d","open":%d.%02d,"close":10.%02d,"vol":%d}`, i%5000, i%12+1, i%28+1, i%90, i%100, i%91, i*100)
	}
	result := `"content":[],"structuredContent":{"rows":[` + rows.String() + `]}`
	if shape == "text" {
		result = `"content":[{"type":"text","text":` + strconv.Quote(`{"rows":[`+rows.String()+`]}`) + `}]`
	}
	return []byte(`{"jsonrpc":"2.0","id":17,"result":{` + result + `,"isError":false}}`)
}

const benchRequest = `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"query_table","arguments":{"table":"stock_daily",` +
	`"columns":["ts_code","trade_date","open","close","vol"],"where":"trade_date between '2024-01-02' and '2024-03-29'","limit":100}}}`

// BenchmarkQuery is BenchmarkGate for calls whose tables are those of a query,
// beside calls of the same length that name their table.
func BenchmarkQuery(b *testing.B) {
	w := newBenchWorld(b)
	gate := w.gate(b)
	for _, c := range queryCalls() {
		b.Run(c.name, func(b *testing.B) {
			proxy := &answering{answer: c.answer}
			compare(b, w,
				c.through(b, w, func(rw http.ResponseWriter, r *http.Request) error { return gate.ServeHTTP(rw, r, proxy) }),
				c.through(b, w, proxy.ServeHTTP))
		})
	}
}

// queryCalls are calls with a query, of SQL and of prose, and each with the same
// text in an argument that is none.
func queryCalls() (calls []benchCall) {
	prose := func(size int) string {
		return strings.Repeat("the weather in Paris tomorrow, please and what to wear ", size/50+1)[:size]
	}
	sql := func(size int) string {
		text := "SELECT d.ts_code, d.close FROM stock_daily d JOIN stock_basic b ON b.ts_code = d.ts_code WHERE d.trade_date BETWEEN '2024-01-02' AND '2024-03-29' AND d.vol IN (0"
		for i := 1; len(text) < size-1; i++ {
			text += ", " + strconv.Itoa(i%1000)
		}
		return text + ")"
	}
	for _, text := range []struct{ name, text string }{
		{"prose/35B", prose(35)}, {"prose/8KB", prose(8 << 10)},
		{"sql/200B", sql(200)}, {"sql/8KB", sql(8 << 10)}, {"sql/60KB", sql(60 << 10)},
	} {
		for _, argument := range []string{`"query":`, `"table":"stock_daily","notes":`} {
			name := strings.Split(argument, `"`)[1]
			calls = append(calls, benchCall{
				name:    text.name + "/" + name,
				request: `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"search","arguments":{` + argument + strconv.Quote(text.text) + `}}}`,
				answer:  answer{"application/json", benchMessage("rows", 2<<10)},
			})
		}
	}
	return calls
}

// through returns a function that makes a call through a handler. Each call has its
// own request, context and headers, as in a server.
func (c *benchCall) through(b testing.TB, w *benchWorld, serve func(http.ResponseWriter, *http.Request) error) func() {
	header := http.Header{
		"Authorization": {"Bearer " + w.key}, "Accept": {"application/json, text/event-stream"}, "Accept-Encoding": {"gzip, deflate"}, "Content-Type": {"application/json"},
		"Mcp-Protocol-Version": {"2025-06-18"}, "User-Agent": {"python-httpx/0.28.1"}, "Connection": {"keep-alive"},
	}
	if c.session != "" {
		header.Set("Mcp-Session-Id", c.session)
	}
	rw := &discarding{header: http.Header{}, reading: c.reading}
	body := strings.NewReader("")
	template := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8001/messages", nil)
	template.RemoteAddr = "127.0.0.1:50000"
	vars := map[string]any{caddyhttp.ClientIPVarKey: "127.0.0.1"}
	request := cmp.Or(c.request, benchRequest)
	header.Set("Content-Length", strconv.Itoa(len(request)))
	return func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r := template.WithContext(context.WithValue(ctx, caddyhttp.VarsCtxKey, vars))
		r.Header = make(http.Header, len(header))
		for name, values := range header {
			r.Header[name] = values
		}
		body.Reset(request)
		r.Body, r.ContentLength = io.NopCloser(body), int64(len(request))
		clear(rw.header)
		rw.status, rw.written = 0, 0
		if err := serve(rw, r); err != nil {
			b.Fatal(err)
		}
		if rw.status != http.StatusOK || rw.written != len(c.answer.body) {
			b.Fatalf("HTTP %d and %d bytes, want %d", rw.status, rw.written, len(c.answer.body))
		}
	}
}

// discarding is a client that reads on.
type discarding struct {
	header          http.Header
	status, written int
	reading         func() // called for each chunk; nil: nothing to do
}

func (d *discarding) Header() http.Header { return d.header }

func (d *discarding) WriteHeader(status int) { d.status = status }

func (d *discarding) Write(p []byte) (int, error) {
	d.written += len(p)
	if d.reading != nil {
		d.reading()
	}
	return len(p), nil
}

func (*discarding) FlushError() error { return nil }

// answer is what an upstream answers.
type answer struct {
	contentType string
	body        []byte
}

// answering does to a request and a response what reverse_proxy does: it waits
// for the context's end, reads the body, and copies the answer in chunks. Those of
// an event stream are flushed.
type answering struct {
	answer answer
	buf    [32 << 10]byte
}

func (a *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	if ctx.Done() == nil {
		return ctx.Err()
	}
	for {
		if _, err := r.Body.Read(a.buf[:]); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	stream := a.answer.contentType == "text/event-stream"
	h := w.Header()
	h["Content-Type"] = []string{a.answer.contentType}
	if !stream {
		h["Content-Length"] = []string{strconv.Itoa(len(a.answer.body))}
	}
	w.WriteHeader(http.StatusOK)
	for body := bytes.NewReader(a.answer.body); body.Len() > 0; {
		n, _ := body.Read(a.buf[:]) // there is more
		if _, err := w.Write(a.buf[:n]); err != nil {
			return err
		}
		if stream {
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// memory is a transport of reverse_proxy whose upstream is in memory.
var memory = new(memoryTransport)

type memoryTransport struct{ answer answer }

func init() { caddy.RegisterModule(memory) }

func (*memoryTransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.memory", New: func() caddy.Module { return memory }}
}

func (*memoryTransport) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// RoundTrip takes the request in, and follows its context, as net/http does.
func (t *memoryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	if ctx.Done() == nil {
		return nil, ctx.Err()
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	res := &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {t.answer.contentType}}, Body: io.NopCloser(bytes.NewReader(t.answer.body)), ContentLength: -1,
	}
	if t.answer.contentType == "application/json" {
		res.ContentLength = int64(len(t.answer.body))
		res.Header.Set("Content-Length", strconv.Itoa(len(t.answer.body)))
	}
	return res, nil
}

// benchWorld is a Caddy with the gate and without.
type benchWorld struct {
	gated, bare *caddyhttp.Server
	backend     *backend
	key         string
}

func newBenchWorld(b testing.TB) *benchWorld {
	dir := b.TempDir()
	config := strings.NewReplacer("DIR", dir).Replace(`{
	admin off
	persist_config off
	log {
		output discard
	}
	tallygate {
		store "sqlite:DIR/tallygate.db"
		ledger "sqlite:DIR/usage.db"
		journal "DIR/journal"
	}
}
http:// {
	bind unix/DIR/gated.sock
	tallygate {
		tool backtest {
			table result.structuredContent.table
			records result.structuredContent.days
		}
	}
	reverse_proxy 127.0.0.1:9001 {
		header_up Host {upstream_hostport}
		transport memory
	}
}
http:// {
	bind unix/DIR/bare.sock
	reverse_proxy 127.0.0.1:9001 {
		header_up Host {upstream_hostport}
		transport memory
	}
}
`)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := caddy.Load(adapted, true); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			b.Error(err)
		}
	})
	w := &benchWorld{backend: latest.Load()}
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range app.(*caddyhttp.App).Servers {
		if strings.HasSuffix(s.Listen[0], "gated.sock") {
			w.gated = s
		} else {
			w.bare = s
		}
	}
	user, err := identity.NewUser(b.Context(), "ann@example.com", "a long password", identity.Member)
	if err != nil {
		b.Fatal(err)
	}
	if err := w.backend.authority.CreateUser(b.Context(), user); err != nil {
		b.Fatal(err)
	}
	record, key, err := identity.KeyFormat{}.Issue(user.ID, identity.KeySpec{Name: "k"})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.backend.authority.CreateKey(b.Context(), record); err != nil {
		b.Fatal(err)
	}
	w.key = key
	// What ships the events goes on beside calls, and is measured elsewhere.
	w.backend.pipeline.shipper.Use(nil)
	return w
}

// gate is the handler itself.
func (w *benchWorld) gate(b testing.TB) *Gate {
	for _, route := range w.gated.Routes {
		for _, h := range route.Handlers {
			if g, ok := h.(*Gate); ok {
				return g
			}
		}
	}
	b.Fatal("the site has no gate")
	return nil
}

// drain empties the journal.
func (w *benchWorld) drain(b testing.TB) {
	shipper := w.backend.pipeline.shipper
	shipper.Use(swallowing{})
	if err := shipper.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	shipper.Use(nil)
}

// swallowing is a ledger that takes everything.
type swallowing struct{ usage.Ledger }

func (swallowing) Write(context.Context, usage.Batch) error { return nil }

var (
	_ http.RoundTripper     = (*memoryTransport)(nil)
	_ caddyfile.Unmarshaler = (*memoryTransport)(nil)
)
