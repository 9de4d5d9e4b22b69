package journal

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

	"github.com/tallygate/tallygate/usage"
)

func newPendingCall(n int) PendingCall {
	e := newEvent(n)
	e.Outcome, e.HTTPStatus, e.RecordCount = usage.Aborted, usage.NullInt64{}, usage.NullInt64{}
	return PendingCall{Event: e, Key: "task/7", Deadline: e.Time.Add(time.Hour), State: json.RawMessage(`{"tables":["a"]}`)}
}

func suspend(t testingT, j *Journal, n int) []PendingCall {
	t.Helper()
	pending := make([]PendingCall, n)
	for i := range pending {
		pending[i] = newPendingCall(i)
		if err := j.Suspend(&pending[i]); err != nil {
			t.Fatal(err)
		}
	}
	return pending
}

func checkPending(t testingT, j *Journal, want []PendingCall) {
	t.Helper()
	got, err := j.PendingCalls()
	if err != nil {
		t.Fatal(err)
	}
	byID := func(a, b PendingCall) int { return slices.Compare(a.Event.ID[:], b.Event.ID[:]) }
	want = slices.SortedFunc(slices.Values(want), byID)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("pending calls (-want +got):\n%s", diff)
	}
	if n := j.Stats().PendingCalls; n != len(want) {
		t.Fatalf("the stats count %d pending calls, want %d", n, len(want))
	}
}

