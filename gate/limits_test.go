package gate_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tallygate/tallygate/gate/gatetest"
	"github.com/tallygate/tallygate/identity"
)

// TestLimits: each limit refuses the call beyond it, in the contract's form, with
// its row, before it reaches the upstream.
func TestLimits(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	n := 0
	call := func(key, body string) answer {
		t.Helper()
		n++
		return do(t, "POST", s.url, body, "Authorization: Bearer "+key)
	}
	for _, c := range []struct {
		name, which string
		limits      identity.Limits
		passes      int64 // calls, each with 3 records
	}{
		{"calls_per_minute", "1 call a minute", identity.Limits{CallsPerMinute: 1, Burst: 3}, 3},
		{"calls_per_day", "4 calls a day", identity.Limits{CallsPerDay: 4}, 4},
		{"records_per_day", "5 records a day", identity.Limits{RecordsPerDay: 5}, 2},
	} {
		key, record := s.issue(t, identity.KeySpec{Name: c.name, Limits: c.limits})
		reached := u.Requests.Load()
		for range c.passes {
			if a := call(key, gatetest.CallBody("rows")); a.status != http.StatusOK {
				t.Fatalf("%s: a call within the limit answers %d %s", c.name, a.status, a.body)
			}
		}
		limited(t, call(key, strings.Replace(gatetest.CallBody("rows"), `"id":1`, `"id":"\u0078"`, 1)), `"\u0078"`, c.which)
		if got := u.Requests.Load() - reached; got != c.passes {
			t.Errorf("%s: %d calls reached the upstream", c.name, got)
		}
		row := s.journal.Await(t, n)[0]
		if row["outcome"] != "http_error" || row["http_status"] != 429.0 || row["rpc_code"] != 42901.0 || row["key_id"] != record.ID || row["table_name"] != nil || row["record_count"] != nil {
			t.Errorf("%s: the row is %v", c.name, row)
		}
		if got := s.refusals(c.name); got != 1 {
			t.Errorf("%s: %d requests are counted as refused", c.name, got)
		}
		// Other messages are not limited.
		if a := do(t, "POST", s.url, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Errorf("%s: tools/list answers %d %s", c.name, a.status, a.body)
		}
	}

	// A batch is admitted as a whole or not at all.
	key, _ := s.issue(t, identity.KeySpec{Name: "batch", Limits: identity.Limits{CallsPerDay: 3}})
	batch := func(calls int) string {
		var parts []string
		for i := range calls {
			parts = append(parts, strings.Replace(gatetest.CallBody("rows"), `"id":1`, fmt.Sprintf(`"id":%d`, i), 1))
		}
		return "[" + strings.Join(parts, ",") + `,{"jsonrpc":"2.0","id":"p","method":"ping"}]`
	}
	reached := u.Requests.Load()
	a := call(key, batch(4))
	if a.status != http.StatusTooManyRequests || strings.Count(a.body, `"code":42901`) != 5 || !strings.HasPrefix(a.body, `[{"jsonrpc":"2.0","id":0,`) || !strings.Contains(a.body, "nothing of the batch was run") {
		t.Errorf("a batch over the limit answers %d %s", a.status, a.body)
	}
	if u.Requests.Load() != reached {
		t.Error("a batch over the limit reached the upstream")
	}
	n += 3
	for _, row := range s.journal.Await(t, n)[:4] {
		if row["rpc_code"] != 42901.0 || row["outcome"] != "http_error" {
			t.Errorf("a row of the batch is %v", row)
		}
	}
}

