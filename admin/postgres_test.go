package admin

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/identity/postgres"
	"github.com/tallygate/tallygate/identity/postgres/postgrestest"
	usagesqlite "github.com/tallygate/tallygate/usage/sqlite"
)

// replicas are APIs over one PostgreSQL.
func replicas(t *testing.T, n int) []*world {
	t.Helper()
	dsn := postgrestest.Start(t).NewDatabase(t)
	var all []*world
	for i := range n {
		store, err := postgres.Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		ledger, err := usagesqlite.Open("sqlite:" + filepath.Join(t.TempDir(), "usage.db"))
		if err != nil {
			t.Fatal(err)
		}
		w := &world{users: store, store: authn.New(store, authn.Options{}), ledger: ledger, log: &syncBuffer{}}
		t.Cleanup(func() {
			if err := errors.Join(w.store.Close(), ledger.Close()); err != nil {
				t.Error(err)
			}
		})
		if i == 0 {
			w.populate(t)
		} else {
			w.ana, w.ben, w.root = all[0].ana, all[0].ben, all[0].root
		}
		w.serveAs(t, Config{Store: w.store, Ledger: ledger})
		all = append(all, w)
	}
	return all
}

// TestReplicas: changes made through one replica take effect on the others.
func TestReplicas(t *testing.T) {
	all := replicas(t, 3)
	one, other := all[0], all[1]

	t.Run("Sessions", func(t *testing.T) {
		token := one.login(t, one.ana.Email, password)
		if !other.works(t, token) {
			t.Fatal("the other replica does not take the token")
		}
		if got := other.do(t, "POST", "/api/auth/logout", bearer(token), ""); got.status != 204 || one.works(t, token) {
			t.Errorf("status %d, and the token works: %t", got.status, one.works(t, token))
		}
	})

	// The same request sent in parallel makes one key, which all replies have.
	t.Run("CreateOnce", func(t *testing.T) {
		for range 5 {
			before := len(into[items[keyItem]](t, one.as(t, one.ana, "GET", "/api/mcp-keys/list", ""), 200).Items)
			key := uuid.NewString()
			headers := one.once(t, one.ana, key)
			var mu sync.Mutex
			got := map[string]bool{}
			var g errgroup.Group
			for i := range 12 {
				g.Go(func() error {
					k := into[createdKey](t, all[i%3].send(t, "POST", "/api/mcp-keys/create", headers, `{"key_name":"a"}`), 201)
					mu.Lock()
					defer mu.Unlock()
					got[k.Key] = true
					return nil
				})
			}
			_ = g.Wait() // none returns an error
			after := len(into[items[keyItem]](t, one.as(t, one.ana, "GET", "/api/mcp-keys/list", ""), 200).Items)
			if len(got) != 1 || after != before+1 {
				t.Errorf("%d answers, and %d keys made", len(got), after-before)
			}
		}
	})

	t.Run("RotateAtOnce", func(t *testing.T) {
		k := into[createdKey](t, one.as(t, one.ana, "POST", "/api/mcp-keys/create", `{"key_name":"a"}`), 201)
		headers := bearer(one.token(t, one.ana))
		statuses := make(chan int, 9)
		var g errgroup.Group
		for i := range cap(statuses) {
			g.Go(func() error {
				statuses <- all[i%3].send(t, "POST", "/api/mcp-keys/rotate", headers, `{"key_id":"`+k.ID+`"}`).status
				return nil
			})
		}
		_ = g.Wait() // none returns an error
		close(statuses)
		got := map[int]int{}
		for s := range statuses {
			got[s]++
		}
		if diff := cmp.Diff(map[int]int{201: 1, 409: 8}, got); diff != "" {
			t.Errorf("answers differ:\n%s", diff)
		}
	})

	t.Run("InvitationsAtOnce", func(t *testing.T) { acceptAtOnce(t, one, 6) })
}
