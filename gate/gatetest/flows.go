// Package gatetest has upstreams and clients for tests of a gate: calls whose
// results come in every way that MCP has, and what their events are to say.
package gatetest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Flow is one call with all its requests.
type Flow struct {
	Tool    string
	Name    string // in Flows
	Table   string
	Rows    int
	ID      string // of the call, as JSON text
	Session string // "" for none
}

// Records of a flow, beside numbers.
const (
	recordsAsRows  = -1
	recordsUnknown = -2
)

// flows says what the event of a call says, by the way that the call takes.
var flows = map[string]struct {
	outcome      string
	status, code any
	records      int
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

// FlowNames returns the names of all flows, but for those that are parts of a
// batch, in their order.
func FlowNames() []string {
	names := slices.Sorted(maps.Keys(flows))
	return slices.DeleteFunc(names, isBatch)
}

func isBatch(name string) bool { return strings.HasPrefix(name, "batch") }

// call returns the flow's tools/call, with more members in its params.
func (f Flow) call(id, more string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":%q,"arguments":{"table":%q,"rows":%d,"flow":%q}%s}}`,
		id, f.Tool, f.Table, f.Rows, f.Name, more)
}

// Row returns the columns that the flow's event is to have, as decoded JSON.
func (f Flow) Row() map[string]any {
	want := flows[f.Name]
	row := map[string]any{"outcome": want.outcome, "http_status": want.status, "rpc_code": want.code, "tables": []any{f.Table}, "record_count": nil}
	if want.records == recordsAsRows {
		row["record_count"] = float64(f.Rows)
	}
	return row
}

// CheckRows fails the test unless there is one row for each flow, and it says
// what the flow did.
func CheckRows(t *testing.T, rows []map[string]any, all []Flow, u *FlowUpstream) {
	t.Helper()
	byTool := map[any][]map[string]any{}
	for _, row := range rows {
		byTool[row["tool_name"]] = append(byTool[row["tool_name"]], row)
	}
	shown := 0
	for _, f := range all {
		rows := byTool[f.Tool]
		if len(rows) != 1 {
			t.Errorf("%s (%s) left %d rows: %v", f.Tool, f.Name, len(rows), rows)
			continue
		}
		want, got := f.Row(), map[string]any{}
		for column := range want {
			got[column] = rows[0][column]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			if shown++; shown < 20 {
				t.Errorf("%s (%s): the row (-want +got):\n%s", f.Tool, f.Name, diff)
			} else {
				t.Fail()
			}
		}
		if u.Ran(f.Tool) == 0 {
			t.Errorf("%s (%s) did not run", f.Tool, f.Name)
		}
	}
	if len(rows) != len(all) {
		t.Errorf("%d rows for %d calls", len(rows), len(all))
	}
}

// Client runs flows under one key.
type Client struct {
	URL string // the gate's
	Key string
}

// reading reads a response as far as it wants to.
type reading func(status int, body io.Reader) error

