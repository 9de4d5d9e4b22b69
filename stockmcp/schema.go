package stockmcp

import (
	"slices"
	"strings"
)

// A table as the tools describe it and as SQLite stores it. The columns in key are
// its primary key and the order of its rows.
type table struct {
	name        string
	description string
	columns     []column
	key         []string
}

// A column; kind is its SQLite type: TEXT, INTEGER or REAL.
type column struct {
	name        string
	kind        string
	description string
}

// tables is the whole schema, in the order of list_tables.
var tables = []table{
	{
		name:        "stock_basic",
		description: "The listed companies, one row each.",
		key:         []string{"ts_code"},
		columns: []column{
			{"ts_code", "TEXT", "Ticker and exchange, such as 600001.NX"},
			{"name", "TEXT", "Company name (fictional)"},
			{"industry", "TEXT", "Industry, such as Semiconductors"},
			{"market", "TEXT", "Board: Main, Technology or Growth"},
			{"exchange", "TEXT", "NX (Northport) or SX (Southmere), both fictional"},
			{"list_date", "TEXT", "First trading day, YYYY-MM-DD"},
			{"total_shares", "INTEGER", "Shares issued"},
			{"index_member", "INTEGER", "1 for the companies that stock_daily covers, else 0"},
		},
	},
	{
		name:        "stock_daily",
		description: "Daily prices of the index members, one row per company and open day; a day on which trading was suspended has no row.",
		key:         []string{"ts_code", "trade_date"},
		columns: []column{
			{"ts_code", "TEXT", "Ticker, as in stock_basic"},
			{"trade_date", "TEXT", "Open day of trade_calendar, YYYY-MM-DD"},
			{"open", "REAL", "First price"},
			{"high", "REAL", "Highest price"},
			{"low", "REAL", "Lowest price"},
			{"close", "REAL", "Last price"},
			{"pre_close", "REAL", "Close of the company's row before"},
			{"pct_chg", "REAL", "Change from pre_close to close, in percent, within ±10"},
			{"volume", "INTEGER", "Shares traded"},
			{"amount", "INTEGER", "Value traded, in currency units"},
		},
	},
	{
		name:        "stock_financials",
		description: "Quarterly reports, one row per company and quarter that ended after its listing.",
		key:         []string{"ts_code", "period_end"},
		columns: []column{
			{"ts_code", "TEXT", "Ticker, as in stock_basic"},
			{"period_end", "TEXT", "Last day of the quarter, YYYY-MM-DD"},
			{"announce_date", "TEXT", "Day of publication, YYYY-MM-DD"},
			{"revenue", "INTEGER", "Revenue of the quarter, in currency units"},
			{"net_profit", "INTEGER", "Net profit of the quarter, negative for a loss"},
			{"total_assets", "INTEGER", "Assets at the quarter's end"},
			{"total_liabilities", "INTEGER", "Liabilities at the quarter's end"},
			{"equity", "INTEGER", "total_assets - total_liabilities"},
			{"eps", "REAL", "Net profit per share"},
			{"roe", "REAL", "Net profit of the quarter as percent of equity"},
		},
	},
	{
		name:        "trade_calendar",
		description: "Every day from 2018-01-01 to 2026-12-31 and whether the exchanges were open.",
		key:         []string{"cal_date"},
		columns: []column{
			{"cal_date", "TEXT", "The day, YYYY-MM-DD"},
			{"is_open", "INTEGER", "1 on a trading day, else 0"},
			{"prev_trade_date", "TEXT", "The last open day before this one; null for the first"},
			{"holiday", "TEXT", "Name of the holiday (fictional); null when it is none"},
		},
	},
}

// tableNamed returns the table with that name, or nil.
func tableNamed(name string) *table {
	i := slices.IndexFunc(tables, func(t table) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return &tables[i]
}

func tableNames() []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.name)
	}
	return names
}

// column returns the column with that name, or nil.
func (t *table) column(name string) *column {
	i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return &t.columns[i]
}

func (t *table) columnNames() []string {
	var names []string
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	return names
}

// ddl returns the statement that creates the table.
func (t *table) ddl() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + t.name + " (")
	for _, c := range t.columns {
		b.WriteString(c.name + " " + c.kind + ", ")
	}
	b.WriteString("PRIMARY KEY (" + strings.Join(t.key, ", ") + ")) WITHOUT ROWID")
	return b.String()
}
