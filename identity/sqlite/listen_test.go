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

// listener collects what a Store reports while it listens.
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
			l.changes = append(l.changes, changeOf(userID, key))
		})
	})
	t.Cleanup(func() {
		cancel()
		listening.Wait()
	})
}

func changeOf(userID string, key identity.Digest) string { return fmt.Sprintf("%s/%x", userID, key) }

// take waits for a poll, and returns the changes since the last call.
func (l *listener) take(t *testing.T) (changes []string) {
	t.Helper()
	time.Sleep(2 * pollInterval)
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.to) > 2*pollInterval {
		t.Errorf("the last heartbeat was %v ago", time.Since(l.to))
	}
	changes, l.changes = l.changes, nil
	return changes
}

// TestListen: each change that decides whether keys are live is reported once, and
// nothing else is.
func TestListen(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gate) {
		l := new(listener)
		l.listen(t, open(t, g.path))
		if got := l.take(t); got != nil {
			t.Errorf("%v was reported before anything changed", got)
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
			}, []string{changeOf("", other.Digest)}},
			{func() error {
				_, err := g.elsewhere.RevokeKey(t.Context(), "", other.ID, time.Now(), "")
				return err
			}, []string{changeOf("", other.Digest)}},
			{func() error { return g.elsewhere.SetDisabled(t.Context(), g.user.ID, true) }, []string{changeOf(g.user.ID, identity.Digest{})}},
			{func() error {
				return g.elsewhere.SetUserLimits(t.Context(), g.user.ID, identity.Limits{CallsPerDay: 5})
			}, []string{changeOf(g.user.ID, identity.Digest{})}},
		} {
			must(t, change.make())
			if got := l.take(t); !slices.Equal(got, change.want) {
				t.Errorf("change %d: reported %v, want %v", i, got, change.want)
			}
		}
	})
}

// TestListenMissed: a listener that missed changes, because the oldest are deleted,
// starts again: its heartbeats do not cover what was read before.
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
		time.Sleep(sqlstore.ListenRetry)
		l.take(t)
		if !l.from.After(begun) {
			t.Error("the heartbeats cover the time of the missed changes")
		}
		must(t, g.elsewhere.SetDisabled(t.Context(), g.user.ID, true))
		if got := l.take(t); !slices.Equal(got, []string{changeOf(g.user.ID, identity.Digest{})}) {
			t.Errorf("reported %v, want the user", got)
		}
	})
}
