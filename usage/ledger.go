package usage

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Ledger is where events end up and are read from. Implementations are safe
// for concurrent use, open their connections lazily, and make the table
// mcp_tool_usage_log where it is missing. usagetest.Run is their contract.
type Ledger interface {
	// Write stores a batch. When the same batch is written again, by this process
	// or another, its rows are stored once. An error that wraps ErrRejected means
	// that nothing is stored and that the ledger will never take this batch. After
	// any other error all, none or a part of it may be stored: write it again.
	Write(ctx context.Context, b Batch) error

	// History returns one page of events, newest first (ts, then event_id,
	// both descending). A q.Cursor that was never a page's Next is an error.
	History(ctx context.Context, q HistoryQuery) (HistoryPage, error)

	// Stats sums up the events of the last q.Days days.
	Stats(ctx context.Context, q StatsQuery) (Stats, error)

	// Breakdown sums up the events of the last q.Days days by a dimension.
	// Groups without events are left out. An unknown dimension is an error.
	Breakdown(ctx context.Context, q BreakdownQuery) ([]Group, error)

	// KeyCalls counts the events of keys at since and later. The result is by the
	// keys' IDs; a key without events may be missing. userID is the owner of all
	// the keys, or "" when they have several owners.
	KeyCalls(ctx context.Context, userID string, keyIDs []string, since time.Time) (map[string]int64, error)

	Close() error
}

// Expirer is a Ledger whose old events have to be deleted from outside.
type Expirer interface {
	// Expire deletes some of the events that are too old at now, the oldest first, and
	// reports whether it is to be called again. It takes milliseconds, so that a Write
	// beside it does not wait for long. Several processes may call it at once.
	Expire(ctx context.Context, now time.Time) (more bool, err error)
}

// ErrRejected is wrapped by the error of a Write that would always fail, because
// the table cannot hold a value. It is not used when the ledger is down, full or
// misconfigured.
var ErrRejected = errors.New("the ledger rejects the batch")

// Batch is a sequence of events that is sent, and sent again, as a whole.
type Batch struct {
	// Token identifies the batch: batches with the same token have the same events.
	Token  string
	Events []Event
}

// Filter narrows events down. A zero field does not filter.
type Filter struct {
	UserID  string
	KeyID   string
	Server  string
	Tool    string
	Table   string // any of an event's tables
	Outcome Outcome
	From    time.Time // inclusive
	To      time.Time // exclusive
}

// HistoryQuery asks for page Page (from 1) of pages of PageSize events or,
// with a Cursor, for the PageSize events that follow it: Page is not used then.
type HistoryQuery struct {
	Filter
	Page     int
	PageSize int
	Cursor   string
}

// HistoryPage is one page and the number of events that match on all pages.
type HistoryPage struct {
	Events []Event
	Total  int64
	// Next is the cursor of what follows this page, or "" when nothing does.
	// Paging by Next returns every event once, whatever is written meanwhile.
	// Pages by number shift when newer events come in.
	Next string
}

// NewHistoryPage returns the page of the first size events. With one more event
// than that it knows that another page follows.
func NewHistoryPage(events []Event, size int, total int64) HistoryPage {
	switch {
	case len(events) == 0:
		return HistoryPage{Total: total}
	case len(events) <= size:
		return HistoryPage{Events: events, Total: total}
	}
	last := events[size-1]
	return HistoryPage{events[:size:size], total, Cursor{last.Time, last.ID}.String()}
}

// Cursor is a place in the history: after the event with this time and ID.
type Cursor struct {
	Time time.Time
	ID   uuid.UUID
}

// String returns the cursor as HistoryQuery takes it.
func (c Cursor) String() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(c.Time.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(b, c.ID[:]...))
}

// ParseCursor reads what String wrote.
func ParseCursor(s string) (Cursor, error) {
	var c Cursor
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(b) == 8+len(c.ID) {
		c.Time = time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC()
		copy(c.ID[:], b[8:])
	}
	if c.String() != s { // base64 can spell the same bytes in several ways
		return Cursor{}, fmt.Errorf("%q is not the cursor of a page of history", s)
	}
	return c, nil
}

// StatsQuery asks for Days whole UTC days that end with the day of Now.
// From and To of its filter are not used.
type StatsQuery struct {
	Filter
	Days int
	Now  time.Time
}

// Stats is a summary of usage. Records are sums of the known record counts.
type Stats struct {
	Days         int          `json:"days"`
	TotalCalls   int64        `json:"total_calls"`
	TotalRecords int64        `json:"total_records"`
	Daily        []DailyUsage `json:"daily"`      // one a day, oldest first, days without calls included
	TopTools     []ToolUsage  `json:"top_tools"`  // at most TopLimit, most calls first, then by name
	TopTables    []TableUsage `json:"top_tables"` // likewise; a call on several tables counts under each
}

// TopLimit is the length of the top lists in Stats.
const TopLimit = 10

// DailyUsage is the usage of one UTC day, as 2006-01-02.
type DailyUsage struct {
	Date    string `json:"date"`
	Calls   int64  `json:"calls"`
	Records int64  `json:"records"`
}

// ToolUsage is the usage of one tool.
type ToolUsage struct {
	Tool    string `json:"tool_name"`
	Calls   int64  `json:"calls"`
	Records int64  `json:"records"`
}

// TableUsage is the usage of one table.
type TableUsage struct {
	Table   string `json:"table_name"`
	Calls   int64  `json:"calls"`
	Records int64  `json:"records"`
}

// Span returns the half-open interval that the query's days cover.
func (q StatsQuery) Span() (from, to time.Time) {
	y, m, d := q.Now.UTC().Date()
	to = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	return to.AddDate(0, 0, -q.Days), to
}

// FillDaily turns the days that have calls, by date, into one entry for each
// day of the query.
func (q StatsQuery) FillDaily(byDate map[string]DailyUsage) []DailyUsage {
	from, to := q.Span()
	daily := make([]DailyUsage, 0, q.Days)
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		u := byDate[day.Format(time.DateOnly)]
		u.Date = day.Format(time.DateOnly)
		daily = append(daily, u)
	}
	return daily
}
