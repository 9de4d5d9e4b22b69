package usage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func segmentName(seq uint64) string { return fmt.Sprintf("%016d.seg", seq) }

func (j *Journal) path(seq uint64) string { return filepath.Join(j.dir, segmentName(seq)) }

// recover reads what the last process left. Appends go on in a new segment:
// even where the machine has lost the end of the last one, no position, and so
// no batch's token, comes to stand for other events than before.
func (j *Journal) recover() error {
	found, err := findSegments(j.dir)
	if err != nil {
		return err
	}
	c, fresh, err := openCursor(filepath.Join(j.dir, "cursor"))
	if err != nil {
		return err
	}
	j.cursor = c
	if fresh && len(found) > 0 {
		j.o.Load().Logger.Error("the journal's cursor is missing or damaged: the events in its segments are sent again under new tokens, and those that the ledger has already are stored twice",
			"journal", j.dir, "segments", len(found))
	}
	if fresh {
		if err := syncDir(j.dir); err != nil {
			return errors.Join(err, c.close())
		}
	}
	if err := j.recoverHeld(found); err != nil { // before a segment goes
		return errors.Join(err, c.close())
	}
	j.nextSeq = c.state.Acknowledged.Segment + 1
	for _, p := range c.state.Pending {
		j.nextSeq = max(j.nextSeq, p.Segment+1)
	}
	for _, seq := range found {
		j.nextSeq = max(j.nextSeq, seq+1)
		if err := j.recoverSegment(seq); err != nil {
			return errors.Join(err, c.close())
		}
	}
	return nil
}

// findSegments lists the segments in a directory, oldest first.
func findSegments(dir string) (found []uint64, err error) {
	entries, err := os.ReadDir(dir) // sorted by name
	for _, entry := range entries {
		var seq uint64
		if _, err := fmt.Sscanf(entry.Name(), "%d.seg", &seq); err == nil && entry.Name() == segmentName(seq) {
			found = append(found, seq)
		}
	}
	return found, err
}

// recoverSegment cuts the segment's torn end, counts what the ledger does not
// have yet, and removes the segment where that is nothing.
func (j *Journal) recoverSegment(seq uint64) error {
	acked := j.cursor.state.Acknowledged
	if seq < acked.Segment {
		return os.Remove(j.path(seq))
	}
	var start int64
	if seq == acked.Segment {
		start = acked.Offset
	}
	f, err := os.OpenFile(j.path(seq), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	lines, end, size, err := countLines(f, start)
	if err == nil && end < size {
		var torn int64
		if torn, err = untilZeros(f, end, size); torn > 0 {
			j.stats.TornBytes += torn
			j.o.Load().Logger.Warn("cut a record that was not written to its end", "journal", j.dir,
				"segment", seq, "offset", end, "bytes", torn)
		}
		err = errors.Join(err, f.Truncate(end))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if lines == 0 {
		return os.Remove(j.path(seq))
	}
	j.segments = append(j.segments, segment{seq: seq, size: end})
	j.stats.Bytes += end
	j.stats.PendingBytes += end - start
	j.stats.PendingEvents += lines
	return nil
}

// countLines counts the lines from start on, and tells where the last of them
// ends (at start, when there is none) and how long the file is.
func countLines(f *os.File, start int64) (lines, end, size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, 0, err
	}
	size, end = info.Size(), start
	buf := make([]byte, min(size-min(start, size), 256<<10))
	for at := start; at < size; {
		n, err := f.ReadAt(buf, at)
		if n == 0 {
			return 0, 0, 0, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		lines += int64(bytes.Count(buf[:n], []byte{'\n'}))
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			end = at + int64(i) + 1
		}
		at += int64(n)
	}
	return lines, end, size, nil
}

// untilZeros is how much of a file from an offset to its end stands before the
// zeros that it ends in, which were a window's.
func untilZeros(f *os.File, from, size int64) (n int64, err error) {
	end := make([]byte, min(size-from, maxTorn))
	if _, err := f.ReadAt(end, from); err != nil {
		return 0, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if n = int64(len(bytes.TrimRight(end, "\x00"))); n == maxTorn {
		n = size - from // whatever that is
	}
	return n, nil
}

// maxTorn is more than a record that was not put to its end, and the zeros of a
// window behind it.
const maxTorn = recordFrame + maxPayload + 2<<20
