package sql

import "slices"

// Dialect is a dialect of SQL.
type Dialect uint8

// The dialects. Generic is one that is not known.
const (
	Generic Dialect = iota
	Postgres
	MySQL
	SQLite
	SQLServer
	Oracle
	ClickHouse
	DuckDB
	Snowflake
	BigQuery
	Redshift
	Spark
	Trino
)

var dialectNames = map[string]Dialect{
	"": Generic, "postgres": Postgres, "mysql": MySQL, "mariadb": MySQL, "sqlite": SQLite,
	"sqlserver": SQLServer, "oracle": Oracle, "clickhouse": ClickHouse, "duckdb": DuckDB, "snowflake": Snowflake,
	"bigquery": BigQuery, "redshift": Redshift, "databricks": Spark, "spark": Spark, "hive": Spark, "trino": Trino, "presto": Trino,
}

// ParseDialect returns the dialect of a name; "" is Generic.
func ParseDialect(name string) (Dialect, bool) {
	d, ok := dialectNames[name]
	return d, ok
}

// Dialects returns the names of all dialects, sorted.
func Dialects() (names []string) {
	for name := range dialectNames {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// syntax is how a dialect writes strings, names and comments.
type syntax struct {
	backslash    bool // \ escapes in '…' and "…"
	doubleString bool // "…" is a string, not a name
	backtick     bool // `…` is a name
	bracket      bool // […] is a name
	dollar       bool // $tag$…$tag$ is a string
	nested       bool // /* /* */ */ is one comment
	hash         bool // # begins a comment
	dashSpace    bool // -- begins a comment only before white space
	triple       bool // '''…''' and """…""" are strings
	slashes      bool // // begins a comment
	quoteQ       bool // q'[…]' is a string
}

var syntaxes = [...]syntax{
	Postgres:   {dollar: true, nested: true},
	MySQL:      {backslash: true, doubleString: true, backtick: true, hash: true, dashSpace: true},
	SQLite:     {backtick: true, bracket: true},
	SQLServer:  {bracket: true, nested: true},
	Oracle:     {quoteQ: true},
	ClickHouse: {backslash: true, backtick: true, hash: true, nested: true, dollar: true},
	DuckDB:     {dollar: true, nested: true},
	Snowflake:  {backslash: true, dollar: true, slashes: true},
	BigQuery:   {backslash: true, doubleString: true, backtick: true, hash: true, triple: true},
	Redshift:   {dollar: true, nested: true},
	Spark:      {backslash: true, doubleString: true, backtick: true, nested: true},
	Trino:      {},
}

// What in a query different dialects read differently.
const (
	hasBackslash = 1 << iota // in a string
	hasDouble                // "…"
	hasBracket               // […]
	hasDollar                // $…$
	hasNested                // /* in a comment
	hasHash
	hasDashes // -- before something else than white space
	hasTriple
	hasSlashes
)

// genericSyntax is the reading that a query of an unknown dialect gets first.
var genericSyntax = syntax{backtick: true, dollar: true, nested: true}

// genericReadings are the others, each tried if the query has what it is about.
var genericReadings = []struct {
	affects int
	syntax  syntax
}{
	{hasBackslash, syntax{backtick: true, dollar: true, nested: true, backslash: true}},
	{hasDouble | hasBackslash | hasHash | hasDashes | hasNested, syntax{backtick: true, backslash: true, doubleString: true, hash: true, dashSpace: true}},
	{hasTriple | hasHash | hasDouble, syntax{backtick: true, backslash: true, doubleString: true, hash: true, triple: true}},
	{hasBracket, syntax{backtick: true, bracket: true, nested: true}},
	{hasHash, syntax{backtick: true, backslash: true, hash: true, nested: true, dollar: true}},
	{hasSlashes, syntax{backslash: true, dollar: true, slashes: true, backtick: true}},
	{hasNested | hasDollar, syntax{backtick: true}},
}
