package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/tallygate/tallygate/usage"
)

// dimensions are the SQL expressions for the names of groups.
var dimensions = map[usage.Dimension]string{
	usage.ByTotal:  "''",
	usage.ByDay:    "strftime('%F', ts / 1000000, 'unixepoch')",
	usage.ByServer: "server",
	usage.ByTool:   "tool_name",
	usage.ByTable:  "touched.value",
	usage.ByUser:   "user_id",
	usage.ByKey:    "key_id",
	usage.ByClient: "ifnull(client_name, '')",
}

// labels are the columns of groups' labels.
var labels = map[usage.Dimension]string{usage.ByUser: "user_email", usage.ByKey: "key_name"}

// took is the SQL expression for a duration, rounded down to three digits. So a
// group has at most some thousands of different durations.
var took = func() string {
	var b strings.Builder
	b.WriteString("CASE WHEN duration_us < 1000 THEN duration_us")
	for unit := int64(10); unit <= 1_000_000_000; unit *= 10 {
		fmt.Fprintf(&b, " WHEN duration_us < %d THEN duration_us / %d * %d", unit*1000, unit, unit)
	}
	b.WriteString(" ELSE duration_us / 10000000000 * 10000000000 END")
	return b.String()
}()

// Breakdown implements usage.Ledger. Durations have three digits.
func (l *Ledger) Breakdown(ctx context.Context, q usage.BreakdownQuery) ([]usage.Group, error) {
	return ask(ctx, l, "break usage down", q, breakdown)
}

// group is a usage.Group that is being read.
type group struct {
	usage.Group
	latest                   int64 // ts of the call that Label was read from
	records, requests, bytes big.Int
	durations                []duration
}

// duration is a duration and the number of calls that took that long.
type duration struct{ micros, calls int64 }

// breakdown reads the rows once, grouped by name and duration.
func breakdown(ctx context.Context, db *sql.DB, q usage.BreakdownQuery) ([]usage.Group, error) {
	name, known := dimensions[q.By]
	if !known {
		return nil, fmt.Errorf("there is no dimension %q", q.By)
	}
	from := "mcp_tool_usage_log"
	if q.By == usage.ByTable {
		from += ", json_each(tables) AS touched"
	}
	q.From, q.To = q.Span()
	condition, args := where(q.Filter)
	// SQLite's sum() fails when an int64 overflows; the sums of halves do not. Next
	// to max(ts), a plain column, the label, is taken from the same row.
	query := fmt.Sprintf(`SELECT %s AS name, %s AS took, max(ts), %s, count(*), sum(outcome <> 'ok'),
			ifnull(sum(record_count >> 32), 0), ifnull(sum(record_count & 0xffffffff), 0),
			sum(request_bytes >> 32), sum(request_bytes & 0xffffffff), sum(response_bytes >> 32), sum(response_bytes & 0xffffffff)
		FROM %s WHERE %s AND %s GROUP BY name, took`, name, took, cmp.Or(labels[q.By], "''"), from, condition, spanOf(q.Filter).moments())
	byName := map[string]*group{}
	err := each(ctx, db, query, args, func(scan func(...any) error) error {
		var (
			name, label string
			d           duration
			latest      int64
			errors      int64
			halves      [6]int64
		)
		if err := scan(&name, &d.micros, &latest, &label, &d.calls, &errors,
			&halves[0], &halves[1], &halves[2], &halves[3], &halves[4], &halves[5]); err != nil {
			return err
		}
		g := byName[name]
		if g == nil {
			g = &group{Group: usage.Group{Name: name}}
			byName[name] = g
		}
		if len(g.durations) == 0 || latest > g.latest {
			g.latest, g.Label = latest, label
		}
		g.Calls += d.calls
		g.Errors += errors
		for i, sum := range []*big.Int{&g.records, &g.requests, &g.bytes} {
			addHalves(sum, halves[2*i], halves[2*i+1])
		}
		g.durations = append(g.durations, d)
		return nil
	})
	if err != nil {
		return nil, err
	}
	groups := make([]usage.Group, 0, len(byName))
	for _, g := range byName {
		groups = append(groups, g.finished())
	}
	slices.SortFunc(groups, func(a, b usage.Group) int {
		if q.By == usage.ByDay {
			return strings.Compare(a.Name, b.Name)
		}
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), strings.Compare(a.Name, b.Name))
	})
	return groups[:min(len(groups), q.Limit)], nil
}

// addHalves adds the number high << 32 + low.
func addHalves(sum *big.Int, high, low int64) {
	n := big.NewInt(high)
	sum.Add(sum, n.Lsh(n, 32).Add(n, big.NewInt(low)))
}

func (g *group) finished() usage.Group {
	g.Records, g.RequestBytes, g.ResponseBytes = usage.Clamp(&g.records), usage.Clamp(&g.requests), usage.Clamp(&g.bytes)
	slices.SortFunc(g.durations, func(a, b duration) int { return cmp.Compare(a.micros, b.micros) })
	g.Latency = usage.Latency{P50: g.within(50), P95: g.within(95), P99: g.within(99)}
	return g.Group
}

// within returns the duration that this percentage of the calls did not exceed.
func (g *group) within(percent int64) int64 {
	rest := (g.Calls*percent + 99) / 100
	for _, d := range g.durations {
		if rest -= d.calls; rest <= 0 {
			return d.micros
		}
	}
	return 0 // not reached: a group has calls
}
