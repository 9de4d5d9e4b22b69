package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tallygate/tallygate/usage"
)

// maxBatchBytes bounds the records of a batch, and so the memory that shipping
// takes, however large the backlog is.
const maxBatchBytes = maxPayload

// batch is the events between two positions of the journal.
type batch struct {
	usage.Batch
	from, to position
	ends     []position // of the events' records
	bytes    int64      // of the events' payloads
	lines    int64      // newlines between from and to
	corrupt  []corruptRun
}

// corruptRun is a part of a segment that holds no intact record.
type corruptRun struct {
	at    position
	bytes int64
}

// hasBatch reports whether the cursor has the bounds of a batch that the ledger
// has not acknowledged.
func (j *Journal) hasBatch() bool { return len(j.cursor.state.Pending) > 0 }

// nextBatch returns the first batch that the ledger has not acknowledged. Its
// bounds are durable, and so are the events between them: until it is
// acknowledged or split, this process and the next get the same batch under the
// same token. A new batch has at most maxEvents events.
//
// Only one goroutine, the shipper's, may call it and split, setAside and
// acknowledge.
func (j *Journal) nextBatch(maxEvents int) (*batch, error) {
	if j.hasBatch() {
		return j.read(j.cursor.state.Pending[0], 0)
	}
	b, err := j.read(j.end(), maxEvents)
	if err != nil {
		return nil, err
	}
	failpoint("bounds: sync")
	if err := j.sync(); err != nil {
		return nil, err
	}
	s := j.cursor.state
	s.Pending = []position{b.to}
	failpoint("bounds: write")
	return b, j.moveCursor(s)
}

// end returns the position after the last event appended.
func (j *Journal) end() position {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.segments) == 0 {
		return j.cursor.state.Acknowledged
	}
	return position{j.tail().seq, j.tail().size}
}

// read reads the events from the acknowledged position to another one, but no
// more than maxEvents and maxBatchBytes. With maxEvents 0 neither limit applies:
// the position is then the end of a batch that was made within them.
func (j *Journal) read(to position, maxEvents int) (*batch, error) {
	j.mu.Lock()
	segments := slices.Clone(j.segments)
	expected := min(j.stats.PendingEvents, int64(maxEvents))
	j.mu.Unlock()
	from := j.cursor.state.Acknowledged
	b := &batch{from: from, to: from, ends: make([]position, 0, expected)}
	b.Events = make([]usage.Event, 0, expected)
	for _, seg := range segments {
		if seg.seq < from.Segment || seg.seq > to.Segment {
			continue
		}
		start, end := int64(0), seg.size
		if seg.seq == from.Segment {
			start = from.Offset
		}
		if seg.seq == to.Segment {
			end = min(end, to.Offset)
		}
		full, err := j.readSegment(b, seg.seq, start, end, maxEvents)
		if err != nil {
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		if full {
			to = b.to
			break
		}
	}
	b.to = to
	b.Token = fmt.Sprintf("%s-%s-%s", j.cursor.state.Journal, b.from, b.to)
	return b, nil
}

// readSegment adds the events between two offsets of a segment to the batch, and
// reports whether the limits ended it.
func (j *Journal) readSegment(b *batch, seq uint64, start, end int64, maxEvents int) (full bool, err error) {
	f, err := os.Open(j.path(seq))
	if errors.Is(err, fs.ErrNotExist) { // somebody removed it
		b.corrupt = append(b.corrupt, corruptRun{position{seq, start}, end - start})
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()

	sc := newScanner(f, start, end)
	lines := b.lines
	good := start // where the last event ends
	for {
		payload, _, err := sc.next()
		if errors.Is(err, io.EOF) {
			b.skip(seq, good, end)
			b.lines = lines + sc.lines
			return false, nil
		}
		if err != nil {
			return false, err
		}
		size := int64(len(payload))
		if maxEvents > 0 && len(b.Events) > 0 && (len(b.Events) == maxEvents || b.bytes+size > maxBatchBytes) {
			return true, nil
		}
		n := len(b.Events)
		b.Events = append(b.Events, usage.Event{})
		if readEvent(payload, &b.Events[n]) != nil {
			b.Events = b.Events[:n]
			continue // intact, but not an event: treated as damage
		}
		b.skip(seq, good, sc.offset-size-recordFrame)
		good = sc.offset
		b.to = position{seq, good}
		b.lines = lines + sc.lines
		b.bytes += size
		b.ends = append(b.ends, b.to)
	}
}

// skip records a run of damage, unless it is empty.
func (b *batch) skip(seq uint64, from, to int64) {
	if from < to {
		b.corrupt = append(b.corrupt, corruptRun{position{seq, from}, to - from})
	}
}

// split replaces b, the first batch, by its two halves.
func (j *Journal) split(b *batch) error {
	s := j.cursor.state
	s.Pending = slices.Insert(slices.Clone(s.Pending), 0, b.ends[len(b.ends)/2-1])
	failpoint("split: write")
	return j.moveCursor(s)
}

// setAside writes the event of b, a batch of one, durably to the directory
// rejected, for a person to look at. Doing so twice has the same result.
func (j *Journal) setAside(b *batch, reason error) (file string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("set a rejected event aside: %w", err)
		}
	}()
	dir := filepath.Join(j.dir, "rejected")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	data, err := json.Marshal(setAsideFile{reason.Error(), b.Token, b.Events})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, fmt.Sprintf("%016d-%012d.json", b.from.Segment, b.from.Offset))
	f, err := os.OpenFile(file+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	failpoint("set aside: write")
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	failpoint("set aside: rename")
	if err := os.Rename(f.Name(), file); err != nil {
		return "", err
	}
	failpoint("set aside: sync")
	return file, errors.Join(syncDir(dir), syncDir(j.dir))
}

