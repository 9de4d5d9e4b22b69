package stockmcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
)

// start serves the shared server on a loopback port and returns its endpoint.
func start(tb testing.TB) (endpoint string) {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	h := httptest.NewServer(s)
	tb.Cleanup(func() {
		h.CloseClientConnections() // GET streams that are still open
		h.Close()
	})
	return h.URL + "/messages"
}

// connect returns mcp-go's client after its initialization.
func connect(tb testing.TB, endpoint string) (*client.Client, *mcp.InitializeResult) {
	tb.Helper()
	c, err := client.NewStreamableHttpClient(endpoint)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := c.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	var request mcp.InitializeRequest
	request.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	request.Params.ClientInfo = mcp.Implementation{Name: "test", Version: "1"}
	answer, err := c.Initialize(tb.Context(), request)
	if err != nil {
		tb.Fatal(err)
	}
	return c, answer
}

// post sends a message without what clients usually send: a session and an Accept
// header.
func post(ctx context.Context, endpoint, message string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(message))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	return http.DefaultClient.Do(request)
}

// answer returns a response whose body is closed when the test ends.
type answer struct {
	status string
	code   int
	header http.Header
	body   io.Reader
}

func mustPost(tb testing.TB, endpoint, message string) answer {
	tb.Helper()
	response, err := post(tb.Context(), endpoint, message)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = response.Body.Close() })
	return answer{response.Status, response.StatusCode, response.Header, response.Body}
}

func callMessage(tool, arguments string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, arguments)
}

type toolResult struct {
	Content           []struct{ Type, Text string }
	StructuredContent json.RawMessage
	IsError           bool
}

// call calls a tool and returns its result after checking its shape.
func call(tb testing.TB, endpoint, tool, arguments string) toolResult {
	tb.Helper()
	result, err := tryCall(tb.Context(), endpoint, tool, arguments)
	if err != nil {
		tb.Fatal(err)
	}
	return *result
}

// tryCall is like call, for goroutines other than the test's own.
func tryCall(ctx context.Context, endpoint, tool, arguments string) (*toolResult, error) {
	response, err := post(ctx, endpoint, callMessage(tool, arguments))
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Result *toolResult
		Error  json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	result := answer.Result
	if result == nil || len(result.Content) != 1 || result.Content[0].Type != "text" {
		return nil, fmt.Errorf("%s %s: %+v, error %s", tool, arguments, result, answer.Error)
	}
	if result.IsError == (result.StructuredContent != nil) {
		return nil, fmt.Errorf("%s %s: isError %v, structured content %s", tool, arguments, result.IsError, result.StructuredContent)
	}
	return result, nil
}

// succeed calls a tool and decodes its structured content.
func succeed[T any](tb testing.TB, endpoint, tool, arguments string) (content T) {
	tb.Helper()
	result := call(tb, endpoint, tool, arguments)
	if result.IsError {
		tb.Fatalf("%s %s: %s", tool, arguments, result.Content[0].Text)
	}
	if err := json.Unmarshal(result.StructuredContent, &content); err != nil {
		tb.Fatal(err)
	}
	return content
}

