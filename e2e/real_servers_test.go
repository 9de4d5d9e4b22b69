package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What is installed from PyPI and npm, by e2e/servers/install.py. FastMCP brings
// the official SDK along.
const (
	fastMCP          = "fastmcp==4.2.3"
	serverEverything = "@modelcontextprotocol/server-everything@2026.8.31"
	mcpRemote        = "mcp-remote@0.15.1"
)

// realServer is an MCP server that nobody here wrote, or one built on somebody's
// library as its documentation has it.
type realServer struct {
	name string
	path string // of its endpoint
	// command returns what serves it on a port of 127.0.0.1, and its environment.
	command func(tb testing.TB, port int) (args, env []string)
	calls   toolCalls
	// arguments has those of tools which need others than their schema suggests, as
	// JSON; a tool with "" is not called.
	arguments map[string]string
}

// toolCalls are the calls that each client makes.
type toolCalls struct {
	Good toolCall `json:"good"`
	Bad  toolCall `json:"bad"`  // its arguments are wrong, or the tool fails
	Slow toolCall `json:"slow"` // it reports progress
}

type toolCall struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
}

var (
	// The servers of both Go libraries are their own for the conformance suite, and
	// real/server.py has the same tools.
	conformanceCalls = toolCalls{
		toolCall{"test_simple_text", map[string]any{}},
		toolCall{"test_error_handling", map[string]any{}},
		toolCall{"test_tool_with_progress", map[string]any{}},
	}
	everythingCalls = toolCalls{
		toolCall{"echo", map[string]any{"message": "hello"}},
		toolCall{"get-sum", map[string]any{"a": "one"}},
		toolCall{"trigger-long-running-operation", map[string]any{"duration": 0.2, "steps": 2}},
	}
	// The longest that a tool takes here, so that it can be canceled.
	pythonArguments = map[string]string{"test_tool_with_progress": `{"steps":3,"seconds":0.3}`}
)

var realServers = []realServer{
	{"FastMCP", "/mcp", pythonServer("fastmcp"), conformanceCalls, pythonArguments},
	{"FastMCP mounted", "/mcp/", pythonServer("fastmcp", "mounted"), conformanceCalls, pythonArguments},
	{"Python SDK", "/mcp", pythonServer("mcp"), conformanceCalls, pythonArguments},
	{"server-everything", "/mcp", everythingServer("streamableHttp"), everythingCalls, map[string]string{
		"trigger-long-running-operation": `{"duration":0.2,"steps":2}`,
		"gzip-file-as-resource":          `{"name":"a.gz","data":"data:text/plain,hello"}`,
		"toggle-simulated-logging":       "", // it would send messages from then on, at random
		"toggle-subscriber-updates":      "",
	}},
	{"mcp-go", "/mcp", mcpGoConformance, conformanceCalls, map[string]string{
		"test_sampling":           "", // it asks on a stream that the client has to open first
		"test_tool_with_logging":  "", // the server loses the last notification now and then
		"test_tool_with_progress": "",
	}},
	{"go-sdk", "/mcp", goSDKConformance("-stateless=false"), conformanceCalls, map[string]string{
		"test_input_required_result_multiple_inputs": "", // it asks in a random order
	}},
}

// pythonServer returns the command of real/server.py.
func pythonServer(args ...string) func(testing.TB, int) (line, env []string) {
	return func(tb testing.TB, port int) (line, env []string) {
		line = []string{filepath.Join(install(tb, "pypi", fastMCP), "python"), filepath.Join(root, "e2e/real/server.py"), args[0], strconv.Itoa(port)}
		return append(line, args[1:]...), nil
	}
}

// onLoopback makes a Node server that listens on every address listen on 127.0.0.1.
const onLoopback = `data:text/javascript,import net from "node:net";` +
	`const listen=net.Server.prototype.listen;` +
	`net.Server.prototype.listen=function(port,...rest){return listen.call(this,port,"127.0.0.1",...rest)}`

// everythingServer returns the command of server-everything with a transport.
func everythingServer(transport string) func(testing.TB, int) (line, env []string) {
	return func(tb testing.TB, port int) (line, env []string) {
		return []string{npmNode, "--import", onLoopback, filepath.Join(install(tb, "npm", serverEverything), "mcp-server-everything"), transport},
			[]string{fmt.Sprint("PORT=", port)}
	}
}

func mcpGoConformance(tb testing.TB, port int) (line, env []string) {
	return []string{goProgram(tb, "github.com/mark3labs/mcp-go/examples/conformance")}, []string{fmt.Sprint("CONFORMANCE_ADDR=127.0.0.1:", port)}
}

