package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// setAsideFile is what the shipper writes of an event that the ledger rejects:
// a batch of one, and the token that it came under.
type setAsideFile struct {
	Reason string  `json:"reason"`
	Token  string  `json:"token"`
	Events []Event `json:"events"`
}

// Replayed is what became of one event that was set aside.
type Replayed struct {
	File  string
	Event Event
	// Err is nil when the ledger has the event now and the file is gone. It
	// wraps ErrRejected when the ledger rejects the event again, and is another
	// error when the file cannot be read. The file stays then.
	Err error
}

// Replay sends the events that are set aside in the journal at dir to the
// ledger again, oldest first, and tells report of each. It ends with the first
// error that is not the event's own. A process may have the journal open
// meanwhile.
//
// No event is stored twice, however often Replay is killed. An event goes out
// under the token that it came under before, of which the ledger has stored
// nothing; so the ledger knows it again, whoever sends it. And as ledgers
// remember tokens for a while only, one that has the event is not sent it.
func Replay(ctx context.Context, dir string, l Ledger, report func(Replayed)) (err error) {
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
		return fmt.Errorf("replay journal %s: another process does so", dir)
	}
	names, err := filepath.Glob(filepath.Join(dir, "rejected", "*.json")) // sorted, that is in order
	if err != nil {
		return err
	}
	for _, name := range names {
		r := Replayed{File: name}
		var file setAsideFile
		if r.Err = readSetAside(name, &file); r.Err == nil {
			r.Event = file.Events[0]
			r.Err = replayOne(ctx, l, Batch{Token: file.Token, Events: file.Events})
			if r.Err != nil && !errors.Is(r.Err, ErrRejected) {
				return fmt.Errorf("replay %s: %w", name, r.Err)
			}
		}
		if r.Err == nil {
			pass("replay: remove")
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
		return fmt.Errorf("%s: it is not one event and its token", name)
	}
	return nil
}

// replayTimeout bounds how long the ledger may take over one event.
const replayTimeout = 30 * time.Second

func replayOne(ctx context.Context, l Ledger, b Batch) error {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	e := b.Events[0]
	has := false
	at := e.Time.Truncate(time.Microsecond)
	err := EachEvent(ctx, l, Filter{UserID: e.UserID, From: at, To: at.Add(time.Microsecond)}, func(stored *Event) error {
		has = has || stored.ID == e.ID
		return nil
	})
	if err != nil {
		return fmt.Errorf("look whether the ledger has event %s: %w", e.ID, err)
	}
	if has {
		return nil
	}
	pass("replay: write")
	return l.Write(ctx, b)
}
