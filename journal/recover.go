package journal

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"
)

// recover reads what the last process left. Appends go to a new segment: even
// if the machine lost the end of the last one, a position, and so a batch's
// token, never stands for other events than before.
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
	if err := j.recoverFiles(found, fresh); err != nil {
		return errors.Join(err, c.close())
	}
	return nil
}

func (j *Journal) recoverFiles(found []uint64, fresh bool) error {
	if fresh && len(found) > 0 {
		j.o.Load().Logger.Error("the journal's cursor is missing or damaged: the events in its segments are sent again under new tokens, and those that the ledger has already are stored twice",
			"journal", j.dir, "segments", len(found))
	}
	if fresh {
		if err := syncDir(j.dir); err != nil {
			return err
		}
	}
	// Before a segment is removed: it may say which calls have finished.
	err := j.pending.recover(func(yield func(uuid.UUID) error) error {
		for _, seq := range found {
			if err := j.eachID(seq, yield); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	j.nextSeq = j.cursor.state.Acknowledged.Segment + 1
	for _, p := range j.cursor.state.Pending {
		j.nextSeq = max(j.nextSeq, p.Segment+1)
	}
	for _, seq := range found {
		j.nextSeq = max(j.nextSeq, seq+1)
		if err := j.recoverSegment(seq); err != nil {
			return err
		}
	}
	return nil
}

// recoverSegment truncates the segment after its last whole line and counts the
// events that the ledger does not have. It removes a segment without any.
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
		j.stats.TornBytes += size - end
		j.o.Load().Logger.Warn("cut off a record that was not written completely", "journal", j.dir,
			"segment", seq, "offset", end, "bytes", size-end)
		err = f.Truncate(end)
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

// eachID calls f with the ID of each event of a segment.
func (j *Journal) eachID(seq uint64, f func(uuid.UUID) error) (err error) {
	file, err := os.Open(j.path(seq))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	sc := newScanner(file, 0, info.Size())
	for {
		payload, _, err := sc.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if id, ok := eventID(payload); ok {
			if err := f(id); err != nil {
				return err
			}
		}
	}
}
