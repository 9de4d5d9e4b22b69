package clickhouse

import (
	"context"
	"fmt"
	"math"
	"math/big"

	"github.com/tallygate/tallygate/usage"
)

// Stats implements usage.Ledger.
func (l *Ledger) Stats(ctx context.Context, q usage.StatsQuery) (usage.Stats, error) {
	return ask(ctx, l, "sum up usage", q, l.stats)
}

func (l *Ledger) stats(ctx context.Context, q usage.StatsQuery) (usage.Stats, error) {
	s := usage.Stats{Days: q.Days, TopTools: []usage.ToolUsage{}, TopTables: []usage.TableUsage{}}

	total := new(big.Int)
	byDate := make(map[string]usage.DailyUsage)
	err := l.sums(ctx, q, "toDate32(ts)", "toString(key)", math.MaxInt32, func(date string, calls int64, records *big.Int) {
		byDate[date] = usage.DailyUsage{Calls: calls, Records: usage.Clamp(records)}
		s.TotalCalls += calls
		total.Add(total, records)
	})
	if err != nil {
		return s, err
	}
	s.TotalRecords = usage.Clamp(total)
	s.Daily = q.FillDaily(byDate)

	err = l.sums(ctx, q, "tool_name", "key", usage.TopLimit, func(tool string, calls int64, records *big.Int) {
		s.TopTools = append(s.TopTools, usage.ToolUsage{Tool: tool, Calls: calls, Records: usage.Clamp(records)})
	})
	if err != nil {
		return s, err
	}
	err = l.sums(ctx, q, "tables", "arrayJoin(key)", usage.TopLimit, func(table string, calls int64, records *big.Int) {
		s.TopTables = append(s.TopTables, usage.TableUsage{Table: table, Calls: calls, Records: usage.Clamp(records)})
	})
	return s, err
}

// sums yields the calls and records of each name, at most limit of them, ordered by
// calls and then by name. The events are first grouped by key, an expression that
// the roll-up is grouped by too, so that the query reads the roll-up instead of the
// events. name is an expression of key.
func (l *Ledger) sums(ctx context.Context, q usage.StatsQuery, key, name string, limit int, yield func(name string, calls int64, records *big.Int)) error {
	q.From, q.To = q.Span()
	condition, params := where(q.Filter)
	return l.query(ctx, fmt.Sprintf(`SELECT %s AS name, sum(key_calls) AS calls, sum(key_records) FROM
			(SELECT %s AS key, count() AS key_calls, sum(toInt128(ifNull(record_count, 0))) AS key_records
			FROM %s WHERE %s AND %s GROUP BY key)
		GROUP BY name ORDER BY calls DESC, name LIMIT %d`, name, key, logTable, condition, spanOf(q.Filter).days(), limit), params,
		func(scan func(...any) error) error {
			var (
				name    string
				calls   uint64
				records big.Int
			)
			if err := scan(&name, &calls, &records); err != nil {
				return err
			}
			yield(name, int64(calls), &records)
			return nil
		})
}
