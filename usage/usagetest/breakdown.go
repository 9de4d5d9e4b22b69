package usagetest

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tallygate/tallygate/usage"
)

// groupNames returns the groups that an event belongs to.
func groupNames(e usage.Event, by usage.Dimension) []string {
	switch by {
	case usage.ByDay:
		return []string{e.Time.UTC().Format(time.DateOnly)}
	case usage.ByServer:
		return []string{e.Server}
	case usage.ByTool:
		return []string{e.Tool}
	case usage.ByTable:
		return e.Tables
	case usage.ByUser:
		return []string{e.UserID}
	case usage.ByKey:
		return []string{e.KeyID}
	case usage.ByClient:
		return []string{e.ClientName}
	default:
		return []string{""}
	}
}

// labelOf returns the label that an event gives its group.
func labelOf(e usage.Event, by usage.Dimension) string {
	switch by {
	case usage.ByUser:
		return e.UserEmail
	case usage.ByKey:
		return e.KeyName
	default:
		return ""
	}
}

// breakDown groups events, which come newest first.
func breakDown(events []usage.Event, by usage.Dimension) []usage.Group {
	byName := map[string][]usage.Event{}
	for _, e := range events {
		for _, name := range groupNames(e, by) {
			byName[name] = append(byName[name], e)
		}
	}
	groups := []usage.Group{}
	for name, events := range byName {
		g := usage.Group{
			Name: name, Calls: int64(len(events)),
			Records:       sumOf(events, func(e usage.Event) int64 { return e.RecordCount.Int64 }),
			RequestBytes:  sumOf(events, func(e usage.Event) int64 { return e.RequestBytes }),
			ResponseBytes: sumOf(events, func(e usage.Event) int64 { return e.ResponseBytes }),
		}
		g.Label = labelOf(events[0], by)
		for _, e := range events {
			if e.Outcome != usage.OK {
				g.Errors++
			}
		}
		took := durations(events)
		g.Latency = usage.Latency{P50: took[len(took)/2], P95: took[len(took)*95/100], P99: took[len(took)*99/100]}
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b usage.Group) int {
		if by == usage.ByDay {
			return strings.Compare(a.Name, b.Name)
		}
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), strings.Compare(a.Name, b.Name))
	})
	return groups
}

func sumOf(events []usage.Event, number func(usage.Event) int64) int64 {
	var s sum
	for _, e := range events {
		s.records.Add(&s.records, big.NewInt(number(e)))
	}
	return s.recordsInt64()
}

// durations returns the events' durations, shortest first.
func durations(events []usage.Event) []int64 {
	took := make([]int64, len(events))
	for i, e := range events {
		took[i] = e.DurationUS
	}
	slices.Sort(took)
	return took
}

// checkBreakdown compares a ledger's answer with the events that it is about.
func checkBreakdown(got []usage.Group, events []usage.Event, q usage.BreakdownQuery) string {
	want := breakDown(events, q.By)
	want = want[:min(len(want), q.Limit)]
	for i := range min(len(want), len(got)) {
		if isLatestLabel(events, q.By, got[i]) {
			want[i].Label = got[i].Label // it may be that of any call at that time
		}
	}
	if diff := gocmp.Diff(want, got, cmpopts.IgnoreFields(usage.Group{}, "Latency")); diff != "" {
		return diff
	}
	for _, g := range got {
		var took []int64
		for _, e := range events {
			if slices.Contains(groupNames(e, q.By), g.Name) {
				took = append(took, e.DurationUS)
			}
		}
		slices.Sort(took)
		for _, l := range []struct {
			share float64
			got   int64
		}{{0.5, g.Latency.P50}, {0.95, g.Latency.P95}, {0.99, g.Latency.P99}} {
			last := float64(len(took) - 1)
			low := float64(took[int(max(0, math.Floor(l.share*last)-1))])
			high := float64(took[int(min(last, math.Ceil(l.share*last)+1))])
			low, high = low-math.Abs(low)/100, high+math.Abs(high)/100
			if f := float64(l.got); f < low || f > high {
				return fmt.Sprintf("group %q: %v of the calls took %d µs at most, want from %.0f to %.0f", g.Name, l.share, l.got, low, high)
			}
		}
	}
	return ""
}

