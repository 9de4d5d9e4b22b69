package usage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/uuid"
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

// cursorState is how far the ledger has a journal's events.
type cursorState struct {
	Generation   uint64   `json:"generation"`   // grows with each write
	Journal      string   `json:"journal"`      // names the journal; made at random with it
	Acknowledged position `json:"acknowledged"` // the ledger has what is before
	// Pending are the ends of the batches that may be in the ledger already,
	// in order. The first begins at Acknowledged, each other one where the one
	// before it ends.
	Pending []position `json:"pending"`
}

// cursor is the file that keeps a cursorState. It has two slots of a page that
// are written in turn, each one record: so one is always whole, and writing
// takes no room, which on a full disk is what lets the shipper make some.
type cursor struct {
	f     *os.File
	state cursorState
}

const cursorSlot = 4096

// openCursor opens the cursor at path. Where there is none that is readable it
// makes one, of a new journal, and tells so.
func openCursor(path string) (c *cursor, fresh bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	c = &cursor{f: f, state: readCursor(f)}
	if c.state.Generation > 0 {
		return c, false, nil
	}
	c.state.Journal = uuid.NewString()
	for range 2 { // both slots, so that their room is taken
		c.state.Generation++
		if err := c.write(c.state); err != nil {
			return nil, true, errors.Join(err, f.Close())
		}
	}
	return c, true, nil
}

// readCursor returns the newer of the states that are whole, generation 0 where
// none is.
func readCursor(f io.ReaderAt) (newest cursorState) {
	for i := range int64(2) {
		slot := make([]byte, cursorSlot)
		n, _ := f.ReadAt(slot, i*cursorSlot) // unread is as good as damaged
		payload, _ := parseRecord(slot[:n])
		var s cursorState
		if json.Unmarshal(payload, &s) == nil && s.Generation > newest.Generation {
			newest = s
		}
	}
	return newest
}

// write puts s, of the generation after state's, durably into the file. It is
// for the caller to make it the state then.
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
	pass("cursor: write")
	if _, err := c.f.WriteAt(slot, int64(s.Generation%2)*cursorSlot); err != nil {
		return err
	}
	pass("cursor: sync")
	return c.f.Sync()
}

func (c *cursor) close() error { return c.f.Close() }
