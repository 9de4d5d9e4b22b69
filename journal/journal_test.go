package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/tallygate/tallygate/usage"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDirEnv); dir != "" {
		runUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// testingT is a test's T, or rapid's.
type testingT interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func openJournal(t testingT, dir string, o Options) *Journal {
	t.Helper()
	if o.Logger == nil {
		o.Logger = silent
	}
	j, err := Open(dir, o)
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
func newEvent(n int) usage.Event {
	return usage.Event{
		ID:              uuid.Must(uuid.NewV7()),
		Time:            time.Now().UTC().Truncate(time.Microsecond),
		Server:          "stock-data",
		UserID:          "0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0001",
		UserEmail:       "ada@example.com",
		KeyID:           "0193a8c5-7d1e-7c2a-9f00-5a7d3c1e0002",
		KeyName:         "my-cursor-key",
		Tool:            "query_daily_bars",
		Tables:          []string{"daily_bars"},
		RecordCount:     usage.Int64(250),
		Outcome:         usage.OK,
		HTTPStatus:      usage.Int64(200),
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

func appendEvents(t testingT, j *Journal, n int) []usage.Event {
	t.Helper()
	events := make([]usage.Event, n)
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
func ship(t testingT, j *Journal, l usage.Ledger) {
	t.Helper()
	shipBy(t, j, l, 7)
}

func shipBy(t testingT, j *Journal, l usage.Ledger, batchEvents int) {
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

func ids(events []usage.Event) []uuid.UUID {
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
	j := openJournal(t, dir, Options{})
	events := appendEvents(t, j, 20)
	if s := j.Stats(); s.PendingEvents != 20 || s.Appended != 20 || s.PendingBytes != s.Bytes || s.Bytes == 0 {
		t.Errorf("stats %+v", s)
	}
	closeJournal(t, j)
	closeJournal(t, j) // closing twice does no harm

	j = openJournal(t, dir, Options{})
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
	j := openJournal(t, dir, Options{})
	if other, err := Open(dir, Options{Logger: silent}); err == nil {
		t.Errorf("opened twice: %v", other.Close())
	} else if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the error does not say which directory is in use: %v", err)
	}
	closeJournal(t, j)
	closeJournal(t, openJournal(t, dir, Options{}))
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(t.TempDir(), Options{Sync: "sometimes"}); err == nil || !strings.Contains(err.Error(), `"sometimes"`) {
		t.Errorf("unknown sync mode: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in the directory's place: %v", err)
	}
}

func TestAppendAfterClose(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{})
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
	j := openJournal(t, t.TempDir(), Options{})
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
	if diff := cmp.Diff([]usage.Event{e, last[0]}, l.rows); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Segments end at their size, and are removed when the ledger has their events.
func TestJournalSegments(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{SegmentBytes: 2 << 10})
	events := appendEvents(t, j, 100)
	if s := j.Stats(); s.Segments < 10 || len(segments(t, dir)) != s.Segments {
		t.Errorf("%d files, stats %+v", len(segments(t, dir)), s)
	}
	for _, name := range segments(t, dir) {
		if info, err := os.Stat(name); err != nil || info.Size() > 2<<10 {
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
	closeJournal(t, openJournal(t, dir, Options{}))
	if n := len(segments(t, dir)); n != 0 {
		t.Errorf("%d segments are left that hold nothing", n)
	}
}

// A full journal drops, counts and logs, and takes events again as soon as the
// ledger does.
func TestJournalFull(t *testing.T) {
	var log strings.Builder
	j := openJournal(t, t.TempDir(), Options{MaxBytes: 32 << 10, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer closeJournal(t, j)
	l := newFakeLedger()
	var kept []usage.Event
	for round := range 3 {
		const dropped = 50
		for drops := 0; drops < dropped; {
			e := newEvent(len(kept))
			err := j.Append(&e)
			switch {
			case err == nil && len(kept) < 1000:
				kept = append(kept, e)
			case errors.Is(err, ErrFull):
				drops++
			default:
				t.Fatalf("after %d events: %v", len(kept), err)
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

// When a segment cannot be created, the event is lost and the next one is not.
func TestJournalDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j := openJournal(t, dir, Options{SegmentBytes: 1})
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
			j := openJournal(t, t.TempDir(), Options{Sync: mode, SyncInterval: time.Millisecond, SegmentBytes: 16 << 10})
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

// A failed sync is returned to those who wait for it, counted and logged.
func TestSyncFails(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{Sync: SyncAlways})
	appendEvents(t, j, 1)
	j.mu.Lock()
	good := j.file
	bad, pipe, err := os.Pipe() // pipes cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	j.file = pipe
	synced := j.markWritten()
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

// awaitSync waits until everything that was written is on the disk.
func awaitSync(t *testing.T, j *Journal) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for dirty := true; dirty; time.Sleep(time.Millisecond) {
		j.mu.Lock()
		dirty = j.dirty
		j.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("what was written is not synced")
		}
	}
	j.syncMu.Lock() // until the last sync has ended
	defer j.syncMu.Unlock()
}
