package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// limited is a call that a limit refuses; which says what the limit is.
func limited(t *testing.T, a answer, id, which string) {
	t.Helper()
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusTooManyRequests || err != nil || seconds < 1 || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("it answers %d %v %s", a.status, a.header, a.body)
	}
	e, _ := a.json(t)["error"].(map[string]any)
	if !strings.HasPrefix(a.body, `{"jsonrpc":"2.0","id":`+id+`,"error":`) || e["code"] != 42901.0 || !strings.HasPrefix(e["message"].(string), "This API key is limited to "+which+"; try again in ") {
		t.Errorf("it answers %s", a.body)
	}
}

// TestLimits holds that each limit refuses the call beyond it, in the
// contract's form, with its row, before it reaches the upstream.
func TestLimits(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	control := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	metrics := "http://" + control + "/metrics"
	s.rewrite(t, "admin off", "admin "+control)
	jwt := s.login(t)
	n := 0
	call := func(key, body string) answer {
		t.Helper()
		n++
		return do(t, "POST", s.gate, body, "Authorization: Bearer "+key)
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
		reached := u.requests.Load()
		for range c.passes {
			if a := call(key, callBody("rows")); a.status != http.StatusOK {
				t.Fatalf("%s: a call within the limit answers %d %s", c.name, a.status, a.body)
			}
		}
		// Another minute's call may have become due on a machine that is slow.
		limited(t, call(key, strings.Replace(callBody("rows"), `"id":1`, `"id":"\u0078"`, 1)), `"\u0078"`, c.which)
		if got := u.requests.Load() - reached; got != c.passes {
			t.Errorf("%s: %d calls reached the upstream", c.name, got)
		}
		row := s.awaitCalls(t, jwt, n)[0]
		if row["outcome"] != "http_error" || row["http_status"] != 429.0 || row["rpc_code"] != 42901.0 || row["key_id"] != record.ID || row["table_name"] != "t" || row["record_count"] != nil {
			t.Errorf("%s: the row is %v", c.name, row)
		}
		if got := metric(t, metrics, `tallygate_calls_denied_total{by="`+c.name+`"}`); got != 1 {
			t.Errorf("%s: the metric is %d", c.name, got)
		}
		// What is no call is not limited.
		if a := do(t, "POST", s.gate, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, "Authorization: Bearer "+key); a.status != http.StatusOK {
			t.Errorf("%s: tools/list answers %d %s", c.name, a.status, a.body)
		}
	}

	// A batch is let in as a whole or not at all.
	key, _ := s.issue(t, identity.KeySpec{Name: "batch", Limits: identity.Limits{CallsPerDay: 3}})
	batch := func(calls int) string {
		var parts []string
		for i := range calls {
			parts = append(parts, strings.Replace(callBody("rows"), `"id":1`, fmt.Sprintf(`"id":%d`, i), 1))
		}
		return "[" + strings.Join(parts, ",") + `,{"jsonrpc":"2.0","id":"p","method":"ping"}]`
	}
	reached := u.requests.Load()
	a := call(key, batch(4))
	if a.status != http.StatusTooManyRequests || strings.Count(a.body, `"code":42901`) != 5 || !strings.HasPrefix(a.body, `[{"jsonrpc":"2.0","id":0,`) || !strings.Contains(a.body, "nothing of the batch was run") {
		t.Errorf("a batch over the limit answers %d %s", a.status, a.body)
	}
	if u.requests.Load() != reached {
		t.Error("a batch over the limit reached the upstream")
	}
	n += 3
	for _, row := range s.awaitCalls(t, jwt, n)[:4] {
		if row["rpc_code"] != 42901.0 || row["outcome"] != "http_error" {
			t.Errorf("a row of the batch is %v", row)
		}
	}
}

