package usagetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// wantKeyCalls checks the answer of KeyCalls.
func wantKeyCalls(t interface {
	Helper()
	Fatalf(string, ...any)
}, got map[string]int64, err error, want map[string]int64) {
	t.Helper()
	if err != nil {
		t.Fatalf("KeyCalls: %v", err)
	}
	for id, n := range want {
		if got[id] != n {
			t.Fatalf("key %q has %d calls, want %d", id, got[id], n)
		}
	}
	for id, n := range got {
		if want[id] != n {
			t.Fatalf("key %q has %d calls, which was not asked or is not so", id, n)
		}
	}
}

func testKeyCalls(t *testing.T, open func() usage.Ledger) {
	l := open()
	midnight := time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC)
	at := func(n int, key string, ts time.Time) usage.Event {
		return event(n, func(e *usage.Event) { e.KeyID, e.Time = key, ts })
	}
	const odd = `k'"],*`
	write(t, l, batch(
		at(0, "a", midnight.Add(-time.Microsecond)), at(1, "a", midnight), at(2, "a", midnight.Add(time.Hour)),
		at(3, "b", midnight.AddDate(0, 0, 1)), at(4, "c", midnight), at(5, odd, midnight.AddDate(0, 1, 0)), at(6, odd, midnight.AddDate(0, 0, -40)),
	))
	many := []string{"a"}
	for i := range 1500 {
		many = append(many, fmt.Sprint("key-", i))
	}
	for _, c := range []struct {
		keys  []string
		since time.Time
		want  map[string]int64
	}{
		{nil, midnight, nil},
		{[]string{"nobody's"}, midnight, nil},
		{[]string{"a"}, midnight, map[string]int64{"a": 2}},
		{[]string{"a", "b", odd}, midnight, map[string]int64{"a": 2, "b": 1, odd: 1}},
		{[]string{"a", "b"}, midnight.Add(time.Microsecond), map[string]int64{"a": 1, "b": 1}},
		{[]string{"a", odd}, midnight.Add(-time.Microsecond), map[string]int64{"a": 3, odd: 1}},
		{[]string{"a", "b", "c", odd}, time.Time{}, map[string]int64{"a": 3, "b": 1, "c": 1, odd: 2}},
		{[]string{"a", "b", odd}, midnight.AddDate(1, 0, 0), nil},
		{many, midnight, map[string]int64{"a": 2}},
	} {
		got, err := l.KeyCalls(t.Context(), "", c.keys, c.since)
		wantKeyCalls(t, got, err, c.want)
	}
	got, err := l.KeyCalls(t.Context(), "user-1", []string{"a", "b"}, midnight)
	wantKeyCalls(t, got, err, map[string]int64{"a": 2, "b": 1})
	got, err = l.KeyCalls(t.Context(), "user-2", []string{"d"}, midnight)
	wantKeyCalls(t, got, err, nil)
}
