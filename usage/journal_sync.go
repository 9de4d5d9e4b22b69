package usage

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// syncing is the part of a journal that forces what is written to the disk,
// for all callers at once.
type syncing struct {
	// Guarded by the journal's mu.
	dirty  bool       // written to since the last sync began
	sealed []*os.File // ended segments, open until they are synced
	round  *syncRound // what those wait for who wrote since then

	syncMu sync.Mutex    // held during a sync
	due    chan struct{} // capacity 1
	stop   chan struct{}
	done   chan struct{} // closed when syncLoop has ended
}

// syncRound is one sync that callers of Append wait for.
type syncRound struct {
	done chan struct{}
	err  error
}

func (r *syncRound) wait() error {
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

// syncLoop syncs some time after the first write since the last sync.
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
		_ = j.sync() // reported there
	}
}

// written notes, under mu, that a record was written. What it returns, if
// anything, its writer has to wait for.
func (j *Journal) written() *syncRound {
	j.dirty = true
	if j.o.Load().Sync != SyncNone {
		select {
		case j.due <- struct{}{}:
		default:
		}
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
	j.syncMu.Lock() // also waits for a sync that has taken our writes along
	defer j.syncMu.Unlock()
	j.mu.Lock()
	sealed, file, held, round := j.sealed, j.file, j.unsynced, j.round
	j.sealed, j.unsynced, j.round = nil, nil, nil
	if !j.dirty {
		file = nil
	}
	j.dirty = false
	j.window.synced()
	j.mu.Unlock()

	var err error
	for _, f := range sealed {
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if file != nil {
		pass("sync: segment")
		err = errors.Join(err, file.Sync())
	}
	err = errors.Join(err, j.syncHeld(held))
	if err != nil {
		err = fmt.Errorf("sync the journal: %w", err)
		j.mu.Lock()
		j.stats.SyncFailures++
		j.dirty = true // no batch goes out over what this sync left behind
		j.fails(err)
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