// TestConcurrentCalls holds that a key has so many calls under way and no more,
// and that each makes room again as it ends, however it does.
func TestConcurrentCalls(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	key, _ := s.issue(t, identity.KeySpec{Name: "k", Limits: identity.Limits{ConcurrentCalls: 1}})
	call := func(act string) answer {
		return do(t, "POST", s.gate, callBody(act), "Authorization: Bearer "+key)
	}
	// Whoever has a result in full may call again at once.
	for range 20 {
		for _, act := range []string{"rows", "stream", "rpc error", "http error", "other id", "broken json", "nothing"} {
			if a := call(act); a.status == http.StatusTooManyRequests {
				t.Fatalf("after a call that has ended the next one, %q, is refused", act)
			}
		}
	}
	// A batch that was refused has taken nothing, and given nothing back.
	for range 3 {
		two := "[" + callBody("rows") + "," + strings.Replace(callBody("rows"), `"id":1`, `"id":2`, 1) + "]"
		if a := do(t, "POST", s.gate, two, "Authorization: Bearer "+key); a.status != http.StatusTooManyRequests || strings.Count(a.body, "1 call at the same time") != 2 {
			t.Errorf("a batch of two answers %d %s", a.status, a.body)
		}
	}
	// An open result has it to itself, until its client leaves.
	hold := func() (res *http.Response, leave func()) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		res, err := http.DefaultClient.Do(s.keyedPost(ctx, key, callBody("hold")))
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("the call that holds answers %d %s, %v", res.StatusCode, line, err)
		}
		return res, func() { cancel(); _ = res.Body.Close() }
	}
	_, leave := hold() //nolint:bodyclose // leave does
	limited(t, call("rows"), "1", "1 call at the same time")
	leave()
	eventually(t, "room for another call", func() bool { return call("rows").status == http.StatusOK })
	res, leave := hold() //nolint:bodyclose // likewise
	limited(t, call("rows"), "1", "1 call at the same time")
	close(u.release)
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if a := call("rows"); a.status != http.StatusOK {
		t.Errorf("after the open result has ended: %d %s", a.status, a.body)
	}
	leave()

	// An upstream that dies.
	for range 3 {
		if res, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, callBody("die"))); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusTooManyRequests {
				t.Error("a call whose upstream died left no room")
			}
		}
		eventually(t, "room for another call", func() bool { return call("rows").status == http.StatusOK })
	}
}

// TestConcurrentHeldCalls holds that a call whose result is still to come makes
// room when its request ends, and that a retry counts again.
func TestConcurrentHeldCalls(t *testing.T) {
	u := startFlowUpstream(t)
	s := startSiteAt(t, u.Listener.Addr().String())
	jwt := s.login(t)
	key, _ := s.issue(t, identity.KeySpec{Name: "k", Limits: identity.Limits{ConcurrentCalls: 2, RecordsPerDay: 8, CallsPerDay: 9}})
	send := func(method, params string) answer {
		t.Helper()
		return do(t, "POST", s.gate, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params), "Authorization: Bearer "+key)
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
	// What a pending call returns counts when it is known.
	for i := range 2 {
		tool := fmt.Sprint("input", i)
		if a := begin(tool, "input", `,"requestState":"state of `+tool+`","inputResponses":{}`); a.status != http.StatusOK {
			t.Fatalf("a retry answers %d %s", a.status, a.body)
		}
	}
	limited(t, begin("input2", "input", `,"requestState":"state of input2","inputResponses":{}`), "1", "8 records a day")
	rows := s.awaitCalls(t, jwt, 2) // the retry that was refused leaves its call waiting
	for _, row := range rows {
		if row["outcome"] != "ok" || row["record_count"] != 5.0 {
			t.Errorf("a row is %v", row)
		}
	}
	if a := send("tasks/get", `{"taskId":"task of task0"}`); a.status != http.StatusOK {
		t.Errorf("tasks/get over the limit answers %d %s", a.status, a.body)
	}
}

// TestLimitsOfClients holds that the clients of both makers tell their user of
// a limit, and can call again.
func TestLimitsOfClients(t *testing.T) {
	s := startSite(t)
	for _, c := range mcpClients {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			key, _ := s.issue(t, identity.KeySpec{Name: c.name, Limits: identity.Limits{CallsPerMinute: 30, Burst: 1}})
			session, err := c.connect(ctx, s.gate, key)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = session.close() }()
			call := func() error {
				_, _, err := session.call(ctx, "query_table", map[string]any{"table": "trade_calendar", "limit": 1})
				return err
			}
			if err := call(); err != nil {
				t.Fatal(err)
			}
			for err = nil; err == nil; { // another may be due on a slow machine
				err = call()
			}
			if text := err.Error(); !strings.Contains(text, "limited to 30 calls a minute") && !strings.Contains(text, "Too Many Requests") {
				t.Errorf("it says %q", text)
			}
			eventually(t, "another call to be let in", func() bool { return call() == nil })
		})
	}
}

