package scan

import (
	"strings"
	"testing"
)

// TestHabit follows the results of one tool, which are read with what the ones
// before it taught.
func TestHabit(t *testing.T) {
	both := func(structured, text string) string {
		return `{"content":[{"type":"text","text":"` + strings.ReplaceAll(text, `"`, `\"`) + `"}],"structuredContent":` + structured + `}`
	}
	text := func(text string) string {
		return `{"content":[{"type":"text","text":"` + strings.ReplaceAll(text, `"`, `\"`) + `"}]}`
	}
	const rows2, rows3 = `{"rows":[{"a":1},{"a":2}]}`, `{"rows":[{"a":1},{"a":2},{"a":[3]}]}`
	const broken = `{"rows":[{"a":1},{"a" 2}]}` // two rows by its brackets, and no JSON
	type result struct {
		result  string
		records int64 // -1: unknown
		why     Reason
	}
	for name, results := range map[string][]result{
		"both": {{both(rows2, rows2), 2, Known}, {both(rows3, rows3), 3, Known}, {both(rows3, rows3), 3, Known}},
		"a text that is no JSON is no sign until it is not checked": {
			{both(rows2, broken), 2, Known}, {both(rows2, rows2), 2, Known}, {both(rows2, broken), 2, Known}},
		"a text alone is unknown once": {
			{both(rows2, rows2), 2, Known}, {text(rows3), -1, Unchecked}, {text(rows3), 3, Known}, {both(rows2, rows2), 2, Known}, {text(rows3), 3, Known}},
		"a broken text alone is never counted": {
			{both(rows2, rows2), 2, Known}, {text(broken), -1, Unchecked}, {text(broken), -1, WrongFormat}},
		"texts alone are checked": {{text(rows2), 2, Known}, {text(broken), -1, WrongFormat}, {text(rows3), 3, Known}},
		"signs that differ": {
			{both(rows2, rows2), 2, Known}, {both(rows2, rows3), -1, Contradiction}, {both(rows2, rows2), 2, Known}, {text(rows2), 2, Known}},
		"an error teaches nothing": {
			{both(rows2, rows2), 2, Known}, {`{"isError":true,` + text(broken)[1:], -1, Unchecked}, {both(rows3, rows3), 3, Known}, {text(rows2), -1, Unchecked}},
		"prose beside rows": {
			{both(rows2, rows2), 2, Known}, {both(rows2, "Two rows."), 2, Known}, {both(rows3, rows3), 3, Known}},
		"numbers of a text that is not checked": {
			{both(rows2, rows2), 2, Known}, {text(`{"affected_rows":3}`), -1, Unchecked}, {text(`{"affected_rows":3}`), 3, Known}},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := NewExtractors(nil)
			if err != nil {
				t.Fatal(err)
			}
			e := x.For("query")
			for i, want := range results {
				var s Scanner
				s.Reset(JSON, Calls, e)
				s.Expect(x.Habit("query", e))
				read := false
				s.Scan([]byte(`{"jsonrpc":"2.0","id":1,"result":`+want.result+`}`), func(r *Reply) {
					read = true
					f := r.Facts(e)
					if got := f.Records; f.RecordsKnown != (want.records >= 0) || f.RecordsKnown && got != want.records {
						t.Errorf("result %d: %d records, known: %v; want %d", i, got, f.RecordsKnown, want.records)
					}
					if f.RecordsUnknown != want.why {
						t.Errorf("result %d: unknown since %v, want %v", i, f.RecordsUnknown, want.why)
					}
				})
				if !read {
					t.Fatalf("result %d: no reply found", i)
				}
			}
		})
	}
}

// TestHabitsAreApart has another tool take over a slot.
func TestHabitsAreApart(t *testing.T) {
	var h habits
	one, known := h.of("one"), count{Known: true, Number: 2}
	one.learn(known, known, false)
	other := Habit{one.slot, one.tag + 4}
	if !one.repeats() || other.repeats() {
		t.Fatalf("one: %v, other: %v; want true, false", one.repeats(), other.repeats())
	}
	other.learn(known, known, false)
	if one.repeats() || !other.repeats() {
		t.Fatalf("one: %v, other: %v; want false, true", one.repeats(), other.repeats())
	}
	var none Habit
	none.learn(known, known, false)
	if none.repeats() {
		t.Error("the zero Habit learned")
	}
}