func TestBareRequestListsTools(t *testing.T) {
	t.Parallel()
	response := mustPost(t, start(t), `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`)
	if response.code != http.StatusOK || response.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s, %s", response.status, response.header.Get("Content-Type"))
	}
	if id := response.header.Get("Mcp-Session-Id"); id != "" {
		t.Errorf("session %q", id)
	}
	var list struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if err := json.NewDecoder(response.body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range list.Result.Tools {
		names = append(names, tool.Name)
	}
	want := []string{"backtest", "describe_table", "get_daily", "list_tables", "query_table", "run_sql"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestServerIdentifiesItself(t *testing.T) {
	t.Parallel()
	_, answer := connect(t, start(t))
	if answer.ServerInfo.Name != "stock-data" || answer.ServerInfo.Version == "" {
		t.Errorf("%+v", answer.ServerInfo)
	}
	if !strings.Contains(answer.Instructions, "synthetic") {
		t.Errorf("instructions do not say that the data is synthetic: %q", answer.Instructions)
	}
}

func TestToolsDescribeThemselves(t *testing.T) {
	t.Parallel()
	c, _ := connect(t, start(t))
	list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		if tool.Description == "" {
			t.Errorf("%s has no description", tool.Name)
		}
		if hint := tool.Annotations.ReadOnlyHint; hint == nil || !*hint {
			t.Errorf("%s does not say that it only reads", tool.Name)
		}
		if tool.InputSchema.AdditionalProperties != false {
			t.Errorf("%s takes unknown arguments", tool.Name)
		}
		for name, property := range tool.InputSchema.Properties {
			if property.(map[string]any)["description"] == nil {
				t.Errorf("%s.%s has no description", tool.Name, name)
			}
		}
		if len(tool.OutputSchema.Properties) == 0 {
			t.Errorf("%s has no output schema", tool.Name)
		}
	}
}

func TestResultsAreStructuredAndTheSameAsText(t *testing.T) {
	t.Parallel()
	c, _ := connect(t, start(t))
	list, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	arguments := map[string]map[string]any{
		"list_tables":    {},
		"describe_table": {"table": "stock_basic"},
		"query_table":    {"table": "stock_basic"},
		"get_daily":      {"ts_code": "600001.NX"},
		"run_sql":        {"sql": "SELECT count(*) AS n FROM stock_daily"},
		"backtest":       {"ts_code": "600001.NX", "steps": 2, "step_ms": 1},
	}
	for _, tool := range list.Tools {
		var request mcp.CallToolRequest
		request.Params.Name = tool.Name
		request.Params.Arguments = arguments[tool.Name]
		result, err := c.CallTool(t.Context(), request)
		if err != nil || result.IsError {
			t.Fatalf("%s: %+v, %v", tool.Name, result, err)
		}
		var asText any
		if err := json.Unmarshal([]byte(result.Content[0].(mcp.TextContent).Text), &asText); err != nil {
			t.Errorf("%s: text is no JSON: %v", tool.Name, err)
		}
		if diff := cmp.Diff(result.StructuredContent, asText); diff != "" {
			t.Errorf("%s: (-structured +text)\n%s", tool.Name, diff)
		}
		names := func(m map[string]any) (names []string) {
			for name := range m {
				names = append(names, name)
			}
			slices.Sort(names)
			return names
		}
		if diff := cmp.Diff(names(tool.OutputSchema.Properties), names(result.StructuredContent.(map[string]any))); diff != "" {
			t.Errorf("%s: (-output schema +result)\n%s", tool.Name, diff)
		}
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	endpoint := start(t)
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	for name, test := range map[string]struct {
		method, path, host, contentType, body string
		status                                int
	}{
		"a call":               {"POST", "", "", "application/json", list, 200},
		"charset":              {"POST", "", "", "application/json; charset=utf-8", list, 200},
		"a local host":         {"POST", "", "localhost:9001", "application/json", list, 200},
		"a host from afar":     {"POST", "", "rebound.example", "application/json", list, 403},
		"another path":         {"POST", "/x", "", "application/json", list, 404},
		"another content type": {"POST", "", "", "text/plain", list, 400},
		"no JSON":              {"POST", "", "", "application/json", "{", 400},
		"a huge body":          {"POST", "", "", "application/json", strings.Repeat(" ", maxBody) + list, 400},
		"a notification":       {"POST", "", "", "application/json", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, 202},
		"GET":                  {"GET", "", "", "", "", 200},
		"DELETE":               {"DELETE", "", "", "", "", 200},
		"PUT":                  {"PUT", "", "", "", "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), test.method, endpoint+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Host = test.host
			request.Header.Set("Content-Type", test.contentType)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != test.status {
				t.Errorf("%s, want %d", response.Status, test.status)
			}
		})
	}
}

// events reads the messages of an event stream.
func events(tb testing.TB, response answer) func(func(json.RawMessage) bool) {
	tb.Helper()
	if got := response.header.Get("Content-Type"); got != "text/event-stream" {
		body, _ := io.ReadAll(response.body)
		tb.Fatalf("%s, %s: %s", response.status, got, body)
	}
	return func(yield func(json.RawMessage) bool) {
		for lines := bufio.NewScanner(response.body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && !yield(json.RawMessage(data)) {
				return
			}
		}
	}
}

const watchedBacktest = `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"backtest","_meta":{"progressToken":"p"},"arguments":{"ts_code":"600001.NX","steps":%d,"step_ms":%d}}}`

// progressMessage is a progress notification or the reply.
type progressMessage struct {
	ID     int
	Method string
	Params struct {
		ProgressToken   string
		Progress, Total int
	}
	Result *toolResult
}

func TestBacktestReportsProgress(t *testing.T) {
	t.Parallel()
	endpoint := start(t)
	// In plain stateless mode this stream would receive some of the progress below.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint, nil)
	if err != nil {
		t.Fatal(err)
	}
	listening, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listening.Body.Close() }()

	const steps = 10
	progress, answered := 0, false
	for data := range events(t, mustPost(t, endpoint, fmt.Sprintf(watchedBacktest, 7, steps, 100))) {
		var m progressMessage
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		switch {
		case answered:
			t.Errorf("after the answer: %s", data)
		case m.ID == 7:
			answered = true
			var got backtestResult
			if err := json.Unmarshal(m.Result.StructuredContent, &got); err != nil {
				t.Fatal(err)
			}
			if got.Table != "stock_daily" || got.Code != "600001.NX" || len(got.Rows) != steps || !slices.Contains(got.Rows, got.Best) {
				t.Errorf("%s", data)
			}
		default:
			progress++
			if m.Method != "notifications/progress" || m.Params.ProgressToken != "p" || m.Params.Progress != progress || m.Params.Total != steps {
				t.Errorf("progress %d: %s", progress, data)
			}
		}
	}
	if progress != steps || !answered {
		t.Errorf("%d progress notifications of %d, answered %v", progress, steps, answered)
	}
	if got := mustPost(t, endpoint, callMessage("backtest", `{"ts_code":"600001.NX","steps":1,"step_ms":1}`)).header.Get("Content-Type"); got != "application/json" {
		t.Errorf("without a progress token: %s", got)
	}
}

