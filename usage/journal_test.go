package usage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDirEnv); dir != "" {
		runUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// testing is a test's T, rapid's included.
type testingT interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func openJournal(t testingT, dir string, o JournalOptions) *Journal {
	t.Helper()
	if o.Logger == nil {
		o.Logger = silent
	}
	j, err := OpenJournal(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func closeJournal(t testingT, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// newEvent is the n-th event of a test.
func newEvent(n int) Event {
	return Event{
		ID:              uuid.Must(uuid.NewV7()),
		Time:            time.Now().UTC().Truncate(time.Microsecond),
		UserID:          "0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0001",
		UserEmail:       "ada@example.com",
		KeyID:           "0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0002",
		KeyName:         "my-cursor-key",
		Tool:            "query_daily_bars",
		Tables:          []string{"daily_bars"},
		RecordCount:     Int64(250),
		Outcome:         OK,
		HTTPStatus:      Int64(200),
		DurationUS:      1234,
		RequestBytes:    180,
		ResponseBytes:   20480,
		SessionID:       "mcp-session-7f0b6a52",
		RequestID:       fmt.Sprint(n),
		ProtocolVersion: "2025-11-25",
		ClientName:      "claude-code",
		ClientVersion:   "2.1.0",
		RemoteIP:        "192.0.2.17",
	}
}

func appendEvents(t testingT, j *Journal, n int) []Event {
	t.Helper()
	events := make([]Event, n)
	for i := range events {
		events[i] = newEvent(i)
		if err := j.Append(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

// ship brings everything that is in the journal to the ledger, in batches of
// seven.
func ship(t testingT, j *Journal, l Ledger) {
	t.Helper()
	shipBy(t, j, l, 7)
}

func shipBy(t testingT, j *Journal, l Ledger, batchEvents int) {
	t.Helper()
	s := NewShipper(j, ShipperOptions{BatchEvents: batchEvents, BackoffMin: time.Microsecond, BackoffMax: time.Millisecond, Logger: silent})
	s.Use(l)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := s.Flush(ctx)
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

func ids(events []Event) []uuid.UUID {
	ids := make([]uuid.UUID, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	return ids
}

// memoryDir makes a directory, for a test that opens and ships thousands of
// times and is not about the disk: in memory, where the system has that.
func memoryDir(t testing.TB) string {
	t.Helper()
	root := "/dev/shm"
	if _, err := os.Stat(root); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(root, "tallygate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func segments(t testingT, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func copyDir(t testingT, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestJournalRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "journal")
	j := openJournal(t, dir, JournalOptions{})
	events := appendEvents(t, j, 20)
	if s := j.Stats(); s.PendingEvents != 20 || s.Appended != 20 || s.PendingBytes != s.Bytes || s.Bytes == 0 {
		t.Errorf("stats %+v", s)
	}
	closeJournal(t, j)
	closeJournal(t, j) // closing twice does no harm

	j = openJournal(t, dir, JournalOptions{})
	defer closeJournal(t, j)
	if s := j.Stats(); s.PendingEvents != 20 || s.Appended != 0 {
		t.Errorf("after opening again: stats %+v", s)
	}
	l := newFakeLedger()
	ship(t, j, l)
	if diff := cmp.Diff(events, l.rows); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if s := j.Stats(); s.PendingEvents != 0 || s.PendingBytes != 0 {
		t.Errorf("after shipping: stats %+v", s)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory's mode is %v, %v", info.Mode(), err)
	}
}

func TestJournalLock(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, JournalOptions{})
	if other, err := OpenJournal(dir, JournalOptions{Logger: silent}); err == nil {
		t.Errorf("opened twice: %v", other.Close())
	} else if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the error does not say which directory is in use: %v", err)
	}
	closeJournal(t, j)
	closeJournal(t, openJournal(t, dir, JournalOptions{}))
}

func TestOpenJournalRefuses(t *testing.T) {
	if _, err := OpenJournal(t.TempDir(), JournalOptions{Sync: "sometimes"}); err == nil || !strings.Contains(err.Error(), `"sometimes"`) {
		t.Errorf("unknown sync mode: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenJournal(file, JournalOptions{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in the directory's place: %v", err)
	}
}

func TestAppendAfterClose(t *testing.T) {
	j := openJournal(t, t.TempDir(), JournalOptions{})
	closeJournal(t, j)
	e := newEvent(1)
	if err := j.Append(&e); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if s := j.Stats(); s.DroppedFailed != 1 || s.Appended != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestAppendRefusesHugeEvents(t *testing.T) {
	j := openJournal(t, t.TempDir(), JournalOptions{})
	defer closeJournal(t, j)
	e := newEvent(1)
	e.RequestID = strings.Repeat("x", maxPayload)
	if err := j.Append(&e); err == nil || !strings.Contains(err.Error(), e.ID.String()) {
		t.Errorf("error %v, want one that names the event", err)
	}
	e.RequestID = strings.Repeat("x", maxPayload-2000)
	if err := j.Append(&e); err != nil {
		t.Error(err)
	}
	last := appendEvents(t, j, 1)
	l := newFakeLedger()
	ship(t, j, l)
	if diff := cmp.Diff([]Event{e, last[0]}, l.rows); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Wherever the last write was torn, what came before it is kept, and appends
// after it are.
func TestJournalTornTail(t *testing.T) {
	root := memoryDir(t)
	dir := filepath.Join(root, "whole")
	j := openJournal(t, dir, JournalOptions{})
	events := make([]Event, 3)
	var ends []int64
	for i := range events {
		events[i] = Event{ID: uuid.Must(uuid.NewV7()), Time: time.Unix(0, 0).UTC()}
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
		j := openJournal(t, torn, JournalOptions{})
		wantTorn := size
		if whole > 0 {
			wantTorn -= ends[whole-1]
		}
		if s := j.Stats(); s.TornBytes != wantTorn || s.PendingEvents != int64(whole) {
			t.Errorf("cut to %d bytes: stats %+v", size, s)
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
	j := openJournal(t, original, JournalOptions{SegmentBytes: 4 << 10})
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
		j := openJournal(t, dir, JournalOptions{})
		defer closeJournal(t, j)
		l := newFakeLedger()
		ship(t, j, l)
		var want []Event
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

// A record that is intact but no event is skipped like a damaged one, and so
// is a segment that somebody took away.
func TestJournalSkipsAndReports(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, JournalOptions{SegmentBytes: 1})
	first := appendEvents(t, j, 3)
	closeJournal(t, j)
	names := segments(t, dir)
	if err := os.WriteFile(names[0], slices.Concat(frame(`{"event_id":7}`), frame("x")), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	j = openJournal(t, dir, JournalOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
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
	j := openJournal(t, dir, JournalOptions{})
	defer closeJournal(t, j)
	l := newFakeLedger()
	ship(t, j, l)
	if s := j.Stats(); l.writes != 0 || s.PendingBytes != 0 || s.PendingEvents != 0 || s.Segments != 0 {
		t.Errorf("%d writes, stats %+v", l.writes, s)
	}
}

// Segments end at their size, and disappear when the ledger has them.
func TestJournalSegments(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, JournalOptions{SegmentBytes: 4 << 10})
	events := appendEvents(t, j, 100)
	if s := j.Stats(); s.Segments < 10 || len(segments(t, dir)) != s.Segments {
		t.Errorf("%d files, stats %+v", len(segments(t, dir)), s)
	}
	for _, name := range segments(t, dir) {
		if info, err := os.Stat(name); err != nil || info.Size() > 4<<10 {
			t.Errorf("%s: %d bytes, %v", name, info.Size(), err)
		}
	}
	l := newFakeLedger()
	ship(t, j, l)
	if diff := cmp.Diff(ids(events), ids(l.rows)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if n := len(segments(t, dir)); n != 1 {
		t.Errorf("%d segments are left, want the one that takes appends", n)
	}
	closeJournal(t, j)
	closeJournal(t, openJournal(t, dir, JournalOptions{}))
	if n := len(segments(t, dir)); n != 0 {
		t.Errorf("%d segments are left that hold nothing", n)
	}
}

// A full journal drops, counts and logs, and takes events again as soon as the
// ledger does.
func TestJournalFull(t *testing.T) {
	var log strings.Builder
	j := openJournal(t, t.TempDir(), JournalOptions{MaxBytes: 32 << 10, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer closeJournal(t, j)
	l := newFakeLedger()
	var kept []Event
	for round := range 3 {
		const dropped = 50
		for drops := 0; drops < dropped; {
			e := newEvent(len(kept))
			err := j.Append(&e)
			switch {
			case err == nil:
				kept = append(kept, e)
			case errors.Is(err, ErrJournalFull):
				drops++
			default:
				t.Fatal(err)
			}
		}
		s := j.Stats()
		if s.DroppedFull != int64(dropped*(round+1)) || s.Bytes > 32<<10 || s.DroppedFailed != 0 || s.Appended != int64(len(kept)) {
			t.Errorf("stats %+v", s)
		}
		ship(t, j, l)
	}
	if diff := cmp.Diff(kept, l.rows); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if n := strings.Count(log.String(), "usage events are being lost"); n != 1 {
		t.Errorf("%d log lines in a moment, want 1:\n%s", n, &log)
	}
}

// Where a segment cannot be begun, the event is lost and the next one is not.
func TestJournalDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, dir, JournalOptions{SegmentBytes: 1})
	defer closeJournal(t, j)
	kept := appendEvents(t, j, 2)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	e := newEvent(2)
	if err := j.Append(&e); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, appendEvents(t, j, 2)...)
	l := newFakeLedger()
	ship(t, j, l)
	if diff := cmp.Diff(kept, l.rows); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if s := j.Stats(); s.DroppedFailed != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestAppendConcurrently(t *testing.T) {
	for _, mode := range []SyncMode{SyncByInterval, SyncAlways, SyncNone} {
		t.Run(string(mode), func(t *testing.T) {
			j := openJournal(t, t.TempDir(), JournalOptions{Sync: mode, SyncInterval: time.Millisecond, SegmentBytes: 16 << 10})
			defer closeJournal(t, j)
			const callers, each = 8, 50
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					for i := range each {
						e := newEvent(i)
						e.KeyName = fmt.Sprint(c)
						if err := j.Append(&e); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if mode == SyncAlways && j.dirty {
				t.Error("Append returned before its sync")
			}
			l := newFakeLedger()
			ship(t, j, l)
			next := map[string]int{}
			for _, e := range l.rows {
				if e.RequestID != fmt.Sprint(next[e.KeyName]) {
					t.Fatalf("caller %s: event %s came in the place of %d", e.KeyName, e.RequestID, next[e.KeyName])
				}
				next[e.KeyName]++
			}
			if len(l.rows) != callers*each {
				t.Errorf("%d events, want %d", len(l.rows), callers*each)
			}
		})
	}
}

// A sync that fails is told to those who wait for it, counted and logged.
func TestSyncFails(t *testing.T) {
	j := openJournal(t, t.TempDir(), JournalOptions{Sync: SyncAlways})
	appendEvents(t, j, 1)
	j.mu.Lock()
	good := j.file
	bad, pipe, err := os.Pipe() // pipes cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	j.file = pipe
	synced := j.written()
	j.mu.Unlock()
	if err := synced.wait(); err == nil || !strings.Contains(err.Error(), "sync the journal") {
		t.Errorf("error %v", err)
	}
	if s := j.Stats(); s.SyncFailures != 1 {
		t.Errorf("stats %+v", s)
	}
	j.mu.Lock()
	j.file = good
	j.mu.Unlock()
	if err := errors.Join(bad.Close(), pipe.Close()); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, j, 1)
	closeJournal(t, j)
}

// Damage to the slot written last brings back the state before, damage to both
// sends everything again: no event is lost.
func TestCursorDamaged(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, JournalOptions{})
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

	j = openJournal(t, dir, JournalOptions{})
	if !j.hasBounds() {
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
	j = openJournal(t, dir, JournalOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
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
	j := openJournal(t, t.TempDir(), JournalOptions{})
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
