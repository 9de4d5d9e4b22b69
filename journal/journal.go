// Package journal keeps usage events on disk until a ledger has them. The Journal
// takes the events, and the pending calls whose results are still to come; the
// Shipper sends them to the ledger in batches; Replay sends again what the ledger
// rejected; Inspect looks at a journal from outside.
package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/time/rate"

	"github.com/tallygate/tallygate/usage"
)

// Journal keeps events on disk until the ledger has them. One process at a time
// can open it; all its methods may be called concurrently.
//
// Its directory contains
//
//	0000000000000001.seg …  segments: one record for each event, in the order of appending
//	cursor                  which events the ledger has, and the batches being sent
//	rejected/               events that the ledger will never take, one JSON file each
//	pending/                calls whose result is still to come, one file each
//	lock                    locked while a process has the journal open
//
// An event whose Append has returned nil survives the death of the process, and
// the death of the machine once it is synced (see SyncMode). A Shipper brings it
// to the ledger once, in order. Damaged records are skipped, logged and counted;
// they never stop the others.
type Journal struct {
	dir     string
	o       atomic.Pointer[Options] // with the defaults filled in
	lock    *flock.Flock
	cursor  *cursor
	pending *pendingCalls

	mu       sync.Mutex
	closed   bool
	segments []segment // oldest first; file belongs to the last one
	file     *os.File  // takes the appends; nil until the first one
	nextSeq  uint64    // of the next segment; no number is ever used twice
	stats    Stats

	wakeAt backlog       // when to send on wake; zero: never
	wake   chan struct{} // for the shipper, capacity 1
	acked  chan struct{} // closed and replaced when the ledger has taken a batch

	syncing
	admission
	logLimit rate.Sometimes // how often lost events are logged
}

// backlog is an amount of events that the ledger does not have yet.
type backlog struct {
	events, bytes int64
}

// Options tunes a journal. The zero value stands for the defaults.
type Options struct {
	Sync         SyncMode      // default SyncByInterval
	SyncInterval time.Duration // for SyncByInterval; default 100 ms

	// MaxBytes is the size of all segments at which the journal is full; default
	// 1 GiB. Room comes back a segment at a time.
	MaxBytes int64
	OnFull   FullMode // default DropWhenFull
	// SegmentBytes is the size at which a segment ends; default 64 MiB, at
	// most a quarter of MaxBytes.
	SegmentBytes int64

	MaxPending int // most pending calls at a time; default 100,000

	Logger *slog.Logger // default slog.Default()
}

// SyncMode says when appended events are forced to the disk, so that they
// survive the death of the machine and not only that of the process.
type SyncMode string

// The modes of syncing.
const (
	SyncByInterval SyncMode = "interval" // all together, every SyncInterval
	SyncAlways     SyncMode = "always"   // before Append returns, once for concurrent callers
	SyncNone       SyncMode = "none"     // when the operating system does, and before events are shipped
)

// FullMode says what is lost when the journal is full: events or calls.
type FullMode string

// The modes of a full journal.
const (
	DropWhenFull   FullMode = "drop"   // events are dropped, calls go on
	RefuseWhenFull FullMode = "refuse" // Admit lets no call begin; calls in flight are recorded, beyond MaxBytes
)

// ErrFull is what Append returns under DropWhenFull, and Admit under
// RefuseWhenFull, when MaxBytes is reached.
var ErrFull = errors.New("the journal is full: the ledger is not taking its events, or not fast enough")

// Stats are a journal's figures. Counters start at zero when it is opened.
type Stats struct {
	PendingEvents int64 // events that the ledger does not have yet; approximate where there is damage
	PendingBytes  int64 // of their records
	Segments      int
	Bytes         int64 // of all segments, to compare with MaxBytes
	PendingCalls  int   // calls whose result is still to come

	Appended      int64 // events
	DroppedFull   int64 // events dropped because the journal was full
	DroppedFailed int64 // events dropped because of an error
	Refused       int64 // calls that Admit refused
	SyncFailures  int64
	CorruptRuns   int64 // runs of damaged records that were skipped, and damaged pending calls
	CorruptBytes  int64
	TornBytes     int64 // cut off the ends of segments when the journal was opened
}

// lockTimeout is how long Open waits for the lock, which Inspect takes for a
// moment.
const lockTimeout = time.Second

// Open opens the journal in dir, and creates it where there is none. It fails
// when another process, or this one, has the journal open already, and when
// another version of Tallygate wrote it in a form that this one cannot read.
func Open(dir string, o Options) (*Journal, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("journal %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	locked, err := lock.TryLockContext(ctx, lockTimeout/50)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("journal %s: lock: %w", dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("journal %s is in use: stop the process that has it open, or give this one a directory of its own", dir)
	}
	j := &Journal{
		dir:      dir,
		lock:     lock,
		nextSeq:  1,
		wake:     make(chan struct{}, 1),
		acked:    make(chan struct{}),
		logLimit: rate.Sometimes{First: 1, Interval: 10 * time.Second},
	}
	j.o.Store(o.withDefaults())
	j.pending = &pendingCalls{dir: filepath.Join(dir, "pending"), logger: func() *slog.Logger { return j.o.Load().Logger }}
	if err := j.recover(); err != nil {
		_ = lock.Close() // err says what is wrong
		return nil, fmt.Errorf("journal %s: %w", dir, err)
	}
	j.startSyncing()
	return j, nil
}

