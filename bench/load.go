package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// caller is one connection that calls a tool in a loop, each call when the one
// before has been answered. fasthttp is the client because the load's own cost
// must stay small beside the gateway's.
type caller struct {
	client *fasthttp.HostClient
	req    *fasthttp.Request
	res    *fasthttp.Response
	head   []byte // of the request's body, up to its id
	tail   []byte // after it
	id     int
	chunk  []byte
}

// callIDs is where the callers' ids begin. They all have the same length, so that
// all answers have.
const callIDs = 1_000_000_000

// call is how long one call took until the first and the last byte of the
// answer's body.
type call struct{ first, last time.Duration }

// newCaller connects to a gateway at url. number tells callers apart.
func newCaller(g gateway, url, key, tool string, number int) (*caller, error) {
	c := &caller{
		req: fasthttp.AcquireRequest(), res: fasthttp.AcquireResponse(),
		id: callIDs + number*1_000_000, chunk: make([]byte, 256<<10),
	}
	c.req.SetRequestURI(url)
	c.client = &fasthttp.HostClient{
		Addr: string(c.req.URI().Host()), MaxConns: 1, StreamResponseBody: true,
		ReadBufferSize: 64 << 10, ReadTimeout: time.Minute, WriteTimeout: time.Minute, MaxIdleConnDuration: time.Hour,
		RetryIfErr: func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}
	c.req.Header.SetMethod(fasthttp.MethodPost)
	c.req.Header.SetContentType("application/json")
	c.req.Header.Set("Accept", "application/json, text/event-stream")
	c.req.Header.Set("Authorization", "Bearer "+key)
	c.req.Header.SetUserAgent("tallygate-bench")
	if g.session {
		if err := c.open(); err != nil {
			return nil, err
		}
	}
	c.req.Header.Set("Mcp-Protocol-Version", "2025-06-18")
	c.head = []byte(`{"jsonrpc":"2.0","id":`)
	c.tail = []byte(`,"method":"tools/call","params":{"name":"` + tool + `","arguments":{"table":"stock_daily","columns":["ts_code","trade_date","open","close"],"filters":[{"column":"trade_date","op":"ge","value":"2026-01-01"}],"limit":500}}}`)
	return c, nil
}

// open begins an MCP session.
func (c *caller) open() error {
	c.req.SetBodyString(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)
	if _, err := c.do(nil); err != nil {
		return fmt.Errorf("initialize: %w", err)
	}
	c.req.Header.SetBytesV("Mcp-Session-Id", c.res.Header.Peek("Mcp-Session-Id"))
	c.req.SetBodyString(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	_, err := c.do(nil)
	return err
}

// call calls once; each chunk of the answer's body is handed to take.
func (c *caller) call(take func([]byte)) (call, error) {
	c.id++
	c.req.SetBodyRaw(append(strconv.AppendInt(append(c.req.Body()[:0], c.head...), int64(c.id), 10), c.tail...))
	return c.do(take)
}

// do sends the request and reads the answer to its end.
func (c *caller) do(take func([]byte)) (t call, err error) {
	begun := time.Now()
	if err := c.client.Do(c.req, c.res); err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, c.res.CloseBodyStream()) }()
	if status := c.res.StatusCode(); status != fasthttp.StatusOK && status != fasthttp.StatusAccepted {
		text, _ := io.ReadAll(io.LimitReader(c.res.BodyStream(), 300))
		return t, fmt.Errorf("HTTP %d: %s", status, text)
	}
	body := c.res.BodyStream()
	for {
		n, err := body.Read(c.chunk)
		if n > 0 && t.first == 0 {
			t.first = time.Since(begun)
		}
		if take != nil {
			take(c.chunk[:n])
		}
		if err == io.EOF {
			t.last = time.Since(begun)
			return t, nil
		}
		if err != nil {
			return t, err
		}
	}
}

func (c *caller) close() { c.client.CloseIdleConnections() }

// endLength is how much of an answer's end is looked at, in bytes.
const endLength = 32

// callers put load on one gateway.
type callers struct {
	all  []*caller
	want int    // length of an answer
	end  []byte // how an answer ends, without digits: some gateways put the id there
}

// connect makes the callers of a scenario. The first answer is compared with the
// result value by value; later ones must have its length and its end.
func connect(g gateway, url, key string, s scenario) (*callers, error) {
	cs := &callers{}
	for n := range s.callers {
		c, err := newCaller(g, url, key, s.result.tool, n)
		if err != nil {
			return nil, err
		}
		cs.all = append(cs.all, c)
		if n > 0 {
			continue
		}
		var answer []byte
		if _, err := c.call(func(p []byte) { answer = append(answer, p...) }); err != nil {
			return nil, err
		}
		if err := s.result.check(answer); err != nil {
			return nil, err
		}
		cs.want, cs.end = len(answer), withoutDigits(answer[max(0, len(answer)-endLength):])
	}
	return cs, nil
}

// withoutDigits returns a copy of text without its digits.
func withoutDigits(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, text)
}

func (cs *callers) close() {
	for _, c := range cs.all {
		c.close()
	}
}

// window is the outcome of putting load on a gateway for a while.
type window struct {
	calls  []call
	errors int
	err    error // one of them
	took   time.Duration
	cpu    time.Duration // of the gateway
}

// rate returns calls a second.
func (w window) rate() float64 { return float64(len(w.calls)) / w.took.Seconds() }

// load has all callers call until the duration is over.
func (cs *callers) load(duration time.Duration) window {
	windows := make([]window, len(cs.all))
	var wg sync.WaitGroup
	begun := time.Now()
	for i, c := range cs.all {
		wg.Go(func() {
			w := &windows[i]
			var n int
			end := make([]byte, 0, endLength)
			take := func(p []byte) {
				n += len(p)
				switch {
				case len(p) >= cap(end):
					end = append(end[:0], p[len(p)-cap(end):]...)
				case len(p) > 0:
					keep := min(len(end), cap(end)-len(p))
					copy(end, end[len(end)-keep:])
					end = append(end[:keep], p...)
				}
			}
			for time.Since(begun) < duration {
				n, end = 0, end[:0]
				t, err := c.call(take)
				if err == nil && (n != cs.want || !bytes.Equal(withoutDigits(end), cs.end)) {
					err = fmt.Errorf("an answer has %d bytes, not %d, and ends in %q", n, cs.want, end)
				}
				if err != nil {
					w.err = err
					if w.errors++; w.errors == 10 {
						return
					}
					continue
				}
				w.calls = append(w.calls, t)
			}
		})
	}
	wg.Wait()
	sum := window{took: time.Since(begun)}
	for _, w := range windows {
		sum.calls = append(sum.calls, w.calls...)
		sum.errors += w.errors
		if w.err != nil {
			sum.err = w.err
		}
	}
	return sum
}
