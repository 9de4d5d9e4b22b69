package identity_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/identity"
)

// tallies is a TallyStore in memory, which fails or takes its time as it is
// told.
type tallies struct {
	turn    chan struct{} // to update; a mutex would keep a bubble's time from passing
	mu      sync.Mutex
	kept    map[string]identity.Tally
	fault   error
	hang    bool
	ahead   time.Duration // of its clock
	delay   time.Duration
	updates int
}

func newTallies(delay time.Duration) *tallies {
	return &tallies{turn: make(chan struct{}, 1), kept: map[string]identity.Tally{}, delay: delay}
}

func (s *tallies) UpdateTallies(ctx context.Context, keyIDs []string, update func(time.Time, []identity.Tally)) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.mu.Lock()
	s.updates++
	hang, delay := s.hang, s.delay
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return s.fault
	}
	list := make([]identity.Tally, len(keyIDs))
	for i, id := range keyIDs {
		list[i] = s.kept[id]
	}
	update(time.Now().Add(s.ahead), list)
	for i, id := range keyIDs {
		s.kept[id] = list[i]
	}
	return nil
}

func (s *tallies) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// limited is some replicas that share a store, and a key.
type limited struct {
	t        *testing.T
	store    *tallies
	replicas []*identity.Limiter
	key      *identity.Principal
}

// limit runs a test in a bubble, where time passes only when everything waits.
// It begins at midnight UTC.
func limit(t *testing.T, replicas int, l identity.Limits, test func(*testing.T, *limited)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &limited{
			t: t, store: newTallies(time.Millisecond),
			key: &identity.Principal{KeyID: "key", Limits: l},
		}
		for range replicas {
			w.replicas = append(w.replicas, identity.NewLimiter(w.store))
		}
		test(t, w)
		for _, r := range w.replicas {
			r.Close()
		}
	})
}

// call makes a call, and returns the limit that refuses it.
func (w *limited) call(replica int) (identity.Permit, *identity.Exceeded) {
	w.t.Helper()
	permit, err := w.replicas[replica].Acquire(w.t.Context(), w.key)
	over, _ := errors.AsType[*identity.Exceeded](err)
	if err != nil && over == nil {
		w.t.Fatal(err)
	}
	return permit, over
}

// calls makes calls that end at once, and returns how many were let in and the
// limit that refused the last.
func (w *limited) calls(replica, n int) (in int, over *identity.Exceeded) {
	w.t.Helper()
	for range n {
		permit, refused := w.call(replica)
		if refused == nil {
			permit.Release()
			in++
		} else {
			over = refused
		}
	}
	return in, over
}

func (w *limited) want(replica, n, want int, over string) {
	w.t.Helper()
	got, refused := w.calls(replica, n)
	name := ""
	if refused != nil {
		name = refused.Limit
	}
	if got != want || name != over {
		w.t.Errorf("replica %d let %d of %d calls in (%v), want %d (%s)", replica, got, n, refused, want, over)
	}
}

func TestNoLimits(t *testing.T) {
	limit(t, 1, identity.Limits{}, func(t *testing.T, w *limited) {
		w.want(0, 10_000, 10_000, "")
		permit, _ := w.call(0)
		permit.Records(1 << 40)
		permit.Release()
		if w.store.updates > 0 {
			t.Error("the store was asked")
		}
	})
}

func TestBurst(t *testing.T) {
	limit(t, 1, identity.Limits{CallsPerMinute: 60, Burst: 10}, func(t *testing.T, w *limited) {
		w.want(0, 100, 10, "calls_per_minute")
		_, over := w.call(0)
		if over == nil || over.Value != 60 || over.RetryAfter <= 0 || over.RetryAfter > time.Second {
			t.Errorf("refused with %+v", over)
		}
		if want := "the limit calls_per_minute of this key is 60: try again in 1s"; over.Error() != want {
			t.Errorf("%v, want %s", over, want)
		}
		time.Sleep(over.RetryAfter)
		w.want(0, 5, 1, "calls_per_minute")
		time.Sleep(time.Hour)
		w.want(0, 100, 10, "calls_per_minute")
	})
}

