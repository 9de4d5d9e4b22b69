package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/identitytest"
	"github.com/tallygate/tallygate/identity/postgres/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	server := postgrestest.Start(t)
	identitytest.Run(t, func(t testing.TB) func() identity.Store {
		dsn := server.NewSchema(t)
		return func() identity.Store { return open(t, dsn) }
	})
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newUser(t testing.TB) identity.User {
	t.Helper()
	u, err := identity.NewUser(t.Context(), "ann@example.com", "a long password", identity.Member)
	must(t, err)
	return u
}

// TestReplicas: many that start at once on an empty database make one schema.
func TestReplicas(t *testing.T) {
	server := postgrestest.Start(t)
	dsn := server.NewDatabase(t)
	const replicas = 8
	var starts errgroup.Group
	made := make(chan bool, replicas)
	for n := range replicas {
		s := open(t, dsn)
		starts.Go(func() error {
			u := identity.User{ID: fmt.Sprint(n), Email: fmt.Sprint(n), Role: identity.Admin, CreatedAt: time.Now()}
			first, err := s.CreateFirstUser(t.Context(), u)
			made <- first
			return err
		})
	}
	must(t, starts.Wait())
	first := 0
	for range replicas {
		if <-made {
			first++
		}
	}
	if first != 1 {
		t.Errorf("%d replicas made the first user", first)
	}
}

func TestNewerSchema(t *testing.T) {
	server := postgrestest.Start(t)
	dsn := server.NewDatabase(t)
	db, err := open(t, dsn).DB(t.Context())
	must(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, true)`)
	must(t, err)
	_, err = open(t, dsn).Users(t.Context())
	if err == nil || !strings.Contains(err.Error(), "its schema has version 4711, and this program knows no version above") ||
		!strings.Contains(err.Error(), "store postgres://127.0.0.1:") {
		t.Errorf("a newer schema: %v", err)
	}
	// Nobody has to wait for the one that gave up.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := open(t, dsn).Users(ctx); errors.Is(err, context.DeadlineExceeded) {
		t.Error("the lock was not given back")
	}
}

func TestDSN(t *testing.T) {
	for _, dsn := range []string{
		"", "postgres:", "sqlite:x.db", "user=x password=secret", "postgres://user:sec/ret@host/db", "postgres://user:secret@host:port/db",
		"postgres://user:secret@host/db?sslmode=none", "mysql://user:secret@host/db",
	} {
		if _, err := Open(dsn); err == nil || !strings.Contains(err.Error(), "postgres://user:password@host:5432/database") || strings.Contains(err.Error(), "sec") {
			t.Errorf("Open(%q): %v", dsn, err)
		}
	}
	for _, dsn := range []string{"postgres://user:secret@127.0.0.1:1/db", "postgresql://user:secret@127.0.0.1:1/db?connect_timeout=1"} {
		s := open(t, dsn)
		if _, err := s.Users(t.Context()); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "store postgres://127.0.0.1:1/db") {
			t.Errorf("nobody there: %v", err)
		}
	}
}

// TestStopped: a database that goes away is a fault, and no more than that once
// it is back.
func TestStopped(t *testing.T) {
	server := postgrestest.Start(t)
	s := open(t, server.NewDatabase(t))
	u := newUser(t)
	must(t, s.CreateUser(t.Context(), u))
	for range 2 {
		server.Stop(t)
		if _, err := s.User(t.Context(), u.ID); err == nil || errors.Is(err, identity.ErrNotFound) {
			t.Errorf("while it is away: %v", err)
		}
		if err := s.SetRole(t.Context(), u.ID, identity.Admin); err == nil || errors.Is(err, identity.ErrNotFound) {
			t.Errorf("while it is away: %v", err)
		}
		server.Restart(t)
		if _, err := s.User(t.Context(), u.ID); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	}
	// A store that was opened while it was away opens later.
	server.Stop(t)
	late := open(t, strings.Replace(server.URL, "/postgres?", "/test1?", 1))
	if _, err := late.Users(t.Context()); err == nil {
		t.Error("opened while it was away")
	}
	server.Restart(t)
	if _, err := late.Users(t.Context()); err != nil {
		t.Error(err)
	}
}

// BenchmarkOpen opens a store, of ten keys and of 100,000, and looks one up;
// BenchmarkKeyByDigest looks up any of 100,000.
func BenchmarkOpen(b *testing.B) {
	for _, keys := range []int{10, 100_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			dsn, digests := newWith(b, keys)
			for b.Loop() {
				s, err := Open(dsn)
				must(b, err)
				_, _, err = s.KeyByDigest(b.Context(), digests[0])
				must(b, err)
				must(b, s.Close())
			}
		})
	}
}

func BenchmarkKeyByDigest(b *testing.B) {
	dsn, digests := newWith(b, 100_000)
	s := open(b, dsn)
	i := 0
	for b.Loop() {
		_, _, err := s.KeyByDigest(b.Context(), digests[i])
		must(b, err)
		i = (i + 7919) % len(digests)
	}
}

// newWith makes a database with keys in it.
func newWith(b *testing.B, keys int) (dsn string, digests []identity.Digest) {
	b.Helper()
	dsn = postgrestest.Start(b).NewDatabase(b)
	s := open(b, dsn)
	u := newUser(b)
	must(b, s.CreateUser(b.Context(), u))
	conn, err := pgx.Connect(b.Context(), dsn)
	must(b, err)
	defer func() { must(b, conn.Close(b.Context())) }()
	digests = make([]identity.Digest, keys)
	rows := make([][]any, keys)
	for i := range rows {
		k, _, err := identity.IssueKey(u.ID, "key", time.Time{})
		must(b, err)
		digests[i] = k.Digest
		rows[i] = []any{k.ID, k.UserID, k.Name, "", k.Prefix, k.Digest[:], "[]", "{}", k.CreatedAt.UnixMicro(), ""}
	}
	_, err = conn.CopyFrom(b.Context(), pgx.Identifier{"keys"},
		[]string{"id", "user_id", "name", "note", "prefix", "digest", "scopes", "limits", "created_at", "revoke_reason"}, pgx.CopyFromRows(rows))
	must(b, err)
	return dsn, digests
}
