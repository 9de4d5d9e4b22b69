package usage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Inspection is what is in a journal, as one sees it who does not have it open.
type Inspection struct {
	Dir            string    `json:"journal"`
	InUse          bool      `json:"in_use"` // a process has it open
	PendingEvents  int64     `json:"pending_events"`
	PendingBytes   int64     `json:"pending_bytes"`
	OldestEvent    time.Time `json:"oldest_event,omitzero"` // ts of the event that waits longest
	Segments       int       `json:"segments"`
	Bytes          int64     `json:"bytes"`           // of all segments
	PendingBatches int       `json:"pending_batches"` // sent, or about to be, and not acknowledged
	DamagedBytes   int64     `json:"damaged_bytes"`   // among the pending ones
	SetAsideEvents int       `json:"set_aside_events"`
	HeldCalls      int       `json:"held_calls"`
}

// errMoved tells that a journal changed while it was looked at.
var errMoved = errors.New("the journal keeps changing")

// InspectJournal looks into the journal at dir, whether a process has it open
// or not, and changes nothing. It reads all that waits: a second or two for a
// gigabyte. Where there is no journal the error is fs.ErrNotExist.
func InspectJournal(dir string) (Inspection, error) {
	var i Inspection
	err := errMoved
	for tries := 0; tries < 10 && errors.Is(err, errMoved); tries++ {
		i, err = inspect(dir)
	}
	if err != nil {
		return i, fmt.Errorf("inspect journal %s: %w", dir, err)
	}
	return i, nil
}

// exists tells whether there is a journal at dir, by its error.
func exists(dir string) error {
	_, err := os.Stat(filepath.Join(dir, "cursor"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is none: %w", fs.ErrNotExist)
	}
	return err
}

func inspect(dir string) (i Inspection, err error) {
	i.Dir = dir
	if err := exists(dir); err != nil {
		return i, err
	}
	if i.InUse, err = locked(dir); err != nil {
		return i, err
	}
	// The cursor before the segments: what is acknowledged meanwhile is missed
	// among them, and not taken for damage.
	state, err := cursorOf(dir)
	if err != nil {
		return i, err
	}
	i.PendingBatches = len(state.Pending)
	found, err := findSegments(dir)
	if err != nil {
		return i, err
	}
	for _, seq := range found {
		err := i.addSegment(filepath.Join(dir, segmentName(seq)), seq, state.Acknowledged)
		if errors.Is(err, fs.ErrNotExist) {
			return i, errMoved // the ledger has it by now
		}
		if err != nil {
			return i, err
		}
	}
	if now, err := cursorOf(dir); err != nil || now.Acknowledged != state.Acknowledged {
		return i, errors.Join(errMoved, err)
	}
	if i.SetAsideEvents, err = countJSON(filepath.Join(dir, "rejected")); err != nil {
		return i, err
	}
	i.HeldCalls, err = countJSON(filepath.Join(dir, "held"))
	return i, err
}

// locked tells whether a process has the journal at dir open.
func locked(dir string) (bool, error) {
	l := flock.New(filepath.Join(dir, "lock"), flock.SetFlag(os.O_RDONLY))
	free, err := l.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !free, errors.Join(err, l.Close())
}

func cursorOf(dir string) (cursorState, error) {
	f, err := os.Open(filepath.Join(dir, "cursor"))
	if err != nil {
		return cursorState{}, err
	}
	return readCursor(f), f.Close()
}

// addSegment adds what is in a segment to the figures.
func (i *Inspection) addSegment(path string, seq uint64, acked position) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	start := int64(0)
	if seq == acked.Segment {
		start = acked.Offset
	}
	// What comes after the last newline is being written, or was never written
	// to its end.
	_, end, _, err := countLines(f, start)
	if err != nil {
		return err
	}
	i.Segments++
	i.Bytes += end
	if seq < acked.Segment { // stays for a call that is being settled
		return nil
	}
	i.PendingBytes += end - start
	for sc := newScanner(f, start, end); ; {
		payload, damaged, err := sc.next()
		i.DamagedBytes += damaged
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if i.PendingEvents++; i.OldestEvent.IsZero() {
			var e Event
			if readEvent(payload, &e) == nil {
				i.OldestEvent = e.Time
			}
		}
	}
}

func countJSON(dir string) (int, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	return len(names), err
}
