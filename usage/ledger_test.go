package usage

import (
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// A cursor is read as it was written, and nothing else is one.
func TestCursor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Cursor{
			Time: time.UnixMicro(rapid.Int64().Draw(t, "ts")).UTC(),
			ID:   uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "event_id")),
		}
		got, err := ParseCursor(c.String())
		if err != nil || !got.Time.Equal(c.Time) || got.ID != c.ID {
			t.Fatalf("%s is read as %+v, %v; want %+v", c, got, err, c)
		}
		s := []byte(c.String())
		s[rapid.IntRange(0, len(s)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		if got, err := ParseCursor(string(s)); err == nil && got.String() != string(s) {
			t.Fatalf("%q is read as %s", s, got)
		}
	})
	valid := Cursor{Time: time.UnixMicro(math.MaxInt64), ID: uuid.Max}.String()
	for _, s := range []string{"", "A", valid[1:], valid + "A", valid + "=", valid + "\n", "\n" + valid, " " + valid, "+" + valid[1:], "/" + valid[1:]} {
		if c, err := ParseCursor(s); err == nil {
			t.Errorf("%q is read as %+v", s, c)
		}
	}
}

// Of one event more than a page, the page knows that something follows.
func TestNewHistoryPage(t *testing.T) {
	events := make([]Event, 4)
	for i := range events {
		events[i] = Event{ID: uuid.UUID{byte(i)}, Time: time.Unix(int64(-i), 0)}
	}
	for n := range len(events) {
		page := NewHistoryPage(events[:n], 3, 7)
		if len(page.Events) != n || page.Total != 7 || page.Next != "" {
			t.Errorf("of %d events: %+v", n, page)
		}
	}
	page := NewHistoryPage(events, 3, 7)
	if want := (Cursor{events[2].Time, events[2].ID}).String(); len(page.Events) != 3 || page.Next != want {
		t.Errorf("%d events, then %s; want 3, then %s", len(page.Events), page.Next, want)
	}
}
