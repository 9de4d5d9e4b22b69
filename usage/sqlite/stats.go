package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// Stats implements usage.Ledger.
func (l *Ledger) Stats(ctx context.Context, q usage.StatsQuery) (usage.Stats, error) {
	return ask(ctx, l, "sum up usage", q, stats)
}

// sum is a number of calls and the sum of their known record counts, which is
// high << 32 + low, since it may not fit an integer of SQLite's.
type sum struct{ calls, high, low int64 }

// records returns the sum of the records, or the int64 nearest to it.
func (s *sum) records() int64 {
	var n big.Int
	addHalves(&n, s.high, s.low)
	return usage.Clamp(&n)
}

func (s *sum) add(more sum) {
	s.calls += more.calls
	s.high += more.high
	s.low += more.low
}

// sums has a sum for each name.
type sums map[string]*sum

func (s sums) add(name string, more sum) {
	if s[name] == nil {
		s[name] = new(sum)
	}
	s[name].add(more)
}

// top returns the names with most calls, then by name, at most usage.TopLimit.
func (s sums) top() []string {
	names := slices.SortedFunc(maps.Keys(s), func(a, b string) int {
		return cmp.Or(cmp.Compare(s[b].calls, s[a].calls), strings.Compare(a, b))
	})
	return names[:min(len(names), usage.TopLimit)]
}

// stats reads the roll-up, or the rows of a user or key, once. The query groups by
// everything that the answer is summed by.
func stats(ctx context.Context, db *sql.DB, q usage.StatsQuery) (usage.Stats, error) {
	q.From, q.To = q.Span()
	over := spanOf(q.Filter)
	condition, args := where(q.Filter)
	query := fmt.Sprintf(`SELECT day, tool_name, tables, sum(calls), sum(records_high), sum(records_low)
		FROM mcp_tool_usage_daily WHERE %s AND %s GROUP BY day, tool_name, tables`, condition, over.days())
	if !isForEveryone(q.Filter) {
		// SQLite's sum() fails when an int64 overflows; the sums of halves do not.
		query = fmt.Sprintf(`SELECT (ts - %d) / %d + %d AS day, tool_name, tables, count(*),
				ifnull(sum(record_count >> 32), 0), ifnull(sum(record_count & 0xffffffff), 0)
			FROM mcp_tool_usage_log WHERE %s AND %s GROUP BY day, tool_name, tables`,
			over.from, dayMicros, dayOf(over.from), condition, over.moments())
	}
	var total sum
	dates, tools, tables := sums{}, sums{}, sums{}
	names := make(map[string][]string) // by the text of the column tables
	err := each(ctx, db, query, args, func(scan func(...any) error) (err error) {
		var (
			day           int64
			tool, touched string
			one           sum
		)
		if err := scan(&day, &tool, field{&touched}, &one.calls, &one.high, &one.low); err != nil {
			return err
		}
		if _, known := names[touched]; !known {
			if names[touched], err = parseTables(touched); err != nil {
				return err
			}
		}
		total.add(one)
		dates.add(time.UnixMicro(day*dayMicros).UTC().Format(time.DateOnly), one)
		tools.add(tool, one)
		for _, table := range names[touched] {
			tables.add(table, one)
		}
		return nil
	})
	if err != nil {
		return usage.Stats{}, err
	}

	s := usage.Stats{
		Days: q.Days, TotalCalls: total.calls, TotalRecords: total.records(),
		TopTools: []usage.ToolUsage{}, TopTables: []usage.TableUsage{},
	}
	byDate := make(map[string]usage.DailyUsage, len(dates))
	for date, d := range dates {
		byDate[date] = usage.DailyUsage{Calls: d.calls, Records: d.records()}
	}
	s.Daily = q.FillDaily(byDate)
	for _, tool := range tools.top() {
		s.TopTools = append(s.TopTools, usage.ToolUsage{Tool: tool, Calls: tools[tool].calls, Records: tools[tool].records()})
	}
	for _, table := range tables.top() {
		s.TopTables = append(s.TopTables, usage.TableUsage{Table: table, Calls: tables[table].calls, Records: tables[table].records()})
	}
	return s, nil
}