// Pending calls outlive the process unchanged; a finished call does not come back.
func TestSuspend(t *testing.T) {
	for _, mode := range []SyncMode{SyncByInterval, SyncAlways, SyncNone} {
		t.Run(string(mode), func(t *testing.T) {
			dir := t.TempDir()
			j := openJournal(t, dir, Options{Sync: mode, SyncInterval: time.Millisecond})
			checkPending(t, j, nil)
			pending := suspend(t, j, 5)
			pending[1].State, pending[1].Key = nil, ""
			pending[2].State = json.RawMessage("{\"text\":\"\\n\"}")
			for i := range pending[1:3] { // replaces the pending call
				if err := j.Suspend(&pending[1+i]); err != nil {
					t.Fatal(err)
				}
			}
			checkPending(t, j, pending)
			closeJournal(t, j)

			j = openJournal(t, dir, Options{Sync: mode})
			checkPending(t, j, pending)
			finished := pending[3].Event
			finished.Outcome = usage.OK
			if err := j.Finish(&finished); err != nil {
				t.Fatal(err)
			}
			other := newEvent(9) // never suspended
			if err := j.Finish(&other); err != nil {
				t.Fatal(err)
			}
			pending = slices.Delete(pending, 3, 4)
			checkPending(t, j, pending)
			closeJournal(t, j)

			j = openJournal(t, dir, Options{Sync: mode})
			defer closeJournal(t, j)
			checkPending(t, j, pending)
			l := newFakeLedger()
			ship(t, j, l)
			if diff := cmp.Diff([]usage.Event{finished, other}, l.rows); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSuspendRefuses(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{MaxPending: 2})
	pending := suspend(t, j, 2)
	more := newPendingCall(3)
	if err := j.Suspend(&more); !errors.Is(err, ErrTooManyPending) || !strings.Contains(err.Error(), more.Event.ID.String()) {
		t.Errorf("a third call: %v", err)
	}
	if err := j.Suspend(&pending[0]); err != nil {
		t.Errorf("one of the two again: %v", err)
	}
	if err := j.Finish(&pending[0].Event); err != nil {
		t.Fatal(err)
	}
	if err := j.Suspend(&more); err != nil {
		t.Errorf("after one has finished: %v", err)
	}
	if err := j.Finish(&more.Event); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]PendingCall{
		"no ID":     {Key: "x"},
		"too large": {Event: newEvent(1), Key: strings.Repeat("x", maxPayload)},
		"no JSON":   {Event: newEvent(1), State: json.RawMessage("{")},
	} {
		if err := j.Suspend(&h); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	checkPending(t, j, pending[1:])
	closeJournal(t, j)
	if err := j.Suspend(&more); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := j.Finish(&pending[1].Event); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	j = openJournal(t, j.dir, Options{})
	defer closeJournal(t, j)
	checkPending(t, j, pending[1:])
}

// A process that dies between the append and the removal of the file leaves both.
// The next process knows that the call has finished, shipped or not, and so does
// the one after a segment was removed.
func TestFinishDiesInBetween(t *testing.T) {
	for _, shipped := range []bool{false, true} {
		dir := t.TempDir()
		j := openJournal(t, dir, Options{SegmentBytes: 1})
		appendEvents(t, j, 2)
		pending := suspend(t, j, 3)
		j.mu.Lock()
		j.pending.finishing[pending[1].Event.ID] = j.tail().seq // what Finish does first
		j.mu.Unlock()
		if err := j.Append(&pending[1].Event); err != nil {
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
			j = openJournal(t, dir, Options{SegmentBytes: 1})
			checkPending(t, j, []PendingCall{pending[0], pending[2]})
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

// While the file of a finished call cannot be removed, the segment of its event
// stays. It is removed once the file is.
func TestFinishCannotRemove(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{SegmentBytes: 1})
	defer closeJournal(t, j)
	pending := suspend(t, j, 1)[0]
	name := j.pending.path(pending.Event.ID)
	if err := errors.Join(os.Remove(name), os.MkdirAll(filepath.Join(name, "blocker"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := j.Finish(&pending.Event); err != nil {
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
	checkPending(t, j, nil)
}

// A damaged file loses its own call and no other.
func TestPendingCallDamaged(t *testing.T) {
	root := memoryDir(t)
	rapid.Check(t, func(t *rapid.T) {
		dir := filepath.Join(root, uuid.NewString())
		j := openJournal(t, dir, Options{})
		pending := suspend(t, j, 3)
		name := j.pending.path(pending[1].Event.ID)
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
		stray := []string{"README", "7.json", pending[0].Event.ID.String() + ".json.tmp"}
		for _, s := range stray {
			if err := os.WriteFile(filepath.Join(filepath.Dir(name), s), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		j = openJournal(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		defer closeJournal(t, j)
		got, err := j.PendingCalls()
		if err != nil || len(got) != 2 {
			t.Fatalf("%d pending calls, %v", len(got), err)
		}
		checkPending(t, j, []PendingCall{pending[0], pending[2]})
		if s := j.Stats(); s.CorruptRuns != 1 || s.CorruptBytes != int64(len(data)) {
			t.Fatalf("stats %+v", s)
		}
		if !strings.Contains(log.String(), "damaged pending call") || !strings.Contains(log.String(), pending[1].Event.ID.String()) {
			t.Fatalf("not logged:\n%s", &log)
		}
	})
}

// Many callers suspend and finish concurrently, while segments come and go.
func TestSuspendConcurrently(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{SegmentBytes: 4 << 10, SyncInterval: time.Millisecond})
	l := newFakeLedger()
	s := NewShipper(j, ShipperOptions{BatchEvents: 10, BatchDelay: time.Millisecond, Logger: silent})
	s.Use(l)
	const callers, each = 8, 50
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range each {
				h := newPendingCall(i)
				if err := j.Suspend(&h); err != nil {
					t.Error(err)
				}
				if i%10 == 0 { // stays
					continue
				}
				if err := j.Finish(&h.Event); err != nil {
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
	j = openJournal(t, dir, Options{})
	defer closeJournal(t, j)
	left, err := j.PendingCalls()
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != callers*each/10 || len(l.rows) != callers*each*9/10 {
		t.Errorf("%d pending calls, %d events, of %d", len(left), len(l.rows), callers*each)
	}
	for _, h := range left {
		if slices.Contains(ids(l.rows), h.Event.ID) {
			t.Errorf("call %s is pending and shipped", h.Event.ID)
		}
	}
}
