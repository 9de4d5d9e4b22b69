package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/tallygate/tallygate/usage"
)

// setAsideFile is the file of an event that the ledger rejected: a batch of one
// event, the token that it was sent under, and the ledger's reason.
type setAsideFile struct {
	Reason string        `json:"reason"`
	Token  string        `json:"token"`
	Events []usage.Event `json:"events"`
}

// Replayed is the outcome for one event that was set aside.
type Replayed struct {
	File  string
	Event usage.Event
	// Err is nil when the ledger has the event now and the file is removed. It
	// wraps usage.ErrRejected when the ledger rejects the event again, and is
	// another error when the file cannot be read. In both cases the file stays.
	Err error
}

// Replay sends the events that are set aside in the journal at dir to the ledger
// again, oldest first, and calls report for each. It ends with the first error
// that does not concern one event only. A process may have the journal open at
// the same time.
//
// No event is stored twice, however often Replay is killed. An event is sent
// under the same token as before, under which the ledger has stored nothing, so
// the ledger recognizes a second attempt. Since ledgers remember tokens for a
// while only, an event that the ledger has already is not sent to it.
func Replay(ctx context.Context, dir string, l usage.Ledger, report func(Replayed)) (err error) {
	if err := exists(dir); err != nil {
		return fmt.Errorf("replay journal %s: %w", dir, err)
	}
	lock := flock.New(filepath.Join(dir, "replay.lock"))
	locked, err := lock.TryLock()
	if err != nil {
		return fmt.Errorf("replay journal %s: lock: %w", dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if !locked {
		return fmt.Errorf("replay journal %s: another process replays it already", dir)
	}
	names, err := filepath.Glob(filepath.Join(dir, "rejected", "*.json")) // sorted, so oldest first
	if err != nil {
		return err
	}
	for _, name := range names {
		r := Replayed{File: name}
		var file setAsideFile
		if r.Err = readSetAside(name, &file); r.Err == nil {
			r.Event = file.Events[0]
			r.Err = replayOne(ctx, l, usage.Batch{Token: file.Token, Events: file.Events})
			if r.Err != nil && !errors.Is(r.Err, usage.ErrRejected) {
				return fmt.Errorf("replay %s: %w", name, r.Err)
			}
		}
		if r.Err == nil {
			failpoint("replay: remove")
			if err := errors.Join(os.Remove(name), syncDir(filepath.Dir(name))); err != nil {
				return fmt.Errorf("replay %s: the ledger has the event, its file stays: %w", name, err)
			}
		}
		report(r)
	}
	return nil
}

func readSetAside(name string, file *setAsideFile) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(file.Events) != 1 || file.Token == "" {
		return fmt.Errorf("%s: it does not hold one event and its token", name)
	}
	return nil
}

// replayTimeout bounds how long the ledger may take over one event.
const replayTimeout = 30 * time.Second

func replayOne(ctx context.Context, l usage.Ledger, b usage.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	e := b.Events[0]
	stored := false
	at := e.Time.Truncate(time.Microsecond)
	err := usage.EachEvent(ctx, l, usage.Filter{UserID: e.UserID, From: at, To: at.Add(time.Microsecond)}, func(other *usage.Event) error {
		stored = stored || other.ID == e.ID
		return nil
	})
	if err != nil {
		return fmt.Errorf("ask the ledger for event %s: %w", e.ID, err)
	}
	if stored {
		return nil
	}
	failpoint("replay: write")
	return l.Write(ctx, b)
}
