package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// fault is what a fakeLedger does with a write.
type fault int

const (
	none       fault = iota
	fails            // stores nothing
	losesReply       // stores, and fails all the same
	hangs            // stores nothing, and answers when the context ends
)

var errFake = errors.New("the ledger is away")

// fakeLedger keeps events in memory. It knows a batch again by its token, as
// the real ones do, and holds the journal to equal tokens, equal events.
type fakeLedger struct {
	usage.Ledger // reading is not faked
	fault        func(usage.Batch) fault
	poison       func(*usage.Event) bool

	mu     sync.Mutex
	rows   []usage.Event
	stored map[string]bool
	sent   map[string][]uuid.UUID // by token
	writes int
	mixed  error // a token that came with other events than before
}

func newFakeLedger() *fakeLedger {
	return &fakeLedger{
		fault:  func(usage.Batch) fault { return none },
		poison: func(*usage.Event) bool { return false },
		stored: map[string]bool{},
		sent:   map[string][]uuid.UUID{},
	}
}

func (l *fakeLedger) Write(ctx context.Context, b usage.Batch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	sent := ids(b.Events)
	if before, ok := l.sent[b.Token]; ok && !slices.Equal(before, sent) {
		l.mixed = fmt.Errorf("token %s came with %v and with %v", b.Token, before, sent)
	}
	l.sent[b.Token] = sent
	f := l.fault(b)
	switch f {
	case fails:
		return errFake
	case hangs:
		<-ctx.Done()
		return ctx.Err()
	}
	for i := range b.Events {
		if l.poison(&b.Events[i]) {
			return fmt.Errorf("row %d: %w", i, usage.ErrRejected)
		}
	}
	if !l.stored[b.Token] {
		l.stored[b.Token] = true
		l.rows = append(l.rows, b.Events...)
	}
	if f == losesReply {
		return errFake
	}
	return nil
}

// check holds the ledger to exactly these events, in this order.
func (l *fakeLedger) check(t testingT, want []usage.Event) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mixed != nil {
		t.Fatal(l.mixed)
	}
	if diff := cmp.Diff(ids(want), ids(l.rows)); diff != "" {
		t.Fatalf("events in the ledger (-want +got):\n%s", diff)
	}
}

// rejected returns the events that are set aside in a journal's directory.
func rejected(t testingT, dir string) (events []usage.Event) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "rejected", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Reason, Token string
			Events        []usage.Event
		}
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatal(err)
		}
		if len(file.Events) != 1 || file.Token == "" || !strings.Contains(file.Reason, usage.ErrRejected.Error()) {
			t.Fatalf("%s: %s", name, data)
		}
		events = append(events, file.Events...)
	}
	return events
}

// nth makes a fault for the writes of the given numbers, from 1.
func nth(f fault, numbers ...int) func(usage.Batch) fault {
	n := 0
	return func(usage.Batch) fault {
		if n++; slices.Contains(numbers, n) {
			return f
		}
		return none
	}
}

func TestShipperFaults(t *testing.T) {
	for name, f := range map[string]fault{"fails": fails, "loses its reply": losesReply} {
		t.Run(name, func(t *testing.T) {
			j := openJournal(t, t.TempDir(), Options{})
			defer closeJournal(t, j)
			events := appendEvents(t, j, 30)
			l := newFakeLedger()
			l.fault = nth(f, 1, 2, 4, 7)
			ship(t, j, l)
			l.check(t, events)
			if want := 5 + 4; l.writes != want {
				t.Errorf("%d writes, want %d", l.writes, want)
			}
		})
	}
}

