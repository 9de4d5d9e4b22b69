package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// result is what a call of one of the upstream's tools brings.
type result struct {
	tool   string // query_2kb, query_2kb_sse, query_64kb_sse1000, text_2kb …
	size   int    // in bytes, about
	events int    // of an event stream; 0: JSON
	text   bool   // rows only as JSON in a text, as servers have them that send no structured content

	tail []byte // the answer behind its id
}

const eventStart = "event: message\ndata: "

func newResult(size, events int, text bool) *result {
	name := "query_"
	if text {
		name = "text_"
	}
	name += strings.ToLower(sizeName(size))
	switch {
	case events == 1:
		name += "_sse"
	case events > 1:
		name += "_sse" + strconv.Itoa(events)
	}
	r := &result{tool: name, size: size, events: events, text: text}
	content, structured := r.content()
	tail := `,"result":{"content":[{"type":"text","text":"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(content) + `"}]`
	if structured != "" {
		tail += `,"structuredContent":` + structured
	}
	r.tail = []byte(tail + "}}")
	return r
}

func sizeName(size int) string {
	if size >= 1<<20 {
		return strconv.Itoa(size>>20) + "MB"
	}
	return strconv.Itoa(size>>10) + "KB"
}

// content is what a result is about: half of its rows as structured content and,
// as the specification wants for older clients, the same as JSON in a text; or
// all of them in the text.
func (r *result) content() (text, structured string) {
	const frame = 100
	if r.text {
		return rowsJSON(max(0, (r.size-frame)*5/6)), ""
	}
	rows := rowsJSON(max(0, (r.size-2*frame)*5/11))
	return rows, rows
}

// rowsJSON are rows as a database server sends them, of about size bytes.
func rowsJSON(size int) string {
	var b strings.Builder
	b.WriteString(`{"table":"stock_daily","rows":[`)
	for i := 0; b.Len() < size || i == 0; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"ts_code":"%06d.NX","trade_date":"2026-%02d-%02d","open":%d.%02d,"high":%d.5,"low":9.75,"close":10.%02d,"vol":%d,"name":"Ñandú %d"}`,
			i%5000, i%12+1, i%28+1, i%90, i%100, i%91, i%99, i*100, i%17)
	}
	return b.String() + "]}"
}

// write answers a call with an id.
func (r *result) write(w http.ResponseWriter, id []byte) {
	const head = `{"jsonrpc":"2.0","id":`
	if r.events == 0 {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(head)+len(id)+len(r.tail)))
		_, _ = w.Write(append([]byte(head), id...))
		_, _ = w.Write(r.tail)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	flush := w.(http.Flusher).Flush
	for i := range r.events - 1 {
		fmt.Fprintf(w, eventStart+`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":%d,"total":%d,"message":"rows are read"}}`+"\n\n", 1000+i, 1000+r.events)
		flush()
	}
	event := append([]byte(eventStart+head), id...)
	_, _ = w.Write(event)
	_, _ = w.Write(r.tail)
	_, _ = io.WriteString(w, "\n\n")
}

// fixed is the plainest MCP server there can be: it answers each call with a
// result that is ready, and speaks just enough more for gateways that want a
// session.
type fixed struct{ results map[string]*result }

func newFixed(results []*result) fixed {
	f := fixed{map[string]*result{}}
	for _, r := range results {
		f.results[r.tool] = r
	}
	return f
}

// ServeHTTP answers one message.
func (f fixed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id, known, answer := f.answer(body)
	switch {
	case known != nil:
		known.write(w, id)
	case answer == "":
		w.WriteHeader(http.StatusAccepted)
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, answer)
	}
}

// streaming is the fixed server with event streams that GET opens: each has one
// event, and then stays open.
type streaming struct{ fixed }

const streamEvent = eventStart + `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"the stream is open"}}` + "\n\n"

func (s streaming) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		s.fixed.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = io.WriteString(w, streamEvent)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// answer finds the answer to a message: of a call its result, of another
// request the JSON, of a notification nothing. Its messages are the load's own
// and those of gateways, so that a look for their members is enough.
func (f fixed) answer(message []byte) (id []byte, known *result, answer string) {
	id = member(message, `"id":`)
	switch name := string(bytes.Trim(member(message, `"method":`), `"`)); name {
	case "tools/call":
		if known = f.results[string(bytes.Trim(member(message, `"name":`), `"`))]; known == nil {
			return id, nil, `{"isError":true,"content":[{"type":"text","text":"no such tool"}]}`
		}
		return id, known, ""
	case "initialize":
		return id, nil, `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"fixed","version":"1"}}`
	case "tools/list":
		var tools []string
		for name := range f.results {
			tools = append(tools, `{"name":"`+name+`","inputSchema":{"type":"object"}}`)
		}
		return id, nil, `{"tools":[` + strings.Join(tools, ",") + `]}`
	default:
		if id == nil {
			return nil, nil, ""
		}
		return id, nil, "{}"
	}
}

// member is the number or the string without escapes behind a name.
func member(message []byte, name string) []byte {
	_, rest, ok := bytes.Cut(message, []byte(name))
	if !ok {
		return nil
	}
	rest = bytes.TrimLeft(rest, " ")
	end := bytes.IndexAny(rest, ",}")
	return bytes.TrimRight(rest[:max(end, 0)], " ")
}

// serveFixed answers on a port until it is ended.
func serveFixed(port string, results []*result) error {
	return http.ListenAndServe("127.0.0.1:"+port, newFixed(results))
}

// serveStreaming is likewise, with streams.
func serveStreaming(port string, results []*result) error {
	return http.ListenAndServe("127.0.0.1:"+port, streaming{newFixed(results)})
}

// serveStdio is the fixed server over standard input and output.
func serveStdio(results []*result) error {
	f := newFixed(results)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil // the gateway is done
		}
		id, known, answer := f.answer(line)
		if known != nil {
			answer = string(known.tail[len(`,"result":`) : len(known.tail)-1])
		}
		if answer != "" {
			fmt.Printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n", id, answer)
		}
	}
}

// serveMCPGo is a server of mcp-go's with the same results.
func serveMCPGo(port string, results []*result) error {
	s := server.NewMCPServer("mcp-go", "1")
	for _, r := range results {
		text, _ := r.content()
		s.AddTool(mcp.NewTool(r.tool), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText(text), nil
		})
	}
	return server.NewStreamableHTTPServer(s, server.WithStateLess(true)).Start("127.0.0.1:" + port)
}