// TestConcurrentCalls: a key has only so many calls in flight, and each makes room
// as it ends, however it ends.
func TestConcurrentCalls(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	key, _ := s.issue(t, identity.KeySpec{Name: "k", Limits: identity.Limits{ConcurrentCalls: 1}})
	recorded := 0
	call := func(act string) answer {
		t.Helper()
		recorded++
		return s.post(t, key, gatetest.CallBody(act))
	}
	// Who has the whole result may call again at once.
	for range 20 {
		for _, act := range []string{"rows", "stream", "rpc error", "http error", "other id", "broken json", "nothing"} {
			if a := call(act); a.status == http.StatusTooManyRequests {
				t.Fatalf("after a call that has ended the next one, %q, is refused", act)
			}
			s.journal.Await(t, recorded)
		}
	}
	// A batch that was refused has taken nothing, and given nothing back.
	for range 3 {
		two := "[" + gatetest.CallBody("rows") + "," + strings.Replace(gatetest.CallBody("rows"), `"id":1`, `"id":2`, 1) + "]"
		recorded += 2
		if a := s.post(t, key, two); a.status != http.StatusTooManyRequests || strings.Count(a.body, "1 call at the same time") != 2 {
			t.Errorf("a batch of two answers %d %s", a.status, a.body)
		}
	}
	// An open result has the only place, until its client leaves.
	hold := func() (res *http.Response, leave func()) {
		t.Helper()
		recorded++
		ctx, cancel := context.WithCancel(t.Context())
		res, err := s.begin(ctx, key, gatetest.CallBody("hold"))
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("the call that holds answers %d %s, %v", res.StatusCode, line, err)
		}
		return res, func() { cancel(); _ = res.Body.Close() }
	}
	room := func(after string) {
		t.Helper()
		s.journal.Await(t, recorded)
		if a := call("rows"); a.status != http.StatusOK {
			t.Errorf("after %s a call answers %d %s", after, a.status, a.body)
		}
	}
	_, leave := hold() //nolint:bodyclose // leave closes it
	limited(t, call("rows"), "1", "1 call at the same time")
	leave()
	room("its client has left an open result")
	res, leave := hold() //nolint:bodyclose // leave closes it
	limited(t, call("rows"), "1", "1 call at the same time")
	close(u.Release)
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if a := call("rows"); a.status != http.StatusOK {
		t.Errorf("after the open result has ended: %d %s", a.status, a.body)
	}
	leave()

	// An upstream that dies.
	for range 3 {
		recorded++
		if res, err := s.begin(t.Context(), key, gatetest.CallBody("die")); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusTooManyRequests {
				t.Error("a call whose upstream died left no room")
			}
		}
		room("its upstream died")
	}
}

// TestConcurrentPendingCalls: a pending call makes room when its request ends, and
// a retry counts again.
func TestConcurrentPendingCalls(t *testing.T) {
	u := gatetest.StartFlowUpstream(t)
	s := startSite(t, u.Address())
	key, _ := s.issue(t, identity.KeySpec{Name: "k", Limits: identity.Limits{ConcurrentCalls: 2, RecordsPerDay: 8, CallsPerDay: 9}})
	send := func(method, params string) answer {
		t.Helper()
		return do(t, "POST", s.url, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params), "Authorization: Bearer "+key)
	}
	begin := func(tool, flow, more string) answer {
		t.Helper()
		return send("tools/call", fmt.Sprintf(`{"name":%q,"arguments":{"table":"t","rows":5,"flow":%q}%s}`, tool, flow, more))
	}
	for i := range 3 {
		if a := begin(fmt.Sprint("task", i), "task", ""); a.status != http.StatusOK {
			t.Fatalf("a task beside %d others answers %d %s", i, a.status, a.body)
		}
		if a := begin(fmt.Sprint("input", i), "input", ""); a.status != http.StatusOK {
			t.Fatalf("a call that asks beside %d others answers %d %s", i, a.status, a.body)
		}
	}
	// The records of a pending call count when they are known.
	for i := range 2 {
		tool := fmt.Sprint("input", i)
		if a := begin(tool, "input", `,"requestState":"state of `+tool+`","inputResponses":{}`); a.status != http.StatusOK {
			t.Fatalf("a retry answers %d %s", a.status, a.body)
		}
	}
	limited(t, begin("input2", "input", `,"requestState":"state of input2","inputResponses":{}`), "1", "8 records a day")
	rows := s.journal.Await(t, 2) // the retry that was refused leaves its call waiting
	for _, row := range rows {
		if row["outcome"] != "ok" || row["record_count"] != 5.0 {
			t.Errorf("a row is %v", row)
		}
	}
	if a := send("tasks/get", `{"taskId":"task of task0"}`); a.status != http.StatusOK {
		t.Errorf("tasks/get over the limit answers %d %s", a.status, a.body)
	}
}

// TestUserLimits: a user's limits are over all of the user's keys, and a key's own do
// not replace them.
func TestUserLimits(t *testing.T) {
	u := gatetest.StartUpstream(t)
	s := startSite(t, u.Address())
	if err := s.authority.SetUserLimits(t.Context(), owner, identity.Limits{CallsPerDay: 4}); err != nil {
		t.Fatal(err)
	}
	one, _ := s.issue(t, identity.KeySpec{Name: "one", Limits: identity.Limits{CallsPerDay: 100}})
	two := s.key(t)
	for n, key := range []string{one, two, one, two} {
		if a := s.post(t, key, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_a"}}`); a.status != http.StatusOK {
			t.Fatalf("call %d answers %d %s", n, a.status, a.body)
		}
	}
	for _, key := range []string{one, two} {
		a := s.post(t, key, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query_a"}}`)
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, `"code":42901,"message":"All API keys of this user together are limited to 4 calls a day; try again in `) {
			t.Errorf("a call over the user's limit answers %d %s", a.status, a.body)
		}
	}
	if got := s.refusals(identity.LimitCallsPerDay); got != 2 {
		t.Errorf("%d refusals are counted", got)
	}
}
