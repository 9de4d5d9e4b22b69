package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage"
	"github.com/tallygate/tallygate/usage/usagetest"
)

// expire calls Expire until there is nothing left to do.
func expire(t testing.TB, l *Ledger, now time.Time) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = l.Expire(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
}

func pages(t testing.TB, l *Ledger) (n int) {
	t.Helper()
	if err := l.write.QueryRow("PRAGMA page_count").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestExpire deletes what is older than the ttl by whole days, keeps the roll-up
// right after each step, and shortens the file.
func TestExpire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	l := openLedger(t, path+"?ttl=3d")
	b := usagetest.Batch(0, 6_000, 2*time.Minute) // 8 days and 8 hours
	mustWrite(t, l, b)
	full := pages(t, l)

	now := usagetest.Start.AddDate(0, 0, 8)
	kept := now.Truncate(24*time.Hour).AddDate(0, 0, -3)
	var want []usage.Event
	for _, e := range b.Events {
		if !e.Time.Before(kept) {
			want = append(want, e)
		}
	}
	for more := true; more; {
		var err error
		if more, err = l.Expire(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		wantRollUp(t, l)
	}
	wantTotal(t, l, int64(len(want)))
	page, err := l.History(t.Context(), usage.HistoryQuery{Page: 1, PageSize: len(want)})
	if err != nil || len(page.Events) != len(want) || page.Events[len(want)-1].ID != want[0].ID {
		t.Fatalf("%d events, %v; want %d", len(page.Events), err, len(want))
	}
	if left := pages(t, l); left > full*3/4 {
		t.Errorf("%d pages are left of %d, for %d events of %d", left, full, len(want), len(b.Events))
	}
	expire(t, l, now.AddDate(1, 0, 0))
	wantTotal(t, l, 0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 100_000 {
		t.Errorf("the empty ledger's file has %d bytes, %v", info.Size(), err)
	}

	kept4ever := openLedger(t, path)
	mustWrite(t, kept4ever, b)
	expire(t, kept4ever, now.AddDate(100, 0, 0))
	wantTotal(t, kept4ever, int64(len(b.Events)))
}

// TestExpireBesideWrites writes and deletes at the same time, on one ledger and on
// another one of the same file, as during a reload: nothing fails, and what is
// not too old stays.
func TestExpireBesideWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "usage.db")
	l, other := openLedger(t, path+"?ttl=3d"), openLedger(t, path+"?ttl=3d")
	now := usagetest.Start.AddDate(0, 0, 100)
	mustWrite(t, l, usagetest.Batch(0, 20_000, time.Minute))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	for _, l := range []*Ledger{l, other} {
		go func() {
			for {
				if _, err := l.Expire(ctx, now); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for n := range 40 {
		b := usagetest.Batch(n, 50, time.Minute)
		for i := range b.Events {
			b.Events[i].Time = now.Add(time.Duration(n*50+i) * time.Second)
		}
		mustWrite(t, l, b)
	}
	stop()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "interrupted") {
			t.Error(err)
		}
	}
	expire(t, l, now)
	wantTotal(t, l, 40*50)
	wantRollUp(t, l)
}

func TestTTLErrors(t *testing.T) {
	for dsn, want := range map[string]string{
		"sqlite:usage.db?ttl=90":        `ttl="90" is neither a number of days`,
		"sqlite:usage.db?ttl=":          `ttl=""`,
		"sqlite:usage.db?ttl=1d&ttl=2d": `ttl="1d,2d"`,
		"sqlite:usage.db?ttk=90d":       `unknown option "ttk"; there is ttl`,
		"sqlite:usage.db?ttl=%":         "NAME=VALUE",
	} {
		if _, err := Open(dsn); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", dsn, err, want)
		}
	}
}

func BenchmarkExpire(b *testing.B) {
	l := openLedger(b, filepath.Join(b.TempDir(), "usage.db?ttl=1d"))
	mustWrite(b, l, usagetest.Batch(0, 200_000, time.Second))
	now := usagetest.Start.AddDate(1, 0, 0)
	var longest time.Duration
	for more := true; more; {
		start := time.Now()
		var err error
		if more, err = l.Expire(b.Context(), now); err != nil {
			b.Fatal(err)
		}
		longest = max(longest, time.Since(start))
	}
	b.ReportMetric(200_000/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(longest.Milliseconds()), "ms/longest-step")
}
