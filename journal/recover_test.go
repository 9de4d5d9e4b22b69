package journal

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/usage"
)

// Wherever the last write was torn, what came before it is kept, and appends
// after it are.
func TestJournalTornTail(t *testing.T) {
	root := memoryDir(t)
	dir := filepath.Join(root, "whole")
	j := openJournal(t, dir, Options{})
	events := make([]usage.Event, 3)
	var ends []int64
	for i := range events {
		events[i] = usage.Event{ID: uuid.Must(uuid.NewV7()), Time: time.Unix(0, 0).UTC()}
		if err := j.Append(&events[i]); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.end().Offset)
	}
	closeJournal(t, j)
	for size := range ends[2] + 1 {
		torn := filepath.Join(root, fmt.Sprint(size))
		copyDir(t, torn, dir)
		if err := os.Truncate(segments(t, torn)[0], size); err != nil {
			t.Fatal(err)
		}
		whole := 0
		for whole < len(ends) && ends[whole] <= size {
			whole++
		}
		j := openJournal(t, torn, Options{})
		wantTorn := size
		if whole > 0 {
			wantTorn -= ends[whole-1]
		}
		if s := j.Stats(); s.TornBytes != wantTorn || s.PendingEvents != int64(whole) {
			t.Errorf("cut to %d bytes: stats %+v", size, s)
		}
		if whole > 0 {
			if info, err := os.Stat(segments(t, torn)[0]); err != nil || info.Size() != ends[whole-1] {
				t.Errorf("cut to %d bytes: the segment is %d bytes long, want %d; %v", size, info.Size(), ends[whole-1], err)
			}
		}
		want := append(slices.Clone(events[:whole]), appendEvents(t, j, 1)...)
		b, err := j.nextBatch(100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.Events); diff != "" || len(b.corrupt) > 0 {
			t.Fatalf("cut to %d bytes: corrupt %v, events (-want +got):\n%s", size, b.corrupt, diff)
		}
		closeJournal(t, j)
	}
}

