package usage

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
)

// Journal holds events on disk until the ledger has them. One process at a
// time has it; all its methods may be called concurrently.
//
// Its directory holds
//
//	0000000000000001.seg …  segments: records, one an event, appended in order
//	cursor                  how far the ledger has them, and the batches under way
//	rejected/               events that the ledger will never take, one JSON file each
//	held/                   calls whose result is still to come, one file each
//	lock                    held while a process has the journal
//
// Zeros may stand behind the records of the segment that takes the appends (see
// window); who reads it stops at its last newline.
//
// What it promises: an event whose Append has returned nil survives the death
// of the process, and the death of the machine once it is synced (see
// SyncMode). A Shipper brings it to the ledger once, in order. What is damaged
// on disk is skipped, logged and counted, and never stops the rest.
type Journal struct {
	dir    string
	o      atomic.Pointer[JournalOptions] // complete
	lock   *flock.Flock
	cursor *cursor

	mu       sync.Mutex
	closed   bool
	segments []segment // oldest first; the last one is file's, where there is a file
	file     *os.File  // takes the appends; nil until the first one
	window   window    // of file
	nextSeq  uint64    // of the next segment; no number is ever used twice
	stats    JournalStats

	want  backlog       // when to send on wake; zero: never
	wake  chan struct{} // for the shipper, capacity 1
	acked chan struct{} // closed, and replaced, when the ledger has taken a batch

	syncing
	holding
	admission
	complain rate.Sometimes // how often lost events are logged
}

// segment is one file of the journal.
type segment struct {
	seq  uint64
	size int64 // what lies beyond, after a failed write, is not part of it
}

// backlog is an amount of events that the ledger does not have yet.
type backlog struct {
	events, bytes int64
}

// JournalOptions tunes a journal. The zero value stands for the defaults.
type JournalOptions struct {
	Sync         SyncMode      // default SyncByInterval
	SyncInterval time.Duration // for SyncByInterval; default 100 ms

	// MaxBytes is the size of all segments above which the journal is full;
	// default 1 GiB. Room comes back a segment at a time.
	MaxBytes int64
	OnFull   FullMode // default DropWhenFull
	// SegmentBytes is the size at which a segment ends; default 64 MiB, at
	// most a quarter of MaxBytes.
	SegmentBytes int64

	MaxHeld int // most calls that are held at a time; default 100,000

	Logger *slog.Logger // default slog.Default()
}

// SyncMode says when appended events are forced to the disk, so that they
// survive the death of the machine and not only that of the process.
type SyncMode string

// The modes.
const (
	SyncByInterval SyncMode = "interval" // together, every SyncInterval
	SyncAlways     SyncMode = "always"   // before Append returns, callers together
	SyncNone       SyncMode = "none"     // when the operating system does, or before they are shipped
)

// FullMode says what a full journal costs: events or calls.
type FullMode string

// The modes.
const (
	DropWhenFull   FullMode = "drop"   // events are dropped, calls go on
	RefuseWhenFull FullMode = "refuse" // Admit lets no call begin; those under way are recorded, beyond MaxBytes
)

// ErrJournalFull is what Append returns under DropWhenFull, and Admit under
// RefuseWhenFull, when MaxBytes is reached.
var ErrJournalFull = errors.New("the journal is full: the ledger is not taking its events, or not fast enough")

// JournalStats are a journal's figures. Counters begin when it is opened.
type JournalStats struct {
	PendingEvents int64 // that the ledger does not have yet; approximate where there is damage
	PendingBytes  int64
	Segments      int
	Bytes         int64 // of all segments, to compare with MaxBytes
	Held          int   // calls whose result is still to come

	Appended      int64 // events
	DroppedFull   int64 // events that met a full journal
	DroppedFailed int64 // events that could not be written
	Refused       int64 // calls that Admit did not let begin
	SyncFailures  int64
	CorruptRuns   int64 // stretches of damaged records that were skipped, and damaged held calls
	CorruptBytes  int64
	TornBytes     int64 // cut off segments' ends when the journal was opened
}

// lockTimeout is how long OpenJournal waits for InspectJournal, which has the
// lock for a moment.
const lockTimeout = time.Second

// OpenJournal opens the journal in dir, and makes it where there is none. It
// fails when another process, or this one, has the journal open already.
func OpenJournal(dir string, o JournalOptions) (*Journal, error) {
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
		complain: rate.Sometimes{First: 1, Interval: 10 * time.Second},
	}
	j.o.Store(o.complete())
	if err := j.recover(); err != nil {
		_ = lock.Close() // err tells what is wrong
		return nil, fmt.Errorf("journal %s: %w", dir, err)
	}
	j.startSyncing()
	return j, nil
}

// Configure sets other options.
func (j *Journal) Configure(o JournalOptions) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("journal %s: %w", j.dir, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.o.Store(o.complete())
	j.judge()
	select {
	case j.due <- struct{}{}: // for what was written while nothing was to be synced
	default:
	}
	return nil
}

// Validate tells what is wrong with the options.
func (o JournalOptions) Validate() error {
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
	if o.SyncInterval < 0 || o.MaxBytes < 0 || o.SegmentBytes < 0 || o.MaxHeld < 0 {
		return errors.New("a size, a number or a time is negative")
	}
	return nil
}

