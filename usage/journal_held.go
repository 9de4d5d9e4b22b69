package usage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Held is a call whose result is still to come: its event as far as it is
// known.
type Held struct {
	Event    Event           `json:"event"`    // whose ID names what is held
	Key      string          `json:"key"`      // what the result will be known by; means nothing to the journal
	Deadline time.Time       `json:"deadline"` // when the call is given up; likewise
	State    json.RawMessage `json:"state"`    // likewise; null when there is none
}

// ErrTooManyHeld is what Hold returns when MaxHeld calls are held.
var ErrTooManyHeld = errors.New("the journal holds as many unfinished calls as it may")

// holding is the part of a journal that keeps held calls, each in a file of the
// directory held that is one record.
//
// A call that is settled is appended first, and its file removed then. Should
// the process die in between, the next one finds the event in a segment and
// removes the file itself; so until the file is gone, the segment must stay.
type holding struct {
	// Guarded by the journal's mu.
	held     map[uuid.UUID]struct{} // what has a file
	settling map[uuid.UUID]uint64   // in which segment, or a later one, the events are whose files go
	stuck    []uuid.UUID            // those of settling whose files could not be removed
	unsynced []uuid.UUID            // files that are to be forced to the disk
	removed  bool                   // files, since the directory was last forced to the disk
}

func (j *Journal) heldDir() string { return filepath.Join(j.dir, "held") }

func (j *Journal) heldPath(id uuid.UUID) string {
	return filepath.Join(j.heldDir(), id.String()+".json")
}

// Hold keeps a call until Settle. When it returns nil the call survives the
// death of the process, and the death of the machine once it is synced (see
// SyncMode). Holding an ID again replaces what was held. ErrTooManyHeld is one
// of its errors; none is counted as a lost event. Calls under one ID, Hold and
// Settle, come one after the other.
func (j *Journal) Hold(h *Held) (err error) {
	id := h.Event.ID
	defer func() {
		if err != nil {
			err = fmt.Errorf("hold call %s in the journal: %w", id, err)
		}
	}()
	if id == uuid.Nil {
		return errors.New("its event has no ID")
	}
	payload, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("it is %d bytes long, the journal takes %d", len(payload), maxPayload)
	}

	j.mu.Lock()
	_, again := j.held[id]
	switch {
	case j.closed:
		err = os.ErrClosed
	case !again && len(j.held) >= j.o.Load().MaxHeld:
		err = ErrTooManyHeld
	default:
		j.held[id] = struct{}{}
	}
	mode := j.o.Load().Sync
	j.mu.Unlock()
	if err != nil {
		return err
	}
	// What is replaced may be on the disk already; a rename would lose it if
	// the machine died before what replaces it is there too.
	if err := j.writeHeld(id, payload, again && mode != SyncNone); err != nil {
		if !again {
			j.mu.Lock()
			delete(j.held, id)
			j.mu.Unlock()
		}
		return err
	}

	j.mu.Lock()
	if mode != SyncNone {
		j.unsynced = append(j.unsynced, id)
	}
	synced := j.written()
	j.mu.Unlock()
	if synced == nil {
		return nil
	}
	return synced.wait()
}

