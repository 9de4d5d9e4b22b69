package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// PendingCall is a call whose result is still to come: its event as far as it is
// known, and what the caller of Suspend needs to recognize the result.
type PendingCall struct {
	Event    usage.Event     `json:"event"`    // its ID identifies the call
	Key      string          `json:"key"`      // by which the result is recognized; opaque to the journal
	Deadline time.Time       `json:"deadline"` // when the call is given up; opaque to the journal
	State    json.RawMessage `json:"state"`    // opaque to the journal; null when there is none

	// Ended is set if the call of the event has ended, and its event was recorded
	// under an ID of its own. What is kept is Key and State, until Forget. It does
	// not count as pending.
	Ended bool `json:"ended,omitempty"`
}

// ErrTooManyPending is what Suspend returns when MaxPending calls are pending.
var ErrTooManyPending = errors.New("the journal holds as many pending calls as it may")

// Suspend keeps a call until Finish. When it returns nil the call survives the
// death of the process, and the death of the machine once it is synced (see
// SyncMode). Suspending an ID again replaces the earlier call. An error, such as
// ErrTooManyPending, is not counted as a lost event. Calls of Suspend and Finish
// for one ID must not overlap.
func (j *Journal) Suspend(c *PendingCall) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("suspend call %s in the journal: %w", c.Event.ID, err)
		}
	}()
	j.mu.Lock()
	closed := j.closed
	j.mu.Unlock()
	if closed {
		return os.ErrClosed
	}
	o := j.o.Load()
	if err := j.pending.put(c, o.MaxPending, o.Sync != SyncNone); err != nil {
		return err
	}
	j.mu.Lock()
	round := j.markWritten()
	j.mu.Unlock()
	return round.wait()
}

// Finish appends the event of a call that has ended, and removes the pending call
// with the event's ID, if there is one. Its error is Append's: the event is lost,
// and the pending call is gone too. Only a closed journal keeps its pending
// calls, for the next process.
func (j *Journal) Finish(e *usage.Event) error {
	j.mu.Lock()
	var seq uint64 // the event is appended to this segment or a later one
	if len(j.segments) > 0 {
		seq = j.tail().seq
	}
	closed := j.closed
	j.mu.Unlock()
	pending := j.pending.beginFinish(e.ID, seq, closed)
	err := j.Append(e)
	if pending && !errors.Is(err, os.ErrClosed) {
		failpoint("finish: remove")
		j.pending.remove(e.ID)
		failpoint("finish: done")
	}
	return err
}

// Forget removes what was suspended under an ID, and records nothing.
func (j *Journal) Forget(id uuid.UUID) { j.pending.remove(id) }

// PendingCalls returns the pending calls. In a journal that was just opened,
// those are the ones that the last process left. A damaged one is removed, logged
// and counted.
func (j *Journal) PendingCalls() ([]PendingCall, error) {
	calls, damaged, err := j.pending.all()
	for id, size := range damaged {
		j.mu.Lock()
		j.stats.CorruptRuns++
		j.stats.CorruptBytes += size
		j.mu.Unlock()
		j.o.Load().Logger.Error("dropped a damaged pending call of the journal", "journal", j.dir, "event_id", id, "bytes", size)
		j.pending.remove(id)
	}
	return calls, err
}

// pendingCalls keeps each pending call in a file of its directory. The file is
// one record.
//
// When a call finishes, its event is appended to a segment first, and its file is
// removed then. Should the process die in between, the next one finds the event
// in a segment and removes the file itself. So the segment has to stay until the
// file is gone: until then it is pinned.
type pendingCalls struct {
	dir    string
	logger func() *slog.Logger

	mu        sync.Mutex
	ids       map[uuid.UUID]bool   // of the calls that have a file, and whether they have ended
	finishing map[uuid.UUID]uint64 // calls whose files are being removed, and the first segment that their events may be in
	stuck     []uuid.UUID          // those of finishing whose files could not be removed
	unsynced  []uuid.UUID          // calls whose files have to be synced
	removed   bool                 // whether files were removed since the directory was last synced
}

func (p *pendingCalls) path(id uuid.UUID) string {
	return filepath.Join(p.dir, id.String()+".json")
}

func (p *pendingCalls) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, ended := range p.ids {
		if !ended {
			n++
		}
	}
	return n
}

// put writes a call's file. With durable it also leaves the file to the next
// sync, and a file that it replaces is never lost: renaming alone would lose both
// if the machine died before the new one was on the disk.
func (p *pendingCalls) put(c *PendingCall, most int, durable bool) error {
	id := c.Event.ID
	if id == uuid.Nil {
		return errors.New("its event has no ID")
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("it is %d bytes long, the journal takes %d", len(payload), maxPayload)
	}
	p.mu.Lock()
	_, again := p.ids[id]
	full := !again && len(p.ids) >= most
	if !full {
		p.ids[id] = c.Ended
	}
	p.mu.Unlock()
	if full {
		return ErrTooManyPending
	}
	err = p.writeFile(id, payload, again && durable)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && durable:
		p.unsynced = append(p.unsynced, id)
	case err != nil && !again:
		delete(p.ids, id)
	}
	return err
}

