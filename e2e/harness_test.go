// Package e2e tests the whole product: the built binary, with real clients and the
// commands of README. Nothing here runs in process.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/sqlite"
	"github.com/tallygate/tallygate/internal/freeport"
)

// binary is the path of the built tallygate.
var binary string

// root is the path of the repository.
var root = func() string {
	wd, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Dir(wd)
}()

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tallygate-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "tallygate")
		build := exec.Command("make", "--silent", "build", "BINARY="+binary) // with the flags of what is shipped
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "make build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// process is a running tallygate.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}

	mu  sync.Mutex
	out bytes.Buffer // standard output and standard error
}

// start runs the binary in dir. It is killed when the test ends.
func start(tb testing.TB, dir string, env []string, args ...string) *process {
	tb.Helper()
	p := &process{cmd: exec.Command(binary, args...), exited: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(cleanEnv(), append([]string{"HOME=" + tb.TempDir()}, env...)...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	tb.Cleanup(func() {
		p.kill()
		if tb.Failed() {
			tb.Logf("tallygate %s:\n%s", strings.Join(args, " "), p.output())
		}
	})
	return p
}

// cleanEnv returns the environment without variables that configure a tallygate.
func cleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TALLYGATE_") && !strings.HasPrefix(e, "HOME=") && !strings.HasPrefix(e, "XDG_") {
			env = append(env, e)
		}
	}
	return env
}

// Write records the output of the process.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

// stop sends SIGTERM, and waits until the process has ended.
func (p *process) stop(tb testing.TB) {
	tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		tb.Fatal("the process did not end within 20 s of SIGTERM")
	}
}

// await polls until cond is true. It fails the test if the process ends first, or
// after 30 s.
func (p *process) await(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	eventually(tb, what, func() bool {
		select {
		case <-p.exited:
			tb.Fatalf("the process ended before %s:\n%s", what, p.output())
		default:
		}
		return cond()
	})
}

// eventually polls until cond is true. It fails the test after 30 s.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatalf("waited 30 s for: %s", what)
		}
	}
}

