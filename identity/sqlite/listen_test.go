package sqlite

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/internal/sqlstore"
)

// listener is what a Store tells while it listens.
type listener struct {
	mu       sync.Mutex
	changes  []string
	from, to time.Time
}

func (l *listener) listen(t *testing.T, s *Store) {
	ctx, cancel := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	listening.Go(func() {
		s.Listen(ctx, func(from, to time.Time) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.from, l.to = from, to
		}, func(userID string, key identity.Digest) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.changes = append(l.changes, told(userID, key))
		})
	})
	t.Cleanup(func() {
		cancel()
		listening.Wait()
	})
}

func told(userID string, key identity.Digest) string { return fmt.Sprintf("%s/%x", userID, key) }

// take waits for a look and returns what was told of since the last.
func (l *listener) take(t *testing.T) (changes []string) {
	t.Helper()
	time.Sleep(2 * listenEvery)
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.to) > 2*listenEvery {
		t.Errorf("heard up to %v ago", time.Since(l.to))
	}
	changes, l.changes = l.changes, nil
	return changes
}

// TestListen: each change that decides about keys is told of once, and nothing
// else is.
func TestListen(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gate) {
		l := new(listener)
		l.listen(t, open(t, g.path))
		if got := l.take(t); got != nil {
			t.Errorf("told of %v before anything changed", got)
		}
		other, _, err := identity.IssueKey(g.user.ID, "another", time.Time{})
		must(t, err)
		name := "renamed"
		for i, change := range []struct {
			make func() error
			want []string
		}{
			{func() error { return g.elsewhere.CreateKey(t.Context(), other) }, nil},
			{func() error { return g.elsewhere.TouchKeys(t.Context(), map[string]time.Time{other.ID: time.Now()}) }, nil},
			{func() error {
				_, err := g.elsewhere.UpdateKey(t.Context(), "", other.ID, identity.KeyChange{Name: &name})
				return err
			}, []string{told("", other.Digest)}},
			{func() error {
				_, err := g.elsewhere.RevokeKey(t.Context(), "", other.ID, time.Now(), "")
				return err
			}, []string{told("", other.Digest)}},
			{func() error { return g.elsewhere.SetDisabled(t.Context(), g.user.ID, true) }, []string{told(g.user.ID, identity.Digest{})}},
			{func() error {
				return g.elsewhere.SetUserLimits(t.Context(), g.user.ID, identity.Limits{CallsPerDay: 5})
			}, []string{told(g.user.ID, identity.Digest{})}},
		} {
			must(t, change.make())
			if got := l.take(t); !slices.Equal(got, change.want) {
				t.Errorf("change %d: told of %v, want %v", i, got, change.want)
			}
		}
	})
}

// TestListenMissed: who has not been told of all changes, since the oldest are
// forgotten, begins anew: nothing is vouched for that was read before.
func TestListenMissed(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gate) {
		l := new(listener)
		l.listen(t, open(t, g.path))
		l.take(t)
		begun := time.Now()
		db, err := g.elsewhere.DB(t.Context())
		must(t, err)
		_, err = db.ExecContext(t.Context(), `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
			INSERT INTO changes (what) SELECT 'nothing' FROM n`)
		must(t, err)
		var kept int
		must(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM changes`).Scan(&kept))
		if kept != 10_000 {
			t.Errorf("%d changes are kept", kept)
		}
		time.Sleep(sqlstore.ListenAgain)
		l.take(t)
		if !l.from.After(begun) {
			t.Error("it goes on as if it had heard all")
		}
		must(t, g.elsewhere.SetDisabled(t.Context(), g.user.ID, true))
		if got := l.take(t); !slices.Equal(got, []string{told(g.user.ID, identity.Digest{})}) {
			t.Errorf("told of %v, want the user", got)
		}
	})
}
