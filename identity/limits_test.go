package identity

import (
	"errors"
	"testing"
)

func TestLimits(t *testing.T) {
	for _, l := range []Limits{{}, {CallsPerMinute: 1}, {CallsPerMinute: 1, Burst: 1_000_000}, {1_000_000_000, 1, 1_000_000_000, 1_000_000_000, 1_000_000_000}} {
		if err := l.Check(); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
	for _, l := range []Limits{{CallsPerMinute: -1}, {CallsPerMinute: 1_000_000_001}, {Burst: 1}, {CallsPerMinute: 1, Burst: 1_000_001}, {CallsPerDay: -1},
		{RecordsPerDay: 1 << 62}, {ConcurrentCalls: -1}} {
		var invalid Invalid
		if err := l.Check(); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	for perMinute, want := range map[int64]int64{1: 5, 300: 5, 600: 10, 10_000: 166} {
		if got := (Limits{CallsPerMinute: perMinute}).EffectiveBurst(); got != want {
			t.Errorf("the burst of %d calls a minute is %d, want %d", perMinute, got, want)
		}
	}
}