// One bad event among many is found by halving and set aside; what is good
// arrives in order.
func TestShipperSetsAside(t *testing.T) {
	for _, bad := range [][]int{{0}, {49}, {17}, {17, 18}, {3, 20, 21, 49}} {
		dir := t.TempDir()
		j := openJournal(t, dir, Options{SegmentBytes: 8 << 10})
		events := appendEvents(t, j, 50)
		l := newFakeLedger()
		l.poison = func(e *usage.Event) bool {
			return slices.ContainsFunc(bad, func(i int) bool { return events[i].ID == e.ID })
		}
		s := NewShipper(j, ShipperOptions{BatchEvents: 50, Logger: silent})
		s.Use(l)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var good, set []usage.Event
		for i, e := range events {
			if slices.Contains(bad, i) {
				set = append(set, e)
			} else {
				good = append(good, e)
			}
		}
		if err := s.Close(); err != nil { // the figures follow the acknowledgement
			t.Fatal(err)
		}
		l.check(t, good)
		if diff := cmp.Diff(set, rejected(t, dir)); diff != "" {
			t.Errorf("set aside (-want +got):\n%s", diff)
		}
		if st := s.Stats(); st.Rejected != int64(len(bad)) || st.Events != int64(50-len(bad)) || st.Failures != 0 {
			t.Errorf("stats %+v", st)
		}
		if most := len(bad) * 2 * 7; l.writes > most {
			t.Errorf("%d writes to find %d events among 50, want %d at most", l.writes, len(bad), most)
		}
		closeJournal(t, j)
	}
}

// A process that dies between setting an event aside and noting that it did,
// or between splitting and sending, repeats neither.
func TestShipperDiesWhileSplitting(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	events := appendEvents(t, j, 8)
	const bad = 2
	l := newFakeLedger()
	l.poison = func(e *usage.Event) bool { return e.ID == events[bad].ID }
	s := NewShipper(j, ShipperOptions{Logger: silent, BatchDelay: time.Nanosecond})
	for i := 0; ; i++ {
		b, err := j.nextBatch(100)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Events) == 1 && b.Events[0].ID == events[bad].ID {
			if err := s.setAside(b, usage.ErrRejected); err != nil {
				t.Fatal(err)
			}
			break
		}
		if err := s.step(t.Context(), l); err != nil || i > 10 {
			t.Fatal(i, err)
		}
		closeJournal(t, j)
		j = openJournal(t, dir, Options{})
		s = NewShipper(j, ShipperOptions{Logger: silent, BatchDelay: time.Nanosecond})
	}
	closeJournal(t, j)
	j = openJournal(t, dir, Options{})
	defer closeJournal(t, j)
	ship(t, j, l)
	l.check(t, slices.Delete(slices.Clone(events), bad, bad+1))
	if diff := cmp.Diff(events[bad:bad+1], rejected(t, dir)); diff != "" {
		t.Errorf("set aside (-want +got):\n%s", diff)
	}
}

