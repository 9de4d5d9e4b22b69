package clickhousetest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServer(t *testing.T) {
	s := Start(t)
	native, http := s.NewDatabase(t)
	if !strings.HasPrefix(native, "clickhouse://127.0.0.1:") || !strings.HasPrefix(http, "http://127.0.0.1:") {
		t.Errorf("DSNs %s, %s", native, http)
	}
	s.Query(t, "CREATE TABLE test1.t (x Int64) ENGINE = MergeTree ORDER BY x")
	s.Query(t, "INSERT INTO test1.t VALUES (1), (2)")
	before := s.HTTPURL
	for _, again := range []func(){
		func() { s.Restart(t) },
		func() { s.Kill(); s.Restart(t) },
		func() { s.crash(t) },
	} {
		again()
		if got := s.Query(t, "SELECT sum(x) FROM test1.t"); got != "3" {
			t.Errorf("the data after a restart: sum %s, want 3", got)
		}
	}
	if s.HTTPURL != before {
		t.Errorf("URL %s after restarts, was %s", s.HTTPURL, before)
	}

	s.Kill()
	if _, err := s.post("SELECT 1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("query of a killed server: %v, want connection refused", err)
	}
}

// crash does what libchdb aborts on, and waits for that.
func (s *Server) crash(t *testing.T) {
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{fmt.Sprintf("127.0.0.1:%d", s.ports.Load()[0])},
		Auth: clickhouse.Auth{Username: "nobody"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Ping(t.Context()); err == nil {
		t.Fatal("nobody may connect")
	}
	for deadline := time.Now().Add(patience); !strings.Contains(string(s.said()), "aborted"); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server did not crash")
		}
	}
}

// TestNoOrphan kills a test process that has a server running: the server ends too.
func TestNoOrphan(t *testing.T) {
	const role = "CLICKHOUSETEST_ORPHAN"
	if os.Getenv(role) != "" {
		s := Start(t)
		fmt.Println(s.HTTPURL)
		select {} // until killed
	}

	parent := exec.Command(os.Args[0], "-test.run=^TestNoOrphan$")
	parent.Env = append(os.Environ(), role+"=1", "TMPDIR="+t.TempDir()) // it cannot clean up
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Wait() }() // it says that it was killed
	defer func() { _ = parent.Process.Kill() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{HTTPURL: strings.TrimSpace(line)}
	if _, err := s.post("SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		if _, err := s.post("SELECT 1"); errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the server outlives its test process")
		}
	}
}

func TestMissingLibrary(t *testing.T) {
	t.Setenv(libEnv, "/nowhere/libchdb.so")
	_, err := library()
	if err == nil || !strings.Contains(err.Error(), "make deps") {
		t.Errorf("error %v, want one that says `make deps`", err)
	}
}
