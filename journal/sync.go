package journal

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// syncing is the part of a journal that forces what is written to the disk, once
// for all callers.
type syncing struct {
	// Guarded by the journal's mu.
	dirty  bool       // whether something was written since the last sync began
	sealed []*os.File // ended segments, open until they are synced
	round  *syncRound // the next sync, where somebody waits for it

	syncMu sync.Mutex    // held during a sync
	due    chan struct{} // capacity 1
	stop   chan struct{}
	done   chan struct{} // closed when syncLoop has ended
}

// syncRound is one sync that writers wait for. A nil one needs no waiting.
type syncRound struct {
	done chan struct{}
	err  error
}

func (r *syncRound) wait() error {
	if r == nil {
		return nil
	}
	<-r.done
	return r.err
}

func (j *Journal) startSyncing() {
	j.due = make(chan struct{}, 1)
	j.stop = make(chan struct{})
	j.done = make(chan struct{})
	go j.syncLoop()
}

func (j *Journal) stopSyncing() error {
	close(j.stop)
	<-j.done
	return j.sync()
}

// syncLoop syncs SyncInterval after the first write since the last sync.
func (j *Journal) syncLoop() {
	defer close(j.done)
	for {
		select {
		case <-j.due:
		case <-j.stop:
			return
		}
		if o := j.o.Load(); o.Sync == SyncByInterval {
			select {
			case <-time.After(o.SyncInterval):
			case <-j.stop:
				return
			}
		}
		_ = j.sync() // which logs the error
	}
}

// markWritten is called with mu held after each write. It returns the sync that
// the writer has to wait for, nil when there is none.
func (j *Journal) markWritten() *syncRound {
	j.dirty = true
	if j.o.Load().Sync != SyncNone {
		notify(j.due)
	}
	if j.o.Load().Sync != SyncAlways {
		return nil
	}
	if j.round == nil {
		j.round = &syncRound{done: make(chan struct{})}
	}
	return j.round
}

// sync forces to the disk what was written before it was called.
func (j *Journal) sync() error {
	j.syncMu.Lock() // also waits for a sync that covers our writes
	defer j.syncMu.Unlock()
	j.mu.Lock()
	sealed, file, round := j.sealed, j.file, j.round
	j.sealed, j.round = nil, nil
	if !j.dirty {
		file = nil
	}
	j.dirty = false
	j.mu.Unlock()

	var err error
	for _, f := range sealed {
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if file != nil {
		failpoint("sync: segment")
		err = errors.Join(err, file.Sync())
	}
	err = errors.Join(err, j.pending.sync())
	if err != nil {
		err = fmt.Errorf("sync the journal: %w", err)
		j.mu.Lock()
		j.stats.SyncFailures++
		j.dirty = true // no batch is sent before what this sync missed is synced
		j.recordErrorLocked(err)
		j.mu.Unlock()
		j.o.Load().Logger.Error("the journal could not be forced to the disk: recent usage events are lost if the machine fails",
			"journal", j.dir, "error", err)
	}
	if round != nil {
		round.err = err
		close(round.done)
	}
	return err
}

// notify sends to a channel of capacity 1, unless it is full already.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// syncDir makes the creation, renaming and removal of a directory's files
// durable.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // has no such call
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
