package quota_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/quota"
)

var errDown = errors.New("the store is down")

// tallies is a TallyStore in memory that can be made to fail, to hang or to be
// slow.
type tallies struct {
	sem     chan struct{} // held during an update; a mutex would keep a bubble's time from passing
	mu      sync.Mutex
	kept    map[string]identity.Tally
	fault   error
	hang    bool
	ahead   time.Duration // of its clock
	delay   time.Duration
	updates int
}

func newTallies(delay time.Duration) *tallies {
	return &tallies{sem: make(chan struct{}, 1), kept: map[string]identity.Tally{}, delay: delay}
}

func (s *tallies) UpdateTallies(ctx context.Context, keyIDs []string, update func(time.Time, []identity.Tally)) error {
	s.sem <- struct{}{}
	defer func() { <-s.sem }()
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

// updateCount returns how often the store was asked.
func (s *tallies) updateCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updates
}

func (s *tallies) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// cluster is some replicas that share a store, and the limits of a key.
type cluster struct {
	t        *testing.T
	store    *tallies
	replicas []*quota.Limiter
	limits   identity.Limits
}

// bubble runs a test in a synctest bubble, where time passes only when everything waits.
// It begins at midnight UTC.
func bubble(t *testing.T, replicas int, l identity.Limits, test func(*testing.T, *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &cluster{
			t: t, store: newTallies(time.Millisecond), limits: l,
		}
		for range replicas {
			w.replicas = append(w.replicas, quota.NewLimiter(w.store))
		}
		test(t, w)
		for _, r := range w.replicas {
			r.Close()
		}
	})
}

// call makes a call, and returns the limit that refuses it.
func (w *cluster) call(replica int) (quota.Permit, *quota.Exceeded) {
	w.t.Helper()
	permit, err := w.replicas[replica].Acquire(w.t.Context(), quota.Subject{ID: "key", Limits: w.limits}, quota.Subject{})
	over, _ := errors.AsType[*quota.Exceeded](err)
	if err != nil && over == nil {
		w.t.Fatal(err)
	}
	return permit, over
}

