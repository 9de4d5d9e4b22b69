package stockmcp

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The data is the same at every start and on every machine, byte for byte: the
// seed is fixed, all arithmetic is on integers (prices are whole cents until they
// are stored), and the clock is not used. Each table has its own random source, so
// that a change to one does not change the others.
const (
	seed          = 20260630
	companyCount  = 2040
	memberEvery   = 17  // one company in 17 is an index member
	dailyDays     = 180 // open days that stock_daily covers, up to lastDay
	reportedTerms = 6   // quarters that stock_financials covers, up to lastDay
)

var (
	firstDay    = date(2018, 1, 1)
	lastDay     = date(2026, 6, 30) // the last day of stock_daily and stock_financials
	calendarEnd = date(2026, 12, 31)
)

// generate creates and fills every table of an empty database.
func generate(db *sql.DB) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing once committed
	g := generator{tx: tx}
	g.fill()
	if g.err != nil {
		return g.err
	}
	return tx.Commit()
}

// generator fills the tables. After its first error it inserts nothing more.
type generator struct {
	tx  *sql.Tx
	err error

	openDays  []time.Time // of trade_calendar, up to lastDay
	companies []company
}

// company is what the other tables need from a row of stock_basic.
type company struct {
	code        string
	listed      time.Time
	totalShares int64
	member      bool
}

func (g *generator) fill() {
	for _, t := range tables {
		_, err := g.tx.Exec(t.ddl())
		g.fail(t.name, err)
	}
	g.insertInto("trade_calendar", g.tradeCalendar)
	g.insertInto("stock_basic", g.stockBasic)
	g.insertInto("stock_daily", g.stockDaily)
	g.insertInto("stock_financials", g.stockFinancials)
}

// insertInto calls rows with a function that inserts a row into a table.
func (g *generator) insertInto(name string, rows func(insert func(values ...any))) {
	if g.err != nil {
		return
	}
	marks := strings.Repeat(", ?", len(tableNamed(name).columns))[2:]
	stmt, err := g.tx.Prepare("INSERT INTO " + name + " VALUES (" + marks + ")")
	if err != nil {
		g.fail(name, err)
		return
	}
	defer func() { _ = stmt.Close() }() // inserting has returned what went wrong
	rows(func(values ...any) {
		if g.err == nil {
			_, err := stmt.Exec(values...)
			g.fail(name, err)
		}
	})
}

// fail keeps the first error.
func (g *generator) fail(name string, err error) {
	if err != nil && g.err == nil {
		g.err = fmt.Errorf("table %s: %w", name, err)
	}
}

func (g *generator) tradeCalendar(insert func(values ...any)) {
	var previous any // text, null until there is one
	for day := firstDay; !day.After(calendarEnd); day = day.AddDate(0, 0, 1) {
		var name any // text, null on ordinary days
		if h := holiday(day); h != "" {
			name = h
		}
		open := name == nil && day.Weekday() != time.Saturday && day.Weekday() != time.Sunday
		insert(text(day), flag(open), previous, name)
		if open {
			previous = text(day)
			if !day.After(lastDay) {
				g.openDays = append(g.openDays, day)
			}
		}
	}
}

// holiday names the holiday on a day, or returns "".
func holiday(day time.Time) string {
	switch month, d := day.Month(), day.Day(); {
	case month == time.January && d == 1:
		return "New Year"
	case month == time.February && d >= 10 && d <= 16:
		return "Lantern Week"
	case month == time.May && d <= 3:
		return "Spring Fair"
	case month == time.October && d <= 7:
		return "Harvest Week"
	default:
		return ""
	}
}

// boards distributes the companies over exchanges and markets, each with its own
// range of tickers.
var boards = []struct {
	market, exchange string
	firstTicker      int
}{
	{"Main", "NX", 600001},
	{"Main", "SX", 1},
	{"Growth", "SX", 300001},
	{"Technology", "NX", 688001},
}

var industries = []struct{ name, noun string }{
	{"Banking", "Bank"},
	{"Insurance", "Assurance"},
	{"Semiconductors", "Microsystems"},
	{"Software", "Software"},
	{"Pharmaceuticals", "Therapeutics"},
	{"Medical Devices", "Medical"},
	{"Automobiles", "Motors"},
	{"Batteries", "Energy Storage"},
	{"Renewable Power", "Renewables"},
	{"Utilities", "Water and Power"},
	{"Steel", "Steelworks"},
	{"Chemicals", "Chemicals"},
	{"Food and Beverage", "Foods"},
	{"Retail", "Stores"},
	{"Logistics", "Logistics"},
	{"Real Estate", "Estates"},
}