// listening reports whether something accepts connections at an address.
func listening(address string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// freePort returns a port that nothing listens on and no other test gets.
func freePort(tb testing.TB) int {
	tb.Helper()
	port, err := freeport.Next()
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

// The first user of the sites that the tests start.
const (
	adminEmail    = "ops@example.com"
	adminPassword = "correct horse battery staple"
)

// site is a gate with its admin API in front of a stock server. Both are processes
// of their own on free ports; the gate's config is a copy of the repository's
// Caddyfile.
type site struct {
	dir   string
	env   []string
	gate  string // URL of the MCP endpoint
	admin string // URL of the admin API
	*process
}

// startSite starts a site. env is added to its environment.
func startSite(tb testing.TB, env ...string) *site {
	tb.Helper()
	return startSiteAt(tb, startStock(tb), env...)
}

// startStock starts a stock server and returns its address.
func startStock(tb testing.TB) string {
	tb.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(tb))
	p := start(tb, tb.TempDir(), nil, "stockmcp", "--listen", address)
	p.await(tb, "the stock server listens", func() bool { return listening(address) })
	return address
}

// startSiteAt starts a site in front of a running upstream.
func startSiteAt(tb testing.TB, upstream string, env ...string) *site {
	tb.Helper()
	gate, admin := freePort(tb), freePort(tb)
	s := &site{
		dir:   tb.TempDir(),
		gate:  fmt.Sprintf("http://127.0.0.1:%d/messages", gate),
		admin: fmt.Sprintf("http://127.0.0.1:%d", admin),
		env: append([]string{
			"TALLYGATE_UPSTREAM=" + upstream,
			"TALLYGATE_ADMIN_EMAIL=" + adminEmail,
			"TALLYGATE_ADMIN_PASSWORD=" + adminPassword,
		}, env...),
	}
	s.writeCaddyfile(tb, gate, admin)
	s.run(tb)
	return s
}

// writeCaddyfile copies the repository's Caddyfile to the site's folder, with other
// ports and without Caddy's admin endpoint.
func (s *site) writeCaddyfile(tb testing.TB, gate, admin int) {
	tb.Helper()
	text := readFile(tb, filepath.Join(root, "Caddyfile"))
	for old, changed := range map[string]string{
		"\n:8000 {":                          fmt.Sprintf("\n:%d {", admin),
		"\n:8001 {":                          fmt.Sprintf("\n:%d {", gate),
		"\tadmin unix/tallygate.sock|0600\n": "\tadmin off\n",
	} {
		if strings.Count(text, old) != 1 {
			tb.Fatalf("the Caddyfile has %q %d times", old, strings.Count(text, old))
		}
		text = strings.Replace(text, old, changed, 1)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "Caddyfile"), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// run starts the site's process. It may be called again after that has ended.
func (s *site) run(tb testing.TB) {
	tb.Helper()
	s.process = start(tb, s.dir, s.env, "run")
	s.await(tb, "the site answers", func() bool {
		for _, url := range []string{s.gate, s.admin} {
			res, err := http.Get(url)
			if err != nil {
				return false
			}
			_ = res.Body.Close()
			if res.StatusCode == http.StatusServiceUnavailable {
				return false
			}
		}
		return true
	})
}

// answer is an HTTP response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// json decodes the answer's body.
func (a answer) json(tb testing.TB) map[string]any {
	tb.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		tb.Fatalf("%v in %q", err, a.body)
	}
	return v
}

// do sends a request; headers are "Name: value".
func do(tb testing.TB, method, url, body string, headers ...string) answer {
	tb.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, rd)
	if err != nil {
		tb.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// keyedPost returns a POST of a message to the gate with a key, for a test that
// reads the response itself.
func (s *site) keyedPost(ctx context.Context, key, body string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, "POST", s.gate, strings.NewReader(body))
	if err != nil {
		panic(err) // the gate's URL is valid
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	return req
}

// login returns the header with a new token.
func (s *site) login(tb testing.TB) string {
	tb.Helper()
	a := do(tb, "POST", s.admin+"/api/auth/login", fmt.Sprintf(`{"email":%q,"password":%q}`, adminEmail, adminPassword))
	if a.status != http.StatusOK {
		tb.Fatalf("login: %d %s", a.status, a.body)
	}
	return "Authorization: Bearer " + a.json(tb)["access_token"].(string)
}

// key creates an API key and returns it and its id.
func (s *site) key(tb testing.TB, jwt, body string) (key, id string) {
	tb.Helper()
	a := do(tb, "POST", s.admin+"/api/mcp-keys/create", body, jwt)
	if a.status/100 != 2 {
		tb.Fatalf("create: %d %s", a.status, a.body)
	}
	v := a.json(tb)
	return v["api_key"].(string), v["key_id"].(string)
}

// awaitCalls waits until history has n calls, and returns the newest page.
func (s *site) awaitCalls(tb testing.TB, jwt string, n int) []map[string]any {
	tb.Helper()
	var items []map[string]any
	eventually(tb, fmt.Sprintf("%d calls in the history", n), func() bool {
		a := do(tb, "GET", s.admin+"/api/mcp-usage/history?page=1&page_size=200", "", jwt)
		if a.status != http.StatusOK {
			tb.Fatalf("history: %d %s", a.status, a.body)
		}
		v := a.json(tb)
		items = items[:0]
		for _, item := range v["items"].([]any) {
			items = append(items, item.(map[string]any))
		}
		return int(v["total"].(float64)) >= n
	})
	if len(items) != min(n, 200) {
		tb.Fatalf("history has %d calls, want %d", len(items), n)
	}
	return items
}

// keyPattern matches a complete key.
var keyPattern = regexp.MustCompile(`sk-[0-9A-Za-z]{49}`)

func readFile(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// keyOfAnotherUser creates another user and a key of theirs, directly in the site's
// store.
func (s *site) keyOfAnotherUser(tb testing.TB) string {
	tb.Helper()
	ctx := tb.Context()
	store, err := sqlite.Open("sqlite:" + filepath.Join(s.dir, "data", "tallygate.db"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	}()
	user, err := identity.NewUser(ctx, "other@example.com", "another long password", identity.Member)
	if err != nil {
		tb.Fatal(err)
	}
	record, key, err := identity.IssueKey(user.ID, "theirs", time.Time{})
	if err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(store.CreateUser(ctx, user), store.CreateKey(ctx, record)); err != nil {
		tb.Fatal(err)
	}
	return key
}

// awaitTotal waits until stats count at least least calls, and fails if they count
// more than most.
func (s *site) awaitTotal(tb testing.TB, jwt string, least, most int64) {
	tb.Helper()
	var total int64
	eventually(tb, fmt.Sprintf("%d calls in the stats", least), func() bool {
		total = int64(do(tb, "GET", s.admin+"/api/mcp-usage/stats?days=2", "", jwt).json(tb)["total_calls"].(float64))
		return total >= least
	})
	if total > most {
		tb.Fatalf("stats count %d calls, want %d to %d", total, least, most)
	}
}
