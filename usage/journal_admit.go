package usage

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// admission is the part of a journal that keeps calls from beginning, under
// RefuseWhenFull, while their events would be lost.
type admission struct {
	refusing atomic.Bool // what judge found, for Admit to see at no cost

	// Guarded by the journal's mu.
	failure error     // of the latest write or sync; nil when it went well
	tried   time.Time // when failure was made sure of
}

// probeInterval is how often a journal that could not be written is tried.
const probeInterval = time.Second

// Admit tells, before a call goes on, whether its event could be kept. Under
// DropWhenFull it always lets it. Under RefuseWhenFull the error says why not,
// ErrJournalFull or what the disk said last; it is counted and logged here.
func (j *Journal) Admit() error {
	if !j.refusing.Load() {
		return nil
	}
	j.mu.Lock()
	if j.failure != nil && time.Since(j.tried) >= probeInterval {
		j.fails(j.probe())
	}
	var err error
	switch {
	case !j.refusing.Load():
	case j.failure != nil:
		err = fmt.Errorf("the journal cannot be written: %w", j.failure)
	default:
		err = ErrJournalFull
	}
	if err != nil {
		j.stats.Refused++
	}
	stats := j.stats
	j.mu.Unlock()
	if err != nil {
		j.complain.Do(func() {
			j.o.Load().Logger.Error("calls are refused, since their usage events could not be kept", "journal", j.dir, "error", err,
				"refused", stats.Refused, "pending_events", stats.PendingEvents, "bytes", stats.Bytes, "max_bytes", j.o.Load().MaxBytes)
		})
	}
	return err
}

// judge decides, under mu, whether Admit lets calls begin.
func (j *Journal) judge() {
	o := j.o.Load()
	j.refusing.Store(o.OnFull == RefuseWhenFull && (j.failure != nil || j.stats.Bytes >= o.MaxBytes))
}

// fails notes, under mu, how the latest write or sync went.
func (j *Journal) fails(err error) {
	j.failure, j.tried = err, time.Now()
	j.judge()
}

// probe finds out, under mu, whether the disk takes a record: no call does
// while calls are refused. What it writes is cut off again, at the latest when
// the journal is opened.
func (j *Journal) probe() error {
	if j.closed {
		return os.ErrClosed
	}
	blank := make([]byte, 4<<10)
	if err := j.makeRoom(int64(len(blank))); err != nil {
		return err
	}
	size := j.tail().size
	_, err := j.file.WriteAt(blank, size)
	if err == nil {
		err = j.file.Sync()
	}
	return errors.Join(err, j.cut(size))
}
