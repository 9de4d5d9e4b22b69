// Package clickhousetest runs a real ClickHouse server for tests, out of the
// npm package @chdb/lib-linux-x64-gnu that `make deps` installs.
package clickhousetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tallygate/tallygate/internal/freeport"
)

// libEnv names another libchdb.so than the one in e2e/npm/node_modules.
const libEnv = "TALLYGATE_CHDB_LIB"

// patience is how long a server may take to answer before a test fails.
const patience = 30 * time.Second

// pause keeps a server that cannot start from trying all the time.
const pause = 50 * time.Millisecond

// Server is a ClickHouse server that runs until its test ends. When it dies by
// itself (libchdb aborts on a wrong password over the native protocol, say) it
// comes back at once, on the same ports and the same data.
type Server struct {
	NativeURL string // clickhouse://127.0.0.1:PORT/default
	HTTPURL   string // http://127.0.0.1:PORT/default

	binary, lib, dir string
	args             []string
	log              *os.File
	ports            atomic.Pointer[[2]int] // native and HTTP; nil until the first start has chosen them

	databases atomic.Int64
	kill      context.CancelFunc // ends the run of the server
	ended     chan struct{}      // closed when the run has ended
}

// Start starts a server on free ports, with its data in a folder of its own.
// The arguments go to ClickHouse, as in "--config-file=/abs/config.xml".
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return start(tb, nil, args)
}

// start starts a server on the ports, native and HTTP, or on free ones when
// there are none.
func start(tb testing.TB, ports *[2]int, args []string) *Server {
	tb.Helper()
	lib, err := library()
	if err != nil {
		tb.Fatal(err)
	}
	binary, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{binary: binary, lib: lib, dir: dir, args: args, log: log}
	if ports != nil {
		s.listenOn(*ports)
	}
	tb.Cleanup(func() {
		s.Kill()
		if tb.Failed() {
			tb.Logf("ClickHouse said:\n%s", s.said())
		}
		_ = log.Close() // nothing more is written to it
	})
	s.start(tb)
	return s
}

// UsersConfig returns the argument of Start that gives the server these users,
// profiles and quotas: the content of a users.xml, in which a user named
// default with no password is what Query and the URLs need.
func UsersConfig(tb testing.TB, usersXML string) string {
	tb.Helper()
	users := filepath.Join(tb.TempDir(), "users.xml")
	if err := os.WriteFile(users, []byte(usersXML), 0o600); err != nil {
		tb.Fatal(err)
	}
	return Config(tb, "<clickhouse><users_config>"+users+"</users_config></clickhouse>")
}

// Config returns the argument of Start that gives the server this config.xml.
func Config(tb testing.TB, configXML string) string {
	tb.Helper()
	config := filepath.Join(tb.TempDir(), "config.xml")
	if err := os.WriteFile(config, []byte(configXML), 0o600); err != nil {
		tb.Fatal(err)
	}
	return "--config-file=" + config
}

// StartCluster starts so many servers, which are the shards of the cluster
// with that name. There is no Keeper, so neither ON CLUSTER nor replicas.
func StartCluster(tb testing.TB, name string, shards int) []*Server {
	tb.Helper()
	config := "<clickhouse><remote_servers><" + name + ">"
	ports := make([][2]int, shards)
	for i := range ports {
		for j := range ports[i] {
			var err error
			if ports[i][j], err = freeport.Next(); err != nil { // each must know the others' before it starts
				tb.Fatal(err)
			}
		}
		config += fmt.Sprintf("<shard><replica><host>127.0.0.1</host><port>%d</port></replica></shard>", ports[i][0])
	}
	config += "</" + name + "></remote_servers></clickhouse>"
	servers := make([]*Server, shards)
	for i := range servers {
		servers[i] = start(tb, &ports[i], []string{Config(tb, config)})
	}
	return servers
}

// Kill kills the server with SIGKILL and waits until it is dead. It stays dead.
func (s *Server) Kill() {
	s.kill()
	<-s.ended
}

// Restart kills the server, unless it is dead, and starts it again on the same
// ports and the same data.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.Kill()
	s.start(tb)
}

// NewDatabase makes an empty database and returns its DSNs over both protocols.
func (s *Server) NewDatabase(tb testing.TB) (nativeURL, httpURL string) {
	tb.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.Query(tb, "CREATE DATABASE "+name)
	return strings.TrimSuffix(s.NativeURL, "default") + name, strings.TrimSuffix(s.HTTPURL, "default") + name
}

