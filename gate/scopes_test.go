package gate_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// A list, and what a key for query_* is to see of it.
const (
	wholeList = `{ "nextCursor":"c\u0032", "tools":[ {"name":"run_sql","inputSchema":{"name":"query_"}} , {"name":"query_table","x-more":[1.50, {"a":"]"}]},` + "\n" +
		`{"name":"query_secret"},{"na\u006de":"query_\u0072ows"} ],"_meta":{"tools":[{"name":"run_sql"}]}, "other" : 1e2 }`
	scopedList = `{ "nextCursor":"c\u0032", "tools":[  {"name":"query_table","x-more":[1.50, {"a":"]"}]},{"na\u006de":"query_\u0072ows"} ],"_meta":{"tools":[{"name":"run_sql"}]}, "other" : 1e2 }`
	listID     = `"list \u0031"`
)

// listUpstream answers tools/list in the way that the cursor says, and counts
// the calls that reach it.
type listUpstream struct {
	calls   atomic.Int64
	release chan struct{} // what "slow" waits for
}

func listReply(list string) string {
	return ` {"jsonrpc":"2.0","result" :` + list + `,"id":` + listID + `}`
}

func listBody(how string) string {
	return `{"jsonrpc":"2.0","id":` + listID + `,"method":"tools/list","params":{"cursor":"` + how + `"}}`
}

