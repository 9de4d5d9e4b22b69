package usagetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// Memory is a ledger in memory: the simplest implementation of the interface. Run
// compares other ledgers with it, and tests use it where they need any ledger.
type Memory struct {
	rows   *rows
	mu     sync.Mutex
	closed bool
}

// rows is the storage that several ledgers share.
type rows struct {
	mu     sync.Mutex
	tokens map[string]bool
	events []usage.Event
}

// NewMemory returns a ledger on an empty storage.
func NewMemory() *Memory {
	return &Memory{rows: &rows{tokens: make(map[string]bool)}}
}

// Reopen returns another ledger on the same storage.
func (m *Memory) Reopen() *Memory {
	return &Memory{rows: m.rows}
}

// Close implements usage.Ledger.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (m *Memory) usable(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errors.New("memory ledger: it is closed")
	}
	return ctx.Err()
}

// Write implements usage.Ledger.
func (m *Memory) Write(ctx context.Context, b usage.Batch) error {
	if err := m.usable(ctx); err != nil {
		return err
	}
	m.rows.mu.Lock()
	defer m.rows.mu.Unlock()
	if m.rows.tokens[b.Token] {
		return nil
	}
	m.rows.tokens[b.Token] = true
	for _, e := range b.Events {
		e.Time = e.Time.UTC()
		e.Tables = append([]string(nil), e.Tables...) // none is the same as unknown
		m.rows.events = append(m.rows.events, e)
	}
	return nil
}

// matching returns the events that match, newest first.
func (m *Memory) matching(f usage.Filter) []usage.Event {
	m.rows.mu.Lock()
	defer m.rows.mu.Unlock()
	var events []usage.Event
	for _, e := range m.rows.events {
		if (f.UserID == "" || e.UserID == f.UserID) &&
			(f.KeyID == "" || e.KeyID == f.KeyID) &&
			(f.Server == "" || e.Server == f.Server) &&
			(f.Tool == "" || e.Tool == f.Tool) &&
			(f.Table == "" || slices.Contains(e.Tables, f.Table)) &&
			(f.Outcome == "" || e.Outcome == f.Outcome) &&
			(f.From.IsZero() || !e.Time.Before(f.From)) &&
			(f.To.IsZero() || e.Time.Before(f.To)) {
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(a, b usage.Event) int {
		return cmp.Or(b.Time.Compare(a.Time), bytes.Compare(b.ID[:], a.ID[:]))
	})
	return events
}

// History implements usage.Ledger.
func (m *Memory) History(ctx context.Context, q usage.HistoryQuery) (usage.HistoryPage, error) {
	if err := m.usable(ctx); err != nil {
		return usage.HistoryPage{}, err
	}
	events := m.matching(q.Filter)
	total := int64(len(events))
	if q.Cursor != "" {
		c, err := usage.ParseCursor(q.Cursor)
		if err != nil {
			return usage.HistoryPage{}, err
		}
		events = slices.DeleteFunc(events, func(e usage.Event) bool {
			return cmp.Or(c.Time.Compare(e.Time), bytes.Compare(c.ID[:], e.ID[:])) <= 0
		})
		q.Page = 1
	}
	pages := len(events)/q.PageSize + 1 // the last of them may be empty
	events = events[min(min(q.Page-1, pages)*q.PageSize, len(events)):]
	return usage.NewHistoryPage(events, q.PageSize, total), nil
}

// Breakdown implements usage.Ledger.
func (m *Memory) Breakdown(ctx context.Context, q usage.BreakdownQuery) ([]usage.Group, error) {
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	if !slices.Contains(usage.Dimensions, q.By) {
		return nil, fmt.Errorf("memory ledger: there is no dimension %q", q.By)
	}
	q.From, q.To = q.Span()
	groups := breakDown(m.matching(q.Filter), q.By)
	return groups[:min(len(groups), q.Limit)], nil
}

// KeyCalls implements usage.Ledger.
func (m *Memory) KeyCalls(ctx context.Context, _ string, keyIDs []string, since time.Time) (map[string]int64, error) {
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	calls := make(map[string]int64)
	for _, e := range m.matching(usage.Filter{From: since}) {
		if slices.Contains(keyIDs, e.KeyID) {
			calls[e.KeyID]++
		}
	}
	return calls, nil
}

// sum is the usage of one name.
type sum struct {
	name    string
	calls   int64
	records big.Int
}

// recordsInt64 returns the int64 nearest to the sum of the records.
func (s *sum) recordsInt64() int64 {
	switch {
	case s.records.IsInt64():
		return s.records.Int64()
	case s.records.Sign() < 0:
		return math.MinInt64
	default:
		return math.MaxInt64
	}
}

// sumUp sums up the events by name, ordered by calls and then by name.
func sumUp(events []usage.Event, names func(usage.Event) []string) []*sum {
	var sums []*sum
	byName := make(map[string]*sum)
	for _, e := range events {
		for _, name := range names(e) {
			s := byName[name]
			if s == nil {
				s = &sum{name: name}
				byName[name] = s
				sums = append(sums, s)
			}
			s.calls++
			s.records.Add(&s.records, big.NewInt(e.RecordCount.Int64)) // 0 when unknown
		}
	}
	slices.SortFunc(sums, func(a, b *sum) int {
		return cmp.Or(cmp.Compare(b.calls, a.calls), strings.Compare(a.name, b.name))
	})
	return sums
}

// Stats implements usage.Ledger.
func (m *Memory) Stats(ctx context.Context, q usage.StatsQuery) (usage.Stats, error) {
	if err := m.usable(ctx); err != nil {
		return usage.Stats{}, err
	}
	q.From, q.To = q.Span()
	events := m.matching(q.Filter)
	s := usage.Stats{Days: q.Days, TopTools: []usage.ToolUsage{}, TopTables: []usage.TableUsage{}}

	for _, all := range sumUp(events, func(usage.Event) []string { return []string{"all"} }) {
		s.TotalCalls, s.TotalRecords = all.calls, all.recordsInt64()
	}
	byDate := make(map[string]usage.DailyUsage)
	for _, day := range sumUp(events, func(e usage.Event) []string { return []string{e.Time.UTC().Format("2006-01-02")} }) {
		byDate[day.name] = usage.DailyUsage{Calls: day.calls, Records: day.recordsInt64()}
	}
	s.Daily = q.FillDaily(byDate)
	for i, tool := range sumUp(events, func(e usage.Event) []string { return []string{e.Tool} }) {
		if i < usage.TopLimit {
			s.TopTools = append(s.TopTools, usage.ToolUsage{Tool: tool.name, Calls: tool.calls, Records: tool.recordsInt64()})
		}
	}
	for i, table := range sumUp(events, func(e usage.Event) []string { return e.Tables }) {
		if i < usage.TopLimit {
			s.TopTables = append(s.TopTables, usage.TableUsage{Table: table.name, Calls: table.calls, Records: table.recordsInt64()})
		}
	}
	return s, nil
}

var _ usage.Ledger = (*Memory)(nil)