// TestShared: over all replicas, as many calls as one would let in.
func TestShared(t *testing.T) {
	limit(t, 3, identity.Limits{CallsPerMinute: 6000, Burst: 600}, func(t *testing.T, w *limited) {
		in := 0
		began := time.Now()
		for time.Since(began) < time.Minute {
			for replica := range w.replicas {
				n, _ := w.calls(replica, 10)
				in += n
			}
			time.Sleep(10 * time.Millisecond)
		}
		most := 600 + int(6000*time.Since(began)/time.Minute)
		if in > most || in < most*97/100 {
			t.Errorf("%d calls were let in, want %d or up to 3 %% fewer", in, most)
		}
		// 1500 a second were made, and few asked for.
		if w.store.updates > 60*50 {
			t.Errorf("the store was asked %d times in a minute", w.store.updates)
		}
	})
}

// TestSlowKey: a call that comes now and then does not wait for the store.
func TestSlowKey(t *testing.T) {
	limit(t, 1, identity.Limits{CallsPerMinute: 600, CallsPerDay: 10_000, RecordsPerDay: 10_000, ConcurrentCalls: 3}, func(t *testing.T, w *limited) {
		w.want(0, 1, 1, "")
		time.Sleep(100 * time.Millisecond)
		w.store.set(func() { w.store.delay = 50 * time.Millisecond })
		for range 100 {
			began := time.Now()
			permit, over := w.call(0)
			if waited := time.Since(began); over != nil || waited > 0 {
				t.Fatalf("waited %v, %v", waited, over)
			}
			permit.Records(1)
			permit.Release()
			time.Sleep(time.Second)
		}
	})
}

func TestCallsPerDay(t *testing.T) {
	limit(t, 3, identity.Limits{CallsPerDay: 1000}, func(t *testing.T, w *limited) {
		for day := range 3 {
			in := 0
			var last *identity.Exceeded
			for range 1000 {
				for replica := range w.replicas {
					n, over := w.calls(replica, 1)
					if in += n; over != nil {
						last = over
					}
				}
			}
			if in > 1000 || in < 1000-3*5 {
				t.Errorf("day %d: %d calls were let in", day, in)
			}
			if last == nil || last.Limit != "calls_per_day" {
				t.Fatalf("refused with %+v", last)
			}
			midnight := time.Now().Truncate(24 * time.Hour).Add(24 * time.Hour)
			if left := time.Until(midnight); last.RetryAfter > left+time.Minute || last.RetryAfter < left-time.Minute {
				t.Errorf("try again in %v, at midnight it is %v", last.RetryAfter, left)
			}
			// What the others do not use, they give back; all of it can be used.
			time.Sleep(time.Minute)
			n, _ := w.calls(0, 1000)
			if in += n; in != 1000 {
				t.Errorf("day %d: %d calls were let in, at last", day, in)
			}
			time.Sleep(time.Until(midnight) + time.Second)
		}
	})
}

func TestRecordsPerDay(t *testing.T) {
	limit(t, 2, identity.Limits{RecordsPerDay: 1000}, func(t *testing.T, w *limited) {
		for range 2 {
			for n := range 10 {
				permit, over := w.call(n % 2)
				if over != nil {
					t.Fatalf("call %d: %v", n, over)
				}
				permit.Records(100)
				permit.Release()
				time.Sleep(time.Second)
			}
			time.Sleep(2 * time.Second)
			w.want(0, 3, 0, "records_per_day")
			w.want(1, 3, 0, "records_per_day")
			time.Sleep(time.Hour)
			w.want(0, 3, 0, "records_per_day")
			_, over := w.call(1)
			time.Sleep(over.RetryAfter)
		}
	})
}