// Query runs one statement over HTTP and returns its result as TSV, without the
// last newline. It waits for a server that is just coming back.
func (s *Server) Query(tb testing.TB, sql string) string {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for {
		body, err := s.post(sql)
		switch {
		case err == nil:
			return strings.TrimSuffix(body, "\n")
		case errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(deadline):
			<-time.After(10 * time.Millisecond)
		default:
			tb.Fatalf("%s\n%v", sql, err)
		}
	}
}

// client keeps no connection, so that none outlives a test or a server.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (s *Server) post(sql string) (string, error) {
	u, err := url.Parse(s.HTTPURL)
	if err != nil {
		return "", err
	}
	u.Path, u.RawQuery = "/", "database="+strings.TrimPrefix(u.Path, "/")
	resp, err := client.Post(u.String(), "text/plain", strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

// start starts a run of the server and waits until it answers.
func (s *Server) start(tb testing.TB) {
	tb.Helper()
	ctx, kill := context.WithCancel(context.Background())
	s.kill, s.ended = kill, make(chan struct{})
	go s.run(ctx)

	deadline := time.Now().Add(patience)
	for !s.answers() {
		if time.Now().After(deadline) {
			tb.Fatalf("ClickHouse does not answer after %v", patience)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// answers reports whether the server is up; when it first is, it sets the URLs.
func (s *Server) answers() bool {
	if s.ports.Load() == nil {
		written, err := os.ReadFile(s.portsFile())
		if err != nil || !strings.HasSuffix(string(written), "\n") {
			return false
		}
		var ports [2]int
		if _, err := fmt.Sscanf(string(written), "%d\t%d\n", &ports[0], &ports[1]); err != nil {
			return false
		}
		s.listenOn(ports)
	}
	_, err := s.post("SELECT 1")
	return err == nil
}

// listenOn sets the ports, and the URLs with them.
func (s *Server) listenOn(ports [2]int) {
	s.ports.Store(&ports)
	s.NativeURL = fmt.Sprintf("clickhouse://127.0.0.1:%d/default", ports[0])
	s.HTTPURL = fmt.Sprintf("http://127.0.0.1:%d/default", ports[1])
}

// run keeps the server running until the context ends.
func (s *Server) run(ctx context.Context) {
	defer close(s.ended)
	// The kernel sends Pdeathsig when the thread that forked ends, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		s.runOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// runOnce runs the server until it dies or the context ends, which kills it.
// Should the test process be killed, two things end the server: Pdeathsig, and
// the end of its standard input, a pipe whose other end only we hold.
func (s *Server) runOnce(ctx context.Context) {
	var ports [2]int
	if chosen := s.ports.Load(); chosen != nil {
		ports = *chosen
	}
	cmd := exec.CommandContext(ctx, s.binary, append([]string{
		"-lib", s.lib, "-path", filepath.Join(s.dir, "data"), "-ports", s.portsFile(),
		"-tcp", strconv.Itoa(ports[0]), "-http", strconv.Itoa(ports[1]), "--",
	}, s.args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.log, s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	_, err := cmd.StdinPipe() // stays open until Run returns
	if err == nil {
		err = cmd.Run()
	}
	_, _ = fmt.Fprintf(s.log, "chserver ended: %v\n", err) // only for the reader of a failed test
}

// portsFile is where the server writes its ports.
func (s *Server) portsFile() string { return filepath.Join(s.dir, "ports") }

// said is the end of what the server wrote.
func (s *Server) said() []byte {
	log, err := os.ReadFile(s.log.Name())
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-4096):]
}

// root returns the repository's folder: the one above the working directory
// that has e2e/go.mod.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "e2e", "go.mod")); err == nil {
			return dir, nil
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", errors.New("run this inside of the repository: there is no e2e/go.mod above the working directory")
		}
		dir = above
	}
}

// library finds libchdb.so.
func library() (string, error) {
	lib := os.Getenv(libEnv)
	if lib == "" {
		root, err := root()
		if err != nil {
			return "", err
		}
		lib = filepath.Join(root, "e2e/npm/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
	}
	if _, err := os.Stat(lib); err != nil {
		return "", fmt.Errorf("no ClickHouse to test with (%w): install it with `make deps`, or set %s to a libchdb.so", err, libEnv)
	}
	return lib, nil
}

// build builds chserver into the repository's .cache folder, once a process.
var build = sync.OnceValues(func() (string, error) {
	root, err := root()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(root, ".cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	// Another test process may build or run it at this moment: build aside, then rename.
	binary := filepath.Join(cache, "chserver")
	aside := fmt.Sprintf("%s.%d", binary, os.Getpid())
	cmd := exec.Command("go", "build", "-o", aside, "./chserver")
	cmd.Dir = filepath.Join(root, "e2e") // a module of its own
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build chserver: %w\n%s", err, out)
	}
	return binary, os.Rename(aside, binary)
})
