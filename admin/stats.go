package admin

import (
	"context"
	"time"

	"github.com/tallygate/tallygate/usage"
)

// Bounds of the query parameters of stats.
const (
	defaultDays   = 30
	maxDays       = 366
	defaultGroups = 50
	maxGroups     = 1000
)

// statsQuery names the query parameters of stats.
var statsQuery = []string{"days", "from", "to", "by", "limit", "server", "tool", "table", "key_id", "outcome", "user"}

// statsAnswer is the totals of usage and, if asked for, a breakdown.
type statsAnswer struct {
	usage.Stats
	By     usage.Dimension `json:"by,omitempty"`
	Groups *[]statsGroup   `json:"groups,omitempty"`
}

// statsGroup is the usage of one day, server, tool, table, key or client.
type statsGroup struct {
	Name          string  `json:"name"`
	KeyName       string  `json:"key_name,omitempty"`
	UserEmail     string  `json:"user_email,omitempty"`
	Calls         int64   `json:"calls"`
	Errors        int64   `json:"errors"`
	ErrorShare    float64 `json:"error_share"`
	Records       int64   `json:"records"`
	RequestBytes  int64   `json:"request_bytes"`
	ResponseBytes int64   `json:"response_bytes"`
	P50           int64   `json:"p50_us"`
	P95           int64   `json:"p95_us"`
	P99           int64   `json:"p99_us"`
}

func (a *API) stats(ctx context.Context, r *request) (any, error) {
	q := usage.BreakdownQuery{By: oneOf(&r.query, "by", usage.Dimensions)}
	if r.query.given("limit") && q.By == "" {
		r.query.fail(invalid("limit is of groups: say by what, in by"))
	}
	q.Limit = r.query.wholeNumber("limit", defaultGroups, maxGroups)
	q.Filter = a.readFilter(ctx, r)
	q.Days, q.Now = r.query.days(q.From, q.To)
	if q.By == usage.ByDay {
		q.Limit = max(q.Limit, q.Days) // there is one group for each day
	}
	if r.query.err != nil {
		return nil, r.query.err
	}
	stats, err := a.ledger.Stats(ctx, q.StatsQuery)
	if err != nil {
		return nil, ledgerFault(err)
	}
	answer := statsAnswer{Stats: stats, By: q.By}
	if q.By != "" {
		groups, err := a.ledger.Breakdown(ctx, q)
		if err != nil {
			return nil, ledgerFault(err)
		}
		answer.Groups = new(showAll(groups, func(g usage.Group) statsGroup { return shownGroup(g, q.By) }).Items)
	}
	return answer, nil
}

// days returns the days that from, to and the parameter days ask for: how many, and
// a time on the last of them.
func (q *queryParams) days(from, to time.Time) (days int, last time.Time) {
	days, last = q.wholeNumber("days", defaultDays, maxDays), time.Now()
	for name, t := range map[string]time.Time{"from": from, "to": to} {
		if !t.Truncate(day).Equal(t) {
			q.fail(invalid("%s must be a day, like 2026-11-23, since stats are of whole days in UTC", name))
		}
	}
	if !to.IsZero() {
		last = to.Add(-day)
	}
	if from.IsZero() {
		return days, last
	}
	if q.given("days") {
		q.fail(invalid("from says where the days begin: leave days out"))
	}
	days = int(last.Sub(from)/day) + 1
	if last.Before(from) || days > maxDays {
		q.fail(invalid("from must be at most %d days before to, or before today, and not after that", maxDays))
	}
	return days, last
}

const day = 24 * time.Hour

func shownGroup(g usage.Group, by usage.Dimension) statsGroup {
	shown := statsGroup{
		Name: g.Name, Calls: g.Calls, Errors: g.Errors,
		ErrorShare: float64(g.Errors) / float64(g.Calls), // a group has calls
		Records:    g.Records, RequestBytes: g.RequestBytes, ResponseBytes: g.ResponseBytes,
		P50: g.Latency.P50, P95: g.Latency.P95, P99: g.Latency.P99,
	}
	switch by {
	case usage.ByKey:
		shown.KeyName = g.Label
	case usage.ByUser:
		shown.UserEmail = g.Label
	}
	return shown
}