// send sends a message of the flow, and passes its response to read.
func (c Client) send(ctx context.Context, f Flow, method, body string, read reading, headers ...string) error {
	req, err := http.NewRequestWithContext(ctx, method, c.URL, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if f.Session != "" {
		req.Header.Set("Mcp-Session-Id", f.Session)
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

// whole reads a response to its end. It returns an error unless the response has
// all of the parts.
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

// firstLine reads the first line of a response.
func firstLine(_ int, body io.Reader) error {
	_, err := bufio.NewReader(body).ReadString('\n')
	return err
}

// Run starts the flow and finishes it.
func (c Client) Run(f Flow) error {
	if err := c.Start(f); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	if err := c.Finish(f); err != nil {
		return fmt.Errorf("%s goes on: %w", f.Name, err)
	}
	return nil
}

// Start sends the flow's call.
func (c Client) Start(f Flow) error {
	read := whole()
	switch kind, _, _ := strings.Cut(f.Name, ", "); {
	case strings.HasSuffix(f.Name, "client leaves"):
		ctx, leave := context.WithCancel(context.Background())
		defer leave()
		return c.send(ctx, f, "POST", f.call(f.ID, ""), firstLine)
	case kind == "death":
		read = func(status int, body io.Reader) error { _ = whole()(status, body); return nil }
	case kind == "task", kind == "task 2025":
		read = whole(`"working"`)
	case kind == "input":
		read = whole("input_required")
	}
	return c.send(context.Background(), f, "POST", f.call(f.ID, ""), read)
}

// Finish sends what goes on with the flow's call.
func (c Client) Finish(f Flow) error {
	ctx := context.Background()
	ask := func(method, id string, parts ...string) error {
		return c.send(ctx, f, "POST", fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{"taskId":%q}}`, id, method, "task of "+f.Tool), whole(parts...))
	}
	kind, more, _ := strings.Cut(f.Name, ", ")
	switch kind {
	case "resumed":
		if strings.HasPrefix(more, "cancelled") {
			return c.send(ctx, f, "POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+f.ID+`}}`, whole())
		}
		return c.send(ctx, f, "GET", "", whole(`"rows"`), "Last-Event-ID: "+f.Tool)
	case "task 2025":
		if more == "cancel" {
			return ask("tasks/cancel", "5", "cancelled")
		}
		for i, status := range []string{"working", "completed"} {
			if err := ask("tasks/get", strconv.Itoa(5+i), status); err != nil {
				return err
			}
		}
		if err := ask("tasks/result", f.ID, `"jsonrpc"`); err != nil {
			return err
		}
		return ask("tasks/result", `"again"`, `"jsonrpc"`)
	case "task":
		if strings.HasPrefix(more, "listen") {
			return c.send(ctx, f, "POST", fmt.Sprintf(`{"jsonrpc":"2.0","id":6,"method":"subscriptions/listen","params":{"notifications":{"taskIds":[%q]}}}`, "task of "+f.Tool), whole("notifications/tasks"))
		}
		if err := ask("tasks/get", "5", "working"); err != nil {
			return err
		}
		for range 2 {
			if err := ask("tasks/get", f.ID, `"status"`); err != nil {
				return err
			}
		}
	case "input":
		return c.bringInput(ctx, f, more)
	}
	return nil
}

// bringInput sends the call again, with what the upstream asked for.
func (c Client) bringInput(ctx context.Context, f Flow, more string) error {
	const inputs = `,"inputResponses":{"q":{"roots":[]}}`
	switch more {
	case "stateless":
		return c.send(ctx, f, "POST", f.call(`"retry"`, inputs), whole(`"rows"`))
	case "twice":
		if err := c.send(ctx, f, "POST", f.call(`"retry"`, inputs+`,"requestState":"state of `+f.Tool+`"`), whole("more of")); err != nil {
			return err
		}
		return c.send(ctx, f, "POST", f.call(`"retry"`, inputs+`,"requestState":"more of `+f.Tool+`"`), whole(`"rows"`))
	}
	return c.send(ctx, f, "POST", f.call("99", inputs+`,"requestState":"state \u006ff `+f.Tool+`"`), whole())
}

// RunBatch sends flows in one request.
func (c Client) RunBatch(fs []Flow) error {
	var bodies []string
	for i, f := range fs {
		bodies = append(bodies, f.call(strconv.Itoa(i), ""))
	}
	return c.send(context.Background(), fs[0], "POST", "["+strings.Join(bodies, ",")+"]", whole())
}

// DrawFlows draws n flows at random, alone and in batches.
func DrawFlows(rnd *rand.Rand, n int) (singles []Flow, batches [][]Flow) {
	names := FlowNames()
	batchNames := slices.DeleteFunc(slices.Sorted(maps.Keys(flows)), func(name string) bool { return !isBatch(name) })
	for i := 0; i < n; i++ {
		draw := func(names []string) Flow {
			i++
			f := Flow{Tool: fmt.Sprintf("query_%d", i), Name: names[rnd.IntN(len(names))], Table: fmt.Sprintf("t%d", rnd.IntN(5)), Rows: rnd.IntN(40)}
			if rnd.IntN(20) == 0 {
				f.Rows = rnd.IntN(5000)
			}
			// Few ids and few sessions: the same at once, and 1 beside "1".
			f.ID = []string{"1", `"1"`, "2", `"\u0032"`}[rnd.IntN(4)]
			if rnd.IntN(2) == 0 {
				f.Session = fmt.Sprintf("session-%d", rnd.IntN(3))
			}
			switch {
			case strings.HasPrefix(f.Name, "resumed"):
				// Here only the session and the id distinguish calls.
				f.Session, f.ID = fmt.Sprintf("session-of-%d", i/2), []string{"1", `"1"`}[i%2]
			case f.Name == "other id":
				f.ID = "1"
			}
			return f
		}
		if rnd.IntN(12) > 0 {
			singles = append(singles, draw(names))
			continue
		}
		var b []Flow
		for range 1 + rnd.IntN(6) {
			f := draw(batchNames)
			f.Session = ""
			b = append(b, f)
		}
		batches = append(batches, b)
	}
	return singles, batches
}

// RunAll runs functions, so many at a time, and fails the test for their errors.
func RunAll(t *testing.T, workers int, functions []func() error) {
	t.Helper()
	next := make(chan func() error)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for f := range next {
				if err := f(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, f := range functions {
		next <- f
	}
	close(next)
	wg.Wait()
}
