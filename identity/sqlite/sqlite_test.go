package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/identitytest"
)

// TestMain is also the other process in TestProcesses.
func TestMain(m *testing.M) {
	if dsn := os.Getenv("TALLYGATE_TEST_DSN"); dsn != "" {
		otherProcess(dsn)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestStore(t *testing.T) {
	identitytest.Run(t, func(t testing.TB) func() identity.Store {
		dsn := newDSN(t)
		return func() identity.Store { return open(t, dsn) }
	})
}

func newDSN(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "data", "tallygate.db")
}

func open(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newUser(t testing.TB) identity.User {
	t.Helper()
	u, err := identity.NewUser(t.Context(), "ann@example.com", "a long password", identity.Member)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOpenMakesNothing(t *testing.T) {
	dsn := newDSN(t)
	path := strings.TrimPrefix(dsn, "sqlite:")
	s := open(t, dsn)
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open made the folder (%v)", err)
	}
	if _, err := s.Users(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateUser(t.Context(), newUser(t)); err != nil {
		t.Fatal(err)
	}
	want := map[string]fs.FileMode{
		"data": fs.ModeDir | 0o700, "tallygate.db": 0o600, "tallygate.db-wal": 0o600, "tallygate.db-shm": 0o600, "tallygate.db.lock": 0o600,
	}
	err := filepath.WalkDir(filepath.Dir(path), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode() != want[entry.Name()] {
			t.Errorf("%s has mode %v, want %v", entry.Name(), info.Mode(), want[entry.Name()])
		}
		delete(want, entry.Name())
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("not made: %v (%v)", want, err)
	}
}

func TestConnections(t *testing.T) {
	s := open(t, newDSN(t))
	db, err := s.DB(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q (%v), want %q", pragma, got, err, want)
		}
	}
}

func TestDSN(t *testing.T) {
	for _, dsn := range []string{
		"", "data/tallygate.db", "postgres://user:secret@host/db", "SQLITE:x.db", "sqlite:", "sqlite:data/", "sqlite://data/x.db",
		"sqlite:///data/x.db", "sqlite::memory:", "sqlite:x.db?mode=memory",
	} {
		if _, err := Open(dsn); err == nil {
			t.Errorf("Open(%q) succeeds", dsn)
		} else if !strings.Contains(err.Error(), "sqlite:") && !strings.Contains(err.Error(), "always a file") || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): %v", dsn, err)
		}
	}

	t.Chdir(t.TempDir())
	for _, path := range []string{"tallygate.db", "./data/../x.db", "a b#c%20d&e=f;g.db", "file:x.db", "日本/語.db"} {
		s := open(t, "sqlite:"+path)
		if _, err := s.Users(t.Context()); err != nil {
			t.Errorf("%q: %v", path, err)
		}
		if _, err := os.Stat(filepath.Clean(path)); err != nil {
			t.Errorf("%q was not made: %v", path, err)
		}
	}
}

