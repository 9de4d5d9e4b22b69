package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Shipper brings a journal's events to a ledger: each once, in order, however
// often the ledger fails and the process dies. A journal has one shipper.
//
// A batch's bounds are durable before it is sent, and its token follows from
// them; so what is sent again is the same batch under the same token. A batch
// that the ledger rejects is halved until the event it rejects is alone, which
// is set aside in the journal's directory rejected. After any other error the
// same batch is sent again, for ever.
type Shipper struct {
	j *Journal
	o atomic.Pointer[ShipperOptions]

	mu     sync.Mutex // held by Use and Close
	closed bool
	cancel context.CancelFunc // ends the run under way; nil when there is none
	done   chan struct{}      // closed when it has ended

	flushing atomic.Int32 // callers of Flush that wait

	statsMu sync.Mutex
	stats   ShipperStats
}

// ShipperOptions tunes a shipper. The zero value stands for the defaults.
type ShipperOptions struct {
	BatchEvents  int           // most events of a batch; default 10,000
	BatchDelay   time.Duration // how long a batch that is not full waits; default 1 s
	BackoffMin   time.Duration // bound of the first wait after a failure, doubled with each; default 100 ms
	BackoffMax   time.Duration // the most it becomes; default 30 s
	WriteTimeout time.Duration // of one write to the ledger; default 30 s

	Logger *slog.Logger // default slog.Default()
}

// ShipperStats are a shipper's figures since it was made.
type ShipperStats struct {
	Events   int64 // that the ledger has taken
	Batches  int64 // likewise
	Failures int64 // attempts that failed and are made again
	Rejected int64 // events that were set aside
	Err      error // why the latest attempt failed; nil when it did not
}

// NewShipper returns a shipper that holds the events until Use.
func NewShipper(j *Journal, o ShipperOptions) *Shipper {
	s := &Shipper{j: j}
	s.Configure(o)
	return s
}

// Configure sets other options; a batch that waits already goes by the old ones.
func (s *Shipper) Configure(o ShipperOptions) {
	if o.BatchEvents <= 0 {
		o.BatchEvents = 10_000
	}
	if o.BatchDelay <= 0 {
		o.BatchDelay = time.Second
	}
	if o.BackoffMin <= 0 {
		o.BackoffMin = 100 * time.Millisecond
	}
	if o.BackoffMax <= 0 {
		o.BackoffMax = 30 * time.Second
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s.o.Store(&o)
}

// Use sets where events go; nil holds them. It cancels a write that is under
// way to the ledger used before and waits for its end, so that ledger may be
// closed afterwards.
func (s *Shipper) Use(l Ledger) {
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

// Close stops the shipper for good. It waits for no event to be taken; call
// Flush before, with a deadline, for that. What the ledger has not
// acknowledged is shipped after the journal is opened again.
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

// Flush waits until everything that was appended before has been taken by the
// ledger, or set aside. Batches that are not full do not wait meanwhile.
func (s *Shipper) Flush(ctx context.Context) error {
	s.flushing.Add(1)
	defer s.flushing.Add(-1)
	s.j.nudge()
	target := s.j.end()
	for {
		s.j.mu.Lock()
		acked, again := s.j.cursor.state.Acknowledged, s.j.acked
		s.j.mu.Unlock()
		if acked.compare(target) >= 0 {
			return nil
		}
		select {
		case <-again:
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
func (s *Shipper) run(ctx context.Context, l Ledger) {
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
		s.failed(err)
		s.o.Load().Logger.Warn("usage events did not reach the ledger, they stay in the journal", "error", err,
			"failures", failures, "again_in", wait, "pending_events", s.j.Stats().PendingEvents)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// backoff is how long to wait after that many failures in a row: anything up
// to a bound that doubles ("full jitter"), so that gates that lost a ledger
// together do not come back together.
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

// step brings the shipper one batch on. All that it has to remember is in the
// journal's cursor, so nothing is held in memory between two steps.
func (s *Shipper) step(ctx context.Context, l Ledger) error {
	if !s.j.hasBounds() {
		if err := s.fill(ctx); err != nil {
			return err
		}
	}
	b, err := s.j.nextBatch(s.o.Load().BatchEvents)
	if err != nil {
		return err
	}
	if len(b.Events) == 0 { // nothing but damage
		return s.j.acknowledge(b)
	}
	pass("send: write")
	err = s.write(ctx, l, b.Batch)
	pass("send: done")
	rejected := errors.Is(err, ErrRejected)
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
	return s.settle(b, rejected)
}

// settle acknowledges a batch and counts it, in one: whoever has seen in Flush
// that it is gone finds it in Stats.
func (s *Shipper) settle(b *batch, rejected bool) error {
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

// fill waits for the first event, and then for a full batch, but no longer
// than BatchDelay, and not at all when somebody waits in Flush.
func (s *Shipper) fill(ctx context.Context) error {
	for !s.j.expect(backlog{1, 1}) {
		select {
		case <-s.j.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	o := s.o.Load()
	delay := time.NewTimer(o.BatchDelay)
	defer delay.Stop()
	for s.flushing.Load() == 0 && !s.j.expect(backlog{int64(o.BatchEvents), maxBatchBytes}) {
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

func (s *Shipper) write(ctx context.Context, l Ledger, b Batch) error {
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

func (s *Shipper) failed(err error) {
	s.statsMu.Lock()
	defer s.statsMu.Unlock()
	s.stats.Failures++
	s.stats.Err = err
}
