package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// position is a place between two records.
type position struct {
	Segment uint64 `json:"segment"`
	Offset  int64  `json:"offset"`
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.Segment, q.Segment), cmp.Compare(p.Offset, q.Offset))
}

func (p position) String() string {
	return fmt.Sprintf("%d.%d", p.Segment, p.Offset)
}

// cursorState says which of a journal's events the ledger has.
type cursorState struct {
	Generation   uint64   `json:"generation"`   // grows with each write
	Journal      string   `json:"journal"`      // names the journal; random, made with it
	Columns      int      `json:"columns"`      // most values that one of its records may have
	Acknowledged position `json:"acknowledged"` // the ledger has everything before it
	// Pending are the ends of the batches that the ledger may have already, in
	// order. The first batch begins at Acknowledged, each other one where the
	// batch before it ends.
	Pending []position `json:"pending"`
}

// compatible returns an error when this program cannot read the journal's records.
func (s cursorState) compatible() error {
	switch known := len(usage.StoredColumns); {
	case s.Columns < fewestColumns:
		return errors.New("an earlier version of Tallygate wrote it, in a format that is no longer read: let that version send what is left to the ledger, then move the directory away")
	case s.Columns > known:
		return fmt.Errorf("a newer version of Tallygate wrote it: its records have up to %d columns, and this version knows %d: run the newer version", s.Columns, known)
	}
	return nil
}

// cursor is the file that keeps a cursorState. It has two slots of one page,
// each of which holds one record, and they are written alternately. So one of
// them is always intact. Writing also needs no new room on the disk: on a full
// disk this is what lets the shipper free some.
type cursor struct {
	f     *os.File
	state cursorState
}

const cursorSlot = 4096

// openCursor opens the cursor at path. Where there is no readable one it creates
// the cursor of a new journal and returns fresh.
func openCursor(path string) (c *cursor, fresh bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	c = &cursor{f: f, state: readCursor(f)}
	writes := 0
	if c.state.Generation == 0 {
		fresh, writes = true, 2 // both slots, so that both have their room on the disk
		c.state.Journal = uuid.NewString()
	} else if err = c.state.compatible(); c.state.Columns < len(usage.StoredColumns) {
		writes = 1
	}
	c.state.Columns = len(usage.StoredColumns)
	for ; writes > 0 && err == nil; writes-- {
		c.state.Generation++
		err = c.write(c.state)
	}
	if err != nil {
		return nil, fresh, errors.Join(err, f.Close())
	}
	return c, fresh, nil
}

// readCursor returns the newer of the intact states, or one of generation 0 when
// neither is intact.
func readCursor(f io.ReaderAt) (newest cursorState) {
	for i := range int64(2) {
		slot := make([]byte, cursorSlot)
		n, _ := f.ReadAt(slot, i*cursorSlot) // a slot that cannot be read counts as damaged
		payload, _ := parseRecord(slot[:n])
		var s cursorState
		if json.Unmarshal(payload, &s) == nil && s.Generation > newest.Generation {
			newest = s
		}
	}
	return newest
}

// write writes s durably to the file. Its generation must be the one after
// c.state's. The caller sets c.state afterwards.
func (c *cursor) write(s cursorState) error {
	payload, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	slot := endRecord(append(beginRecord(nil), payload...))
	if len(slot) > cursorSlot {
		return fmt.Errorf("cursor: %d pending batches are too many", len(s.Pending))
	}
	for len(slot) < cursorSlot {
		slot = append(slot, '\n')
	}
	failpoint("cursor: write")
	if _, err := c.f.WriteAt(slot, int64(s.Generation%2)*cursorSlot); err != nil {
		return err
	}
	failpoint("cursor: sync")
	return c.f.Sync()
}

func (c *cursor) close() error { return c.f.Close() }
