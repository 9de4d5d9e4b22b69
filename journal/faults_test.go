package journal_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tallygate/tallygate/journal"
	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/sqlite"
	"github.com/tallygate/tallygate/usage/usagetest"
)

var errAway = errors.New("the ledger is away")

// faulty is a ledger that meets a fault at half of its writes.
type faulty struct {
	usage.Ledger
	fault func(context.Context, usage.Ledger, usage.Batch) error
}

func (f faulty) Write(ctx context.Context, b usage.Batch) error {
	if rand.IntN(2) == 0 {
		return f.fault(ctx, f.Ledger, b)
	}
	return f.Ledger.Write(ctx, b)
}

// faults are what a ledger may do wrong with a batch.
var faults = map[string]func(context.Context, usage.Ledger, usage.Batch) error{
	"refuses": func(context.Context, usage.Ledger, usage.Batch) error { return errAway },
	"is slow": func(ctx context.Context, l usage.Ledger, b usage.Batch) error {
		select {
		case <-time.After(rand.N(50 * time.Millisecond)): // some are longer than WriteTimeout
			return l.Write(ctx, b)
		case <-ctx.Done():
			return ctx.Err()
		}
	},
	"loses its answer": func(ctx context.Context, l usage.Ledger, b usage.Batch) error {
		return errors.Join(errAway, l.Write(ctx, b))
	},
	"answers too late": func(ctx context.Context, l usage.Ledger, b usage.Batch) error {
		err := l.Write(ctx, b)
		<-ctx.Done()
		return errors.Join(ctx.Err(), err)
	},
	"closes in the middle": func(ctx context.Context, l usage.Ledger, b usage.Batch) error {
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			time.Sleep(rand.N(5 * time.Millisecond)) // at any moment of the write
			cancel()
		}()
		return errors.Join(errAway, l.Write(ctx, b))
	},
}

// Whatever a ledger does wrong, while calls go on and gates come and go: in the
// end it has each event once.
func TestLedgerFaults(t *testing.T) {
	ledgers := map[string]func(t *testing.T) usage.Ledger{
		"memory": func(*testing.T) usage.Ledger { return usagetest.NewMemory() },
		"SQLite": func(t *testing.T) usage.Ledger {
			l, err := sqlite.Open("sqlite:" + filepath.Join(t.TempDir(), "usage.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
			return l
		},
	}
	for name, fault := range faults {
		for ledger, open := range ledgers {
			t.Run(name+"/"+ledger, func(t *testing.T) {
				l := open(t)
				w := &world{dir: filepath.Join(t.TempDir(), "journal"), ledger: faulty{l, fault}}
				for range 3 {
					w.live(t)
				}
				w.check(t, l)
			})
		}
	}
}

// A clock that goes back, by minutes or by years, costs nothing: the journal's
// order is that of its appends, and no time decides what is kept.
func TestClockGoesBack(t *testing.T) {
	l := usagetest.NewMemory()
	w := &world{dir: filepath.Join(t.TempDir(), "journal"), ledger: faulty{l, faults["loses its answer"]}}
	for _, back := range []time.Duration{0, time.Minute, 24 * time.Hour, 20 * 365 * 24 * time.Hour, time.Hour} {
		w.back = back
		w.live(t)
	}
	w.check(t, l)
}

// world is a journal whose gate comes and goes, and what was appended to it.
type world struct {
	dir    string
	ledger usage.Ledger
	back   time.Duration // how far the clock is behind

	mu       sync.Mutex
	appended map[uuid.UUID]bool
}

// live runs the journal and its shipper, has four callers append events, and
// closes them in the middle of it all.
func (w *world) live(t *testing.T) {
	t.Helper()
	j, s := w.open(t)
	s.Use(w.ledger)
	var wg sync.WaitGroup
	for caller := range 4 {
		wg.Go(func() {
			for n := range 250 {
				w.append(t, j, fmt.Sprint(caller, "/", n))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(s.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) open(t *testing.T) (*journal.Journal, *journal.Shipper) {
	t.Helper()
	silent := slog.New(slog.DiscardHandler)
	j, err := journal.Open(w.dir, journal.Options{SegmentBytes: 64 << 10, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	return j, journal.NewShipper(j, journal.ShipperOptions{
		BatchEvents: 50, BatchDelay: time.Millisecond, BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond,
		WriteTimeout: 40 * time.Millisecond, Logger: silent,
	})
}

func (w *world) append(t *testing.T, j *journal.Journal, id string) {
	now := time.Now().Add(-w.back)
	e := usage.Event{ID: uuid.Must(uuid.NewV7()), Time: now.UTC().Truncate(time.Microsecond), Tool: "t", Outcome: usage.OK, RequestID: id}
	if err := j.Append(&e); err != nil {
		t.Error(err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.appended == nil {
		w.appended = map[uuid.UUID]bool{}
	}
	w.appended[e.ID] = true
}

// check has the ledger get well, ships what is left, and counts.
func (w *world) check(t *testing.T, l usage.Ledger) {
	t.Helper()
	j, s := w.open(t)
	o := journal.ShipperOptions{BatchDelay: time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
	s.Configure(o)
	s.Use(l)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := errors.Join(s.Flush(ctx), s.Close()); err != nil {
		t.Fatal(err)
	}
	if st := j.Stats(); st.PendingEvents != 0 || st.DroppedFailed+st.DroppedFull != 0 || st.CorruptRuns != 0 {
		t.Errorf("stats %+v", st)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	rows := 0
	distinct := map[uuid.UUID]bool{}
	err := usage.EachEvent(t.Context(), l, usage.Filter{}, func(e *usage.Event) error {
		rows++
		distinct[e.ID] = true
		if !w.appended[e.ID] {
			t.Errorf("event %s was never appended", e.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rows != len(w.appended) || len(distinct) != rows {
		t.Errorf("%d events appended, %d rows of %d events", len(w.appended), rows, len(distinct))
	}
}
