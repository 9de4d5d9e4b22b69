package journal

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// Where calls are refused instead, a full journal loses nothing: no call
// begins, and those that were let in before are recorded all the same.
func TestRefuseWhenFull(t *testing.T) {
	var log strings.Builder
	j := openJournal(t, t.TempDir(), Options{MaxBytes: 32 << 10, OnFull: RefuseWhenFull, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer closeJournal(t, j)
	l := newFakeLedger()
	var kept []usage.Event
	var refused int64
	for range 3 {
		for {
			if err := j.Admit(); err != nil {
				if !errors.Is(err, ErrFull) {
					t.Fatal(err)
				}
				refused++
				break
			}
			if kept = append(kept, appendEvents(t, j, 1)...); len(kept) > 1000 {
				t.Fatal("the journal is never full")
			}
		}
		kept = append(kept, appendEvents(t, j, 10)...) // under way
		if s := j.Stats(); s.Refused != refused || s.DroppedFull != 0 || s.Bytes < 32<<10 {
			t.Errorf("stats %+v", s)
		}
		ship(t, j, l)
		if err := j.Admit(); err != nil {
			t.Errorf("after shipping: %v", err)
		}
	}
	l.check(t, kept)
	if n := strings.Count(log.String(), "calls are refused"); n != 1 {
		t.Errorf("%d log lines in a moment, want 1:\n%s", n, &log)
	}
}

// Under the default no call is refused, whatever happens to its event.
func TestAdmitByDefault(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{MaxBytes: 8 << 10})
	defer closeJournal(t, j)
	for range 50 {
		if err := j.Admit(); err != nil {
			t.Fatal(err)
		}
		e := newEvent(1)
		_ = j.Append(&e) // counted below
	}
	if s := j.Stats(); s.DroppedFull == 0 || s.Refused != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Other options take effect on a journal that is open.
func TestConfigure(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{MaxBytes: 8 << 10, Sync: SyncNone})
	defer closeJournal(t, j)
	for j.Stats().DroppedFull == 0 {
		e := newEvent(1)
		_ = j.Append(&e) // counted
	}
	if err := j.Configure(Options{OnFull: "stop", Logger: silent}); err == nil || !strings.Contains(err.Error(), `"stop"`) {
		t.Errorf("error %v", err)
	}
	if err := j.Configure(Options{MaxBytes: 7 << 10, OnFull: RefuseWhenFull, SyncInterval: time.Millisecond, Logger: silent}); err != nil {
		t.Fatal(err)
	}
	if err := j.Admit(); !errors.Is(err, ErrFull) {
		t.Errorf("error %v", err)
	}
	awaitSync(t, j) // what was written under SyncNone, too
	if err := j.Configure(Options{OnFull: RefuseWhenFull, Logger: silent}); err != nil {
		t.Fatal(err)
	}
	if err := j.Admit(); err != nil {
		t.Errorf("after more room was given: %v", err)
	}
	appendEvents(t, j, 1)
}
