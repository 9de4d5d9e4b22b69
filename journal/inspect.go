package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/tallygate/tallygate/usage"
)

// Inspection says what is in a journal, seen from outside.
type Inspection struct {
	Dir            string    `json:"journal"`
	InUse          bool      `json:"in_use"` // a process has it open
	PendingEvents  int64     `json:"pending_events"`
	PendingBytes   int64     `json:"pending_bytes"`
	OldestEvent    time.Time `json:"oldest_event,omitzero"` // ts of the first pending event
	Segments       int       `json:"segments"`
	Bytes          int64     `json:"bytes"`           // of all segments
	PendingBatches int       `json:"pending_batches"` // sent, or about to be sent, and not acknowledged
	DamagedBytes   int64     `json:"damaged_bytes"`   // among PendingBytes
	SetAsideEvents int       `json:"set_aside_events"`
	PendingCalls   int       `json:"held_calls"`
}

// errMoved says that the journal changed during the inspection.
var errMoved = errors.New("the journal keeps changing")

// Inspect looks into the journal at dir and changes nothing. A process may have
// the journal open. Inspect reads all pending events, which takes a second or two
// for a gigabyte. Where there is no journal the error is fs.ErrNotExist.
func Inspect(dir string) (Inspection, error) {
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

// exists returns an error, fs.ErrNotExist, unless there is a journal at dir.
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
	// Read the cursor before the segments: a segment that is acknowledged
	// meanwhile is then missing, and not taken for damage.
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
	i.PendingCalls, err = countJSON(filepath.Join(dir, "pending"))
	return i, err
}

// locked reports whether a process has the journal at dir open.
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
	s := readCursor(f)
	if err := f.Close(); err != nil || s.Generation == 0 {
		return s, err
	}
	return s, s.compatible()
}

// addSegment adds the contents of a segment to the figures.
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
	// Bytes after the last newline are being written, or were never written
	// completely.
	_, end, _, err := countLines(f, start)
	if err != nil {
		return err
	}
	i.Segments++
	i.Bytes += end
	if seq < acked.Segment { // it stays because of a call that is finishing
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
			var e usage.Event
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