// Every pair of a first and a last part names at most one company.
var (
	nameBeginnings = strings.Fields(`Alder Amber Ash Birch Bram Brook Cedar Clover Copper Coral Crest Dun Elder Ember Fal Fern Glen
		Gran Hazel Heron Holt Iron Juni Kestrel Lark Linden Marl Mistle Nether Oaken Otter Pel Quarry
		Raven Rowan Sable Silver Tarn Thistle Umber Vale Willow Aspen Bracken Briar Cinder Cobble Crane
		Drift Dusk Falcon Flint Frost Gale Gorse Hawk Heath Hollow Ivory Jasper Larch Maple Meadow Moss
		North Opal Pine Plover Reed Ridge Sedge Slate Sorrel Stark Swift Thorn Wren Yarrow`)
	nameEndings = strings.Fields(`mont field ford gate haven hurst keep land ley mark mere moor ness point ridge shore side stead
		stone strand thorpe vale ward water well wick wold wood worth yard`)
)

func (g *generator) stockBasic(insert func(values ...any)) {
	r := rand.New(rand.NewPCG(seed, 1))
	names := r.Perm(len(nameBeginnings) * len(nameEndings))
	listable := len(g.openDays) - 20 // the youngest company has traded for a month
	for i := range companyCount {
		board := boards[i%len(boards)]
		industry := industries[r.IntN(len(industries))]
		name := nameBeginnings[names[i]/len(nameEndings)] + nameEndings[names[i]%len(nameEndings)]
		c := company{
			code:        fmt.Sprintf("%06d.%s", board.firstTicker+i/len(boards), board.exchange),
			listed:      g.openDays[r.IntN(listable)],
			totalShares: int64(40+r.IntN(1960)) * 1_000_000,
			member:      i%memberEvery == 0,
		}
		insert(c.code, name+" "+industry.noun, industry.name, board.market, board.exchange,
			text(c.listed), c.totalShares, flag(c.member))
		g.companies = append(g.companies, c)
	}
}

// stockDaily generates each index member's price over the last open days as a
// random walk within the exchanges' limit of 10 % a day.
func (g *generator) stockDaily(insert func(values ...any)) {
	r := rand.New(rand.NewPCG(seed, 2))
	days := g.openDays[len(g.openDays)-dailyDays:]
	for _, c := range g.companies {
		if !c.member {
			continue
		}
		pre := int64(500 + r.IntN(14_500)) // cents
		for _, day := range days {
			if day.Before(c.listed) || r.IntN(150) == 0 { // not listed yet, or suspended
				continue
			}
			// The sum of three even draws is bell-shaped: ±9.9 % at most, mostly within 3.
			basisPoints := r.Int64N(661) + r.Int64N(661) + r.Int64N(661) - 990
			if r.IntN(3) > 0 {
				basisPoints /= 3
			}
			end := max(pre+pre*basisPoints/10_000, 100)
			open := max(pre+pre*(r.Int64N(201)-100)/10_000, 100)
			high := min(max(open, end)+r.Int64N(pre/60+1), pre*11/10)
			low := max(min(open, end)-r.Int64N(pre/60+1), pre*9/10)
			volume := (c.totalShares/2000 + r.Int64N(c.totalShares/100)) / 100 * 100
			amount := volume / 100 * ((open + high + low + end) / 4)
			insert(c.code, text(day), hundredths(open), hundredths(high), hundredths(low), hundredths(end),
				hundredths(pre), hundredths((end-pre)*10_000/pre), volume, amount)
			pre = end
		}
	}
}

// stockFinancials generates balance sheets that grow each quarter by the
// company's profit.
func (g *generator) stockFinancials(insert func(values ...any)) {
	r := rand.New(rand.NewPCG(seed, 3))
	for _, c := range g.companies {
		assets := c.totalShares * int64(5+r.IntN(40))
		liabilities := assets * int64(20+r.IntN(60)) / 100
		turnover := int64(6 + r.IntN(25)) // revenue of a quarter as percent of assets
		margin := int64(r.IntN(28) - 4)   // usual net profit as percent of revenue
		for term := reportedTerms; term > 0; term-- {
			end := quarterEnd(term)
			announced := end.AddDate(0, 0, 20+r.IntN(40))
			revenue := assets * turnover / 100 * int64(85+r.IntN(31)) / 100
			profit := revenue * (margin*10 + int64(r.IntN(61)-30)) / 1000
			assets += profit
			liabilities = max(liabilities+liabilities*int64(r.IntN(7)-3)/100, 1)
			liabilities = min(liabilities, assets*95/100) // liabilities stay below the assets
			if end.Before(c.listed) {
				continue
			}
			equity := assets - liabilities
			insert(c.code, text(end), text(announced), revenue, profit, assets, liabilities, equity,
				hundredths(profit*100/c.totalShares), hundredths(profit*10_000/equity))
		}
	}
}

// quarterEnd returns the last day of the n-th quarter before lastDay's own, whose
// reports are not published yet.
func quarterEnd(n int) time.Time {
	return date(lastDay.Year(), lastDay.Month()+1-time.Month(3*n), 0)
}

func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

func text(day time.Time) string { return day.Format(time.DateOnly) }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// hundredths converts cents to currency units, and basis points to percent.
func hundredths(n int64) float64 { return float64(n) / 100 }
