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

// dimensions are the names of groups, as SQL.
var dimensions = map[usage.Dimension]string{
	usage.ByTotal:  "''",
	usage.ByDay:    "strftime('%F', ts / 1000000, 'unixepoch')",
	usage.ByTool:   "tool_name",
	usage.ByTable:  "touched.value",
	usage.ByKey:    "key_id",
	usage.ByClient: "ifnull(client_name, '')",
}

// took is a duration to three digits, so that a group has some thousands of
// them at most, however many its calls.
var took = func() string {
	var b strings.Builder
	b.WriteString("CASE WHEN duration_us < 1000 THEN duration_us")
	for unit := int64(10); unit <= 1_000_000_000; unit *= 10 {
		fmt.Fprintf(&b, " WHEN duration_us < %d THEN duration_us / %d * %d", unit*1000, unit, unit)
	}
	b.WriteString(" ELSE duration_us / 10000000000 * 10000000000 END")
	return b.String()
}()

// Breakdown implements usage.Ledger. Durations are true to three digits.
func (l *Ledger) Breakdown(ctx context.Context, q usage.BreakdownQuery) ([]usage.Group, error) {
	_, db, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	groups, err := breakdown(ctx, db, q)
	if err != nil {
		return nil, l.failed("break usage down", err)
	}
	return groups, nil
}

// group is a usage.Group while it is read.
type group struct {
	usage.Group
	latest                   int64 // ts of the call that KeyName is of
	records, requests, bytes big.Int
	durations                []duration
}

// duration is one of a group, and how many of its calls took that long.
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
	// SQLite's sum() fails when an int64 overflows, the sums of halves do not.
	// Beside max(ts), key_name is that row's.
	rows, err := db.QueryContext(ctx, fmt.Sprintf(`SELECT %s AS name, %s AS took, max(ts), key_name, count(*), sum(outcome <> 'ok'),
			ifnull(sum(record_count >> 32), 0), ifnull(sum(record_count & 0xffffffff), 0),
			sum(request_bytes >> 32), sum(request_bytes & 0xffffffff), sum(response_bytes >> 32), sum(response_bytes & 0xffffffff)
		FROM %s WHERE %s AND %s GROUP BY name, took`, name, took, from, condition, spanOf(q.Filter).moments()), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what it says, Err has said

	byName := map[string]*group{}
	for rows.Next() {
		var (
			name, keyName string
			d             duration
			latest        int64
			errors        int64
			halves        [6]int64
		)
		if err := rows.Scan(&name, &d.micros, &latest, &keyName, &d.calls, &errors,
			&halves[0], &halves[1], &halves[2], &halves[3], &halves[4], &halves[5]); err != nil {
			return nil, err
		}
		g := byName[name]
		if g == nil {
			g = &group{Group: usage.Group{Name: name}}
			byName[name] = g
		}
		if len(g.durations) == 0 || latest > g.latest {
			g.latest, g.KeyName = latest, keyName
		}
		g.Calls += d.calls
		g.Errors += errors
		for i, sum := range []*big.Int{&g.records, &g.requests, &g.bytes} {
			addHalves(sum, halves[2*i], halves[2*i+1])
		}
		g.durations = append(g.durations, d)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	groups := make([]usage.Group, 0, len(byName))
	for _, g := range byName {
		groups = append(groups, g.finished(q.By))
	}
	slices.SortFunc(groups, func(a, b usage.Group) int {
		if q.By == usage.ByDay {
			return strings.Compare(a.Name, b.Name)
		}
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), strings.Compare(a.Name, b.Name))
	})
	return groups[:min(len(groups), q.Limit)], nil
}

// addHalves adds a number that was cut in two.
func addHalves(sum *big.Int, high, low int64) {
	n := big.NewInt(high)
	sum.Add(sum, n.Lsh(n, 32).Add(n, big.NewInt(low)))
}

func (g *group) finished(by usage.Dimension) usage.Group {
	if by != usage.ByKey {
		g.KeyName = ""
	}
	g.Records, g.RequestBytes, g.ResponseBytes = usage.Clamp(&g.records), usage.Clamp(&g.requests), usage.Clamp(&g.bytes)
	slices.SortFunc(g.durations, func(a, b duration) int { return cmp.Compare(a.micros, b.micros) })
	g.Latency = usage.Latency{P50: g.within(50), P95: g.within(95), P99: g.within(99)}
	return g.Group
}

// within is the duration that so many in a hundred of the calls did not exceed.
func (g *group) within(percent int64) int64 {
	rest := (g.Calls*percent + 99) / 100
	for _, d := range g.durations {
		if rest -= d.calls; rest <= 0 {
			return d.micros
		}
	}
	return 0 // a group has calls
}
