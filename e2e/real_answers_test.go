package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"
)

// message is an HTTP request to an MCP server. In its headers and its body, $session,
// $event and $task stand for what an earlier answer named.
type message struct {
	name    string
	method  string // POST if empty
	body    string
	headers []string // "Name: value"; "Name: " leaves out what every request has
	until   string   // the answer is read until this has come, or to its end if empty
	open    bool     // of a stream that is answered, only the header is read
	cancel  string   // what is sent, meanwhile, once until has come; then the rest is read
}

const initializeBody = `{"jsonrpc":"2.0","id":"initialize","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"tasks":{}},"clientInfo":{"name":"answers","version":"1"}}}`

// request returns a message with a JSON-RPC request, whose id is the message's name.
func request(name, method, params string, headers ...string) message {
	return message{name: name, body: fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":%q,"params":%s}`, name, method, params), headers: headers}
}

// call returns a message that calls a tool. more is further params, with a comma.
func call(name, tool, arguments, more string, headers ...string) message {
	return request(name, "tools/call", fmt.Sprintf(`{"name":%q,"arguments":%s%s}`, tool, arguments, more), headers...)
}

// opening begins a session.
var opening = []message{
	{name: "initialize", body: initializeBody},
	{name: "initialized", body: `{"jsonrpc":"2.0","method":"notifications/initialized"}`},
	request("ping", "ping", `{}`),
	request("tools/list", "tools/list", `{}`),
	request("resources/list", "resources/list", `{}`),
	request("resources/templates/list", "resources/templates/list", `{}`),
	request("prompts/list", "prompts/list", `{}`),
}

// ofTools returns good and bad calls of each tool, and those of the first that may
// be a task.
func ofTools(tools []map[string]any, arguments map[string]string) []message {
	var all []message
	for _, tool := range tools {
		name := tool["name"].(string)
		good, own := arguments[name]
		if own && good == "" {
			continue
		}
		schema, _ := tool["inputSchema"].(map[string]any)
		if !own {
			good = marshal(sample(schema))
		}
		progress := fmt.Sprintf(`,"_meta":{"progressToken":%q}`, name)
		all = append(all, call("call "+name, name, good, progress), call("bad call "+name, name, marshal(wrong(schema)), ""))
		if execution, _ := tool["execution"].(map[string]any); execution["taskSupport"] == "required" {
			all = append(all, ofTask(name, good)...)
		}
	}
	return all
}

// ofTask returns the messages that run a tool as a task.
func ofTask(tool, arguments string) []message {
	const task = `,"task":{"ttl":60000}`
	const id = `{"taskId":"$task"}`
	return []message{
		call("task", tool, arguments, task),
		request("tasks/get", "tasks/get", id),
		request("tasks/list", "tasks/list", `{}`),
		request("tasks/result", "tasks/result", id),
		request("tasks/get of a completed task", "tasks/get", id),
		request("tasks/cancel of a completed task", "tasks/cancel", id),
		call("another task", tool, arguments, task),
		request("tasks/cancel", "tasks/cancel", id),
		request("tasks/result of a canceled task", "tasks/result", id),
	}
}

// ofResources and ofPrompts return the messages about the first resource, and about
// each prompt.
func ofResources(resources []map[string]any) []message {
	all := []message{request("resources/read of none", "resources/read", `{"uri":"test://no-such"}`)}
	if len(resources) > 0 { // the others are read as the first is
		uri := marshal(map[string]any{"uri": resources[0]["uri"]})
		for _, method := range []string{"resources/read", "resources/subscribe", "resources/unsubscribe"} {
			all = append(all, request(method, method, uri))
		}
	}
	return all
}

func ofPrompts(prompts []map[string]any) []message {
	all := []message{request("prompts/get of none", "prompts/get", `{"name":"no-such"}`)}
	for _, p := range prompts {
		name, arguments := p["name"].(string), map[string]any{}
		declared, _ := p["arguments"].([]any)
		for _, a := range declared {
			arguments[a.(map[string]any)["name"].(string)] = "a"
		}
		all = append(all, request("prompts/get "+name, "prompts/get", marshal(map[string]any{"name": name, "arguments": arguments})),
			request("completion of "+name, "completion/complete", marshal(map[string]any{
				"ref":      map[string]any{"type": "ref/prompt", "name": name},
				"argument": map[string]any{"name": "a", "value": "a"},
			})))
	}
	return all
}

// rest returns what follows, up to the session's end. slow is a call that reports
// progress.
func rest(slow, arguments string) []message {
	canceled := call("canceled call", slow, arguments, `,"_meta":{"progressToken":"canceled"}`)
	canceled.until = `"method":"notifications/progress"`
	canceled.cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"canceled call","reason":"enough"}}`
	const strange = "Mcp-Session-Id: no-such-session"
	return []message{
		canceled,
		{name: "resumed", method: "GET", headers: []string{"Last-Event-ID: $event"}, until: "data: {"},
		{name: "stream", method: "GET", open: true},
		{name: "stream that wants JSON", method: "GET", headers: []string{"Accept: application/json"}, open: true},
		call("unknown tool", "no_such_tool", `{}`, ""),
		request("unknown method", "no/such/method", `{}`),
		request("logging/setLevel", "logging/setLevel", `{"level":"error"}`),
		{name: "notification", body: `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`},
		{name: "unknown notification", body: `{"jsonrpc":"2.0","method":"notifications/no_such"}`},
		{name: "response to nothing", body: `{"jsonrpc":"2.0","id":"none","result":{}}`},
		request("Accept of JSON alone", "tools/list", `{}`, "Accept: application/json"),
		request("Accept of HTML", "tools/list", `{}`, "Accept: text/html"),
		request("unknown revision", "tools/list", `{}`, "MCP-Protocol-Version: 1999-01-01"),
		{name: "second initialize", body: initializeBody},
		request("no session", "tools/list", `{}`, "Mcp-Session-Id: "),
		request("unknown session", "tools/list", `{}`, strange),
		{name: "stream of an unknown session", method: "GET", headers: []string{strange}, open: true},
		{name: "end of an unknown session", method: "DELETE", headers: []string{strange}},
		{name: "end", method: "DELETE"},
		call("call after the end", slow, arguments, ""),
	}
}

// of2026 returns messages of revision 2026-07-28, which has no sessions. Some servers
// do not speak it.
func of2026(slow, arguments string) []message {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"answers","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
	headers := func(method string, more ...string) []string {
		return append(more, "Mcp-Session-Id: ", "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: "+method)
	}
	listen := request("listen of 2026", "subscriptions/listen", `{"notifications":{"toolsListChanged":true},`+meta+`}`, headers("subscriptions/listen")...)
	listen.open = true
	return []message{
		request("discover of 2026", "server/discover", `{`+meta+`}`, headers("server/discover")...),
		request("list of 2026", "tools/list", `{`+meta+`}`, headers("tools/list")...),
		request("header that contradicts", "tools/list", `{`+meta+`}`, headers("resources/list")...),
		call("call of 2026", slow, arguments, ","+meta, headers("tools/call", "Mcp-Name: "+slow)...),
		call("unknown tool of 2026", "no_such_tool", `{}`, ","+meta, headers("tools/call", "Mcp-Name: no_such_tool")...),
		listen,
	}
}

// sample returns a value that a JSON schema allows.
func sample(schema map[string]any) any {
	if v, ok := schema["default"]; ok {
		return v
	}
	if of, ok := schema["enum"].([]any); ok {
		return of[0]
	}
	if of, ok := schema["anyOf"].([]any); ok {
		return sample(of[0].(map[string]any))
	}
	switch schema["type"] {
	case "string":
		return "a"
	case "number", "integer":
		if least, ok := schema["minimum"]; ok {
			return least
		}
		return 1
	case "boolean":
		return true
	case "array":
		return []any{}
	}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	object := map[string]any{}
	for _, name := range required {
		of, _ := properties[name.(string)].(map[string]any)
		object[name.(string)] = sample(of)
	}
	return object
}

// wrong returns arguments that a JSON schema refuses, if it has any: one of a wrong
// type, and no other.
func wrong(schema map[string]any) map[string]any {
	arguments := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	if names := slices.Sorted(maps.Keys(properties)); len(names) > 0 {
		arguments[names[0]] = []any{map[string]any{"wrong": nil}}
	}
	return arguments
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // what came as JSON
	}
	return string(b)
}

// told is an answer, without what differs from one exchange to the next.
type told struct {
	Status int
	Header http.Header
	Body   string
	raw    string
	call   bool // it is the answer of a tools/call
}

// list returns a list of the answer's result.
func (a told) list(name string) []map[string]any {
	text := a.raw
	for line := range strings.Lines(a.raw) {
		if data, ok := strings.CutPrefix(line, "data: "); ok && strings.Contains(data, `"result"`) {
			text = data
		}
	}
	var v struct{ Result map[string]json.RawMessage }
	var all []map[string]any
	if json.Unmarshal([]byte(text), &v) != nil || json.Unmarshal(v.Result[name], &all) != nil {
		return nil
	}
	return all
}

// outcome returns the outcome that the answer has for a call, as the ledger names it.
func (a told) outcome() string {
	switch {
	case a.Status >= http.StatusBadRequest:
		return "http_error"
	case strings.Contains(a.raw, `"error":{`):
		return "rpc_error"
	case !strings.Contains(a.raw, `"result":{`):
		return "aborted"
	case strings.Contains(a.raw, `"isError":true`):
		return "tool_error"
	}
	return "ok"
}

// talk is a session with a server, straight or through a gate.
type talk struct {
	url, key string
	vars     map[string]string
	answers  map[string]told
}

// varying is what differs between two exchanges that are the same otherwise.
var varying = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`(?m)^id: .*$`), "id: EVENT"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(Z|\+00:00)`), "TIME"},
	{regexp.MustCompile(`\d+:\d\d:\d\d( [AP]M)?`), "TIME"},
	{regexp.MustCompile(`(?m)^: ping.*\n+`), ""},
	{regexp.MustCompile(`"statusMessage":"[^"]*"`), `"statusMessage":"STATUS"`},
	{regexp.MustCompile(`"id":\d+`), `"id":0`}, // of a server's request; ours are strings
	{regexp.MustCompile(`"requestState":"[^"]*"`), `"requestState":"STATE"`},
}

