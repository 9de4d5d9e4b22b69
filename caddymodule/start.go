package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/authn"
	"github.com/tallygate/tallygate/internal/sqlitefile"
)

// defaultStoreWait is how long a gate that starts waits for a store that is still
// coming.
const defaultStoreWait = 30 * time.Second

// The pauses between attempts to open a store begin with the first and double up to
// the second.
const (
	minStorePause = 250 * time.Millisecond
	maxStorePause = 5 * time.Second
)

// awaitStore calls first, which uses the store for the first time, until that
// succeeds, but no longer than wait and only while the store says that it could not
// be reached. The end of the context ends the wait.
func awaitStore(ctx context.Context, store identity.Store, wait time.Duration, log *slog.Logger, first func(context.Context) error) error {
	remote, isRemote := store.(interface{ Unreachable(error) bool })
	deadline := time.Now().Add(wait)
	for pause := minStorePause; ; pause = min(2*pause, maxStorePause) {
		attempt, cancel := context.WithTimeout(ctx, openTimeout)
		err := first(attempt)
		cancel()
		switch {
		case err == nil || !isRemote || !remote.Unreachable(err) || wait <= 0:
			return err
		case time.Until(deadline) < pause:
			return fmt.Errorf("it could not be reached for %v (store_wait): %w", wait, err)
		}
		log.Warn("the store cannot be reached: the gate waits for it", "error", err, "again_in", pause, "at_most", time.Until(deadline).Round(time.Second))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("the wait for it was ended: %w", err)
		}
	}
}

// existingUsers returns an error if a store has no user.
func existingUsers(ctx context.Context, store *authn.Authority) error {
	users, err := store.Users(ctx)
	if err == nil && len(users) == 0 {
		err = errors.New("it has no user, so that a reload would refuse everybody: " + startAnew)
	}
	return err
}

// startAnew says what to do where a reload does not make what is missing.
const startAnew = "correct its name, or stop the gate and start it with this config to begin with a new one"

// checkReload returns an error if the app names a store, a ledger or a journal that
// is not there, unlike the running backend: a mistyped name would begin a new, empty
// one. dir is the folder of the journal.
func (a *App) checkReload(running *backend, dir string) error {
	for _, part := range []struct {
		name       string
		same       bool
		file, kind string
	}{
		{"store", a.Store == running.store, fileOf(a.store), "file"},
		{"ledger", a.Ledger == running.ledger, fileOf(a.ledger), "file"},
		{"journal", dir == running.journal, dir, "folder"},
	} {
		if !part.same && isMissing(part.file) {
			return fmt.Errorf("the %s's %s %s does not exist: %s", part.name, part.kind, part.file, startAnew)
		}
	}
	return nil
}

// fileGuest is implemented by the guests that keep everything in one file.
type fileGuest interface {
	// file returns the path.
	file() (string, error)
}

func (g *SQLiteStore) file() (string, error) { return sqlitefile.Path(g.DSN) }

func (g *SQLiteLedger) file() (string, error) {
	path, _, err := sqlitefile.Split(g.DSN)
	return path, err
}

// fileOf returns the file of a store or ledger, or "" where it has none.
func fileOf(guest any) string {
	g, ok := guest.(fileGuest)
	if !ok {
		return ""
	}
	path, _ := g.file() // opening it reports what is wrong with the DSN
	return path
}

// isMissing reports whether there is nothing at a path; "" is none.
func isMissing(path string) bool {
	_, err := os.Stat(path)
	return path != "" && errors.Is(err, fs.ErrNotExist)
}