// TestUnknownKeysThrottled holds that an address may have only so many keys
// looked up that do not exist, and that known keys from there go on working.
func TestUnknownKeysThrottled(t *testing.T) {
	s := startSite(t)
	control := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	metrics := "http://" + control + "/metrics"
	s.rewrite(t, "admin off", "admin "+control)
	key, _ := s.issue(t, identity.KeySpec{Name: "k"})
	if !s.works(t, key) {
		t.Fatal("the key does not work")
	}
	const call = `{"jsonrpc":"2.0","id":7,"method":"tools/list"}`
	var a answer
	for n := 0; a.status != http.StatusTooManyRequests; n++ {
		made, _, _ := identity.KeyFormat{}.NewKey()
		if a = do(t, "POST", s.gate, call, "Authorization: Bearer "+made); a.status != http.StatusUnauthorized && a.status != http.StatusTooManyRequests || n > 1000 {
			t.Fatalf("the key that does not exist no. %d answers %d %s", n, a.status, a.body)
		}
	}
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || seconds < 1 || !strings.HasPrefix(a.body, `{"jsonrpc":"2.0","id":7,"error":{"code":42902,"message":"Too many keys that do not exist`) {
		t.Errorf("too many keys answer %v %s", a.header, a.body)
	}
	if !s.works(t, key) {
		t.Error("a known key from the same address is refused")
	}
	// A mistyped key is told by its checksum, which costs nothing.
	if a := do(t, "POST", s.gate, call, "Authorization: Bearer "+key[:20]+swap(key[20])+key[21:]); a.status != http.StatusUnauthorized {
		t.Errorf("a mistyped key answers %d %s", a.status, a.body)
	}
	if got := metric(t, metrics, "tallygate_keys_throttled_total"); got == 0 {
		t.Errorf("the metric is %d", got)
	}
}

// TestReloadOfKeys holds that a reload that changes what is said of keys leaves
// them, their limits and an open stream as they were.
func TestReloadOfKeys(t *testing.T) {
	u := startUpstream(t)
	s := startSiteAt(t, u.address())
	control := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	s.rewrite(t, "admin off", "admin "+control)
	jwt := s.login(t)
	key, record := s.issue(t, identity.KeySpec{Name: "k", Limits: identity.Limits{CallsPerDay: 5}})
	auth := "Authorization: Bearer " + key
	for range 2 {
		if a := do(t, "POST", s.gate, callBody("rows"), auth); a.status != http.StatusOK {
			t.Fatalf("a call answers %d %s", a.status, a.body)
		}
	}
	open, err := http.DefaultClient.Do(s.keyedPost(t.Context(), key, callBody("hold")))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Body.Close()

	name := filepath.Join(s.dir, "Caddyfile")
	text := strings.Replace(readFile(t, name), "tallygate {\n\t\tstore", "tallygate {\n\t\tstale_ok 1m\n\t\tkey_prefix acme_\n\t\tstore", 1)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := s.command(t, "", "reload", "--address", control); code != 0 {
		t.Fatalf("reload: %d %s", code, stderr)
	}
	let := 0
	for do(t, "POST", s.gate, callBody("rows"), auth).status == http.StatusOK {
		let++
	}
	// The config that is going has a call in hand while its stream is open.
	if let != 1 && let != 2 {
		t.Errorf("of 5 calls a day, 3 were made before the reload and %d after", let)
	}
	close(u.release)
	if b, err := io.ReadAll(open.Body); err != nil || !strings.HasSuffix(string(b), "}}\n\n") {
		t.Errorf("the open stream ends with %q, %v", b, err)
	}
	if a := do(t, "POST", s.admin+"/api/mcp-keys/revoke", `{"key_id":"`+record.ID+`"}`, jwt); a.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	if s.works(t, key) {
		t.Error("a key that was revoked after the reload works")
	}
}