func TestNewerSchema(t *testing.T) {
	dsn := newDSN(t)
	s := open(t, dsn)
	db, err := s.DB(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, true)`); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, dsn).Users(t.Context())
	if err == nil || !strings.Contains(err.Error(), "its schema has version 4711, and this program knows no version above") ||
		!strings.Contains(err.Error(), "tallygate.db") {
		t.Errorf("a newer schema: %v", err)
	}
}

// TestFailedOpening: what could not be opened is tried again by the next call.
func TestFailedOpening(t *testing.T) {
	dsn := newDSN(t)
	folder := filepath.Dir(strings.TrimPrefix(dsn, "sqlite:"))
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dsn)
	if _, err := s.Users(t.Context()); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("a file in the folder's place: %v", err)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Users(t.Context()); err != nil {
		t.Error(err)
	}

	if err := os.WriteFile(filepath.Join(folder, "other.db"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, "sqlite:"+filepath.Join(folder, "other.db")).Users(t.Context()); err == nil || !strings.Contains(err.Error(), "not a database") {
		t.Errorf("a file of something else: %v", err)
	}
}

// TestWaiting: while another process makes the schema, calls wait no longer
// than their contexts, and Close does not wait.
func TestWaiting(t *testing.T) {
	dsn := newDSN(t)
	path := strings.TrimPrefix(dsn, "sqlite:")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	other := flock.New(path + ".lock")
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	s, closed := open(t, dsn), open(t, dsn)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for _, s := range []*Store{s, closed} {
		if _, err := s.Users(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while another process has the lock: %v", err)
		}
	}
	if err := closed.Close(); err != nil {
		t.Error(err)
	}
	if _, err := closed.Users(t.Context()); err == nil || !strings.Contains(err.Error(), "it is closed") {
		t.Errorf("after Close: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Users(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestProcesses starts several processes at once on a store that is not there.
func TestProcesses(t *testing.T) {
	dsn := newDSN(t)
	const processes = 4
	var commands [processes]*exec.Cmd
	var output [processes]bytes.Buffer
	for i := range commands {
		commands[i] = exec.CommandContext(t.Context(), os.Args[0])
		commands[i].Env = append(os.Environ(), "TALLYGATE_TEST_DSN="+dsn)
		commands[i].Stdout, commands[i].Stderr = &output[i], &output[i]
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	all := ""
	for i, command := range commands {
		if err := command.Wait(); err != nil {
			t.Errorf("%v: %s", err, &output[i])
		}
		all += output[i].String()
	}
	if strings.Count(all, "true") != 1 || strings.Count(all, "false") != processes-1 {
		t.Errorf("the processes say %q, want one to have made the first user", all)
	}
}

func otherProcess(dsn string) {
	s, err := Open(dsn)
	if err != nil {
		panic(err)
	}
	u := identity.User{ID: fmt.Sprint(os.Getpid()), Email: fmt.Sprint(os.Getpid()), CreatedAt: time.Now()}
	created, err := s.CreateFirstUser(context.Background(), u)
	if err != nil {
		panic(err)
	}
	fmt.Println(created)
	if err := s.Close(); err != nil {
		panic(err)
	}
}

// TestKeyIsNowhere: a key is not in the files, its prefix is.
func TestKeyIsNowhere(t *testing.T) {
	dsn := newDSN(t)
	s := open(t, dsn)
	u := newUser(t)
	record, key, err := identity.IssueKey(u.ID, "mine", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.CreateUser(t.Context(), u), s.CreateKey(t.Context(), record)); err != nil {
		t.Fatal(err)
	}
	var files []byte
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(strings.TrimPrefix(dsn, "sqlite:") + suffix)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b...)
	}
	if !bytes.Contains(files, []byte(record.Prefix)) {
		t.Error("the prefix is not in the files: this test looks in the wrong place")
	}
	if secret := key[len("sk-")+8:]; bytes.Contains(files, []byte(secret[:12])) || bytes.Contains(files, []byte(secret)) {
		t.Error("the key is in the files")
	}
}

// BenchmarkKeyByDigest looks keys up among 100,000, none of them cached.
func BenchmarkKeyByDigest(b *testing.B) {
	dsn, digests := newWith(b, 100_000)
	s := open(b, dsn)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i = (i + 7919) % len(digests) {
			if _, _, err := s.KeyByDigest(b.Context(), digests[i]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOpen opens a store, of ten keys and of 100,000, and looks one up.
func BenchmarkOpen(b *testing.B) {
	for _, keys := range []int{10, 100_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			dsn, digests := newWith(b, keys)
			for b.Loop() {
				again := open(b, dsn)
				if _, _, err := again.KeyByDigest(b.Context(), digests[0]); err != nil {
					b.Fatal(err)
				}
				if err := again.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// newWith makes a file with keys in it.
func newWith(b *testing.B, keys int) (dsn string, digests []identity.Digest) {
	b.Helper()
	dsn = newDSN(b)
	s := open(b, dsn)
	u := newUser(b)
	if err := s.CreateUser(b.Context(), u); err != nil {
		b.Fatal(err)
	}
	db, err := s.DB(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	tx, err := db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	digests = make([]identity.Digest, keys)
	for i := range digests {
		k, _, err := identity.IssueKey(u.ID, "key", time.Time{})
		if err != nil {
			b.Fatal(err)
		}
		digests[i] = k.Digest
		if _, err := tx.ExecContext(b.Context(), `INSERT INTO keys (id, user_id, name, note, prefix, digest, scopes, limits, created_at, revoke_reason)
			VALUES ($1, $2, $3, '', $4, $5, '[]', '{}', $6, '')`,
			k.ID, k.UserID, k.Name, k.Prefix, k.Digest[:], k.CreatedAt.UnixMicro()); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	return dsn, digests
}

// TestOtherSchemas: a file with any other schema is refused, with a sentence that
// says what to do, and nothing in it changes.
func TestOtherSchemas(t *testing.T) {
	versions := `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));`
	for _, test := range []struct{ name, sql, want string }{
		{"earlier", versions + `INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1), (2, 1), (3, 1);
			CREATE TABLE users (id TEXT NOT NULL PRIMARY KEY, email TEXT NOT NULL)`,
			"its schema has version 3, from before the first release (version 100), and cannot be upgraded: move it away, and tallygate makes a new one"},
		{"unknown", `CREATE TABLE keys (id TEXT)`,
			"it has a table keys that tallygate did not make: name a database that is empty or does not exist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tallygate.db")
			db, err := sql.Open("sqlite", path)
			must(t, err)
			defer func() { must(t, db.Close()) }()
			_, err = db.ExecContext(t.Context(), test.sql)
			must(t, err)
			schema := func() (all string) {
				must(t, db.QueryRowContext(t.Context(), `SELECT group_concat(sql, ';') FROM sqlite_schema`).Scan(&all))
				return all
			}
			before := schema()
			_, err = open(t, "sqlite:"+path).Users(t.Context())
			if err == nil || !strings.HasSuffix(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %s", err, test.want)
			}
			if after := schema(); after != before {
				t.Errorf("the schema became %s", after)
			}
		})
	}
}
