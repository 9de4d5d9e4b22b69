package caddymodule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/postgres/postgrestest"
)

// TestStores: the scheme of a DSN chooses the store, and what it opens works.
func TestStores(t *testing.T) {
	server := postgrestest.Start(t)
	dsn := server.NewDatabase(t)
	for dsn, want := range map[string]string{
		"sqlite:" + t.TempDir() + "/tallygate.db": "*sqlite.Store",
		dsn: "*postgres.Store",
		strings.Replace(server.NewDatabase(t), "postgres", "postgresql", 1): "*postgres.Store",
	} {
		s, err := openStore(dsn)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%T", s); got != want {
			t.Errorf("%s is a %s, want a %s", dsn, got, want)
		}
		u := identity.User{ID: "u", Email: "ann@example.com", Role: identity.Admin, CreatedAt: time.Now()}
		if first, err := s.CreateFirstUser(t.Context(), u); !first || err != nil {
			t.Errorf("%s: CreateFirstUser = %t, %v", dsn, first, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for dsn, want := range map[string]string{
		"mysql://user:secret@host/db":  "there are: postgres, sqlite",
		"postgres://user:sec/ret@host": "postgres://user:password@host:5432/database",
	} {
		if _, err := openStore(dsn); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ret@host") {
			t.Errorf("openStore(%q): %v", dsn, err)
		}
	}
}
