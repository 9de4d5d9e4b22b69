package usage

import (
	"encoding/json"
	"errors"
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
	"pgregory.net/rapid"
)

func newHeld(n int) Held {
	e := newEvent(n)
	e.Outcome, e.HTTPStatus, e.RecordCount = Aborted, NullInt64{}, NullInt64{}
	return Held{Event: e, Key: "task/7", Deadline: e.Time.Add(time.Hour), State: json.RawMessage(`{"tables":["a"]}`)}
}

func hold(t testingT, j *Journal, n int) []Held {
	t.Helper()
	held := make([]Held, n)
	for i := range held {
		held[i] = newHeld(i)
		if err := j.Hold(&held[i]); err != nil {
			t.Fatal(err)
		}
	}
	return held
}

func checkHeld(t testingT, j *Journal, want []Held) {
	t.Helper()
	got, err := j.Held()
	if err != nil {
		t.Fatal(err)
	}
	byID := func(a, b Held) int { return slices.Compare(a.Event.ID[:], b.Event.ID[:]) }
	want = slices.SortedFunc(slices.Values(want), byID)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("held calls (-want +got):\n%s", diff)
	}
	if n := j.Stats().Held; n != len(want) {
		t.Fatalf("the stats count %d held calls, want %d", n, len(want))
	}
}