// isLatestLabel reports whether a group had its label at its latest calls. The
// events come newest first.
func isLatestLabel(events []usage.Event, by usage.Dimension, g usage.Group) bool {
	var latest *usage.Event
	for i := range events {
		e := &events[i]
		if !slices.Contains(groupNames(*e, by), g.Name) {
			continue
		}
		if latest == nil {
			latest = e
		}
		if e.Time.Equal(latest.Time) && labelOf(*e, by) == g.Label {
			return true
		}
	}
	return false
}

func wantBreakdown(t *testing.T, l usage.Ledger, events []usage.Event, q usage.BreakdownQuery) []usage.Group {
	t.Helper()
	got, err := l.Breakdown(t.Context(), q)
	if err != nil {
		t.Fatalf("Breakdown(%+v): %v", q, err)
	}
	memory := NewMemory()
	memory.rows.events = events
	q.From, q.To = q.Span()
	if diff := checkBreakdown(got, memory.matching(q.Filter), q); diff != "" {
		t.Fatalf("Breakdown(%+v) (-want +got):\n%s", q, clip(diff))
	}
	return got
}

func testBreakdown(t *testing.T, open func() usage.Ledger) {
	l, events := open(), filterEvents()
	for i := range events {
		events[i].DurationUS = int64(i * i * 100)
		events[i].ClientName = []string{"", "cursor", "claude-code"}[i%3]
		events[i].KeyName = fmt.Sprint("name ", i)
	}
	for _, by := range usage.Dimensions {
		wantBreakdown(t, l, nil, usage.BreakdownQuery{StatsQuery: usage.StatsQuery{Days: 3, Now: noon}, By: by, Limit: 10})
	}
	write(t, l, batch(events...))
	for _, by := range usage.Dimensions {
		for _, f := range []usage.Filter{{}, {UserID: "ann"}, {KeyID: "k2"}, {Server: "files"}, {Tool: "list"}, {Table: "a"}, {Outcome: usage.Aborted}, {UserID: "nobody"}} {
			for _, limit := range []int{1, 2, 1000} {
				q := usage.BreakdownQuery{StatsQuery: usage.StatsQuery{Filter: f, Days: 2, Now: noon.AddDate(0, 0, 1)}, By: by, Limit: limit}
				wantBreakdown(t, l, events, q)
			}
		}
	}
	if groups, err := l.Breakdown(t.Context(), usage.BreakdownQuery{StatsQuery: usage.StatsQuery{Days: 1, Now: noon}, By: "color", Limit: 10}); err == nil {
		t.Errorf("by color there are %d groups", len(groups))
	}
}

// testLatency writes a thousand calls of known durations: the answers are as exact
// as the interface says.
func testLatency(t *testing.T, open func() usage.Ledger) {
	for name, took := range map[string]func(i int) int64{
		"even":   func(i int) int64 { return int64(i) },
		"same":   func(int) int64 { return 1500 },
		"tail":   func(i int) int64 { return int64(math.Exp(float64(i) / 60)) },
		"two":    func(i int) int64 { return map[bool]int64{true: 200, false: 30_000_000}[i < 940] },
		"none":   func(int) int64 { return 0 },
		"months": func(i int) int64 { return int64(i) * 5_000_000_000 },
	} {
		t.Run(name, func(t *testing.T) {
			events := run(0, 1000)
			for i := range events {
				e := &events[i]
				e.ID, e.UserID, e.DurationUS = uuid.NewSHA1(e.ID, []byte(name)), name, took((i*7919)%1000)
			}
			l := open()
			write(t, l, batch(events...))
			for _, by := range []usage.Dimension{usage.ByTotal, usage.ByTool} {
				wantBreakdown(t, l, events, usage.BreakdownQuery{
					StatsQuery: usage.StatsQuery{Filter: usage.Filter{UserID: name}, Days: 1, Now: noon}, By: by, Limit: 1,
				})
			}
		})
	}
}
