package quota

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/identity"
)

// TestSettleProperty: whatever is requested and when, in no span of time are more
// calls granted than the burst and the rate allow, and on no day more than the
// limit.
func TestSettleProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := identity.Limits{
			CallsPerMinute: rapid.SampledFrom([]int64{1, 7, 60, 10_000, identity.MaxLimit}).Draw(t, "calls a minute"),
			Burst:          rapid.SampledFrom([]int64{0, 1, 100, identity.MaxBurst}).Draw(t, "burst"),
			CallsPerDay:    rapid.Int64Range(0, 500).Draw(t, "calls a day"),
		}
		now := time.Date(2026, 5, 17, 23, 58, 0, 0, time.UTC)
		var tally identity.Tally
		type granted struct {
			at time.Time
			n  int64
		}
		var minutes []granted
		perDay := map[int64]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
			r := request{
				limits: l, today: dayOf(now), minute: rapid.Int64Range(0, 300).Draw(t, "minute"), day: rapid.Int64Range(0, 300).Draw(t, "day"),
			}
			g := settle(&tally, r, now)
			if g.minute < 0 || g.minute > r.minute || g.day < 0 || g.day > r.day {
				t.Fatalf("%+v was granted for %+v", g, r)
			}
			if g.minute < r.minute && (g.minuteWait < 0 || g.minuteWait > time.Minute) {
				t.Fatalf("the next call in %v", g.minuteWait)
			}
			minutes = append(minutes, granted{now, g.minute})
			for i, first := range minutes {
				var sum int64
				for _, one := range minutes[i:] {
					sum += one.n
				}
				// A call takes a whole number of nanoseconds of the rate.
				each := int64(time.Minute) / l.CallsPerMinute
				if most := l.EffectiveBurst() + int64(now.Sub(first.at))/each; sum > most {
					t.Fatalf("%d calls in %v, at most %d", sum, now.Sub(first.at), most)
				}
			}
			if perDay[g.today] += g.day; perDay[g.today] > l.CallsPerDay {
				t.Fatalf("%d calls on a day, at most %d", perDay[g.today], l.CallsPerDay)
			}
		}
	})
}

// TestSettleWait: when the wait is over, there is a call, and not before.
func TestSettleWait(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := identity.Limits{CallsPerMinute: rapid.Int64Range(1, 100_000).Draw(t, "calls a minute"), Burst: rapid.Int64Range(1, 100).Draw(t, "burst")}
		now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
		var tally identity.Tally
		g := settle(&tally, request{limits: l, minute: 1000}, now)
		if g.minute != l.Burst {
			t.Fatalf("%d of a burst of %d", g.minute, l.Burst)
		}
		if early := settle(&tally, request{limits: l, minute: 1}, now.Add(g.minuteWait-1)); early.minute != 0 {
			t.Fatal("granted too early")
		}
		if due := settle(&tally, request{limits: l, minute: 1}, now.Add(g.minuteWait)); due.minute != 1 {
			t.Fatal("not granted when due")
		}
	})
}

// TestSettleGivesBack: what was not used can be had again, and no more.
func TestSettleGivesBack(t *testing.T) {
	l := identity.Limits{CallsPerMinute: 60, Burst: 50, CallsPerDay: 100}
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	today := dayOf(now)
	var tally identity.Tally
	for _, step := range []struct{ request, want int64 }{{50, 50}, {1, 0}, {-20, 0}, {30, 20}, {-1000, 0}, {100, 50}} {
		g := settle(&tally, request{limits: l, minute: step.request}, now)
		if g.minute != step.want {
			t.Errorf("requested %d, got %d, want %d", step.request, g.minute, step.want)
		}
	}
	for _, step := range []struct{ request, today, want int64 }{
		{60, today, 60}, {60, today, 40}, {-30, today, 0}, {-30, today - 1, 0}, {60, today, 30}, {-1000, today, 0}, {1000, today, 100},
	} {
		g := settle(&tally, request{limits: l, day: step.request, today: step.today}, now)
		if g.day != step.want {
			t.Errorf("requested %d, got %d a day, want %d", step.request, g.day, step.want)
		}
	}
	// A debt counts, but takes no more than the burst from the future.
	tally = identity.Tally{}
	settle(&tally, request{limits: l, debtMinute: 1_000_000, debtDay: 99, today: today}, now)
	if g := settle(&tally, request{limits: l, minute: 5, day: 5, today: today}, now.Add(2*time.Second)); g.minute != 2 || g.day != 1 {
		t.Errorf("after a debt: %+v", g)
	}
}