// progressLine matches an event with progress.
var progressLine = regexp.MustCompile(`(event: message\r?\n)?(id: EVENT\r?\n)?data: .*"method":"notifications/progress".*\r?\n\r?\n`)

// naming is where an answer names a session, an event or a task.
var naming = map[string]*regexp.Regexp{
	"$event": regexp.MustCompile(`(?m)^id: (.+)$`),
	"$task":  regexp.MustCompile(`"taskId":"([^"]+)"`),
}

// hopHeaders belong to one connection, or tell when and by whom it was answered.
var hopHeaders = []string{"Date", "Via", "Connection", "Keep-Alive"}

// send sends a message and returns its answer.
func (t *talk) send(ctx context.Context, m message) (told, error) {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	req, err := t.request(ctx, m)
	if err != nil {
		return told{}, err
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return told{}, err
	}
	defer res.Body.Close()
	raw, err := t.read(ctx, stop, res, m)
	if err != nil {
		return told{}, fmt.Errorf("after %d %v %q: %w", res.StatusCode, res.Header, raw, err)
	}
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		t.vars["$session"] = id
		res.Header.Set("Mcp-Session-Id", "$session")
	}
	for name, pattern := range naming {
		if found := pattern.FindStringSubmatch(raw); found != nil && (name == "$task" || t.vars[name] == "") {
			t.vars[name] = found[1]
		}
	}
	a := told{res.StatusCode, res.Header, raw, raw, strings.Contains(m.body, `"tools/call"`)}
	for _, name := range hopHeaders {
		a.Header.Del(name)
	}
	for _, v := range varying {
		a.Body = v.pattern.ReplaceAllString(a.Body, v.instead)
	}
	if m.cancel != "" { // how much progress there was is a matter of time
		a.Body = progressLine.ReplaceAllString(a.Body, "")
	}
	for name, value := range t.vars {
		a.Body = strings.ReplaceAll(a.Body, value, name)
	}
	return a, nil
}