// Whatever happens to the bytes of the segments, the journal opens, and all
// whole events reach the ledger, in order.
func TestJournalFlippedBytes(t *testing.T) {
	root := memoryDir(t)
	original := filepath.Join(root, "whole")
	j := openJournal(t, original, Options{SegmentBytes: 4 << 10})
	all := appendEvents(t, j, 40)
	closeJournal(t, j)
	rapid.Check(t, func(t *rapid.T) {
		dir := filepath.Join(root, uuid.NewString())
		copyDir(t, dir, original)
		damaged := map[uuid.UUID]bool{}
		index := 0
		for _, name := range segments(t, dir) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(string(data), "\n")
			for range rapid.IntRange(0, 3).Draw(t, "flips") {
				at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
				data[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
				for i, end := 0, 0; ; i++ {
					if end += len(lines[i]); at < end {
						damaged[all[index+i].ID] = true
						if at == end-1 && index+i+1 < len(all) {
							damaged[all[index+i+1].ID] = true // both, if more than the newline is
						}
						break
					}
				}
			}
			index += len(lines) - 1
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		j := openJournal(t, dir, Options{})
		defer closeJournal(t, j)
		l := newFakeLedger()
		ship(t, j, l)
		var want []usage.Event
		for _, e := range all {
			if !damaged[e.ID] || slices.Contains(ids(l.rows), e.ID) {
				want = append(want, e)
			}
		}
		if diff := cmp.Diff(want, l.rows); diff != "" {
			t.Fatalf("events (-want +got):\n%s", diff)
		}
		s := j.Stats()
		if s.PendingEvents != 0 || s.PendingBytes != 0 || s.Bytes != 0 {
			t.Fatalf("stats %+v", s)
		}
		if lost := len(want) < len(all); lost != (s.CorruptBytes+s.TornBytes > 0) {
			t.Fatalf("%d of %d events, stats %+v", len(want), len(all), s)
		}
	})
}

// A record that is intact but not an event is skipped like a damaged one, and so
// is a segment that somebody removed.
func TestJournalSkipsAndReports(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{SegmentBytes: 1})
	first := appendEvents(t, j, 3)
	closeJournal(t, j)
	names := segments(t, dir)
	if err := os.WriteFile(names[0], slices.Concat(frame(`{"event_id":7}`), frame("x")), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	j = openJournal(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer closeJournal(t, j)
	if err := os.Remove(names[1]); err != nil {
		t.Fatal(err)
	}
	l := newFakeLedger()
	ship(t, j, l)
	if diff := cmp.Diff(first[2:], l.rows); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if s := j.Stats(); s.CorruptRuns != 2 || s.CorruptBytes == 0 || s.PendingBytes != 0 {
		t.Errorf("stats %+v", s)
	}
	if got := strings.Count(log.String(), "skipped damaged usage events"); got != 2 {
		t.Errorf("%d log lines about damage:\n%s", got, &log)
	}
}

// Nothing but damage is acknowledged without being sent.
func TestJournalOfDamageOnly(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, segmentName(5)), []byte("no record\nnor this\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := openJournal(t, dir, Options{})
	defer closeJournal(t, j)
	l := newFakeLedger()
	ship(t, j, l)
	if s := j.Stats(); l.writes != 0 || s.PendingBytes != 0 || s.PendingEvents != 0 || s.Segments != 0 {
		t.Errorf("%d writes, stats %+v", l.writes, s)
	}
}

// Damage to the slot written last brings back the state before, damage to both
// sends everything again: no event is lost.
func TestCursorDamaged(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	events := appendEvents(t, j, 3)
	l := newFakeLedger()
	ship(t, j, l)
	events = append(events, appendEvents(t, j, 1)...)
	closeJournal(t, j)
	name := filepath.Join(dir, "cursor")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	latest := int(j.cursor.state.Generation % 2)
	data[latest*cursorSlot+100] ^= 1
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}

	j = openJournal(t, dir, Options{})
	if !j.hasBatch() {
		t.Error("the slot that is left does not have the batch under way")
	}
	ship(t, j, l)
	if diff := cmp.Diff(ids(events), ids(l.rows)); diff != "" {
		t.Errorf("one slot damaged: events (-want +got):\n%s", diff)
	}
	events = append(events, appendEvents(t, j, 1)...)
	old := j.cursor.state.Journal
	closeJournal(t, j)

	if err := os.WriteFile(name, []byte("damage"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	j = openJournal(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer closeJournal(t, j)
	ship(t, j, l)
	if !slices.Equal(ids(l.rows[len(l.rows)-1:]), ids(events[len(events)-1:])) {
		t.Error("both slots damaged: the last event is missing")
	}
	if j.cursor.state.Journal == old {
		t.Error("the journal goes on under its old name")
	}
	if !strings.Contains(log.String(), "cursor is missing or damaged") {
		t.Errorf("not logged:\n%s", &log)
	}
}

// A cursor can be written only as long as it fits its slot; a batch of any
// size can be split all the way.
func TestCursorSlot(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{})
	defer closeJournal(t, j)
	s := j.cursor.state
	for range 32 { // halvings of a batch of 2^31 events
		s.Pending = append(s.Pending, position{1<<63 - 1, 1<<63 - 1})
	}
	if err := j.moveCursor(s); err != nil {
		t.Error(err)
	}
	for range 100 {
		s.Pending = append(s.Pending, position{1<<63 - 1, 1<<63 - 1})
	}
	if err := j.moveCursor(s); err == nil {
		t.Error("132 pending batches fit a slot")
	}
	s.Pending = nil
	if err := j.moveCursor(s); err != nil {
		t.Error(err)
	}
}

// A journal that another version wrote in a form that this one cannot read is
// refused with an error that says what to do, and stays as it is.
func TestOpenRefusesOtherVersions(t *testing.T) {
	for columns, want := range map[int]string{0: "an earlier version", fewestColumns - 1: "an earlier version", len(usage.StoredColumns) + 1: "a newer version"} {
		dir := t.TempDir()
		j := openJournal(t, dir, Options{})
		appendEvents(t, j, 3)
		s := j.cursor.state
		s.Columns = columns
		if err := j.moveCursor(s); err != nil {
			t.Fatal(err)
		}
		closeJournal(t, j)
		before := tree(t, dir)
		if _, err := Open(dir, Options{Logger: silent}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("Open of a journal with %d columns: %v", columns, err)
		}
		if _, err := Inspect(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Inspect of a journal with %d columns: %v", columns, err)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("the files changed (-before +after):\n%s", diff)
		}
	}
}

// A journal from before a column was added is taken over, and the column is
// unknown in its records.
func TestOpenAddsColumns(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	old := appendEvents(t, j, 3)
	closeJournal(t, j)
	before := usage.StoredColumns
	t.Cleanup(func() { usage.StoredColumns = before })
	added := usage.Column{Name: "added", Field: func(*usage.Event) any { return new(string) }}
	usage.StoredColumns = append(slices.Clone(before), added)
	j = openJournal(t, dir, Options{})
	if n := readCursor(j.cursor.f).Columns; n != len(usage.StoredColumns) {
		t.Errorf("the cursor says %d columns", n)
	}
	all := slices.Concat(old, appendEvents(t, j, 3))
	l := newFakeLedger()
	ship(t, j, l)
	if diff := cmp.Diff(all, l.rows); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	closeJournal(t, j)
}
