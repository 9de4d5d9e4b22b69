package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallygate/tallygate/identity"
	"github.com/tallygate/tallygate/identity/postgres/postgrestest"
)

// counting counts how often the store is asked.
type counting struct {
	*Store
	updates atomic.Int64
}

func (s *counting) UpdateTallies(ctx context.Context, keyIDs []string, update func(time.Time, []identity.Tally)) error {
	s.updates.Add(1)
	return s.Store.UpdateTallies(ctx, keyIDs, update)
}

// limiters opens three limiters over one database.
func limiters(t *testing.T) (limiters [3]*identity.Limiter, stores [3]*counting) {
	server := postgrestest.Start(t)
	dsn := server.NewDatabase(t)
	for i := range limiters {
		stores[i] = &counting{Store: open(t, dsn)}
		_, err := stores[i].DB(t.Context())
		must(t, err)
		limiters[i] = identity.NewLimiter(stores[i])
		t.Cleanup(limiters[i].Close)
	}
	return limiters, stores
}

// flood calls from all sides until the time is over, and returns how many calls
// were let in, and the time from before the first to after the last.
func flood(t *testing.T, limiters [3]*identity.Limiter, p *identity.Principal, lasting time.Duration) (in, refused int64, took time.Duration) {
	var let, not atomic.Int64
	began := time.Now()
	var callers sync.WaitGroup
	for n := range 12 {
		callers.Go(func() {
			for time.Since(began) < lasting {
				permit, err := limiters[n%3].Acquire(t.Context(), p)
				var over *identity.Exceeded
				switch {
				case err == nil:
					let.Add(1)
					permit.Release()
				case errors.As(err, &over):
					not.Add(1)
				default:
					t.Error(err)
					return
				}
				<-time.After(5 * time.Millisecond) // 200 calls a second each, 2400 in all
			}
		})
	}
	callers.Wait()
	return let.Load(), not.Load(), time.Since(began)
}

// TestMinuteOverReplicas: ten thousand calls a minute over three replicas are
// never more, and at most 5 % fewer when the machine keeps up; and few of them
// ask the store.
func TestMinuteOverReplicas(t *testing.T) {
	limiters, stores := limiters(t)
	const perMinute = 10_000
	p := &identity.Principal{KeyID: "key", Limits: identity.Limits{CallsPerMinute: perMinute}}
	in, refused, took := flood(t, limiters, p, 6*time.Second)
	allowed := perMinute/60 + perMinute*took.Minutes()
	var asked int64
	for _, s := range stores {
		asked += s.updates.Load()
	}
	t.Logf("%d calls in %v, %.1f %% of %.0f; %d refused; the store was asked %d times", in, took, 100*float64(in)/allowed, allowed, refused, asked)
	if float64(in) > allowed {
		t.Errorf("%d calls were let in, %.0f are allowed", in, allowed)
	}
	// The rest is slack for a machine that is busy.
	if float64(in) < 0.80*allowed {
		t.Errorf("%d calls were let in of the %.0f that are allowed", in, allowed)
	}
	if refused == 0 || asked > (in+refused)/10 {
		t.Errorf("%d calls were let in and %d refused, and the store was asked %d times", in, refused, asked)
	}
}

// TestDayOverReplicas: the calls of a day are exact but for what each replica
// has in hand.
func TestDayOverReplicas(t *testing.T) {
	limiters, _ := limiters(t)
	const perDay = 1000
	p := &identity.Principal{KeyID: "key", Limits: identity.Limits{CallsPerDay: perDay}}
	var in int64
	for in < perDay-3*perDay/200 {
		n, _, _ := flood(t, limiters, p, 500*time.Millisecond)
		if in += n; n == 0 {
			break
		}
	}
	if in > perDay || in < perDay-3*perDay/200 {
		t.Errorf("%d calls were let in of %d", in, perDay)
	}
}

// TestConcurrentOverReplicas: never more at once than the limit.
func TestConcurrentOverReplicas(t *testing.T) {
	limiters, _ := limiters(t)
	const most = 10
	p := &identity.Principal{KeyID: "key", Limits: identity.Limits{ConcurrentCalls: most}}
	var mu sync.Mutex
	var peak int64
	var underWay, in atomic.Int64
	var callers sync.WaitGroup
	for n := range 30 {
		callers.Go(func() {
			for range 30 {
				permit, err := limiters[n%3].Acquire(t.Context(), p)
				if err != nil {
					if !errors.As(err, new(*identity.Exceeded)) {
						t.Error(err)
					}
					<-time.After(20 * time.Millisecond)
					continue
				}
				now := underWay.Add(1)
				mu.Lock()
				peak = max(peak, now)
				mu.Unlock()
				in.Add(1)
				<-time.After(10 * time.Millisecond)
				underWay.Add(-1)
				permit.Release()
			}
		})
	}
	callers.Wait()
	t.Logf("%d calls, %d at once", in.Load(), peak)
	if peak > most || in.Load() < most {
		t.Errorf("%d calls were under way at once, at most %d are allowed; %d in all", peak, most, in.Load())
	}
}

// TestLimitsStopped: when the database stops, calls go on, each replica by
// itself; when it is back, they count.
func TestLimitsStopped(t *testing.T) {
	server := postgrestest.Start(t)
	s := open(t, server.NewDatabase(t))
	limiter := identity.NewLimiter(s)
	defer limiter.Close()
	p := &identity.Principal{KeyID: "key", Limits: identity.Limits{CallsPerDay: 100, RecordsPerDay: 1000}}
	call := func() error {
		permit, err := limiter.Acquire(t.Context(), p)
		if err == nil {
			permit.Records(1)
			permit.Release()
		}
		return err
	}
	must(t, call())
	server.Stop(t)
	for range 50 {
		must(t, call())
	}
	server.Restart(t)
	deadline := time.Now().Add(patience)
	for {
		var kept identity.Tally
		// The first connections of the pool are those that broke.
		err := s.UpdateTallies(t.Context(), []string{"key"}, func(_ time.Time, tallies []identity.Tally) { kept = tallies[0] })
		if err == nil && kept.Records == 51 && kept.Calls >= 51 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the store has %+v, %v", kept, err)
		}
		<-time.After(50 * time.Millisecond)
	}
	for n := 51; n < 100; n++ {
		must(t, call())
	}
	if err := call(); !errors.As(err, new(*identity.Exceeded)) {
		t.Errorf("the call after the last of the day: %v", err)
	}
}

// BenchmarkUpdateTallies is one exchange, of one key and of a thousand.
func BenchmarkUpdateTallies(b *testing.B) {
	server := postgrestest.Start(b)
	s := open(b, server.NewDatabase(b))
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = fmt.Sprintf("key %d", i)
			}
			for b.Loop() {
				if err := s.UpdateTallies(b.Context(), ids, func(_ time.Time, tallies []identity.Tally) {
					for i := range tallies {
						tallies[i].Calls++
					}
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
