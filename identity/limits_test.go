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
	users := Limits{CallsPerMinute: 10, Burst: 2, CallsPerDay: 3, RecordsPerDay: 4, ConcurrentCalls: 5}
	for _, test := range []struct{ key, want Limits }{
		{Limits{}, users},
		{users, users},
		{Limits{CallsPerMinute: 1}, Limits{CallsPerMinute: 1, CallsPerDay: 3, RecordsPerDay: 4, ConcurrentCalls: 5}}, // the burst is part of it
		{Limits{CallsPerDay: 9, ConcurrentCalls: 8}, Limits{CallsPerMinute: 10, Burst: 2, CallsPerDay: 9, RecordsPerDay: 4, ConcurrentCalls: 8}},
	} {
		if got := test.key.Or(users); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.key, got, test.want)
		}
	}
	for perMinute, want := range map[int64]int64{1: 5, 300: 5, 600: 10, 10_000: 166} {
		if got := (Limits{CallsPerMinute: perMinute}).EffectiveBurst(); got != want {
			t.Errorf("the burst of %d calls a minute is %d, want %d", perMinute, got, want)
		}
	}
}