func goSDKConformance(args ...string) func(testing.TB, int) (line, env []string) {
	return func(tb testing.TB, port int) (line, env []string) {
		program := goProgram(tb, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
		return append([]string{program, "-http", fmt.Sprint("127.0.0.1:", port)}, args...), nil
	}
}

// goProgram builds a program of a module that go.mod names, and returns its path.
func goProgram(tb testing.TB, path string) string {
	tb.Helper()
	program := filepath.Join(tb.TempDir(), "program")
	build := exec.Command("go", "build", "-o", program, path)
	build.Dir = filepath.Join(root, "e2e")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("go build %s: %v\n%s", path, err, out)
	}
	return program
}

// install installs a package of "npm" or "pypi", unless it is there, and returns
// its folder of commands.
func install(tb testing.TB, registry, pkg string) string {
	tb.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("python3", filepath.Join(root, "e2e/servers/install.py"), registry, pkg)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		tb.Fatalf("install %s: %v\n%s", pkg, err, errs.String())
	}
	return strings.TrimSpace(out.String())
}

// start starts the server, and returns the URL of its endpoint. It need not listen
// yet.
func (r realServer) start(tb testing.TB) string {
	tb.Helper()
	port := freePort(tb)
	line, env := r.command(tb, port)
	cmd := exec.Command(line[0], line[1:]...)
	var log bytes.Buffer
	cmd.Env = append(cleanEnv(), append(env, "HOME="+tb.TempDir())...)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if tb.Failed() {
			tb.Logf("%s:\n%.4000s", r.name, log.String())
		}
	})
	return fmt.Sprint("http://127.0.0.1:", port, r.path)
}

// startRealSite starts a site in front of a server's endpoint, which is served as
// /mcp.
func startRealSite(tb testing.TB, url string) *site {
	tb.Helper()
	s := startSiteAt(tb, url)
	s.gate = strings.TrimSuffix(s.gate, "/messages") + "/mcp"
	return s
}

// realUp is a server that runs, with a gate in front of it.
type realUp struct {
	realServer
	url string // of the server's endpoint
	*site
	jwt string
}

// startRealServers starts all servers, each with a gate.
func startRealServers(tb testing.TB) []*realUp {
	tb.Helper()
	var all []*realUp
	for _, r := range realServers {
		all = append(all, &realUp{realServer: r, url: r.start(tb)})
	}
	for _, u := range all {
		u.site = startRealSite(tb, u.url)
		u.jwt = u.login(tb)
	}
	for _, u := range all {
		eventually(tb, u.name+" listens", func() bool { return listening(hostOf(u.url)) })
	}
	return all
}

// hostOf returns a URL's host and port.
func hostOf(url string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return host
}

// rows waits until a key has n calls in the history, and returns them.
func (u *realUp) rows(tb testing.TB, keyID string, n int) []map[string]any {
	tb.Helper()
	var history struct {
		Total int
		Items []map[string]any
	}
	eventually(tb, fmt.Sprintf("%d calls in the history", n), func() bool {
		a := do(tb, "GET", u.admin+"/api/mcp-usage/history?page_size=200&key_id="+keyID, "", u.jwt)
		decode(tb, []byte(a.body), &history)
		return history.Total >= n
	})
	return history.Items
}

// TestRealServers checks the gate in front of servers, and behind clients, that
// nobody here wrote: through it they get what they get without it, and each call has
// one row.
func TestRealServers(t *testing.T) {
	all := startRealServers(t)
	t.Run("answers", func(t *testing.T) {
		for _, u := range all {
			t.Run(u.name, func(t *testing.T) {
				t.Parallel()
				testAnswers(t, u)
			})
		}
	})
	t.Run("legacy transport", testLegacyTransport)
	t.Run("clients", func(t *testing.T) {
		for _, c := range realClients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				testClient(t, c, all)
			})
		}
	})
}

// testLegacyTransport checks that the HTTP+SSE transport, of which the gate would see
// calls and results on different streams, is refused at the door: with a message that
// says what to run instead, and without the address where the server takes messages.
func testLegacyTransport(t *testing.T) {
	legacy := realServer{name: "server-everything, HTTP+SSE", path: "/sse", command: everythingServer("sse")}
	url := legacy.start(t)
	eventually(t, "it listens", func() bool { return listening(hostOf(url)) })
	s := startRealSite(t, url)
	key, _ := s.key(t, s.login(t), `{"key_name":"k"}`)
	stream := message{name: "stream", method: "GET", until: "sessionId="}
	straight, err := (&talk{url: url, vars: map[string]string{}}).send(t.Context(), stream)
	if err != nil || !strings.Contains(straight.raw, "data: /message?sessionId=") {
		t.Fatalf("straight it answers %q, %v", straight.raw, err)
	}
	gated, err := (&talk{url: s.gate, key: key, vars: map[string]string{}}).send(t.Context(), stream)
	if err == nil && (gated.Status == http.StatusOK || strings.Contains(gated.raw, "sessionId")) {
		t.Errorf("through the gate it answers %d %q", gated.Status, gated.raw)
	}
	const says = "run it with streamable HTTP"
	s.await(t, "the log says "+says, func() bool { return strings.Contains(s.output(), says) })
}