// What is held outlives the process, whole; what is settled does not come back.
func TestHold(t *testing.T) {
	for _, mode := range []SyncMode{SyncByInterval, SyncAlways, SyncNone} {
		t.Run(string(mode), func(t *testing.T) {
			dir := t.TempDir()
			j := openJournal(t, dir, JournalOptions{Sync: mode, SyncInterval: time.Millisecond})
			checkHeld(t, j, nil)
			held := hold(t, j, 5)
			held[1].State, held[1].Key = nil, ""
			held[2].State = json.RawMessage("{\"text\":\"\\n\"}")
			for i := range held[1:3] { // replaces what is held
				if err := j.Hold(&held[1+i]); err != nil {
					t.Fatal(err)
				}
			}
			checkHeld(t, j, held)
			closeJournal(t, j)

			j = openJournal(t, dir, JournalOptions{Sync: mode})
			checkHeld(t, j, held)
			finished := held[3].Event
			finished.Outcome = OK
			if err := j.Settle(&finished); err != nil {
				t.Fatal(err)
			}
			other := newEvent(9) // never held
			if err := j.Settle(&other); err != nil {
				t.Fatal(err)
			}
			held = slices.Delete(held, 3, 4)
			checkHeld(t, j, held)
			closeJournal(t, j)

			j = openJournal(t, dir, JournalOptions{Sync: mode})
			defer closeJournal(t, j)
			checkHeld(t, j, held)
			l := newFakeLedger()
			ship(t, j, l)
			if diff := cmp.Diff([]Event{finished, other}, l.rows); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHoldRefuses(t *testing.T) {
	j := openJournal(t, t.TempDir(), JournalOptions{MaxHeld: 2})
	held := hold(t, j, 2)
	more := newHeld(3)
	if err := j.Hold(&more); !errors.Is(err, ErrTooManyHeld) || !strings.Contains(err.Error(), more.Event.ID.String()) {
		t.Errorf("a third call: %v", err)
	}
	if err := j.Hold(&held[0]); err != nil {
		t.Errorf("one of the two again: %v", err)
	}
	if err := j.Settle(&held[0].Event); err != nil {
		t.Fatal(err)
	}
	if err := j.Hold(&more); err != nil {
		t.Errorf("after one is settled: %v", err)
	}
	if err := j.Settle(&more.Event); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]Held{
		"no ID":     {Key: "x"},
		"too large": {Event: newEvent(1), Key: strings.Repeat("x", maxPayload)},
		"no JSON":   {Event: newEvent(1), State: json.RawMessage("{")},
	} {
		if err := j.Hold(&h); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	checkHeld(t, j, held[1:])
	closeJournal(t, j)
	if err := j.Hold(&more); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := j.Settle(&held[1].Event); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	j = openJournal(t, j.dir, JournalOptions{})
	defer closeJournal(t, j)
	checkHeld(t, j, held[1:])
}

// A process that dies between the append and the removal of the file leaves
// both; the next one knows the call for settled, shipped or not, and so does
// the one after a segment has gone.
func TestSettleDiesInBetween(t *testing.T) {
	for _, shipped := range []bool{false, true} {
		dir := t.TempDir()
		j := openJournal(t, dir, JournalOptions{SegmentBytes: 1})
		appendEvents(t, j, 2)
		held := hold(t, j, 3)
		j.mu.Lock()
		j.settling[held[1].Event.ID] = j.tail().seq // what Settle does first
		j.mu.Unlock()
		if err := j.Append(&held[1].Event); err != nil {
			t.Fatal(err)
		}
		appendEvents(t, j, 3)
		l := newFakeLedger()
		if shipped {
			ship(t, j, l)
			if s := j.Stats(); s.PendingEvents != 0 || s.PendingBytes != 0 || s.Segments < 2 {
				t.Errorf("stats %+v: the event's segment should stay", s)
			}
		}
		closeJournal(t, j)
		for range 2 {
			j = openJournal(t, dir, JournalOptions{SegmentBytes: 1})
			checkHeld(t, j, []Held{held[0], held[2]})
			ship(t, j, l)
			closeJournal(t, j)
		}
		if len(l.rows) != 6 {
			t.Errorf("%d events, want 6", len(l.rows))
		}
		if n := len(segments(t, dir)); n > 1 {
			t.Errorf("%d segments are left", n)
		}
	}
}

// While a settled call's file cannot be removed the segment of its event
// stays, and goes once it can.
func TestSettleCannotRemove(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, JournalOptions{SegmentBytes: 1})
	defer closeJournal(t, j)
	held := hold(t, j, 1)[0]
	name := j.heldPath(held.Event.ID)
	if err := errors.Join(os.Remove(name), os.MkdirAll(filepath.Join(name, "blocker"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := j.Settle(&held.Event); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, j, 3)
	l := newFakeLedger()
	ship(t, j, l)
	if n := len(segments(t, dir)); n < 4 {
		t.Errorf("%d segments, want all", n)
	}
	if err := os.Remove(filepath.Join(name, "blocker")); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, j, 1)
	ship(t, j, l)
	if n := len(segments(t, dir)); n != 1 {
		t.Errorf("%d segments are left, want the one that takes appends", n)
	}
	checkHeld(t, j, nil)
}

// A damaged file costs the call that it is of, and no other.
func TestHeldDamaged(t *testing.T) {
	root := memoryDir(t)
	rapid.Check(t, func(t *rapid.T) {
		dir := filepath.Join(root, uuid.NewString())
		j := openJournal(t, dir, JournalOptions{})
		held := hold(t, j, 3)
		name := j.heldPath(held[1].Event.ID)
		closeJournal(t, j)
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if at := rapid.IntRange(0, len(data)-1).Draw(t, "at"); rapid.Bool().Draw(t, "cut") {
			data = data[:at]
		} else if at == len(data)-1 {
			data = append(data, 'x')
		} else {
			data[at] ^= byte(rapid.IntRange(1, 31).Draw(t, "bits")) // not 32: hex digits in upper case say the same
		}
		stray := []string{"README", "7.json", held[0].Event.ID.String() + ".json.tmp"}
		for _, s := range stray {
			if err := os.WriteFile(filepath.Join(filepath.Dir(name), s), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		j = openJournal(t, dir, JournalOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		defer closeJournal(t, j)
		got, err := j.Held()
		if err != nil || len(got) != 2 {
			t.Fatalf("%d held calls, %v", len(got), err)
		}
		checkHeld(t, j, []Held{held[0], held[2]})
		if s := j.Stats(); s.CorruptRuns != 1 || s.CorruptBytes != int64(len(data)) {
			t.Fatalf("stats %+v", s)
		}
		if !strings.Contains(log.String(), "damaged held call") || !strings.Contains(log.String(), held[1].Event.ID.String()) {
			t.Fatalf("not logged:\n%s", &log)
		}
	})
}

// Many hold and settle at once, while segments come and go.
func TestHoldConcurrently(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, JournalOptions{SegmentBytes: 4 << 10, SyncInterval: time.Millisecond})
	l := newFakeLedger()
	s := NewShipper(j, ShipperOptions{BatchEvents: 10, BatchDelay: time.Millisecond, Logger: silent})
	s.Use(l)
	const callers, each = 8, 50
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range each {
				h := newHeld(i)
				if err := j.Hold(&h); err != nil {
					t.Error(err)
				}
				if i%10 == 0 { // stays
					continue
				}
				if err := j.Settle(&h.Event); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closeJournal(t, j)
	j = openJournal(t, dir, JournalOptions{})
	defer closeJournal(t, j)
	left, err := j.Held()
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != callers*each/10 || len(l.rows) != callers*each*9/10 {
		t.Errorf("%d calls held, %d events, of %d", len(left), len(l.rows), callers*each)
	}
	for _, h := range left {
		if slices.Contains(ids(l.rows), h.Event.ID) {
			t.Errorf("call %s is held and shipped", h.Event.ID)
		}
	}
}