// acknowledge records that b, the first batch, need not be sent again, and
// removes the segments that are not needed any more.
func (j *Journal) acknowledge(b *batch) error {
	s := j.cursor.state
	s.Acknowledged = b.to
	s.Pending = slices.Clone(s.Pending[1:])
	s.Generation++
	failpoint("acknowledge: write")
	if err := j.cursor.write(s); err != nil {
		return fmt.Errorf("acknowledge a batch in the journal: %w", err)
	}
	j.pending.retryRemovals()
	needless := j.release(b, s)
	for _, run := range b.corrupt {
		j.o.Load().Logger.Error("skipped damaged usage events in the journal", "journal", j.dir,
			"segment", run.at.Segment, "offset", run.at.Offset, "bytes", run.bytes)
	}
	j.removeSegments(needless)
	return nil
}

// release makes s, in which b is acknowledged, the cursor's state. It updates the
// figures and returns the segments that are not needed any more.
func (j *Journal) release(b *batch, s cursorState) (needless []segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cursor.state = s
	pinned := j.pending.pinned()
	keep := slices.IndexFunc(j.segments, func(seg segment) bool {
		return position{seg.seq, seg.size}.compare(b.to) > 0 || seg.seq >= pinned || j.file != nil && seg.seq == j.tail().seq
	})
	if keep < 0 {
		keep = len(j.segments)
	}
	needless = slices.Clone(j.segments[:keep])
	j.segments = slices.Delete(j.segments, 0, keep)
	j.stats.Bytes, j.stats.PendingBytes = 0, 0
	for _, seg := range j.segments {
		j.stats.Bytes += seg.size
		switch cmp.Compare(seg.seq, b.to.Segment) {
		case 0:
			j.stats.PendingBytes += seg.size - b.to.Offset
		case 1:
			j.stats.PendingBytes += seg.size
		}
	}
	j.stats.PendingEvents = max(0, j.stats.PendingEvents-b.lines)
	if j.stats.PendingBytes == 0 {
		j.stats.PendingEvents = 0 // the count was wrong where lines were damaged
	}
	j.updateAdmissionLocked()
	for _, run := range b.corrupt {
		j.stats.CorruptRuns++
		j.stats.CorruptBytes += run.bytes
	}
	close(j.acked)
	j.acked = make(chan struct{})
	return needless
}

// removeSegments removes segments. Those that it cannot remove are removed when
// the journal is opened again.
func (j *Journal) removeSegments(needless []segment) {
	if len(needless) == 0 {
		return
	}
	err := j.pending.syncRemovals()
	for _, seg := range needless {
		if err != nil {
			break
		}
		failpoint("acknowledge: remove")
		if removeErr := os.Remove(j.path(seg.seq)); !errors.Is(removeErr, fs.ErrNotExist) {
			err = removeErr
		}
	}
	if err != nil {
		j.o.Load().Logger.Warn("segments that are not needed any more stay until the journal is opened again", "journal", j.dir, "error", err)
	}
}

// moveCursor makes s, a changed copy of the cursor's state, the new state.
func (j *Journal) moveCursor(s cursorState) error {
	s.Generation++
	if err := j.cursor.write(s); err != nil {
		return fmt.Errorf("write down a batch's bounds in the journal: %w", err)
	}
	j.mu.Lock()
	j.cursor.state = s
	j.mu.Unlock()
	return nil
}
