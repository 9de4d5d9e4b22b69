package journal

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// admission is the part of a journal that, under RefuseWhenFull, lets no call
// begin while its event would be lost.
type admission struct {
	refusing atomic.Bool // set by updateAdmissionLocked, so that Admit needs no lock

	// Guarded by the journal's mu.
	lastErr   error     // of the latest write or sync; nil when it went well
	lastProbe time.Time // when lastErr was last confirmed
}

// probeInterval is how often a journal that could not be written is tried.
const probeInterval = time.Second

// Admit returns an error when the event of a call that begins now could not be
// kept. Under DropWhenFull it always returns nil. Under RefuseWhenFull the error
// is ErrFull or the disk's; it is counted and logged here.
func (j *Journal) Admit() error {
	if !j.refusing.Load() {
		return nil
	}
	j.mu.Lock()
	if j.lastErr != nil && time.Since(j.lastProbe) >= probeInterval {
		j.recordErrorLocked(j.probeDiskLocked())
	}
	var err error
	switch {
	case !j.refusing.Load():
	case j.lastErr != nil:
		err = fmt.Errorf("the journal cannot be written: %w", j.lastErr)
	default:
		err = ErrFull
	}
	if err != nil {
		j.stats.Refused++
	}
	stats := j.stats
	j.mu.Unlock()
	if err != nil {
		j.logLimit.Do(func() {
			j.o.Load().Logger.Error("calls are refused, since their usage events could not be kept", "journal", j.dir, "error", err,
				"refused", stats.Refused, "pending_events", stats.PendingEvents, "bytes", stats.Bytes, "max_bytes", j.o.Load().MaxBytes)
		})
	}
	return err
}

// roomForEvent is the room that a journal needs to take an event of common size.
const roomForEvent = 1 << 10

// Room returns nil while the journal takes events, and otherwise ErrFull or the
// disk's error. It counts and logs nothing.
func (j *Journal) Room() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lastErr != nil && time.Since(j.lastProbe) >= probeInterval {
		j.recordErrorLocked(j.probeDiskLocked())
	}
	switch {
	case j.lastErr != nil:
		return fmt.Errorf("the journal cannot be written: %w", j.lastErr)
	case j.stats.Bytes+roomForEvent > j.o.Load().MaxBytes:
		return ErrFull
	}
	return nil
}

// updateAdmissionLocked decides whether Admit lets calls begin.
func (j *Journal) updateAdmissionLocked() {
	o := j.o.Load()
	j.refusing.Store(o.OnFull == RefuseWhenFull && (j.lastErr != nil || j.stats.Bytes >= o.MaxBytes))
}

// recordErrorLocked records how the latest write or sync went.
func (j *Journal) recordErrorLocked(err error) {
	j.lastErr, j.lastProbe = err, time.Now()
	j.updateAdmissionLocked()
}

// probeDiskLocked finds out whether the disk takes a record, since no call does
// while calls are refused. What it writes is cut off again, at the latest when
// the journal is opened.
func (j *Journal) probeDiskLocked() error {
	if j.closed {
		return os.ErrClosed
	}
	blank := make([]byte, 4<<10)
	if err := j.makeRoomLocked(int64(len(blank))); err != nil {
		return err
	}
	size := j.tail().size
	_, err := j.file.WriteAt(blank, size)
	if err == nil {
		err = j.file.Sync()
	}
	return errors.Join(err, j.file.Truncate(size))
}
