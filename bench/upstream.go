package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// result is the answer of one of the upstream's tools.
type result struct {
	tool   string // query_2kb, query_2kb_sse, query_64kb_sse1000, text_2kb …
	size   int    // in bytes, approximately
	events int    // in an event stream; 0: the answer is JSON
	text   bool   // the rows are only in a text, as JSON: from servers without structured content

	tail []byte // the answer after its id
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

// content returns the rows of a result: as structured content and, as the
// specification asks for older clients, the same as JSON in a text; or in the text
// alone.
func (r *result) content() (text, structured string) {
	const frame = 100
	if r.text {
		return rowsJSON(max(0, (r.size-frame)*5/6)), ""
	}
	rows := rowsJSON(max(0, (r.size-2*frame)*5/11))
	return rows, rows
}

// rowsJSON returns rows as a database server sends them, of about size bytes.
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

// upstream is a minimal MCP server: it answers each call with a result that is
// ready in memory, and knows just enough more for gateways that need a session.
type upstream struct{ results map[string]*result }

func newUpstream(results []*result) upstream {
	u := upstream{map[string]*result{}}
	for _, r := range results {
		u.results[r.tool] = r
	}
	return u
}

// ServeHTTP answers one message.
func (u upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id, known, answer := u.answer(body)
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

// answer returns what a message is answered with: a call with its result, another
// request with JSON, a notification with nothing. Only the load and the gateways
// send messages, so that searching for members by name is enough.
func (u upstream) answer(message []byte) (id []byte, known *result, answer string) {
	id = member(message, `"id":`)
	switch name := string(bytes.Trim(member(message, `"method":`), `"`)); name {
	case "tools/call":
		if known = u.results[string(bytes.Trim(member(message, `"name":`), `"`))]; known == nil {
			return id, nil, `{"isError":true,"content":[{"type":"text","text":"no such tool"}]}`
		}
		return id, known, ""
	case "initialize":
		return id, nil, `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}`
	case "tools/list":
		var tools []string
		for name := range u.results {
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

// member returns the number, or the string without escapes, after a name.
func member(message []byte, name string) []byte {
	_, rest, ok := bytes.Cut(message, []byte(name))
	if !ok {
		return nil
	}
	rest = bytes.TrimLeft(rest, " ")
	end := bytes.IndexAny(rest, ",}")
	return bytes.TrimRight(rest[:max(end, 0)], " ")
}

// serveHTTP serves on a port of 127.0.0.1 until the process is ended.
func serveHTTP(port string, results []*result) error {
	return http.ListenAndServe("127.0.0.1:"+port, newUpstream(results))
}

// serveStdio serves over standard input and output.
func serveStdio(results []*result) error {
	u := newUpstream(results)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil // the gateway is done
		}
		id, known, answer := u.answer(line)
		if known != nil {
			answer = string(known.tail[len(`,"result":`) : len(known.tail)-1])
		}
		if answer != "" {
			fmt.Printf("{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n", id, answer)
		}
	}
}
