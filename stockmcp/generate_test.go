package stockmcp

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shared is the server that most tests use: its data cannot be changed.
var shared = sync.OnceValues(New)

// data is the shared server's database.
func data(tb testing.TB) *database {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	return s.data
}

// openDatabase generates the data and releases it when the test ends.
func openDatabase(tb testing.TB) *database {
	tb.Helper()
	d, err := newDatabase()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

// everything reads a whole table without limits, in the order of its key.
func everything(tb testing.TB, d *database, t table) [][]any {
	tb.Helper()
	found, err := d.anchor.Query("SELECT * FROM " + t.name + " ORDER BY " + strings.Join(t.key, ", "))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	var all [][]any
	for found.Next() {
		values := make([]any, len(t.columns))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := found.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		all = append(all, values)
	}
	if err := found.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// digests returns each table's row count and the SHA-256 of its content, types
// included.
func digests(tb testing.TB, d *database) map[string]string {
	tb.Helper()
	out := make(map[string]string)
	for _, t := range tables {
		hash := sha256.New()
		rows := everything(tb, d, t)
		for _, row := range rows {
			for _, value := range row {
				hash.Write(fmt.Appendf(nil, "%T %v\n", value, value))
			}
		}
		out[t.name] = fmt.Sprintf("%d rows, %s", len(rows), hex.EncodeToString(hash.Sum(nil)[:8]))
	}
	return out
}

// A new digest means that everyone's data changes: mention it in the commit.
func TestDataIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"stock_basic":      "2040 rows, 17736df0f53dd4f4",
		"stock_daily":      "20562 rows, 2472ec130861f3bc",
		"stock_financials": "11050 rows, 92b71322351bcf4b",
		"trade_calendar":   "3287 rows, 989874c7c6c90c90",
	}
	for range 2 {
		if diff := cmp.Diff(want, digests(t, openDatabase(t))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestEveryTableHasThousandsOfRowsAndItsOwnCount(t *testing.T) {
	t.Parallel()
	d := data(t)
	counts := make(map[int]string)
	for _, table := range tables {
		n := len(everything(t, d, table))
		if n < 2000 {
			t.Errorf("%s has %d rows", table.name, n)
		}
		if other := counts[n]; other != "" {
			t.Errorf("%s and %s both have %d rows", table.name, other, n)
		}
		counts[n] = table.name
	}
}

// Each query finds the rows that violate a rule.
func TestDataIsConsistent(t *testing.T) {
	t.Parallel()
	d := data(t)
	for rule, broken := range map[string]string{
		"the calendar leaves no day out":                   `SELECT count(*) FROM trade_calendar HAVING count(*) <> julianday(max(cal_date)) - julianday(min(cal_date)) + 1`,
		"the calendar spans what it says":                  `SELECT count(*) FROM trade_calendar HAVING min(cal_date) <> '2018-01-01' OR max(cal_date) <> '2026-12-31'`,
		"open days are all but weekends and holidays":      `SELECT * FROM trade_calendar WHERE is_open <> (holiday IS NULL AND strftime('%w', cal_date) NOT IN ('0', '6'))`,
		"prev_trade_date is the last open day before":      `SELECT * FROM (SELECT *, max(CASE WHEN is_open THEN cal_date END) OVER (ORDER BY cal_date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS want FROM trade_calendar) WHERE prev_trade_date IS NOT want`,
		"names are the companies' own":                     `SELECT name FROM stock_basic GROUP BY name HAVING count(*) > 1`,
		"tickers end with their exchange":                  `SELECT * FROM stock_basic WHERE ts_code NOT LIKE '______.' || exchange`,
		"companies were listed on open days":               `SELECT * FROM stock_basic LEFT JOIN trade_calendar ON cal_date = list_date WHERE is_open IS NOT 1`,
		"every member has prices, and only members":        `SELECT * FROM stock_basic WHERE index_member <> (ts_code IN (SELECT ts_code FROM stock_daily))`,
		"prices are of listed companies":                   `SELECT * FROM stock_daily LEFT JOIN stock_basic USING (ts_code) WHERE list_date IS NULL OR trade_date < list_date`,
		"prices are of open days":                          `SELECT * FROM stock_daily LEFT JOIN trade_calendar ON cal_date = trade_date WHERE is_open IS NOT 1`,
		"prices end on the last day":                       `SELECT count(*) FROM stock_daily HAVING max(trade_date) <> '2026-06-30'`,
		"low is lowest and high is highest":                `SELECT * FROM stock_daily WHERE low <= 0 OR low > min(open, close) OR high < max(open, close)`,
		"no price is out of the day's limit":               `SELECT * FROM stock_daily WHERE low < pre_close * 0.9 - 0.01 OR high > pre_close * 1.1 + 0.01 OR abs(pct_chg) > 10`,
		"pre_close is the close before":                    `SELECT * FROM (SELECT pre_close, lag(close) OVER (PARTITION BY ts_code ORDER BY trade_date) AS want FROM stock_daily) WHERE pre_close <> want`,
		"pct_chg is the change":                            `SELECT * FROM stock_daily WHERE abs(pct_chg - (close / pre_close - 1) * 100) > 0.011`,
		"amount is volume at the day's prices":             `SELECT * FROM stock_daily WHERE volume <= 0 OR amount < volume * low - 1 OR amount > volume * high + 1`,
		"reports are of listed companies":                  `SELECT * FROM stock_financials LEFT JOIN stock_basic USING (ts_code) WHERE list_date IS NULL OR period_end < list_date`,
		"reports are of quarters":                          `SELECT * FROM stock_financials WHERE substr(period_end, 6) NOT IN ('03-31', '06-30', '09-30', '12-31')`,
		"reports come after their quarter, before the end": `SELECT * FROM stock_financials WHERE announce_date <= period_end OR announce_date > '2026-06-30'`,
		"balance sheets balance":                           `SELECT * FROM stock_financials WHERE equity <> total_assets - total_liabilities OR equity <= 0 OR total_liabilities <= 0 OR revenue <= 0`,
		"eps is net profit per share":                      `SELECT * FROM stock_financials JOIN stock_basic USING (ts_code) WHERE abs(eps - 1.0 * net_profit / total_shares) > 0.011`,
		"roe is net profit on equity":                      `SELECT * FROM stock_financials WHERE abs(roe - 100.0 * net_profit / equity) > 0.011`,
		"some quarter ends in a loss, and some in profit":  `SELECT count(*) FROM stock_financials HAVING min(net_profit) >= 0 OR max(net_profit) <= 0`,
	} {
		found, err := d.query(context.Background(), 3, broken)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
		} else if found.RowCount > 0 {
			t.Errorf("%s: broken by %s", rule, found.Rows)
		}
	}
}

func TestSchemaDescribesEveryColumn(t *testing.T) {
	t.Parallel()
	for _, table := range tables {
		if table.description == "" {
			t.Errorf("%s has no description", table.name)
		}
		for _, c := range table.columns {
			if c.description == "" {
				t.Errorf("%s.%s has no description", table.name, c.name)
			}
		}
		for _, name := range table.key {
			if table.column(name) == nil {
				t.Errorf("%s has no column %s for its key", table.name, name)
			}
		}
	}
}

func TestGenerateReportsWhatFailed(t *testing.T) {
	t.Parallel()
	d := openDatabase(t)
	if err := generate(d.anchor); err == nil || !strings.Contains(err.Error(), "table stock_basic: ") {
		t.Errorf("over existing tables: %v", err)
	}
	closed, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := generate(closed); err == nil {
		t.Error("into a closed database: no error")
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		s, err := New()
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
