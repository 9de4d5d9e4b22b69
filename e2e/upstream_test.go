package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tallygate/tallygate/mcp/mcptest"
)

// realUpstream is an MCP server built on one SDK, in one mode, in a process of its
// own. Its tools only count their calls.
type realUpstream struct {
	name    string
	address string
	admin   string // of its program, where the runs of all its upstreams are told
}

// run is something that an upstream did for a request with a label. What is a
// JSON-RPC method that it dispatched, "run TOOL", or an HTTP method other than POST.
type run struct{ Upstream, Label, What string }

// public reports whether the run needs no key.
func (r run) public() bool {
	return slices.Contains([]string{"initialize", "notifications/initialized", "ping", "server/discover"}, r.What)
}

// tool returns the tool that ran, or "".
func (r run) tool() string {
	tool, _ := strings.CutPrefix(r.What, "run ")
	if tool == r.What {
		return ""
	}
	return tool
}

// startRealUpstreams builds and starts mcp-go, the official Go SDK, and the
// TypeScript SDK's two versions from npm.
func startRealUpstreams(tb testing.TB) []realUpstream {
	tb.Helper()
	dir := tb.TempDir()
	build := exec.Command("go", "build", "-o", dir, "./upstreams/mcpgo", "./upstreams/gosdk")
	build.Dir = filepath.Join(root, "e2e")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
	scripts := filepath.Join(root, "e2e", "npm", "upstreams")
	var all []realUpstream
	for _, args := range [][]string{
		{filepath.Join(dir, "mcpgo")}, {filepath.Join(dir, "gosdk")},
		{npmNode, filepath.Join(scripts, "v1.mjs")}, {npmNode, filepath.Join(scripts, "v2.mjs")},
	} {
		all = append(all, startProgram(tb, args...)...)
	}
	return all
}

// startProgram starts a program with upstreams. It ends when the test does.
func startProgram(tb testing.TB, args ...string) []realUpstream {
	tb.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close() // it ends with its standard input
		if err := cmd.Wait(); err != nil {
			tb.Errorf("%s: %v\n%s", filepath.Base(args[len(args)-1]), err, log.String())
		} else if tb.Failed() && log.Len() > 0 {
			tb.Logf("%s:\n%.2000s", filepath.Base(args[len(args)-1]), log.String())
		}
	})
	var where struct {
		Admin     string
		Upstreams map[string]string
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &where)
	}
	if err != nil {
		tb.Fatalf("%q says %q: %v\n%s", args, line, err, log.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // what it prints later must not block it
	var list []realUpstream
	for name, address := range where.Upstreams {
		list = append(list, realUpstream{name, address, where.Admin})
	}
	slices.SortFunc(list, func(a, b realUpstream) int { return strings.Compare(a.name, b.name) })
	return list
}

// runs returns everything that the upstream has done so far.
func (u realUpstream) runs(tb testing.TB) []run {
	tb.Helper()
	var all []run
	if err := json.Unmarshal([]byte(do(tb, "GET", "http://"+u.admin, "").body), &all); err != nil {
		tb.Fatal(err)
	}
	return slices.DeleteFunc(all, func(r run) bool { return r.Upstream != u.name })
}

// caller sends attacks to one address.
type caller struct {
	address  string
	key      string // "" for none
	session  string // "" for none
	hasHTTP2 bool
}

// reply is what a caller records of an answer; zero if none came in time.
type reply struct {
	status  int
	session string
}

// open opens a session and keeps its id, if the upstream has sessions.
func (c *caller) open(label string) error {
	c.session = ""
	for _, body := range []string{strings.Replace(mcptest.Initialize, `"name":"count","arguments":{},`, "", 1), mcptest.Initialized} {
		r, err := c.do(&mcptest.Attack{Verb: "POST", Target: "/messages", Headers: mcptest.WantsJSON, Body: []byte(body)}, label)
		if err != nil {
			return err
		}
		if r.session != "" {
			c.session = r.session
		}
	}
	return nil
}

// patience is how long an attack waits for its answer. An attack that violates HTTP
// may get none.
const (
	patience    = 20 * time.Second
	rawPatience = 150 * time.Millisecond
)

// do sends an attack with a label, and reads the answer to its end, unless it may
// be endless.
func (c *caller) do(a *mcptest.Attack, label string) (reply, error) {
	if a.How == mcptest.HTTP2 && c.hasHTTP2 {
		return c.doHTTP2(a, label)
	}
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	wait := patience
	if a.Raw != "" {
		wait = rawPatience
	}
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return reply{}, err
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = conn.Write(c.bytes(a, label)) // a server may answer before it has read everything
	}()
	defer func() { _ = conn.Close(); <-sent }()
	rd := bufio.NewReader(conn)
	if a.Raw != "" {
		_, _ = io.Copy(io.Discard, rd) // a server may break off what breaks HTTP, or wait for more
		return reply{}, nil
	}
	for {
		res, err := http.ReadResponse(rd, &http.Request{Method: a.Verb})
		if err != nil {
			return reply{}, err
		}
		if res.StatusCode != http.StatusContinue {
			return read(res, a)
		}
	}
}

// read reads an answer. The body of one that may be endless is not closed, since
// that would read it to its end; the connection is closed instead.
func read(res *http.Response, a *mcptest.Attack) (reply, error) {
	r := reply{res.StatusCode, res.Header.Get("Mcp-Session-Id")}
	if a.How == mcptest.StreamOpen || a.Verb != http.MethodPost {
		return r, nil
	}
	defer res.Body.Close()
	_, err := io.Copy(io.Discard, res.Body)
	return r, err
}

// bytes returns the bytes that are sent on the connection.
func (c *caller) bytes(a *mcptest.Attack, label string) []byte {
	var own strings.Builder
	fmt.Fprintf(&own, "Host: %s\r\nX-Case: %s\r\n", c.address, label)
	if c.session != "" {
		fmt.Fprintf(&own, "Mcp-Session-Id: %s\r\n", c.session)
	}
	if c.key != "" {
		fmt.Fprintf(&own, "Authorization: Bearer %s\r\n", c.key)
	}
	if a.Raw != "" {
		first := own.String() + mcptest.Accepts + "\r\n"
		return []byte(strings.NewReplacer("{first}", first, "{last}", first+"Connection: close\r\n").Replace(a.Raw))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n%s", a.Verb, a.Target, own.String())
	for _, h := range a.Headers {
		b.WriteString(h + "\r\n")
	}
	switch a.How {
	case mcptest.Chunked, mcptest.OneByte:
		size := 1
		if a.How == mcptest.Chunked {
			size = 7 + len(a.Body)/100
		}
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for part := range slices.Chunk(a.Body, size) {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(part), part)
		}
		b.WriteString("0\r\n\r\n")
		return b.Bytes()
	case mcptest.Expecting:
		b.WriteString("Expect: 100-continue\r\n")
	}
	if len(a.Body) > 0 || a.Verb == http.MethodPost {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(a.Body))
	}
	b.WriteString("\r\n")
	b.Write(a.Body)
	return b.Bytes()
}

// overHTTP2 is a client that only speaks HTTP/2 without TLS.
var overHTTP2 = func() *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &http.Client{Timeout: patience, Transport: &http.Transport{Protocols: p}}
}()

func (c *caller) doHTTP2(a *mcptest.Attack, label string) (reply, error) {
	req, err := http.NewRequest(a.Verb, "http://"+c.address+a.Target, bytes.NewReader(a.Body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("X-Case", label)
	for _, h := range a.Headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	res, err := overHTTP2.Do(req)
	if err != nil {
		return reply{}, err
	}
	return read(res, a)
}