func (u *listUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if strings.Contains(string(body), `"tools/call"`) {
		u.calls.Add(1)
	}
	how := r.Header.Get("Last-Event-ID")
	if at := strings.Index(string(body), `"cursor":"`); at >= 0 {
		how, _, _ = strings.Cut(string(body[at+len(`"cursor":"`):]), `"`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	reply := listReply(wholeList)
	switch how {
	case "json":
		w.Header().Set("Content-Digest", "sha-256=:abc=:")
		_, _ = io.WriteString(w, reply)
	case "crumbs":
		for p := reply; p != ""; p = p[min(3, len(p)):] {
			_, _ = io.WriteString(w, p[:min(3, len(p))])
			_ = http.NewResponseController(w).Flush()
		}
	case "batch":
		_, _ = io.WriteString(w, `[ {"jsonrpc":"2.0","id":2,"result":{"content":[]}},`+reply+" ]")
	case "stream", "slow":
		gatetest.WriteEvent(w, ": hello\n\nid: 1\ndata: "+gatetest.Progress+"\n\n")
		if how == "slow" {
			<-u.release
		}
		gatetest.WriteEvent(w, "event: message\nid: 2\ndata: "+strings.Replace(reply, "\n", "\ndata:", 1)+"\n\n: bye\n\n")
	case "gzip", "gzip stream":
		if how == "gzip stream" {
			w.Header().Set("Content-Type", "text/event-stream")
			reply = "data: " + reply + "\n\n"
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, reply)
		_ = z.Close()
	case "broken":
		_, _ = io.WriteString(w, strings.Replace(reply, " , ", " ; ", 1))
	case "huge":
		_, _ = io.WriteString(w, strings.Replace(reply, "run_sql", strings.Repeat("run_sql ", 1<<20), 1))
	case "http error":
		http.Error(w, "no {list", http.StatusInternalServerError)
	default:
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}
}

var onlyQueries = []string{"query_*", "!query_secret*"}

// TestScopedLists: a key with scopes is shown only what it may call, in every way
// that a list can come, with every other byte as it was. A key without scopes
// sees what the upstream sent.
func TestScopedLists(t *testing.T) {
	u := &listUpstream{release: make(chan struct{})}
	address := startHandler(t, u.ServeHTTP)
	s := startSite(t, address)
	scoped, _ := s.issue(t, identity.KeySpec{Name: "scoped", Scopes: onlyQueries})
	free, _ := s.issue(t, identity.KeySpec{Name: "free"})
	batch := `[{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"query_table"}},` + listBody("batch") + `]`
	for _, c := range []struct{ how, method, body string }{
		{"json", "POST", listBody("json")}, {"crumbs", "POST", listBody("crumbs")}, {"batch", "POST", batch},
		{"stream", "POST", listBody("stream")}, {"stream", "GET", ""},
	} {
		last := "Last-Event-ID: " + c.how
		straight := do(t, c.method, "http://"+address+"/messages", c.body, last)
		got := do(t, c.method, s.url, c.body, last, "Authorization: Bearer "+free)
		if got.status != 200 || got.body != straight.body || !strings.Contains(got.body, "run_sql") {
			t.Errorf("%s %s: a key without scopes sees %d %q", c.method, c.how, got.status, got.body)
		}
		got = do(t, c.method, s.url, c.body, last, "Authorization: Bearer "+scoped)
		want := strings.Replace(straight.body, wholeList, scopedList, 1)
		if c.how == "stream" {
			whole := strings.Replace(wholeList, "\n", "\ndata:", 1)
			want = strings.Replace(straight.body, whole, strings.Replace(scopedList, "},{", "}\ndata:,{", 1), 1)
		}
		if diff := cmp.Diff(want, got.body); got.status != 200 || diff != "" {
			t.Errorf("%s %s: a key with scopes sees %d (-want +got):\n%s", c.method, c.how, got.status, diff)
		}
		if got.header.Get("Content-Type") != straight.header.Get("Content-Type") || got.header.Get("Content-Digest") != "" {
			t.Errorf("%s %s: the headers are %v", c.method, c.how, got.header)
		}
	}
	for how, headers := range map[string][]string{"gzip": nil, "gzip stream": {"Accept-Encoding: gzip"}} {
		a := do(t, "POST", s.url, listBody(how), append(headers, "Authorization: Bearer "+scoped)...)
		if a.status != http.StatusBadGateway || !strings.HasPrefix(a.body, `{"jsonrpc":"2.0","id":`+listID+`,"error":{"code":50201,`) || a.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: a key with scopes sees %d %v %q", how, a.status, a.header, a.body)
		}
		if a := do(t, "POST", s.url, listBody(how), "Accept-Encoding: gzip", "Authorization: Bearer "+free); a.status != 200 || a.header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: a key without scopes sees %d %v", how, a.status, a.header)
		}
	}
	// A call beside such a list ends as its client sees it.
	a := do(t, "POST", s.url, strings.Replace(batch, `"cursor":"batch"`, `"cursor":"gzip"`, 1), "Authorization: Bearer "+scoped)
	if a.status != http.StatusBadGateway || strings.Count(a.body, `"code":50201`) != 2 || !strings.HasPrefix(a.body, `[{"jsonrpc":"2.0","id":2,`) {
		t.Errorf("a batch whose answer is encoded answers %d %s", a.status, a.body)
	}
	if row := s.journal.Await(t, 3)[0]; row["outcome"] != "http_error" || row["http_status"] != 502.0 || row["rpc_code"] != 50201.0 {
		t.Errorf("the row of the call is %v", row)
	}
	for _, how := range []string{"broken", "huge"} {
		res, err := s.begin(t.Context(), scoped, listBody(how))
		var body []byte
		if err == nil {
			body, err = io.ReadAll(res.Body)
			_ = res.Body.Close()
		}
		if err == nil || strings.Contains(string(body), "run_sql") {
			t.Errorf("%s: a key with scopes sees %q, %v", how, body, err)
		}
	}
	if a := do(t, "POST", s.url, listBody("http error"), "Authorization: Bearer "+scoped); a.status != 500 || a.body != "no {list\n" {
		t.Errorf("an error of the upstream's arrives as %d %q", a.status, a.body)
	}

	// What comes before the list is not held back for it.
	res, err := s.begin(t.Context(), scoped, listBody("slow"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	rd := bufio.NewReader(res.Body)
	for _, want := range []string{": hello\n", "\n", "id: 1\n", "data: " + gatetest.Progress + "\n", "\n"} {
		if line, err := rd.ReadString('\n'); line != want || err != nil {
			t.Fatalf("the stream begins with %q, %v, want %q", line, err, want)
		}
	}
	close(u.release)
	if rest, err := io.ReadAll(rd); err != nil || !strings.Contains(string(rest), "query_table") || strings.Contains(string(rest), `{"name":"run_sql","i`) {
		t.Errorf("the rest of the stream is %q, %v", rest, err)
	}
}

// TestScopeDenied: a call of a tool outside the key's scopes, alone or in a batch,
// is answered with an error that names the tool, leaves a row, and does not reach
// the upstream. Its arguments are not read.
func TestScopeDenied(t *testing.T) {
	u := &listUpstream{}
	s := startSite(t, startHandler(t, u.ServeHTTP))
	key, record := s.issue(t, identity.KeySpec{Name: "scoped", Scopes: onlyQueries})
	auth := "Authorization: Bearer " + key
	call := func(id, tool string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":%q,"arguments":{"table":"t"}}}`, id, tool)
	}
	denied := func(id, tool, more string) string {
		message, _ := json.Marshal(fmt.Sprintf("This API key may not call the tool %q%s", tool, more))
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":40302,"message":%s}}`, id, message)
	}
	for _, tool := range []string{"run_sql", "query_secrets", "Query_table", "é\"x"} {
		a := do(t, "POST", s.url, call(`"\u0061"`, tool), auth)
		if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.body != denied(`"\u0061"`, tool, "") {
			t.Errorf("%s answers %d %s", tool, a.status, a.body)
		}
	}
	lying := do(t, "POST", s.url, call("1", "run_sql"), auth, "Mcp-Name: query_table", "Mcp-Method: tools/call")
	if lying.body != denied("1", "run_sql", "") {
		t.Errorf("with a header that lies: %d %s", lying.status, lying.body)
	}
	a := do(t, "POST", s.url, "["+call("1", "query_a")+`,{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"l","method":"tools/list"},`+call("2", "run_sql")+"]", auth)
	const batch = "; nothing of the batch was run"
	want := "[" + denied("1", "run_sql", batch) + "," + denied(`"l"`, "run_sql", batch) + "," + denied("2", "run_sql", batch) + "]"
	if a.status != 200 || a.body != want {
		t.Errorf("the batch answers %d %s", a.status, a.body)
	}
	if n := u.calls.Load(); n != 0 {
		t.Errorf("%d calls reached the upstream", n)
	}
	rows := s.journal.Await(t, 7)
	for _, row := range rows {
		if row["outcome"] != "rpc_error" || row["http_status"] != 200.0 || row["rpc_code"] != 40302.0 || row["table_name"] != nil ||
			row["key_id"] != record.ID || row["record_count"] != nil || row["response_bytes"].(float64) < 90 {
			t.Errorf("a row is %v", row)
		}
	}
	if a := do(t, "POST", s.url, call("1", "query_table"), auth); a.status != 200 || u.calls.Load() != 1 {
		t.Errorf("a call within the scopes answers %d %s", a.status, a.body)
	}
}

// TestScopeOfTasksAndRetries: a key may not go on with what it may not call: a
// task that another key of its user began, or a call that asked for input.
func TestScopeOfTasksAndRetries(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	scoped, _ := s.issue(t, identity.KeySpec{Name: "scoped", Scopes: onlyQueries})
	free, _ := s.issue(t, identity.KeySpec{Name: "free"})
	send := func(key, method, params string) answer {
		t.Helper()
		a := do(t, "POST", s.url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params), "Authorization: Bearer "+key)
		if a.status != http.StatusOK {
			t.Fatalf("%s %s answers %d %s", method, params, a.status, a.body)
		}
		return a
	}
	refused := func(a answer) bool { return strings.Contains(a.body, `"code":40302,`) }
	const begin = `{"name":%q,"arguments":{"table":"t","rows":3,"flow":%q}%s}`
	send(free, "tools/call", fmt.Sprintf(begin, "run_sql", "task", ""))
	send(free, "tools/call", fmt.Sprintf(begin, "query_x", "task", ""))
	for _, method := range []string{"tasks/get", "tasks/result", "tasks/cancel"} {
		if a := send(scoped, method, `{"taskId":"task of run_sql"}`); !refused(a) || !strings.Contains(a.body, "run_sql") {
			t.Errorf("%s of another key's task answers %s", method, a.body)
		}
	}
	if u.Polls("task of run_sql") != 0 {
		t.Error("what was asked of the task reached the upstream")
	}
	for range 2 {
		if a := send(scoped, "tasks/get", `{"taskId":"task of query_x"}`); refused(a) {
			t.Errorf("tasks/get within the scopes answers %s", a.body)
		}
		send(free, "tasks/get", `{"taskId":"task of run_sql"}`)
	}
	rows := s.journal.Await(t, 2)
	for _, row := range rows {
		if row["outcome"] != "ok" || row["record_count"] != 3.0 || row["key_name"] != "free" {
			t.Errorf("the row of a task is %v", row)
		}
	}

	// The pending call ends with the retry that is denied.
	send(free, "tools/call", fmt.Sprintf(begin, "run_other", "input", ""))
	if a := send(scoped, "tools/call", fmt.Sprintf(begin, "run_other", "input", `,"requestState":"state of run_other","inputResponses":{}`)); !refused(a) {
		t.Errorf("the retry answers %s", a.body)
	}
	if u.Ran("run_other") != 1 {
		t.Errorf("run_other ran %d times", u.Ran("run_other"))
	}
	if row := s.journal.Await(t, 3)[0]; row["tool_name"] != "run_other" || row["outcome"] != "rpc_error" || row["rpc_code"] != 40302.0 || row["key_name"] != "free" {
		t.Errorf("the row of the retry is %v", row)
	}
}