// calls makes calls that end at once, and returns how many were let in and the
// limit that refused the last.
func (w *cluster) calls(replica, n int) (in int, over *quota.Exceeded) {
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

func (w *cluster) want(replica, n, want int, over string) {
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
	bubble(t, 1, identity.Limits{}, func(t *testing.T, w *cluster) {
		w.want(0, 10_000, 10_000, "")
		permit, _ := w.call(0)
		permit.Records(1 << 40)
		permit.Release()
		if w.store.updateCount() > 0 {
			t.Error("the store was asked")
		}
	})
}

func TestBurst(t *testing.T) {
	bubble(t, 1, identity.Limits{CallsPerMinute: 60, Burst: 10}, func(t *testing.T, w *cluster) {
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

// TestShared: all replicas together let in as many calls as one would.
func TestShared(t *testing.T) {
	bubble(t, 3, identity.Limits{CallsPerMinute: 6000, Burst: 600}, func(t *testing.T, w *cluster) {
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
		// 1500 calls a second were made. Few of them asked the store.
		if w.store.updateCount() > 60*50 {
			t.Errorf("the store was asked %d times in a minute", w.store.updateCount())
		}
	})
}

// TestSlowKey: occasional calls do not wait for the store.
func TestSlowKey(t *testing.T) {
	bubble(t, 1, identity.Limits{CallsPerMinute: 600, CallsPerDay: 10_000, RecordsPerDay: 10_000, ConcurrentCalls: 3}, func(t *testing.T, w *cluster) {
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
	bubble(t, 3, identity.Limits{CallsPerDay: 1000}, func(t *testing.T, w *cluster) {
		for day := range 3 {
			in := 0
			var last *quota.Exceeded
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
			// The others give back what they do not use; all of it can be used.
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
	bubble(t, 2, identity.Limits{RecordsPerDay: 1000}, func(t *testing.T, w *cluster) {
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

// TestConcurrent: each replica lets no more calls in at once than the limit, and
// does not know of the others'; it loses none of them.
func TestConcurrent(t *testing.T) {
	const most = 5
	bubble(t, 3, identity.Limits{ConcurrentCalls: most}, func(t *testing.T, w *cluster) {
		var mu sync.Mutex
		var inFlight, peak [3]int
		refused, in := 0, 0
		var callers sync.WaitGroup
		for n := range 30 {
			replica := n % 3
			callers.Go(func() {
				for range 20 {
					permit, over := w.call(replica)
					if over != nil {
						mu.Lock()
						refused++
						mu.Unlock()
						time.Sleep(over.RetryAfter)
						continue
					}
					mu.Lock()
					inFlight[replica]++
					in++
					peak[replica] = max(peak[replica], inFlight[replica])
					mu.Unlock()
					time.Sleep(time.Duration(100+n*13) * time.Millisecond)
					mu.Lock()
					inFlight[replica]--
					mu.Unlock()
					permit.Release()
				}
			})
		}
		callers.Wait()
		if peak != [3]int{most, most, most} || refused == 0 || in == 0 {
			t.Errorf("%v calls were in flight at once, %d were refused, %d let in", peak, refused, in)
		}
		var permits []quota.Permit
		for range most {
			permit, over := w.call(1)
			if over != nil {
				t.Fatal(over)
			}
			permits = append(permits, permit)
		}
		w.want(1, 1, 0, "concurrent_calls")
		w.want(2, 1, 1, "") // counts for itself
		time.Sleep(time.Hour)
		w.want(1, 1, 0, "concurrent_calls") // however long the calls take
		for _, permit := range permits {
			permit.Release()
		}
		w.want(1, 10, 10, "")
		if w.store.updateCount() > 0 {
			t.Error("the store was asked")
		}
	})
}

// TestLimitChanges: a new limit holds from the next call on.
func TestLimitChanges(t *testing.T) {
	bubble(t, 1, identity.Limits{CallsPerDay: 10, CallsPerMinute: 60, Burst: 100}, func(_ *testing.T, w *cluster) {
		w.want(0, 20, 10, "calls_per_day")
		w.limits = identity.Limits{CallsPerDay: 15, CallsPerMinute: 60, Burst: 100}
		w.want(0, 20, 5, "calls_per_day")
		w.limits = identity.Limits{CallsPerMinute: 60, Burst: 20}
		w.want(0, 20, 5, "calls_per_minute")
		w.limits = identity.Limits{ConcurrentCalls: 1}
		w.want(0, 20, 20, "")
	})
}

// TestStoreDown: while the store is down, each replica goes on by itself, and
// what it lets in counts when the store is back.
func TestStoreDown(t *testing.T) {
	for name, fail := range map[string]func(*tallies){
		"fails": func(s *tallies) { s.fault = errDown },
		"hangs": func(s *tallies) { s.hang = true },
	} {
		t.Run(name, func(t *testing.T) {
			l := identity.Limits{CallsPerMinute: 600, Burst: 100, CallsPerDay: 1000, RecordsPerDay: 10_000, ConcurrentCalls: 10}
			bubble(t, 2, l, func(t *testing.T, w *cluster) {
				w.want(0, 50, 50, "")
				time.Sleep(time.Minute)
				w.store.set(func() { fail(w.store) })
				began := time.Now()
				w.want(0, 200, 100, "calls_per_minute")
				if waited := time.Since(began); waited > 2*time.Second {
					t.Errorf("waited %v for a store that is down", waited)
				}
				w.want(1, 200, 100, "calls_per_minute") // does not know of the other
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
				var got identity.Tally
				w.store.set(func() { got = w.store.kept["key"] })
				if got.Calls < 1050 || got.Records != 20_000 {
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

// TestClockOfStore: days and minutes are those of the store's clock, whatever the
// replica's clock says.
func TestClockOfStore(t *testing.T) {
	bubble(t, 2, identity.Limits{CallsPerDay: 10, CallsPerMinute: 60_000}, func(_ *testing.T, w *cluster) {
		w.store.set(func() { w.store.ahead = 24*time.Hour - time.Second })
		w.want(0, 20, 10, "calls_per_day")
		w.want(1, 20, 0, "calls_per_day")
		time.Sleep(2 * time.Second)
		w.want(0, 20, 10, "calls_per_day")
	})
}

// TestAcquireCanceled: a caller that gives up waiting leaves nothing behind, and
// nobody waits for a Limiter that is closed.
func TestAcquireCanceled(t *testing.T) {
	bubble(t, 1, identity.Limits{CallsPerMinute: 60, Burst: 1, ConcurrentCalls: 1}, func(t *testing.T, w *cluster) {
		w.store.set(func() { w.store.delay = 100 * time.Millisecond })
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := w.replicas[0].Acquire(ctx, quota.Subject{ID: "key", Limits: w.limits}, quota.Subject{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire: %v", err)
		}
		w.want(0, 2, 1, "calls_per_minute")

		closed := quota.NewLimiter(w.store)
		closed.Close()
		if _, err := closed.Acquire(t.Context(), quota.Subject{ID: "key", Limits: w.limits}, quota.Subject{}); err == nil {
			t.Error("Acquire after Close succeeds")
		}
	})
}

// TestCloseGivesBack: another replica can use the leases of one that was closed.
func TestCloseGivesBack(t *testing.T) {
	bubble(t, 1, identity.Limits{CallsPerDay: 2000, ConcurrentCalls: 1}, func(_ *testing.T, w *cluster) {
		other := quota.NewLimiter(w.store)
		if _, err := other.Acquire(w.t.Context(), quota.Subject{ID: "key", Limits: w.limits}, quota.Subject{}); err != nil {
			w.t.Fatal(err)
		}
		other.Close()
		w.want(0, 3000, 1999, "calls_per_day")
	})
}

// TestManyKeys: concurrent requests of many keys are one transaction, and keys
// that are not used any more are forgotten.
func TestManyKeys(t *testing.T) {
	bubble(t, 1, identity.Limits{}, func(t *testing.T, w *cluster) {
		var callers sync.WaitGroup
		for n := range 1000 {
			keyID, l := fmt.Sprint(n), identity.Limits{CallsPerMinute: 60, CallsPerDay: 5}
			callers.Go(func() {
				permit, err := w.replicas[0].Acquire(t.Context(), quota.Subject{ID: keyID, Limits: l}, quota.Subject{})
				if err != nil {
					t.Error(err)
				}
				permit.Release()
			})
		}
		callers.Wait()
		synctest.Wait()
		if w.store.updateCount() > 20 {
			t.Errorf("the store was asked %d times", w.store.updateCount())
		}
		time.Sleep(time.Hour)
		if got := w.replicas[0].Accounts(); got != 0 {
			t.Errorf("%d keys are remembered", got)
		}
	})
}

// TestUserCeiling: a user's limits are over all of the user's keys together, on every
// replica, whatever limits the keys have. A call that a key's limit refuses takes
// nothing from the user's.
func TestUserCeiling(t *testing.T) {
	for name, user := range map[string]identity.Limits{
		"day":    {CallsPerDay: 30},
		"minute": {CallsPerMinute: 1, Burst: 30},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 3, identity.Limits{}, func(t *testing.T, w *cluster) {
				call := func(key string, own identity.Limits, replica int) *quota.Exceeded {
					permit, err := w.replicas[replica].Acquire(t.Context(), quota.Subject{ID: key, Limits: own}, quota.Subject{ID: "user", Limits: user})
					over, ok := errors.AsType[*quota.Exceeded](err)
					if err != nil && !ok {
						t.Fatal(err)
					}
					permit.Release()
					return over
				}
				// A key with a limit of its own above the user's, one below, one with none.
				own := []identity.Limits{{CallsPerDay: 1000, CallsPerMinute: 1000, Burst: 500}, {CallsPerDay: 3}, {}}
				made, refusedByKey := 0, 0
				for n := range 300 {
					over := call(fmt.Sprint("key ", n%3), own[n%3], n/3%3)
					switch {
					case over == nil:
						made++
					case over.OfUser:
					case n%3 == 1 && over.Limit == identity.LimitCallsPerDay && over.Value == 3:
						refusedByKey++
					default:
						t.Errorf("call %d is refused by %+v", n, over)
					}
				}
				if made > 30 || made < 30-3*2 || refusedByKey == 0 {
					t.Errorf("%d calls were made, and %d refused by the key's own limit", made, refusedByKey)
				}
			})
		})
	}
}

// TestUserCeilingOfConcurrentCalls: calls in flight of all keys count for the user, and
// one that a key's limit refuses does not.
func TestUserCeilingOfConcurrentCalls(t *testing.T) {
	bubble(t, 1, identity.Limits{}, func(t *testing.T, w *cluster) {
		acquire := func(key string, own int64) (quota.Permit, error) {
			return w.replicas[0].Acquire(t.Context(), quota.Subject{ID: key, Limits: identity.Limits{ConcurrentCalls: own}},
				quota.Subject{ID: "user", Limits: identity.Limits{ConcurrentCalls: 3}})
		}
		first, err := acquire("a", 1)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			over, ok := errors.AsType[*quota.Exceeded](func() error { _, err := acquire("a", 1); return err }())
			if !ok || over.OfUser {
				t.Fatalf("a second call of the key: %+v", over)
			}
		}
		for _, key := range []string{"b", "c"} {
			if _, err := acquire(key, 1); err != nil {
				t.Fatalf("key %s: %v", key, err)
			}
		}
		over, ok := errors.AsType[*quota.Exceeded](func() error { _, err := acquire("d", 0); return err }())
		if !ok || !over.OfUser || over.Value != 3 {
			t.Errorf("a fourth call of the user: %+v", over)
		}
		first.Release()
		if _, err := acquire("d", 0); err != nil {
			t.Errorf("after one has ended: %v", err)
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
			limiter := quota.NewLimiter(store)
			defer limiter.Close()
			b.ReportAllocs()
			for b.Loop() {
				permit, err := limiter.Acquire(b.Context(), quota.Subject{ID: "key", Limits: l}, quota.Subject{})
				if err != nil {
					b.Fatal(err)
				}
				permit.Release()
			}
		})
	}
}