// complete returns valid options with the defaults filled in.
func (o JournalOptions) complete() *JournalOptions {
	o.Sync = cmp.Or(o.Sync, SyncByInterval)
	o.SyncInterval = cmp.Or(o.SyncInterval, 100*time.Millisecond)
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<30)
	o.OnFull = cmp.Or(o.OnFull, DropWhenFull)
	o.SegmentBytes = min(cmp.Or(o.SegmentBytes, 64<<20), o.MaxBytes/4)
	o.MaxHeld = cmp.Or(o.MaxHeld, 100_000)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return &o
}

var recordBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Append writes the event to disk. An error means that the event is lost, or,
// where only the sync of SyncAlways failed, that it may be; it is counted and
// logged here. Append never waits for the ledger.
func (j *Journal) Append(e *Event) error {
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
	if cap(b) <= 64<<10 { // a huge one would stay in the pool
		*buf = b
	}
	return j.write(b)
}

// write appends a record: in memory where there is a window, else with one
// system call.
func (j *Journal) write(record []byte) error {
	size := int64(len(record))
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return j.drop(os.ErrClosed)
	}
	o := j.o.Load()
	if o.OnFull == DropWhenFull && j.stats.Bytes+size > o.MaxBytes {
		j.mu.Unlock()
		return j.drop(ErrJournalFull)
	}
	if err := j.makeRoom(size); err != nil {
		j.fails(err)
		j.mu.Unlock()
		return j.drop(err)
	}
	tail := j.tail()
	pass("append: write")
	if err := j.put(record, tail.size, o.SegmentBytes); err != nil {
		// A part may be there now. It has no newline; the next record goes
		// over it, and what then is left of it is cut when the journal is
		// opened again. So that this cleans up too is no more than tidy.
		_ = j.cut(tail.size)
		j.fails(err)
		j.mu.Unlock()
		return j.drop(err)
	}
	tail.size += size
	j.stats.Bytes += size
	j.failure = nil
	j.judge()
	j.stats.Appended++
	j.stats.PendingBytes += size
	j.stats.PendingEvents++
	if j.want.bytes > 0 && j.reached(j.want) {
		j.want = backlog{}
		j.nudge()
	}
	synced := j.written()
	j.mu.Unlock()
	pass("append: done")
	if synced == nil {
		return nil
	}
	return synced.wait()
}

func (j *Journal) put(record []byte, at, segmentBytes int64) error {
	if j.window.put(j.file, record, at, segmentBytes) {
		return nil
	}
	_, err := j.file.WriteAt(record, at)
	return err
}

// cut has the last segment's file end at its size.
func (j *Journal) cut(size int64) error {
	j.window.close() // what is beyond a file's end must not be touched
	return j.file.Truncate(size)
}

func (j *Journal) tail() *segment { return &j.segments[len(j.segments)-1] }

// makeRoom begins a segment where the last one has no room for a record.
func (j *Journal) makeRoom(size int64) error {
	if j.file != nil && (j.tail().size == 0 || j.tail().size+size <= j.o.Load().SegmentBytes) {
		return nil
	}
	return j.roll()
}

func (j *Journal) roll() error {
	seq := j.nextSeq
	j.nextSeq++
	pass("roll: create")
	f, err := os.OpenFile(j.path(seq), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	pass("roll: sync")
	if err := syncDir(j.dir); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if j.file != nil {
		if j.window.isOpen() {
			_ = j.cut(j.tail().size) // where that fails, the next opening does it
		}
		j.sealed = append(j.sealed, j.file)
	}
	j.window = window{}
	j.file = f
	j.segments = append(j.segments, segment{seq: seq})
	return nil
}

// drop counts and logs an event that is lost to err, and returns err.
func (j *Journal) drop(err error) error {
	j.mu.Lock()
	if errors.Is(err, ErrJournalFull) {
		j.stats.DroppedFull++
	} else {
		j.stats.DroppedFailed++
		err = fmt.Errorf("append to the journal: %w", err)
	}
	stats := j.stats
	j.mu.Unlock()
	j.complain.Do(func() {
		j.o.Load().Logger.Error("usage events are being lost", "journal", j.dir, "error", err,
			"dropped_full", stats.DroppedFull, "dropped_failed", stats.DroppedFailed,
			"pending_events", stats.PendingEvents, "bytes", stats.Bytes, "max_bytes", j.o.Load().MaxBytes)
	})
	return err
}

// expect tells whether the backlog has reached an amount; if not, it has wake
// sent on as soon as it does.
func (j *Journal) expect(b backlog) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.reached(b) {
		return true
	}
	j.want = b
	return false
}

func (j *Journal) reached(b backlog) bool {
	return j.stats.PendingEvents >= b.events || j.stats.PendingBytes >= b.bytes
}

func (j *Journal) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Stats returns the journal's figures.
func (j *Journal) Stats() JournalStats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Segments = len(j.segments)
	s.Held = len(j.held)
	return s
}

// Close syncs the journal and lets go of it. Close its shipper first.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	err := j.stopSyncing()
	if j.window.isOpen() {
		err = errors.Join(err, j.cut(j.tail().size))
	}
	if j.file != nil {
		err = errors.Join(err, j.file.Close())
	}
	if err = errors.Join(err, j.cursor.close(), j.lock.Close()); err != nil {
		return fmt.Errorf("close journal %s: %w", j.dir, err)
	}
	return nil
}