// TestConcurrent: over all replicas, no more at once than the limit, and none
// is lost.
func TestConcurrent(t *testing.T) {
	const most = 5
	limit(t, 3, identity.Limits{ConcurrentCalls: most}, func(t *testing.T, w *limited) {
		var mu sync.Mutex
		underWay, peak, refused, in := 0, 0, 0, 0
		var callers sync.WaitGroup
		for n := range 30 {
			callers.Go(func() {
				for range 20 {
					permit, over := w.call(n % 3)
					if over != nil {
						mu.Lock()
						refused++
						mu.Unlock()
						time.Sleep(over.RetryAfter)
						continue
					}
					mu.Lock()
					underWay++
					in++
					peak = max(peak, underWay)
					mu.Unlock()
					time.Sleep(time.Duration(100+n*13) * time.Millisecond)
					mu.Lock()
					underWay--
					mu.Unlock()
					permit.Release()
				}
			})
		}
		callers.Wait()
		if peak != most || refused == 0 || in == 0 {
			t.Errorf("%d calls were under way at once, %d were refused, %d let in", peak, refused, in)
		}
		time.Sleep(5 * time.Second)
		// All five can be had by one.
		var permits []identity.Permit
		for range most {
			permit, over := w.call(1)
			if over != nil {
				t.Fatal(over)
			}
			permits = append(permits, permit)
		}
		w.want(1, 1, 0, "concurrent_calls")
		w.want(2, 1, 0, "concurrent_calls")
		time.Sleep(time.Minute) // long calls keep their slots
		w.want(0, 1, 0, "concurrent_calls")
		for _, permit := range permits {
			permit.Release()
		}
		w.want(1, 10, 10, "")
	})
}

// TestDeadReplica: what a replica holds that died is free after a while.
func TestDeadReplica(t *testing.T) {
	limit(t, 2, identity.Limits{ConcurrentCalls: 1}, func(_ *testing.T, w *limited) {
		if _, over := w.call(0); over != nil {
			w.t.Fatal(over)
		}
		w.store.set(func() {
			tally := w.store.kept["key"]
			for _, slots := range tally.Slots {
				tally.Slots = map[string]identity.Slots{"dead": slots}
			}
			w.store.kept["key"] = tally
		})
		w.want(1, 1, 0, "concurrent_calls")
		time.Sleep(30 * time.Second)
		// The first replica, which is not dead, has asked for its slot again.
		w.want(1, 1, 0, "concurrent_calls")
	})
}

// TestLimitChanges: another limit holds from the next call on.
func TestLimitChanges(t *testing.T) {
	limit(t, 1, identity.Limits{CallsPerDay: 10, CallsPerMinute: 60, Burst: 100}, func(_ *testing.T, w *limited) {
		w.want(0, 20, 10, "calls_per_day")
		w.key = &identity.Principal{KeyID: "key", Limits: identity.Limits{CallsPerDay: 15, CallsPerMinute: 60, Burst: 100}}
		w.want(0, 20, 5, "calls_per_day")
		w.key = &identity.Principal{KeyID: "key", Limits: identity.Limits{CallsPerMinute: 60, Burst: 20}}
		w.want(0, 20, 5, "calls_per_minute")
		w.key = &identity.Principal{KeyID: "key", Limits: identity.Limits{ConcurrentCalls: 1}}
		w.want(0, 20, 20, "")
	})
}

// TestLimitsAway: while the store is away, each replica goes on by itself, and
// what it lets in counts when the store is back.
func TestLimitsAway(t *testing.T) {
	for name, fail := range map[string]func(*tallies){
		"fails": func(s *tallies) { s.fault = errDown },
		"hangs": func(s *tallies) { s.hang = true },
	} {
		t.Run(name, func(t *testing.T) {
			l := identity.Limits{CallsPerMinute: 600, Burst: 100, CallsPerDay: 1000, RecordsPerDay: 10_000, ConcurrentCalls: 10}
			limit(t, 2, l, func(t *testing.T, w *limited) {
				w.want(0, 50, 50, "")
				time.Sleep(time.Minute)
				w.store.set(func() { fail(w.store) })
				began := time.Now()
				w.want(0, 200, 100, "calls_per_minute")
				if waited := time.Since(began); waited > 2*time.Second {
					t.Errorf("waited %v for a store that is away", waited)
				}
				w.want(1, 200, 100, "calls_per_minute") // knows of no other
				for range 10 {
					time.Sleep(time.Minute)
					_, _ = w.calls(0, 200)
				}
				w.want(0, 1, 0, "calls_per_day")
				permit, _ := w.call(1)
				permit.Records(20_000)
				permit.Release()
				w.want(1, 1, 0, "records_per_day")
				w.store.set(func() { w.store.fault, w.store.hang = nil, false })
				time.Sleep(time.Minute)
				if got := w.store.kept["key"]; got.Calls < 1050 || got.Records != 20_000 {
					t.Errorf("when it is back, the store has %+v", got)
				}
				w.want(0, 1, 0, "records_per_day")
				w.want(1, 1, 0, "records_per_day")
				time.Sleep(24 * time.Hour)
				w.want(1, 10, 10, "")
			})
		})
	}
}

