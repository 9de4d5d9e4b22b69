package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// Shipper sends a journal's events to a ledger: each once, in order, however
// often the ledger fails and the process dies. A journal has one shipper.
//
// A batch's bounds are durable before it is sent, and its token follows from
// them. So a retry sends the same batch under the same token. A batch that the
// ledger rejects is halved until the rejected event is alone, and that one is set
// aside in the journal's directory rejected. After any other error the same batch
// is sent again, without end.
type Shipper struct {
	j *Journal
	o atomic.Pointer[ShipperOptions]

	mu     sync.Mutex // guards closed, cancel and done
	closed bool
	cancel context.CancelFunc // ends the current run; nil when there is none
	done   chan struct{}      // closed when it has ended

	flushing atomic.Int32 // callers that wait in Flush

	statsMu sync.Mutex
	stats   ShipperStats
}

// ShipperOptions tunes a shipper. The zero value stands for the defaults.
type ShipperOptions struct {
	BatchEvents  int           // most events of a batch; default 10,000
	BatchDelay   time.Duration // how long a batch that is not full waits; default 1 s
	BackoffMin   time.Duration // longest wait after the first failure, doubled with each further one; default 100 ms
	BackoffMax   time.Duration // where the doubling ends; default 30 s
	WriteTimeout time.Duration // for one write to the ledger; default 30 s

	Logger *slog.Logger // default slog.Default()
}

// ShipperStats are a shipper's figures since it was created.
type ShipperStats struct {
	Events   int64 // events that the ledger has taken
	Batches  int64 // batches that the ledger has taken
	Failures int64 // attempts that failed and were or will be repeated
	Rejected int64 // events that were set aside
	Err      error // why the latest attempt failed; nil when it did not
}

// NewShipper returns a shipper that sends nothing until Use.
func NewShipper(j *Journal, o ShipperOptions) *Shipper {
	s := &Shipper{j: j}
	s.Configure(o)
	return s
}

// Configure replaces the options. A batch that is being filled still follows the
// old ones.
func (s *Shipper) Configure(o ShipperOptions) {
	o.BatchEvents = cmp.Or(o.BatchEvents, 10_000)
	o.BatchDelay = cmp.Or(o.BatchDelay, time.Second)
	o.BackoffMin = cmp.Or(o.BackoffMin, 100*time.Millisecond)
	o.BackoffMax = cmp.Or(o.BackoffMax, 30*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	s.o.Store(&o)
}

// Use sets the ledger that events go to; with nil they stay in the journal. It
// cancels a write to the ledger used before and waits for its end, so that this
// ledger may be closed afterwards.
func (s *Shipper) Use(l usage.Ledger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halt()
	if l == nil || s.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	s.cancel, s.done = cancel, done
	go func() {
		defer close(done)
		s.run(ctx, l)
	}()
}

// Close stops the shipper for good. It does not wait until the ledger has the
// events: call Flush before, with a deadline, for that. Events that the ledger
// has not acknowledged are shipped after the journal is opened again.
func (s *Shipper) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.halt()
	return nil
}

func (s *Shipper) halt() {
	if s.cancel != nil {
		s.cancel()
		<-s.done
		s.cancel = nil
	}
}

// Flush waits until the ledger has taken everything that was appended before, or
// it was set aside. Meanwhile, batches that are not full do not wait.
func (s *Shipper) Flush(ctx context.Context) error {
	s.flushing.Add(1)
	defer s.flushing.Add(-1)
	notify(s.j.wake)
	target := s.j.end()
	for {
		s.j.mu.Lock()
		acknowledged, changed := s.j.cursor.state.Acknowledged, s.j.acked
		s.j.mu.Unlock()
		if acknowledged.compare(target) >= 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d usage events are still in the journal: %w", s.j.Stats().PendingEvents, ctx.Err())
		}
	}
}

