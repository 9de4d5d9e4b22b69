package gatetest

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// FlowUpstream is an MCP server that answers each call as the call's arguments
// say, in every way that some revision has for a result to reach its client. It
// stands for servers of all revisions at once; real ones have tests of their own.
type FlowUpstream struct {
	*httptest.Server
	mu    sync.Mutex
	ran   map[string]int     // runs by tool
	tasks map[string]request // calls by their task's id
	polls map[string]int     // requests about a task, by task
}

// request is as much of a request as the upstream needs.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string `json:"name"`
		Arguments struct {
			Table string `json:"table"`
			Flow  string `json:"flow"`
			Rows  int    `json:"rows"`
		} `json:"arguments"`
		RequestState   string          `json:"requestState"`
		InputResponses json.RawMessage `json:"inputResponses"`
		TaskID         string          `json:"taskId"`
		Notifications  struct {
			TaskIDs []string `json:"taskIds"`
		} `json:"notifications"`
	} `json:"params"`
}

// StartFlowUpstream starts an upstream, which ends with the test.
func StartFlowUpstream(tb testing.TB) *FlowUpstream {
	u := &FlowUpstream{ran: map[string]int{}, tasks: map[string]request{}, polls: map[string]int{}}
	u.Server = httptest.NewServer(u)
	tb.Cleanup(u.Close)
	return u
}

// Ran returns how often a tool ran.
func (u *FlowUpstream) Ran(tool string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ran[tool]
}

// Polls returns how often somebody asked about a task.
func (u *FlowUpstream) Polls(task string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.polls[task]
}

// Address returns host and port.
func (u *FlowUpstream) Address() string { return u.Listener.Addr().String() }

// result is a tools/call's result with the rows that it asks for.
func (r request) result() string {
	rows := make([]string, r.Params.Arguments.Rows)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"n":%d,"text":"a \"row\", {[%d"}`, i, i)
	}
	isError := ""
	if strings.HasSuffix(r.Params.Arguments.Flow, "tool error") {
		isError = `,"isError":true`
	}
	return `{"content":[{"type":"text","text":"rows: [1,2,3]"}],"structuredContent":{"rows":[` + strings.Join(rows, ",") + `]}` + isError + `}`
}

// reply returns the message that answers the request.
func (r request) reply(result string) string {
	return `{"jsonrpc":"2.0","id":` + string(r.ID) + `,"result":` + result + `}`
}

func (r request) failure() string {
	return `{"jsonrpc":"2.0","id":` + string(r.ID) + `,"error":{"code":-32011,"message":"no"}}`
}

// Messages that upstreams send.
const (
	rpcFailure = `{"code":-32011,"message":"no"}`
	Progress   = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}`
)

// WriteEvent writes to an event stream and flushes.
func WriteEvent(w http.ResponseWriter, event string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, event)
	_ = http.NewResponseController(w).Flush()
}