// TestClockOfStore: the store's day and minute hold, whatever the replica's
// clock says.
func TestClockOfStore(t *testing.T) {
	limit(t, 2, identity.Limits{CallsPerDay: 10, CallsPerMinute: 60_000}, func(_ *testing.T, w *limited) {
		w.store.ahead = 24*time.Hour - time.Second
		w.want(0, 20, 10, "calls_per_day")
		w.want(1, 20, 0, "calls_per_day")
		time.Sleep(2 * time.Second)
		w.want(0, 20, 10, "calls_per_day")
	})
}

// TestAcquireEnds: who gives up waiting leaves nothing behind, and nobody waits
// for a Limiter that is closed.
func TestAcquireEnds(t *testing.T) {
	limit(t, 1, identity.Limits{CallsPerMinute: 60, Burst: 1, ConcurrentCalls: 1}, func(t *testing.T, w *limited) {
		w.store.set(func() { w.store.delay = 100 * time.Millisecond })
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := w.replicas[0].Acquire(ctx, w.key); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire: %v", err)
		}
		w.want(0, 2, 1, "calls_per_minute")

		closed := identity.NewLimiter(w.store)
		closed.Close()
		if _, err := closed.Acquire(t.Context(), w.key); err == nil {
			t.Error("Acquire after Close succeeds")
		}
	})
}

// TestCloseGivesBack: what a replica had in hand, another can use.
func TestCloseGivesBack(t *testing.T) {
	limit(t, 1, identity.Limits{CallsPerDay: 2000, ConcurrentCalls: 1}, func(_ *testing.T, w *limited) {
		other := identity.NewLimiter(w.store)
		if _, err := other.Acquire(w.t.Context(), w.key); err != nil {
			w.t.Fatal(err)
		}
		other.Close()
		w.want(0, 3000, 1999, "calls_per_day")
	})
}

// TestManyKeys: what many keys ask at once is one question, and keys that are
// not used any more are forgotten.
func TestManyKeys(t *testing.T) {
	limit(t, 1, identity.Limits{}, func(t *testing.T, w *limited) {
		var callers sync.WaitGroup
		for n := range 1000 {
			p := &identity.Principal{KeyID: fmt.Sprint(n), Limits: identity.Limits{CallsPerMinute: 60, CallsPerDay: 5}}
			callers.Go(func() {
				permit, err := w.replicas[0].Acquire(t.Context(), p)
				if err != nil {
					t.Error(err)
				}
				permit.Release()
			})
		}
		callers.Wait()
		synctest.Wait()
		if w.store.updates > 20 {
			t.Errorf("the store was asked %d times", w.store.updates)
		}
		time.Sleep(time.Hour)
		if got := w.replicas[0].Accounts(); got != 0 {
			t.Errorf("%d keys are remembered", got)
		}
	})
}

func BenchmarkAcquire(b *testing.B) {
	for name, l := range map[string]identity.Limits{
		"none": {},
		"all":  {CallsPerMinute: 1_000_000_000, Burst: 1_000_000, CallsPerDay: 1_000_000_000, RecordsPerDay: 1_000_000_000, ConcurrentCalls: 1000},
	} {
		b.Run(name, func(b *testing.B) {
			store := newTallies(0)
			limiter := identity.NewLimiter(store)
			defer limiter.Close()
			p := &identity.Principal{KeyID: "key", Limits: l}
			b.ReportAllocs()
			for b.Loop() {
				permit, err := limiter.Acquire(b.Context(), p)
				if err != nil {
					b.Fatal(err)
				}
				permit.Release()
			}
		})
	}
}
