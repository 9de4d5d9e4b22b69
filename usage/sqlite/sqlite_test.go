package sqlite

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLedger(t *testing.T) {
	usagetest.Run(t, func(t *testing.T) func() (usage.Ledger, error) {
		dsn := "sqlite:" + filepath.Join(t.TempDir(), "data", "usage.db")
		return func() (usage.Ledger, error) { return Open(dsn) }
	})
}

// openLedger opens a ledger and closes it when the test ends.
func openLedger(t testing.TB, path string) *Ledger {
	t.Helper()
	l, err := Open("sqlite:" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

// batch is the n-th batch of a test.
func batch(n, size int) usage.Batch { return usagetest.Batch(n, size, time.Second) }

func mustWrite(t testing.TB, l *Ledger, b usage.Batch) {
	t.Helper()
	if err := l.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func wantTotal(t testing.TB, l *Ledger, want int64) {
	t.Helper()
	page, err := l.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: 1})
	if err != nil || page.Total != want {
		t.Fatalf("%d events, %v; want %d", page.Total, err, want)
	}
}

func TestOpenErrors(t *testing.T) {
	for _, dsn := range []string{"", "sqlite:", "usage.db", "postgres://h/db", "sqlite::memory:"} {
		if _, err := Open(dsn); err == nil || !strings.Contains(err.Error(), "sqlite:PATH") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}

// TestFiles makes no file before the first use, and then none that others can
// read, in whatever folder it is told to.
func TestFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"usage.db", "a/b/usage.db", "odd name mode=memory#%41&;.db", "é'\".db", "file:x.db"} {
		l := openLedger(t, path)
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: there before the first use: %v", path, err)
		}
		mustWrite(t, l, batch(0, 10))
		for _, file := range []string{path, path + "-wal", path + "-shm", path + ".lock"} {
			info, err := os.Stat(file)
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v; want a file of mode 0600", file, info.Mode(), err)
			}
		}
		mustWrite(t, openLedger(t, path), batch(0, 10))
		wantTotal(t, l, 10)
	}
	for _, dir := range []string{"a", "a/b"} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v; want mode 0700", dir, info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) != 4*4+1 {
		t.Errorf("files %v, %v; want four databases and a folder", entries, err)
	}
}

// TestSynced holds the writer to what the journal relies on when it forgets
// acknowledged events: a commit waits for the disk.
func TestSynced(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "usage.db"))
	mustWrite(t, l, batch(0, 1))
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "busy_timeout": "5000"} {
		var got string
		if err := l.write.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("PRAGMA %s is %s, %v; want %s", pragma, got, err, want)
		}
	}
	if _, err := l.read.Exec("DELETE FROM mcp_tool_usage_log"); err == nil {
		t.Error("a connection for reads can write")
	}
}

// TestKilled kills a process that writes with SIGKILL: all that it was told
// was stored is, and the rest is whole batches.
func TestKilled(t *testing.T) {
	const role, size = "USAGE_SQLITE_KILLED", 50
	if path := os.Getenv(role); path != "" {
		l := openLedger(t, path)
		for n := 0; ; n++ {
			mustWrite(t, l, batch(n, size))
			fmt.Println("stored", n+1)
		}
	}
	path := filepath.Join(t.TempDir(), "usage.db")
	writer := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	writer.Env = append(os.Environ(), role+"="+path)
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "stored %d", &stored); err != nil {
			t.Fatalf("the writer says %q", lines.Text())
		}
		if stored == 20 {
			if err := writer.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = writer.Wait() // says that it was killed

	l := openLedger(t, path)
	page, err := l.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: 1})
	if err != nil || stored < 20 || page.Total < int64(stored*size) || page.Total%size != 0 {
		t.Fatalf("%d events after %d batches of %d were stored, %v", page.Total, stored, size, err)
	}
	for n := range stored + 1 { // as a restart does
		mustWrite(t, l, batch(n, size))
	}
	wantTotal(t, l, int64(stored+1)*size)
}

// TestFull fills the disk, as far as SQLite can tell: that is no reason to
// reject a batch.
func TestFull(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "usage.db"))
	mustWrite(t, l, batch(0, 10))
	if _, err := l.write.Exec("PRAGMA max_page_count = 20"); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), batch(1, 1_000)); err == nil || errors.Is(err, usage.ErrRejected) {
		t.Fatalf("Write to a full disk: %v", err)
	}
	wantTotal(t, l, 10)
	if _, err := l.write.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, l, batch(1, 1_000))
	wantTotal(t, l, 1_010)
}

// TestRejected breaks a rule that an operator put on the table, and exceeds
// what SQLite can hold: no part of such a batch is stored.
func TestRejected(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "usage.db"))
	mustWrite(t, l, batch(0, 10))
	if _, err := l.write.Exec(`CREATE TRIGGER few BEFORE INSERT ON mcp_tool_usage_log
		WHEN new.record_count >= 99 BEGIN SELECT raise(ABORT, 'too many records'); END`); err != nil {
		t.Fatal(err)
	}
	err := l.Write(t.Context(), batch(1, 100))
	if !errors.Is(err, usage.ErrRejected) || !strings.Contains(err.Error(), "too many records") {
		t.Fatalf("Write: %v, want ErrRejected", err)
	}
	wantTotal(t, l, 10)

	_, err = l.write.Exec("SELECT zeroblob(2000000000)")
	if err := l.failed("write", err); !errors.Is(err, usage.ErrRejected) {
		t.Errorf("too big a value: %v, want ErrRejected", err)
	}
}

// TestNewerTables refuses tables that a newer version has made.
func TestNewerTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	l := openLedger(t, path)
	mustWrite(t, l, batch(0, 10))
	if _, err := l.write.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (1000, true)"); err != nil {
		t.Fatal(err)
	}
	err := openLedger(t, path).Write(t.Context(), batch(1, 10))
	if err == nil || errors.Is(err, usage.ErrRejected) || !strings.Contains(err.Error(), "version 1000, and this program knows no version above") {
		t.Errorf("Write: %v", err)
	}
	wantTotal(t, l, 10)
}

// TestNotADatabase finds another file in the place: it says so and leaves it be.
func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	text := strings.Repeat("not a database\n", 100)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	err := openLedger(t, path).Write(t.Context(), batch(0, 1))
	if err == nil || errors.Is(err, usage.ErrRejected) || !strings.Contains(err.Error(), path) {
		t.Errorf("Write: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("the file is changed: %d bytes, %v", len(got), err)
	}
}
