// Package postgrestest runs a real PostgreSQL server for tests, out of the
// Debian package postgresql that `make deps` installs.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tallygate/tallygate/internal/freeport"
)

// binEnv names another folder of initdb and postgres than Debian's.
const binEnv = "TALLYGATE_POSTGRES_BIN"

// patience is how long a server may take to answer or to end before a test
// fails.
const patience = 60 * time.Second

// Server is a PostgreSQL server that runs until its test ends.
type Server struct {
	URL string // postgres://postgres@127.0.0.1:PORT/postgres

	bin, dir  string
	port      int
	owner     *syscall.Credential // nil: this process's user
	log       *os.File
	databases atomic.Int64

	running *run // nil when it is stopped
}

// run is a run of the server.
type run struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the server has
}

// Start starts a server on a free port of 127.0.0.1, with its data in a folder
// of its own. PostgreSQL refuses to run as root: it runs as the user postgres
// or nobody then.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := new(Server)
	var err error
	if s.bin, err = binaries(); err != nil {
		tb.Fatal(err)
	}
	if s.owner, err = unprivileged(); err != nil {
		tb.Fatal(err)
	}
	// tb.TempDir is for this process's user only.
	if s.dir, err = os.MkdirTemp("", "tallygate-postgres"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if s.running != nil {
			s.Stop(tb)
		}
		if s.log != nil {
			if tb.Failed() {
				tb.Logf("PostgreSQL said:\n%s", s.said())
			}
			_ = s.log.Close() // nothing more is written to it
		}
		if err := os.RemoveAll(s.dir); err != nil {
			tb.Error(err)
		}
	})
	if s.owner != nil {
		if err := os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		tb.Fatal(err)
	}
	initdb := s.command("initdb", "--pgdata", s.data(), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")
	if err := initdb.Run(); err != nil {
		tb.Fatalf("initdb: %v\n%s", err, s.said())
	}
	if s.port, err = freeport.Next(); err != nil {
		tb.Fatal(err)
	}
	s.URL = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
	s.Restart(tb)
	return s
}

// NewDatabase makes an empty database and returns its DSN.
func (s *Server) NewDatabase(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.Exec(tb, "CREATE DATABASE "+name)
	return strings.Replace(s.URL, "/postgres?", "/"+name+"?", 1)
}

// NewSchema makes an empty schema in the database of URL and returns the DSN of
// it: a tenth of the cost of a database, for tests that need many.
func (s *Server) NewSchema(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.Exec(tb, "CREATE SCHEMA "+name)
	return s.URL + "&search_path=" + name
}

// Exec runs one statement.
func (s *Server) Exec(tb testing.TB, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL)
	if err == nil {
		_, err = conn.Exec(ctx, sql)
		err = errors.Join(err, conn.Close(ctx))
	}
	if err != nil {
		tb.Fatalf("%s\n%v", sql, err)
	}
}

// Stop ends the server as a crash would: connections break at once.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	s.Thaw(tb)
	if err := s.running.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-s.running.ended:
		s.running = nil
	case <-time.After(patience):
		tb.Fatalf("PostgreSQL has not ended after %v", patience)
	}
}

// Restart starts the server, which it stops first if it runs, on the same port
// and the same data.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	if s.running != nil {
		s.Stop(tb)
	}
	s.running = &run{
		cmd: s.command("postgres", "-D", s.data(), "-c", "port="+strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=200"),
		ended: make(chan struct{}),
	}
	started := make(chan error)
	go s.running.wait(started)
	if err := <-started; err != nil {
		s.running = nil
		tb.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for !s.answers() {
		select {
		case <-s.running.ended:
			s.running = nil
			tb.Fatal("PostgreSQL ended as soon as it had started")
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("PostgreSQL does not answer after %v", patience)
		}
	}
}

// Freeze keeps the server from doing anything, as a network that swallows all
// would: connections stay open, and nothing answers.
func (s *Server) Freeze(tb testing.TB) { s.signalAll(tb, syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw(tb testing.TB) { s.signalAll(tb, syscall.SIGCONT) }

// signalAll signals the server and its children, of which each is a process
// group of its own.
func (s *Server) signalAll(tb testing.TB, signal syscall.Signal) {
	tb.Helper()
	server := s.running.cmd.Process.Pid
	if err := syscall.Kill(server, signal); err != nil {
		tb.Fatal(err)
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// PID (COMMAND) STATE PARENT …, where the command may hold anything.
		var state string
		var parent int
		_, rest, _ := strings.Cut(string(stat), ") ")
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil || parent != server {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err == nil {
			err = syscall.Kill(pid, signal)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			tb.Fatal(err)
		}
	}
}

func (s *Server) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL)
	return err == nil && conn.Close(ctx) == nil
}

// wait starts the server and waits for its end.
func (r *run) wait(started chan<- error) {
	defer close(r.ended)
	// The kernel sends Pdeathsig when the thread that forked ends, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := r.cmd.Start()
	started <- err
	if err == nil {
		_ = r.cmd.Wait() // how it ended is in the log
	}
}

// command prepares one of PostgreSQL's programs.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.log, s.log
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: s.owner}
	return cmd
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// said is the end of what the server wrote.
func (s *Server) said() []byte {
	log, err := os.ReadFile(s.log.Name())
	if err != nil {
		return []byte(err.Error())
	}
	return log[max(0, len(log)-4096):]
}

// binaries finds the folder of the newest PostgreSQL.
func binaries() (string, error) {
	if bin := os.Getenv(binEnv); bin != "" {
		return bin, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL to test with: install it with `make deps`, or set %s to the folder of initdb and postgres", binEnv)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // 0 for what is none
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// unprivileged returns whom the server runs as when this process is root's.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
}
