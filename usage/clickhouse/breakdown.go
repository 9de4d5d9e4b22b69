package clickhouse

import (
	"context"
	"fmt"
	"math"
	"math/big"

	"github.com/tallygate/tallygate/usage"
)

// dimensions are the SQL expressions for the names of groups.
var dimensions = map[usage.Dimension]string{
	usage.ByTotal:  "''",
	usage.ByDay:    "toString(toDate32(ts))",
	usage.ByServer: "server",
	usage.ByTool:   "tool_name",
	usage.ByTable:  "arrayJoin(tables)",
	usage.ByUser:   "user_id",
	usage.ByKey:    "key_id",
	usage.ByClient: "ifNull(client_name, '')",
}

// Breakdown implements usage.Ledger. It reads the events, since the roll-up has no
// durations. They are counted with eight binary digits (BFloat16), which is faster
// than a t-digest and exact to 0.4 % at every rank.
func (l *Ledger) Breakdown(ctx context.Context, q usage.BreakdownQuery) ([]usage.Group, error) {
	return ask(ctx, l, "break usage down", q, l.breakdown)
}

func (l *Ledger) breakdown(ctx context.Context, q usage.BreakdownQuery) ([]usage.Group, error) {
	name, known := dimensions[q.By]
	if !known {
		return nil, fmt.Errorf("there is no dimension %q", q.By)
	}
	label, order := "''", "calls DESC, name"
	switch q.By {
	case usage.ByUser:
		label = "argMax(user_email, ts)"
	case usage.ByKey:
		label = "argMax(key_name, ts)"
	case usage.ByDay:
		order = "name"
	}
	q.From, q.To = q.Span()
	condition, params := where(q.Filter)
	groups := []usage.Group{}
	err := l.query(ctx, fmt.Sprintf(`SELECT %s AS name, %s, count() AS calls, countIf(outcome != 'ok'),
			sum(toInt128(ifNull(record_count, 0))), sum(toInt128(request_bytes)), sum(toInt128(response_bytes)),
			quantilesBFloat16(0.5, 0.95, 0.99)(duration_us)
		FROM %s WHERE %s AND %s GROUP BY name ORDER BY %s LIMIT %d`,
		name, label, logTable, condition, spanOf(q.Filter).moments(), order, q.Limit), params,
		func(scan func(...any) error) error {
			var (
				g                        usage.Group
				calls, errors            uint64
				records, requests, bytes big.Int
				took                     []float64
			)
			if err := scan(&g.Name, &g.Label, &calls, &errors, &records, &requests, &bytes, &took); err != nil {
				return err
			}
			g.Calls, g.Errors = int64(calls), int64(errors)
			g.Records, g.RequestBytes, g.ResponseBytes = usage.Clamp(&records), usage.Clamp(&requests), usage.Clamp(&bytes)
			g.Latency = usage.Latency{P50: micros(took[0]), P95: micros(took[1]), P99: micros(took[2])}
			groups = append(groups, g)
			return nil
		})
	return groups, err
}

// micros returns the int64 nearest to an estimate.
func micros(estimate float64) int64 {
	switch f := math.Round(estimate); {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	default:
		return int64(f)
	}
}