func (j *Journal) writeHeld(id uuid.UUID, payload []byte, sync bool) error {
	if err := os.MkdirAll(j.heldDir(), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(j.heldPath(id)+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	pass("hold: write")
	_, err = f.Write(endRecord(append(beginRecord(nil), payload...)))
	if sync {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		pass("hold: rename")
		err = os.Rename(f.Name(), j.heldPath(id))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // err tells what is wrong
		return err
	}
	pass("hold: done")
	return nil
}

// Settle appends the event of a call that has come to its end, and drops what
// is held under the event's ID, if anything is. Its error is Append's: the
// event is lost, and what was held goes with it. Only a journal that is closed
// keeps what it holds, for the next process.
func (j *Journal) Settle(e *Event) error {
	j.mu.Lock()
	_, held := j.held[e.ID]
	if held && !j.closed {
		j.settling[e.ID] = 0
		if len(j.segments) > 0 {
			j.settling[e.ID] = j.tail().seq
		}
	}
	j.mu.Unlock()
	err := j.Append(e)
	if held && !errors.Is(err, os.ErrClosed) {
		pass("settle: remove")
		j.removeHeld(e.ID)
		pass("settle: done")
	}
	return err
}

// removeHeld removes the file of a call that is settled. Where that fails, the
// event's segment stays, and acknowledge tries again.
func (j *Journal) removeHeld(id uuid.UUID) {
	err := os.Remove(j.heldPath(id))
	failed := err != nil && !errors.Is(err, fs.ErrNotExist)
	j.mu.Lock()
	delete(j.held, id)
	if failed {
		j.stuck = append(j.stuck, id)
	} else {
		delete(j.settling, id)
		j.removed = true
	}
	j.mu.Unlock()
	if failed {
		j.o.Load().Logger.Warn("a finished call's file cannot be removed; the segment of its event stays until it can", "journal", j.dir, "error", err)
	}
}

// retryRemovals does what removeHeld could not.
func (j *Journal) retryRemovals() {
	j.mu.Lock()
	stuck := j.stuck
	j.stuck = nil
	j.mu.Unlock()
	for _, id := range stuck {
		j.removeHeld(id)
	}
}

// pinned is the first segment, under mu, that has to stay for the sake of a
// call that is being settled.
func (j *Journal) pinned() uint64 {
	first := uint64(math.MaxUint64)
	for _, seq := range j.settling {
		first = min(first, seq)
	}
	return first
}

// Held returns the calls that are held: in a journal that was just opened,
// those that the last process left. What is damaged is removed, logged and
// counted.
func (j *Journal) Held() ([]Held, error) {
	j.mu.Lock()
	ids := slices.SortedFunc(maps.Keys(j.held), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	j.mu.Unlock()
	var held []Held
	for _, id := range ids {
		data, err := os.ReadFile(j.heldPath(id))
		if errors.Is(err, fs.ErrNotExist) { // settled meanwhile
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read a held call of the journal: %w", err)
		}
		var h Held
		payload, n := parseRecord(data)
		if n == 0 || n != len(data) || json.Unmarshal(payload, &h) != nil || h.Event.ID != id {
			j.mu.Lock()
			j.stats.CorruptRuns++
			j.stats.CorruptBytes += int64(len(data))
			j.mu.Unlock()
			j.o.Load().Logger.Error("dropped a damaged held call of the journal", "journal", j.dir, "event_id", id, "bytes", len(data))
			j.removeHeld(id)
			continue
		}
		if string(h.State) == "null" {
			h.State = nil
		}
		held = append(held, h)
	}
	return held, nil
}

// recoverHeld finds out what the last process left, without what it had
// settled already: a call whose event is in a segment.
func (j *Journal) recoverHeld(segments []uint64) error {
	j.held, j.settling = map[uuid.UUID]struct{}{}, map[uuid.UUID]uint64{}
	entries, err := os.ReadDir(j.heldDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".json")
		if id, err := uuid.Parse(name); ok && err == nil && entry.Name() == id.String()+".json" {
			j.held[id] = struct{}{}
		} else if strings.HasSuffix(entry.Name(), ".json.tmp") {
			if err := os.Remove(filepath.Join(j.heldDir(), entry.Name())); err != nil {
				return err
			}
		}
	}
	if len(j.held) == 0 {
		return nil
	}
	settled := false
	for _, seq := range segments {
		err := j.eachID(seq, func(id uuid.UUID) error {
			if _, ok := j.held[id]; !ok {
				return nil
			}
			delete(j.held, id)
			settled = true
			return os.Remove(j.heldPath(id))
		})
		if err != nil {
			return err
		}
	}
	if settled {
		return syncDir(j.heldDir()) // before a segment goes
	}
	return nil
}

// eachID calls f with the ID of each event of a segment.
func (j *Journal) eachID(seq uint64, f func(uuid.UUID) error) (err error) {
	file, err := os.Open(j.path(seq))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	sc := newScanner(file, 0, info.Size())
	for {
		payload, _, err := sc.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if id, ok := eventID(payload); ok {
			if err := f(id); err != nil {
				return err
			}
		}
	}
}

// syncHeld forces held calls to the disk.
func (j *Journal) syncHeld(ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		f, err := os.OpenFile(j.heldPath(id), os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) { // settled meanwhile
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(j.heldDir()), syncDir(j.dir))
}