func (p *pendingCalls) writeFile(id uuid.UUID, payload []byte, sync bool) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(p.path(id)+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	failpoint("suspend: write")
	_, err = f.Write(endRecord(append(beginRecord(nil), payload...)))
	if sync {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		failpoint("suspend: rename")
		err = os.Rename(f.Name(), p.path(id))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // err says what is wrong
		return err
	}
	failpoint("suspend: done")
	return nil
}

// beginFinish reports whether a call is pending. If so, and unless the journal is
// closed, it pins the segments from seq on until remove.
func (p *pendingCalls) beginFinish(id uuid.UUID, seq uint64, closed bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, pending := p.ids[id]
	if pending && !closed {
		p.finishing[id] = seq
	}
	return pending
}

// remove removes the file of a call that is no longer pending. Where that fails,
// the segment of its event stays pinned until retryRemovals succeeds.
func (p *pendingCalls) remove(id uuid.UUID) {
	err := os.Remove(p.path(id))
	failed := err != nil && !errors.Is(err, fs.ErrNotExist)
	p.mu.Lock()
	delete(p.ids, id)
	if failed {
		p.stuck = append(p.stuck, id)
	} else {
		delete(p.finishing, id)
		p.removed = true
	}
	p.mu.Unlock()
	if failed {
		p.logger().Warn("the file of a finished call cannot be removed; the segment of its event stays until it can", "error", err)
	}
}

// retryRemovals tries again to remove the files that remove could not.
func (p *pendingCalls) retryRemovals() {
	p.mu.Lock()
	stuck := p.stuck
	p.stuck = nil
	p.mu.Unlock()
	for _, id := range stuck {
		p.remove(id)
	}
}

// pinned returns the first segment that has to stay because of a call that is
// finishing.
func (p *pendingCalls) pinned() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := uint64(math.MaxUint64)
	for _, seq := range p.finishing {
		first = min(first, seq)
	}
	return first
}

// all reads the pending calls, in the order of their IDs. It also returns the
// size of each file that holds no call.
func (p *pendingCalls) all() (calls []PendingCall, damaged map[uuid.UUID]int64, err error) {
	p.mu.Lock()
	ids := slices.SortedFunc(maps.Keys(p.ids), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	p.mu.Unlock()
	damaged = make(map[uuid.UUID]int64)
	for _, id := range ids {
		data, err := os.ReadFile(p.path(id))
		if errors.Is(err, fs.ErrNotExist) { // finished meanwhile
			continue
		}
		if err != nil {
			return nil, damaged, fmt.Errorf("read a pending call of the journal: %w", err)
		}
		var c PendingCall
		payload, n := parseRecord(data)
		if n == 0 || n != len(data) || json.Unmarshal(payload, &c) != nil || c.Event.ID != id {
			damaged[id] = int64(len(data))
			continue
		}
		if string(c.State) == "null" {
			c.State = nil
		}
		if c.Ended {
			p.mu.Lock()
			p.ids[id] = true
			p.mu.Unlock()
		}
		calls = append(calls, c)
	}
	return calls, damaged, nil
}

// recover finds the calls that the last process left. A call whose event is in a
// segment had finished already: its file is removed.
func (p *pendingCalls) recover(eachID func(yield func(uuid.UUID) error) error) error {
	p.ids, p.finishing = map[uuid.UUID]bool{}, map[uuid.UUID]uint64{}
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".json")
		if id, err := uuid.Parse(name); ok && err == nil && entry.Name() == id.String()+".json" {
			p.ids[id] = false
		} else if strings.HasSuffix(entry.Name(), ".json.tmp") {
			if err := os.Remove(filepath.Join(p.dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	if len(p.ids) == 0 {
		return nil
	}
	finished := false
	err = eachID(func(id uuid.UUID) error {
		if _, ok := p.ids[id]; !ok {
			return nil
		}
		delete(p.ids, id)
		finished = true
		return os.Remove(p.path(id))
	})
	if err == nil && finished {
		err = syncDir(p.dir) // before a segment is removed
	}
	return err
}

// sync syncs the files that put left to it.
func (p *pendingCalls) sync() error {
	p.mu.Lock()
	ids := p.unsynced
	p.unsynced = nil
	p.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		f, err := os.OpenFile(p.path(id), os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) { // finished meanwhile
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(p.dir), syncDir(filepath.Dir(p.dir)))
}

// syncRemovals makes the removal of files durable. It has to come before a
// segment is removed: if a file came back after the machine died, nothing would
// say any more that its call had finished.
func (p *pendingCalls) syncRemovals() error {
	p.mu.Lock()
	removed := p.removed
	p.removed = false
	p.mu.Unlock()
	if !removed {
		return nil
	}
	err := syncDir(p.dir)
	if err != nil {
		p.mu.Lock()
		p.removed = true
		p.mu.Unlock()
	}
	return err
}