// Configure replaces the options.
func (j *Journal) Configure(o Options) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("journal %s: %w", j.dir, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.o.Store(o.withDefaults())
	j.updateAdmissionLocked()
	notify(j.due) // for what was written under SyncNone
	return nil
}

// Validate returns an error that says what is wrong with the options.
func (o Options) Validate() error {
	switch o.Sync {
	case "", SyncByInterval, SyncAlways, SyncNone:
	default:
		return fmt.Errorf("sync mode %q is none of interval, always, none", o.Sync)
	}
	switch o.OnFull {
	case "", DropWhenFull, RefuseWhenFull:
	default:
		return fmt.Errorf("what to do when it is full, %q, is none of drop, refuse", o.OnFull)
	}
	if o.SyncInterval < 0 || o.MaxBytes < 0 || o.SegmentBytes < 0 || o.MaxPending < 0 {
		return errors.New("a size, a number or a time is negative")
	}
	return nil
}

// withDefaults returns the options with the defaults filled in.
func (o Options) withDefaults() *Options {
	o.Sync = cmp.Or(o.Sync, SyncByInterval)
	o.SyncInterval = cmp.Or(o.SyncInterval, 100*time.Millisecond)
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30)
	o.OnFull = cmp.Or(o.OnFull, DropWhenFull)
	o.SegmentBytes = min(cmp.Or(o.SegmentBytes, 64<<20), o.MaxBytes/4)
	o.MaxPending = cmp.Or(o.MaxPending, 100_000)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return &o
}

var recordBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the size above which a record's buffer is not kept for the next.
const maxPooled = 64 << 10

// Append writes the event to disk. After an error the event is lost, or may be
// lost if only the sync of SyncAlways failed; the error is counted and logged
// here. Append never waits for the ledger.
func (j *Journal) Append(e *usage.Event) error {
	buf := recordBuffers.Get().(*[]byte)
	defer recordBuffers.Put(buf)
	b, err := appendEvent(beginRecord((*buf)[:0]), e)
	if err != nil {
		return j.drop(err)
	}
	if size := len(b) - recordHeader; size > maxPayload {
		return j.drop(fmt.Errorf("event %s is %d bytes long, the journal takes %d", e.ID, size, maxPayload))
	}
	b = endRecord(b)
	if cap(b) <= maxPooled {
		*buf = b
	}
	return j.write(b)
}

// write appends a record, with one system call.
func (j *Journal) write(record []byte) error {
	j.mu.Lock()
	round, err := j.writeLocked(record)
	j.mu.Unlock()
	if err != nil {
		return j.drop(err)
	}
	failpoint("append: done")
	return round.wait()
}

func (j *Journal) writeLocked(record []byte) (*syncRound, error) {
	size := int64(len(record))
	o := j.o.Load()
	if j.closed {
		return nil, os.ErrClosed
	}
	if o.OnFull == DropWhenFull && j.stats.Bytes+size > o.MaxBytes {
		return nil, ErrFull
	}
	if err := j.makeRoomLocked(size); err != nil {
		j.recordErrorLocked(err)
		return nil, err
	}
	tail := j.tail()
	failpoint("append: write")
	if _, err := j.file.WriteAt(record, tail.size); err != nil {
		// A part of the record may have been written, without its newline. The
		// next record overwrites it, and the rest is cut off when the journal is
		// opened again. So an error of Truncate does not matter.
		_ = j.file.Truncate(tail.size)
		j.recordErrorLocked(err)
		return nil, err
	}
	tail.size += size
	j.stats.Bytes += size
	j.lastErr = nil
	j.updateAdmissionLocked()
	j.stats.Appended++
	j.stats.PendingBytes += size
	j.stats.PendingEvents++
	if j.wakeAt.bytes > 0 && j.reached(j.wakeAt) {
		j.wakeAt = backlog{}
		notify(j.wake)
	}
	return j.markWritten(), nil
}

// drop counts and logs an event that is lost because of err, and returns err.
func (j *Journal) drop(err error) error {
	j.mu.Lock()
	if errors.Is(err, ErrFull) {
		j.stats.DroppedFull++
	} else {
		j.stats.DroppedFailed++
		err = fmt.Errorf("append to the journal: %w", err)
	}
	stats := j.stats
	j.mu.Unlock()
	j.logLimit.Do(func() {
		j.o.Load().Logger.Error("usage events are being lost", "journal", j.dir, "error", err,
			"dropped_full", stats.DroppedFull, "dropped_failed", stats.DroppedFailed,
			"pending_events", stats.PendingEvents, "bytes", stats.Bytes, "max_bytes", j.o.Load().MaxBytes)
	})
	return err
}

// waitFor reports whether the backlog has reached an amount. If not, the journal
// sends on wake as soon as it has.
func (j *Journal) waitFor(b backlog) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.reached(b) {
		return true
	}
	j.wakeAt = b
	return false
}

func (j *Journal) reached(b backlog) bool {
	return j.stats.PendingEvents >= b.events || j.stats.PendingBytes >= b.bytes
}

// Stats returns the journal's figures.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Segments = len(j.segments)
	s.PendingCalls = j.pending.len()
	return s
}

// Close syncs and closes the journal. Close its shipper first.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	err := j.stopSyncing()
	if j.file != nil {
		err = errors.Join(err, j.file.Close())
	}
	if err = errors.Join(err, j.cursor.close(), j.lock.Close()); err != nil {
		return fmt.Errorf("close journal %s: %w", j.dir, err)
	}
	return nil
}
