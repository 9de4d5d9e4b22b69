package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallygate/tallygate/identity"
)

// flow is one call in all its requests, and the row that it is to leave.
type flow struct {
	tool, name, table string
	rows              int
	id                string // as JSON text
	session           string // "" for none
}

// flows are the ways of a call, each with what its row says of it. A record
// count of -1 stands for the number of rows that the flow has.
var flows = map[string]struct {
	outcome      string
	status, code any
	records      int // -1: the flow's rows; -2: unknown
}{
	"json":                              {"ok", 200.0, nil, -1},
	"crumbs":                            {"ok", 200.0, nil, -1},
	"crumbs, declared":                  {"ok", 200.0, nil, -1},
	"encoded":                           {"ok", 200.0, nil, -1},
	"stream":                            {"ok", 200.0, nil, -1},
	"tool error":                        {"tool_error", 200.0, nil, -2},
	"rpc error":                         {"rpc_error", 200.0, -32011.0, -2},
	"http error":                        {"http_error", 500.0, -32011.0, -2},
	"plain http error":                  {"http_error", 502.0, nil, -2},
	"other id":                          {"aborted", 200.0, nil, -2},
	"broken":                            {"aborted", 200.0, nil, -2},
	"other type":                        {"aborted", 200.0, nil, -2},
	"nothing":                           {"aborted", 202.0, nil, -2},
	"death":                             {"aborted", 200.0, nil, -2},
	"client leaves":                     {"aborted", 200.0, nil, -2},
	"resumed":                           {"ok", 200.0, nil, -1},
	"resumed, tool error":               {"tool_error", 200.0, nil, -2},
	"resumed, client leaves":            {"ok", 200.0, nil, -1},
	"resumed, cancelled, client leaves": {"aborted", 200.0, nil, -2},
	"task 2025":                         {"ok", 200.0, nil, -1},
	"task 2025, tool error":             {"tool_error", 200.0, nil, -2},
	"task 2025, rpc error":              {"rpc_error", 200.0, -32011.0, -2},
	"task 2025, cancel":                 {"aborted", 200.0, nil, -2},
	"task":                              {"ok", 200.0, nil, -1},
	"task, tool error":                  {"tool_error", 200.0, nil, -2},
	"task, rpc error":                   {"rpc_error", 200.0, -32011.0, -2},
	"task, cancel":                      {"aborted", 200.0, nil, -2},
	"task, listen":                      {"ok", 200.0, nil, -1},
	"task, listen, rpc error":           {"rpc_error", 200.0, -32011.0, -2},
	"task, listen, cancel":              {"aborted", 200.0, nil, -2},
	"input":                             {"ok", 200.0, nil, -1},
	"input, twice":                      {"ok", 200.0, nil, -1},
	"input, stateless":                  {"ok", 200.0, nil, -1},
	"input, http error":                 {"http_error", 503.0, -32011.0, -2},
	"batch":                             {"ok", 200.0, nil, -1},
	"batch, tool error":                 {"tool_error", 200.0, nil, -2},
	"batch, rpc error":                  {"rpc_error", 200.0, -32011.0, -2},
	"batch, nothing":                    {"aborted", 200.0, nil, -2},
}

// body is the flow's tools/call, with more members in its params.
func (f flow) body(id, more string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":%q,"arguments":{"table":%q,"rows":%d,"flow":%q}%s}}`,
		id, f.tool, f.table, f.rows, f.name, more)
}

// flowClient runs flows under one key.
type flowClient struct {
	*site
	key string
}

// reading reads an answer as far as it wants to.
type reading func(status int, body io.Reader) error