// Stats returns the shipper's figures.
func (s *Shipper) Stats() ShipperStats {
	s.statsMu.Lock()
	defer s.statsMu.Unlock()
	return s.stats
}

// run ships until ctx ends.
func (s *Shipper) run(ctx context.Context, l usage.Ledger) {
	failures := 0
	for {
		err := s.step(ctx, l)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if failures > 0 {
				s.o.Load().Logger.Info("usage events reach the ledger again", "failures", failures)
			}
			failures = 0
			continue
		}
		failures++
		wait := s.backoff(failures)
		s.countFailure(err)
		s.o.Load().Logger.Warn("usage events did not reach the ledger, they stay in the journal", "error", err,
			"failures", failures, "again_in", wait, "pending_events", s.j.Stats().PendingEvents)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// backoff returns how long to wait after that many failures in a row: a random
// time up to a bound that doubles ("full jitter"), so that gates that lost a
// ledger at the same moment do not come back at the same moment.
func (s *Shipper) backoff(failures int) time.Duration {
	o := s.o.Load()
	bound := o.BackoffMin
	for range failures - 1 {
		if bound >= o.BackoffMax/2 {
			bound = o.BackoffMax
			break
		}
		bound *= 2
	}
	return rand.N(bound + 1)
}

// step sends one batch and records the outcome. All state is in the journal's
// cursor: nothing is kept in memory between two steps.
func (s *Shipper) step(ctx context.Context, l usage.Ledger) error {
	if !s.j.hasBatch() {
		if err := s.fill(ctx); err != nil {
			return err
		}
	}
	b, err := s.j.nextBatch(s.o.Load().BatchEvents)
	if err != nil {
		return err
	}
	if len(b.Events) == 0 { // there was nothing but damage
		return s.j.acknowledge(b)
	}
	failpoint("send: write")
	err = s.write(ctx, l, b.Batch)
	failpoint("send: done")
	rejected := errors.Is(err, usage.ErrRejected)
	switch {
	case rejected && len(b.Events) > 1:
		return s.j.split(b)
	case rejected:
		if err := s.setAside(b, err); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("write %d events to the ledger: %w", len(b.Events), err)
	}
	return s.acknowledge(b, rejected)
}

// acknowledge acknowledges a batch and counts it, under one lock: when Flush
// returns, Stats has counted what was flushed.
func (s *Shipper) acknowledge(b *batch, rejected bool) error {
	s.statsMu.Lock()
	defer s.statsMu.Unlock()
	if err := s.j.acknowledge(b); err != nil {
		return err
	}
	s.stats.Err = nil
	if rejected {
		s.stats.Rejected++
		return nil
	}
	s.stats.Batches++
	s.stats.Events += int64(len(b.Events))
	return nil
}

// fill waits for the first event, and then for a full batch, but no longer than
// BatchDelay, and not at all while somebody waits in Flush.
func (s *Shipper) fill(ctx context.Context) error {
	for !s.j.waitFor(backlog{1, 1}) {
		select {
		case <-s.j.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	o := s.o.Load()
	delay := time.NewTimer(o.BatchDelay)
	defer delay.Stop()
	for s.flushing.Load() == 0 && !s.j.waitFor(backlog{int64(o.BatchEvents), maxBatchBytes}) {
		select {
		case <-s.j.wake:
		case <-delay.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *Shipper) write(ctx context.Context, l usage.Ledger, b usage.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Load().WriteTimeout)
	defer cancel()
	return l.Write(ctx, b)
}

func (s *Shipper) setAside(b *batch, reason error) error {
	file, err := s.j.setAside(b, reason)
	if err != nil {
		return err
	}
	s.o.Load().Logger.Error("the ledger rejects a usage event, it is set aside", "event_id", b.Events[0].ID,
		"file", file, "error", reason)
	return nil
}

func (s *Shipper) countFailure(err error) {
	s.statsMu.Lock()
	defer s.statsMu.Unlock()
	s.stats.Failures++
	s.stats.Err = err
}