// ServeHTTP answers a request as its call says.
func (u *FlowUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		u.resume(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the gate was killed
	}
	if body[0] == '[' {
		u.batch(w, body)
		return
	}
	var req request
	if err := json.Unmarshal(body, &req); err != nil {
		panic(err)
	}
	switch req.Method {
	case "tools/call":
		u.call(w, r, req)
	case "tasks/result", "tasks/get", "tasks/cancel":
		u.task(w, req)
	case "subscriptions/listen":
		u.mu.Lock()
		task := u.tasks[req.Params.Notifications.TaskIDs[0]]
		u.mu.Unlock()
		WriteEvent(w, "data: "+Progress+"\n\n")
		WriteEvent(w, `data: {"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"`+task.taskID()+`","status":"working"}}`+"\n\n")
		WriteEvent(w, `data: {"jsonrpc":"2.0","method":"notifications/tasks","params":`+task.state()+"}\n\n")
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func (r request) taskID() string { return "task of " + r.Params.Name }

// state returns the final state of a task of the tasks extension.
func (r request) state() string {
	state := `{"resultType":"complete","taskId":"` + r.taskID() + `","ttlMs":60000,"status":`
	switch {
	case strings.HasSuffix(r.Params.Arguments.Flow, "cancel"):
		return state + `"cancelled"}`
	case strings.HasSuffix(r.Params.Arguments.Flow, "rpc error"):
		return state + `"failed","error":` + rpcFailure + `}`
	}
	return state + `"completed","result":` + r.result() + `}`
}

// call answers a tools/call as its flow says.
func (u *FlowUpstream) call(w http.ResponseWriter, r *http.Request, req request) {
	p := req.Params
	u.mu.Lock()
	u.ran[p.Name]++
	u.tasks[req.taskID()] = req
	u.mu.Unlock()
	body := req.reply(req.result())
	kind, _, _ := strings.Cut(p.Arguments.Flow, ", ")
	send := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	switch kind {
	case "json", "tool error":
		send(200, body)
	case "crumbs": // seven bytes at a time
		w.Header().Set("Content-Type", "application/json")
		if p.Arguments.Flow == "crumbs, declared" {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		for len(body) > 0 {
			n := min(7, len(body))
			_, _ = io.WriteString(w, body[:n])
			_ = http.NewResponseController(w).Flush()
			body = body[n:]
		}
	case "encoded":
		w.Header().Set("Content-Type", "application/json")
		encode(w, body, req.Params.Arguments.Rows)
	case "stream":
		WriteEvent(w, "data: "+Progress+"\n\n")
		WriteEvent(w, `data: {"jsonrpc":"2.0","id":"nobody's","result":{"structuredContent":{"rows":[1,2]}}}`+"\n\n")
		WriteEvent(w, "event: message\ndata: "+body+"\n\n")
		WriteEvent(w, "data: "+body+"\n\n") // twice
	case "rpc error":
		send(200, req.failure())
	case "http error":
		send(500, req.failure())
	case "plain http error":
		http.Error(w, "no", http.StatusBadGateway)
	case "other id":
		send(200, strings.Replace(body, `"id":`, `"id":77`, 1))
	case "broken":
		send(200, body[:len(body)-9]+"]")
	case "other type":
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, body)
	case "nothing":
		w.WriteHeader(http.StatusAccepted)
	case "death":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body[:len(body)-2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "client leaves":
		WriteEvent(w, "data: "+Progress+"\n\n")
		<-r.Context().Done()
	case "resumed": // on a GET that names the event
		WriteEvent(w, "id: "+p.Name+"\ndata: "+Progress+"\n\n")
		if strings.HasSuffix(p.Arguments.Flow, "client leaves") {
			<-r.Context().Done()
		}
	case "task 2025":
		send(200, req.reply(`{"task":{"taskId":"`+req.taskID()+`","status":"working","ttl":60000}}`))
	case "task":
		send(200, req.reply(`{"resultType":"task","taskId":"`+req.taskID()+`","status":"working","ttlMs":null}`))
	case "input":
		state, retry := `,"requestState":"st\u0061te of `+p.Name+`"`, p.RequestState == "state of "+p.Name
		if strings.HasSuffix(p.Arguments.Flow, "stateless") {
			state, retry = "", p.InputResponses != nil
		}
		if again := "more of " + p.Name; strings.HasSuffix(p.Arguments.Flow, "twice") && retry {
			state, retry = `,"requestState":"`+again+`"`, false
		} else if p.RequestState == again {
			retry = true
		}
		switch {
		case !retry:
			send(200, req.reply(`{"resultType":"input_required","inputRequests":{"q":{"method":"roots/list"}}`+state+`}`))
		case strings.HasSuffix(p.Arguments.Flow, "http error"):
			send(503, req.failure())
		default:
			send(200, body)
		}
	default:
		panic(kind)
	}
}

// encode sends a body in a coding that was not asked for.
func encode(w http.ResponseWriter, body string, which int) {
	var z io.WriteCloser
	switch which % 3 {
	case 0:
		w.Header().Set("Content-Encoding", "gzip")
		z = gzip.NewWriter(w)
	case 1:
		w.Header().Set("Content-Encoding", "br")
		z = brotli.NewWriter(w)
	case 2:
		w.Header().Set("Content-Encoding", "zstd")
		z, _ = zstd.NewWriter(w)
	}
	_, _ = io.WriteString(z, body)
	_ = z.Close()
}

// task answers a request about a call's task.
func (u *FlowUpstream) task(w http.ResponseWriter, req request) {
	u.mu.Lock()
	task := u.tasks[req.Params.TaskID]
	u.polls[req.Params.TaskID]++
	first := u.polls[req.Params.TaskID] == 1
	u.mu.Unlock()
	flow := task.Params.Arguments.Flow
	w.Header().Set("Content-Type", "application/json")
	body := ""
	switch {
	case req.Method == "tasks/cancel":
		body = req.reply(`{"taskId":"` + req.Params.TaskID + `","status":"cancelled"}`)
	case req.Method == "tasks/get" && first:
		body = req.reply(`{"resultType":"complete","taskId":"` + req.Params.TaskID + `","status":"working"}`)
	case req.Method == "tasks/get" && strings.HasPrefix(flow, "task 2025"):
		body = req.reply(`{"taskId":"` + req.Params.TaskID + `","status":"completed","ttl":60000}`)
	case req.Method == "tasks/get":
		body = req.reply(task.state())
	case strings.HasSuffix(flow, "rpc error"):
		body = req.failure()
	default:
		body = req.reply(task.result())
	}
	_, _ = io.WriteString(w, body)
}

// resume goes on with a stream that broke.
func (u *FlowUpstream) resume(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	req := u.tasks["task of "+r.Header.Get("Last-Event-ID")]
	u.mu.Unlock()
	WriteEvent(w, "data: "+Progress+"\n\n")
	WriteEvent(w, "data: "+req.reply(req.result())+"\n\n")
}

// batch answers the calls of a batch in one array, the last first, or in a stream.
func (u *FlowUpstream) batch(w http.ResponseWriter, body []byte) {
	var reqs []request
	if err := json.Unmarshal(body, &reqs); err != nil {
		panic(err)
	}
	var replies []string
	for _, req := range reqs {
		u.mu.Lock()
		u.ran[req.Params.Name]++
		u.mu.Unlock()
		switch req.Params.Arguments.Flow {
		case "batch, rpc error":
			replies = append([]string{req.failure()}, replies...)
		case "batch, nothing":
		default:
			replies = append([]string{req.reply(req.result())}, replies...)
		}
	}
	if len(reqs)%2 == 0 {
		for _, reply := range replies {
			WriteEvent(w, "data: "+reply+"\n\n")
		}
		WriteEvent(w, ": the end\n\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "["+strings.Join(replies, " , ")+"]")
}