// send sends a message of the flow, and hands its response to read.
func (c flowClient) send(ctx context.Context, f flow, method, body string, read reading, headers ...string) error {
	req, err := http.NewRequestWithContext(ctx, method, c.gate, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if f.session != "" {
		req.Header.Set("Mcp-Session-Id", f.session)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return read(res.StatusCode, res.Body)
}

// whole reads a response to its end, which must hold each of the parts.
func whole(parts ...string) reading {
	return func(status int, body io.Reader) error {
		b, err := io.ReadAll(body)
		for _, part := range parts {
			if err == nil && !strings.Contains(string(b), part) {
				err = fmt.Errorf("%d %q without %q", status, b, part)
			}
		}
		return err
	}
}

// begun reads the first line of a response.
func begun(_ int, body io.Reader) error {
	_, err := bufio.NewReader(body).ReadString('\n')
	return err
}

// start sends the flow's call; finish, what goes on with it.
func (c flowClient) start(f flow) error {
	read := whole()
	switch kind, _, _ := strings.Cut(f.name, ", "); {
	case strings.HasSuffix(f.name, "client leaves"):
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		return c.send(ctx, f, "POST", f.body(f.id, ""), begun)
	case kind == "death":
		read = func(status int, body io.Reader) error { _ = whole()(status, body); return nil }
	case kind == "task", kind == "task 2025":
		read = whole(`"working"`)
	case kind == "input":
		read = whole("input_required")
	}
	return c.send(context.Background(), f, "POST", f.body(f.id, ""), read)
}

func (c flowClient) finish(f flow) error {
	ctx := context.Background()
	ask := func(method, id string, parts ...string) error {
		return c.send(ctx, f, "POST", fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{"taskId":%q}}`, id, method, "task of "+f.tool), whole(parts...))
	}
	kind, more, _ := strings.Cut(f.name, ", ")
	switch kind {
	case "resumed":
		if strings.HasPrefix(more, "cancelled") {
			return c.send(ctx, f, "POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+f.id+`}}`, whole())
		}
		return c.send(ctx, f, "GET", "", whole(`"rows"`), "Last-Event-ID: "+f.tool)
	case "task 2025":
		if more == "cancel" {
			return ask("tasks/cancel", "5", "cancelled")
		}
		for i, status := range []string{"working", "completed"} {
			if err := ask("tasks/get", strconv.Itoa(5+i), status); err != nil {
				return err
			}
		}
		if err := ask("tasks/result", f.id, `"jsonrpc"`); err != nil {
			return err
		}
		return ask("tasks/result", `"again"`, `"jsonrpc"`)
	case "task":
		if strings.HasPrefix(more, "listen") {
			return c.send(ctx, f, "POST", fmt.Sprintf(`{"jsonrpc":"2.0","id":6,"method":"subscriptions/listen","params":{"notifications":{"taskIds":[%q]}}}`, "task of "+f.tool), whole("notifications/tasks"))
		}
		if err := ask("tasks/get", "5", "working"); err != nil {
			return err
		}
		for range 2 {
			if err := ask("tasks/get", f.id, `"status"`); err != nil {
				return err
			}
		}
	case "input":
		const inputs = `,"inputResponses":{"q":{"roots":[]}}`
		switch more {
		case "stateless":
			return c.send(ctx, f, "POST", f.body(`"retry"`, inputs), whole(`"rows"`))
		case "twice":
			if err := c.send(ctx, f, "POST", f.body(`"retry"`, inputs+`,"requestState":"state of `+f.tool+`"`), whole("more of")); err != nil {
				return err
			}
			return c.send(ctx, f, "POST", f.body(`"retry"`, inputs+`,"requestState":"more of `+f.tool+`"`), whole(`"rows"`))
		}
		return c.send(ctx, f, "POST", f.body("99", inputs+`,"requestState":"state \u006ff `+f.tool+`"`), whole())
	}
	return nil
}

// batch sends flows in one request.
func (c flowClient) batch(fs []flow) error {
	var bodies []string
	for i, f := range fs {
		bodies = append(bodies, f.body(strconv.Itoa(i), ""))
	}
	return c.send(context.Background(), fs[0], "POST", "["+strings.Join(bodies, ",")+"]", whole())
}

// drawFlows draws n flows at random.
func drawFlows(rnd *rand.Rand, n int) (singles []flow, batches [][]flow) {
	var names, batchNames []string
	for name := range flows {
		if strings.HasPrefix(name, "batch") {
			batchNames = append(batchNames, name)
		} else {
			names = append(names, name)
		}
	}
	for i := 0; i < n; i++ {
		draw := func(names []string) flow {
			i++
			f := flow{tool: fmt.Sprintf("query_%d", i), name: names[rnd.IntN(len(names))], table: fmt.Sprintf("t%d", rnd.IntN(5)), rows: rnd.IntN(40)}
			if rnd.IntN(20) == 0 {
				f.rows = rnd.IntN(5000)
			}
			// Few ids and few sessions: the same at once, and 1 beside "1".
			f.id = []string{"1", `"1"`, "2", `"\u0032"`}[rnd.IntN(4)]
			if rnd.IntN(2) == 0 {
				f.session = fmt.Sprintf("session %d", rnd.IntN(3))
			}
			switch {
			case strings.HasPrefix(f.name, "resumed"):
				// Here only the session and the id tell calls apart.
				f.session, f.id = fmt.Sprintf("session of %d", i/2), []string{"1", `"1"`}[i%2]
			case f.name == "other id":
				f.id = "1"
			}
			return f
		}
		if rnd.IntN(12) > 0 {
			singles = append(singles, draw(names))
			continue
		}
		var b []flow
		for range 1 + rnd.IntN(6) {
			f := draw(batchNames)
			f.session = ""
			b = append(b, f)
		}
		batches = append(batches, b)
	}
	return singles, batches
}

// row is what the flow's row is to say.
func (f flow) row() map[string]any {
	want := flows[f.name]
	row := map[string]any{"outcome": want.outcome, "http_status": want.status, "rpc_code": want.code, "tables": []any{f.table}, "record_count": nil}
	if want.records == -1 {
		row["record_count"] = float64(f.rows)
	}
	return row
}

// checkRows waits until history has a row for each flow, and holds that there
// is just one, and that it says what the flow did.
func (s *site) checkRows(t *testing.T, jwt string, all []flow, ran map[string]int) {
	t.Helper()
	history := func(page int) map[string]any {
		return do(t, "GET", fmt.Sprintf("%s/api/mcp-usage/history?page=%d&page_size=200", s.admin, page), "", jwt).json(t)
	}
	// Pages shift while rows are added, so all have to be there first.
	eventually(t, fmt.Sprintf("%d rows", len(all)), func() bool { return history(1)["total"].(float64) >= float64(len(all)) })
	got := map[string][]map[string]any{}
	count := 0
	for page := 1; ; page++ {
		items := history(page)["items"].([]any)
		for _, item := range items {
			row := item.(map[string]any)
			tool := row["tool_name"].(string)
			got[tool] = append(got[tool], row)
		}
		if count += len(items); len(items) < 200 {
			break
		}
	}
	bad := 0
	for _, f := range all {
		rows := got[f.tool]
		if len(rows) != 1 {
			t.Errorf("%s (%s) left %d rows: %v", f.tool, f.name, len(rows), rows)
			continue
		}
		seen := map[string]any{}
		want := f.row()
		for column := range want {
			seen[column] = rows[0][column]
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			if bad++; bad < 20 {
				t.Errorf("%s (%s): the row (-want +got):\n%s", f.tool, f.name, diff)
			}
		}
		if ran[f.tool] == 0 {
			t.Errorf("%s (%s) did not run", f.tool, f.name)
		}
	}
	if count != len(all) {
		t.Errorf("%d rows for %d calls", count, len(all))
	}
}

// TestEveryCallIsOneRow runs thousands of random calls at once, in every way
// that a result can come or fail to, and holds the rows to what the calls did.
// FLOWS says how many, SEED which.
func TestEveryCallIsOneRow(t *testing.T) {
	n := envInt(t, "FLOWS", 3000)
	seed := envInt(t, "SEED", int(time.Now().UnixNano()&0xffffff))
	t.Logf("SEED=%d", seed)
	for name, spec := range map[string]identity.KeySpec{
		"a key": {Name: "k"},
		// A call that kept its place when it has ended would soon take all of them.
		"a key with scopes and limits": {Name: "k", Scopes: []string{"*", "!none"}, Limits: identity.Limits{
			CallsPerMinute: 1_000_000, Burst: 1_000_000, CallsPerDay: 1_000_000, RecordsPerDay: 1_000_000_000, ConcurrentCalls: 150,
		}},
	} {
		t.Run(name, func(t *testing.T) { everyCallIsOneRow(t, rand.New(rand.NewPCG(uint64(seed), 0)), n/2, spec) })
	}
}

func everyCallIsOneRow(t *testing.T, rnd *rand.Rand, n int, spec identity.KeySpec) {
	t.Helper()
	u := startFlowUpstream(t)
	s := startSiteAt(t, u.Listener.Addr().String())
	key, _ := s.issue(t, spec)
	c := flowClient{s, key}

	singles, batches := drawFlows(rnd, n)
	var todo []func() error
	all := singles
	for _, f := range singles {
		todo = append(todo, func() error {
			if err := c.start(f); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			if err := c.finish(f); err != nil {
				return fmt.Errorf("%s goes on: %w", f.name, err)
			}
			return nil
		})
	}
	for _, b := range batches {
		all = append(all, b...)
		todo = append(todo, func() error { return c.batch(b) })
	}
	rnd.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	runAll(t, 24, todo)
	s.checkRows(t, s.login(t), all, u.ran)
}

// runAll runs what is to be done, so many at once.
func runAll(t *testing.T, workers int, todo []func() error) {
	t.Helper()
	next := make(chan func() error)
	var wg sync.WaitGroup
	for range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for f := range next {
				if err := f(); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for _, f := range todo {
		next <- f
	}
	close(next)
	wg.Wait()
}

func envInt(tb testing.TB, name string, fallback int) int {
	tb.Helper()
	v := os.Getenv(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// TestHeldCallsSurvive holds that calls whose results come with later requests
// leave their rows although the gate is killed, or stopped, in between.
func TestHeldCallsSurvive(t *testing.T) {
	for name, end := range map[string]func(*site){
		"kill -9": func(s *site) { s.kill() },
		"SIGTERM": func(s *site) { s.stop(t) },
	} {
		t.Run(name, func(t *testing.T) {
			u := startFlowUpstream(t)
			s := startSiteAt(t, u.Listener.Addr().String())
			key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
			c := flowClient{s, key}
			var all []flow
			for name := range flows {
				if kind, _, _ := strings.Cut(name, ", "); kind == "resumed" || kind == "task" || kind == "task 2025" || kind == "input" {
					i := len(all)
					all = append(all, flow{tool: fmt.Sprintf("query_%d", i), name: name, table: "t", rows: i, id: "1", session: fmt.Sprint("session ", i)})
				}
			}
			for _, f := range all {
				if err := c.start(f); err != nil {
					t.Fatalf("%s: %v", f.name, err)
				}
			}
			end(s)
			s.run(t)
			for _, f := range all {
				if err := c.finish(f); err != nil {
					t.Fatalf("%s goes on: %v", f.name, err)
				}
			}
			jwt := s.login(t)
			s.checkRows(t, jwt, all, u.ran)
			end(s) // nothing may come back
			s.run(t)
			s.checkRows(t, s.login(t), all, u.ran)
		})
	}
}
