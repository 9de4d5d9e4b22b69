package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// segment is one file of the journal.
type segment struct {
	seq  uint64
	size int64 // bytes after it, left by a failed write, do not belong to it
}

func segmentName(seq uint64) string { return fmt.Sprintf("%016d.seg", seq) }

func (j *Journal) path(seq uint64) string { return filepath.Join(j.dir, segmentName(seq)) }

func (j *Journal) tail() *segment { return &j.segments[len(j.segments)-1] }

// makeRoomLocked begins a segment unless the last one has room for a record.
func (j *Journal) makeRoomLocked(size int64) error {
	if j.file != nil && (j.tail().size == 0 || j.tail().size+size <= j.o.Load().SegmentBytes) {
		return nil
	}
	return j.beginSegmentLocked()
}

func (j *Journal) beginSegmentLocked() error {
	seq := j.nextSeq
	j.nextSeq++
	failpoint("segment: create")
	f, err := os.OpenFile(j.path(seq), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	failpoint("segment: sync")
	if err := syncDir(j.dir); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if j.file != nil {
		j.sealed = append(j.sealed, j.file)
	}
	j.file = f
	j.segments = append(j.segments, segment{seq: seq})
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

// countLines counts the lines of a segment from start on. It returns where the
// last of them ends (start, when there is none) and the size of the file.
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