// While rejected events cannot be set aside, none is given up.
func TestShipperCannotSetAside(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir, Options{})
	defer closeJournal(t, j)
	events := appendEvents(t, j, 1)
	blocker := filepath.Join(dir, "rejected")
	if err := os.WriteFile(blocker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := newFakeLedger()
	l.poison = func(*usage.Event) bool { return true }
	s := NewShipper(j, ShipperOptions{Logger: silent, BatchDelay: time.Nanosecond})
	if err := s.step(t.Context(), l); err == nil || !strings.Contains(err.Error(), "set a rejected event aside") {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	if err := s.step(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(events, rejected(t, dir)); diff != "" {
		t.Errorf("set aside (-want +got):\n%s", diff)
	}
}

// An outage blocks no append, is counted, and ends without a loss; waits grow
// to their bound and no further.
func TestShipperOutage(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, dir, Options{})
		defer closeJournal(t, j)
		const outage = time.Hour
		start := time.Now()
		l := newFakeLedger()
		l.fault = func(usage.Batch) fault {
			if time.Since(start) < outage {
				return fails
			}
			return none
		}
		s := NewShipper(j, ShipperOptions{BatchEvents: 10, Logger: silent})
		s.Use(l)
		var events []usage.Event
		for range 60 {
			events = append(events, appendEvents(t, j, 1)...)
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		st := s.Stats()
		if !errors.Is(st.Err, errFake) || st.Events != 0 {
			t.Errorf("after an hour: stats %+v", st)
		}
		// 15 s is the mean wait at a bound of 30 s.
		if st.Failures < 150 || st.Failures > 400 {
			t.Errorf("%d attempts in an hour, want about 240", st.Failures)
		}
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if since := time.Since(start) - outage; since > 31*time.Second {
			t.Errorf("shipped %s after the outage", since)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.Err != nil || st.Events != 60 || st.Batches != int64(len(l.stored)) {
			t.Errorf("after the outage: stats %+v, %d batches", st, len(l.stored))
		}
		l.check(t, events)
	})
}

// A batch waits for BatchDelay after its first event, and not when it is full.
func TestShipperBatches(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, dir, Options{})
		defer closeJournal(t, j)
		l := newFakeLedger()
		s := NewShipper(j, ShipperOptions{BatchEvents: 10, BatchDelay: time.Second, Logger: silent})
		s.Use(l)
		synctest.Wait()

		appendEvents(t, j, 3)
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if l.writes != 0 {
			t.Error("a batch was sent before its time")
		}
		appendEvents(t, j, 1)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if l.writes != 1 || len(l.rows) != 4 {
			t.Errorf("after the delay: %d writes of %d events, want 1 of 4", l.writes, len(l.rows))
		}

		appendEvents(t, j, 9)
		synctest.Wait()
		if l.writes != 1 {
			t.Error("a batch was sent that was not full")
		}
		appendEvents(t, j, 1)
		synctest.Wait()
		if l.writes != 2 || len(l.rows) != 14 {
			t.Errorf("a full batch: %d writes, %d events, want 2, 14", l.writes, len(l.rows))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A batch is bounded in bytes as well.
func TestShipperBoundsBytes(t *testing.T) {
	j := openJournal(t, t.TempDir(), Options{})
	defer closeJournal(t, j)
	var want []usage.Event
	for i := range 10 {
		e := newEvent(i)
		e.ClientName = strings.Repeat("x", maxBatchBytes/4)
		if err := j.Append(&e); err != nil {
			t.Fatal(err)
		}
		want = append(want, e)
	}
	l := newFakeLedger()
	l.fault = func(b usage.Batch) fault {
		if len(b.Events) > 3 {
			t.Errorf("a batch of %d events of %d bytes each", len(b.Events), maxBatchBytes/4)
		}
		return none
	}
	ship(t, j, l)
	l.check(t, want)
}

// A ledger that does not answer is left after WriteTimeout, and at once when
// another one is used; what it was sent goes to the other under its token.
func TestShipperUse(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, dir, Options{})
		defer closeJournal(t, j)
		events := appendEvents(t, j, 5)
		hanging, good := newFakeLedger(), newFakeLedger()
		hanging.fault = func(usage.Batch) fault { return hangs }
		s := NewShipper(j, ShipperOptions{Logger: silent})
		s.Use(nil)
		time.Sleep(time.Minute)
		s.Use(hanging)
		time.Sleep(32 * time.Second) // 1 s of delay, 30 s of timeout, up to 100 ms of back-off
		synctest.Wait()
		if st := s.Stats(); st.Failures != 1 || !errors.Is(st.Err, context.DeadlineExceeded) {
			t.Errorf("stats %+v", st)
		}
		before := time.Now()
		s.Use(nil)
		if waited := time.Since(before); waited > 0 {
			t.Errorf("Use waited %s for a write that hangs", waited)
		}
		if hanging.writes != 2 {
			t.Errorf("%d writes to the ledger that hangs, want 2", hanging.writes)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "5 usage events") {
			t.Errorf("Flush without a ledger: %v", err)
		}
		s.Use(good)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		good.check(t, events)
		for token := range hanging.sent {
			if !good.stored[token] {
				t.Errorf("token %s did not come again", token)
			}
		}
		events = append(events, appendEvents(t, j, 1)...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s.Use(good) // has no effect any more
		time.Sleep(time.Minute)
		good.check(t, events[:5])
	})
}

func TestBackoff(t *testing.T) {
	s := NewShipper(nil, ShipperOptions{BackoffMin: 100 * time.Millisecond, BackoffMax: time.Second, Logger: silent})
	for failures, bound := range map[int]time.Duration{1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 6: 1000, 1000: 1000} {
		bound *= time.Millisecond
		var most time.Duration
		for range 1000 {
			most = max(most, s.backoff(failures))
		}
		if most > bound || most < bound*9/10 {
			t.Errorf("after %d failures: waits up to %s, want %s", failures, most, bound)
		}
	}
}