func (t *talk) request(ctx context.Context, m message) (*http.Request, error) {
	var body io.Reader
	if m.body != "" {
		body = strings.NewReader(t.filled(m.body))
	}
	method := m.method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, t.url, body)
	if err != nil {
		return nil, err
	}
	standard := []string{"Content-Type: application/json", "Accept: application/json, text/event-stream", "MCP-Protocol-Version: 2025-11-25"}
	if t.vars["$session"] != "" {
		standard = append(standard, "Mcp-Session-Id: $session")
	}
	if t.key != "" {
		standard = append(standard, "Authorization: Bearer "+t.key)
	}
	for _, line := range append(standard, m.headers...) {
		name, value, _ := strings.Cut(line, ": ")
		if value = t.filled(value); value == "" {
			req.Header.Del(name)
		} else {
			req.Header.Set(name, value)
		}
	}
	return req, nil
}

// filled puts what earlier answers named in the place of $session, $event and $task.
func (t *talk) filled(text string) string {
	for name, value := range t.vars {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// quiet is how long a canceled call's stream is waited on that nobody ends.
const quiet = time.Second

// read reads an answer as far as the message wants it read. A stream on which the
// server asks something gets a refusal.
func (t *talk) read(ctx context.Context, stop func(), res *http.Response, m message) (string, error) {
	stream := strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream")
	if m.open && stream {
		return "", nil
	}
	var text strings.Builder
	lines := bufio.NewReader(res.Body)
	for {
		line, err := lines.ReadString('\n')
		text.WriteString(line)
		if errors.Is(err, io.EOF) || m.until != "" && errors.Is(err, context.Canceled) {
			return text.String(), nil
		}
		if err == nil && stream {
			err = t.refuse(ctx, line)
		}
		if err != nil {
			return text.String(), err
		}
		switch {
		case m.until == "" || !strings.Contains(line, m.until):
		case m.cancel == "":
			return text.String(), nil
		default:
			if _, err := t.send(ctx, message{name: "cancel", body: m.cancel}); err != nil {
				return text.String(), err
			}
			time.AfterFunc(quiet, stop)
			m.until = "\x00"
		}
	}
}

// refuse answers a line of a stream if it is a server's request.
func (t *talk) refuse(ctx context.Context, line string) error {
	var request struct {
		ID     json.RawMessage
		Method string
	}
	data, _ := strings.CutPrefix(line, "data: ")
	if json.Unmarshal([]byte(data), &request) != nil || request.ID == nil || request.Method == "" {
		return nil
	}
	refusal := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"this client has no users"}}`, request.ID)
	_, err := t.send(ctx, message{name: "refusal of " + request.Method, body: refusal})
	return err
}

// hold sends a whole conversation.
func (t *talk) hold(ctx context.Context, r realServer) error {
	say := func(all []message) error {
		for _, m := range all {
			if m.name == "resumed" && t.vars["$event"] == "" {
				continue // the server's streams cannot be resumed
			}
			a, err := t.send(ctx, m)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			t.answers[m.name] = a
		}
		return nil
	}
	slow := r.calls.Slow.Name
	arguments := r.arguments[slow]
	if arguments == "" {
		arguments = `{}`
	}
	if err := say(opening); err != nil {
		return err
	}
	return say(slices.Concat(
		ofTools(t.answers["tools/list"].list("tools"), r.arguments),
		ofResources(t.answers["resources/list"].list("resources")),
		ofPrompts(t.answers["prompts/list"].list("prompts")),
		rest(slow, arguments),
		of2026(slow, arguments),
	))
}

// testAnswers holds one conversation with the server, straight and through the gate:
// status, headers and body of every answer are the same, streams included, and each
// call has one row with the outcome that the client saw.
func testAnswers(t *testing.T, u *realUp) {
	key, id := u.key(t, u.jwt, `{"key_name":"answers"}`)
	straight := &talk{url: u.url, vars: map[string]string{}, answers: map[string]told{}}
	gated := &talk{url: u.gate, key: key, vars: map[string]string{}, answers: map[string]told{}}
	var both errgroup.Group
	for _, way := range []*talk{straight, gated} {
		both.Go(func() error {
			if err := way.hold(t.Context(), u.realServer); err != nil {
				return fmt.Errorf("%s: %w", way.url, err)
			}
			return nil
		})
	}
	if err := both.Wait(); err != nil {
		t.Fatal(err)
	}
	// The gate answers for a task that it does not know, so that nobody learns of
	// another's.
	unknown, err := gated.send(t.Context(), request("unknown task", "tasks/get", `{"taskId":"no-such-task"}`))
	if err != nil || unknown.Status != http.StatusOK || !strings.Contains(unknown.raw, `"code":-32602`) {
		t.Errorf("an unknown task is answered %d %s, %v", unknown.Status, unknown.raw, err)
	}
	for _, name := range slices.Sorted(maps.Keys(straight.answers)) {
		want, got := straight.answers[name], gated.answers[name]
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(told{})); diff != "" {
			t.Errorf("%s differs:\n%s", name, diff)
		}
	}
	want := map[string]string{}
	for name, a := range gated.answers {
		if a.call {
			want[name] = a.outcome()
		}
	}
	if want["another task"] == "ok" {
		want["another task"] = "aborted" // it was canceled before it had a result
	}
	got := map[string]string{}
	for _, row := range u.rows(t, id, len(want)) {
		var name string
		decode(t, []byte(row["request_id"].(string)), &name)
		got[name] = row["outcome"].(string)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the calls and their rows differ:\n%s", diff)
	}
}