func TestBacktestCanBeCancelled(t *testing.T) {
	t.Parallel()
	endpoint := start(t)
	var last json.RawMessage
	for data := range events(t, mustPost(t, endpoint, fmt.Sprintf(watchedBacktest, 8, maxSteps, maxStepMS))) {
		if last == nil {
			cancelled := mustPost(t, endpoint, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":8}}`)
			if cancelled.code != http.StatusAccepted {
				t.Fatal(cancelled.status)
			}
		}
		last = data
	}
	if !strings.Contains(string(last), "cancelled after") {
		t.Errorf("last message: %s", last)
	}
}

// Prices that rise for a while and then fall: the mean of few days is above
// that of many exactly once.
func TestCrossover(t *testing.T) {
	t.Parallel()
	closes := []float64{100, 100, 100, 100, 110, 121, 110, 99, 88}
	c := crossover{Short: 1, Long: 3}
	c.try(closes)
	// Bought after 110, sold after the second 110: 110 to 121 to 110.
	if want := (crossover{Short: 1, Long: 3, Trades: 1, ReturnPct: 0}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
}

func TestCloseEndsStreamsAndRefusesCalls(t *testing.T) {
	t.Parallel()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	listening, err := http.Get(h.URL + "/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listening.Body.Close() }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(listening.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if result := call(t, h.URL+"/messages", "list_tables", "{}"); !result.IsError {
		t.Error("a call after Close succeeds")
	}
}

func TestCallsRunSideBySide(t *testing.T) {
	t.Parallel()
	endpoint := start(t)
	calls := []struct{ tool, arguments string }{
		{"list_tables", `{}`},
		{"query_table", `{"table":"stock_daily","filters":[{"column":"pct_chg","op":"gt","value":5}],"limit":50}`},
		{"run_sql", `{"sql":"SELECT industry, count(*) FROM stock_basic GROUP BY industry"}`},
		{"run_sql", `{"sql":"SELECT load_extension('x')"}`},
		{"backtest", `{"ts_code":"600001.NX","steps":3,"step_ms":1}`},
	}
	want := make([]toolResult, len(calls))
	for i, c := range calls {
		want[i] = call(t, endpoint, c.tool, c.arguments)
	}
	var wg sync.WaitGroup
	for worker := range 2 * maxQueries {
		wg.Go(func() {
			for i := range calls {
				i = (i + worker) % len(calls)
				got, err := tryCall(t.Context(), endpoint, calls[i].tool, calls[i].arguments)
				if err != nil {
					t.Error(err)
				} else if diff := cmp.Diff(want[i], *got); diff != "" {
					t.Errorf("%v: (-alone +side by side)\n%s", calls[i], diff)
				}
			}
		})
	}
	wg.Wait()
}

// Two servers in one process have separate databases: closing one does not affect
// the other.
func TestServersAreIndependent(t *testing.T) {
	t.Parallel()
	one, other := openDatabase(t), openDatabase(t)
	if err := one.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.count(context.Background(), tables[0]); err != nil {
		t.Error(err)
	}
}
