package usage

import (
	"os"
	"testing"
)

// everyWindow has windows from a segment's first byte on.
func everyWindow(t *testing.T) {
	from := windowsFrom
	windowsFrom = 0
	t.Cleanup(func() { windowsFrom = from })
}

// TestWindow: what is put in memory reaches the ledger as what is written does,
// from a process that closes the journal and from one that dies, and leaves
// nothing to be told of.
func TestWindow(t *testing.T) {
	everyWindow(t)
	dir := t.TempDir()
	j := openJournal(t, dir, JournalOptions{SegmentBytes: 3 << 20})
	kept := appendEvents(t, j, 12_000) // several windows, and segments
	if !j.window.isOpen() {
		t.Fatal("there is no window")
	}
	if s := j.Stats(); s.Segments < 2 {
		t.Fatalf("stats %+v: there is one segment", s)
	}
	died := t.TempDir()
	if err := os.CopyFS(died, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	for _, dir := range []string{dir, died} {
		j := openJournal(t, dir, JournalOptions{})
		if s := j.Stats(); s.TornBytes != 0 || s.CorruptBytes != 0 || s.PendingEvents != int64(len(kept)) || s.Bytes != s.PendingBytes {
			t.Errorf("stats %+v, want %d pending events and no damage", s, len(kept))
		}
		for _, segment := range j.segments {
			if info, err := os.Stat(j.path(segment.seq)); err != nil || info.Size() != segment.size {
				t.Errorf("segment %d: %v, want %d bytes (%v)", segment.seq, info, segment.size, err)
			}
		}
		l := newFakeLedger()
		ship(t, j, l)
		l.check(t, kept)
		closeJournal(t, j)
	}
}

// TestWindowFaults: where the memory cannot be touched, as when a disk fails,
// the process lives, and the event is written.
func TestWindowFaults(t *testing.T) {
	everyWindow(t)
	j := openJournal(t, t.TempDir(), JournalOptions{})
	defer closeJournal(t, j)
	kept := appendEvents(t, j, 10)
	l := newFakeLedger()
	ship(t, j, l)
	if err := j.file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, appendEvents(t, j, 10)...)
	ship(t, j, l)
	l.check(t, kept)
}
