package sql

import "slices"

// Dialect is a dialect of SQL.
type Dialect uint8

// The dialects. Generic is one that is not known.
const (
	Generic Dialect = iota
	Postgres
	MySQL // and MariaDB
	SQLite
	SQLServer
	Oracle
	ClickHouse
	DuckDB
	Snowflake
	BigQuery
	Redshift
	Spark // and Databricks and Hive
	Trino // and Presto
)

var dialectNames = map[string]Dialect{
	"postgres": Postgres, "mysql": MySQL, "mariadb": MySQL, "sqlite": SQLite,
	"sqlserver": SQLServer, "oracle": Oracle, "clickhouse": ClickHouse, "duckdb": DuckDB,
	"snowflake": Snowflake, "bigquery": BigQuery, "redshift": Redshift,
	"databricks": Spark, "spark": Spark, "hive": Spark, "trino": Trino, "presto": Trino,
}

// ParseDialect returns the dialect of a name, and whether there is one. The
// empty name is Generic.
func ParseDialect(name string) (Dialect, bool) {
	if name == "" {
		return Generic, true
	}
	d, ok := dialectNames[name]
	return d, ok
}

// Dialects returns the names of all dialects, sorted.
func Dialects() []string {
	names := make([]string, 0, len(dialectNames))
	for name := range dialectNames {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// syntax is a set of rules by which strings, names and comments are written,
// as far as dialects differ in them.
type syntax uint16

const (
	backslashes   syntax = 1 << iota // \ escapes the next byte in a string
	doubleStrings                    // "…" is a string and not a name
	brackets                         // […] is a name
	nesting                          // /* /* */ */ is one comment
	hashes                           // # begins a comment
	spacedDashes                     // -- begins a comment only before white space
	tripleQuotes                     // '''…''' and """…""" are strings
	slashes                          // // begins a comment
	executed                         // what is in /*! … */ is no comment
	tSQLNames                        // #name is the name of a temporary table
)

// syntaxOf has the rules of each dialect. That of Generic is none: a query of an
// unknown dialect is read by the rules of all others.
var syntaxOf = [...]syntax{
	Postgres:   nesting,
	MySQL:      backslashes | doubleStrings | hashes | spacedDashes | executed,
	SQLite:     brackets,
	SQLServer:  brackets | nesting | tSQLNames,
	Oracle:     0,
	ClickHouse: backslashes | hashes,
	DuckDB:     nesting,
	Snowflake:  backslashes | slashes,
	BigQuery:   backslashes | doubleStrings | hashes | tripleQuotes,
	Redshift:   nesting | tSQLNames,
	Spark:      backslashes | doubleStrings | nesting,
	Trino:      0,
}

// readings are the sets of rules by which a query of a dialect is read.
var readings = func() (sets [len(syntaxOf)][]syntax) {
	for d := Postgres; d <= Trino; d++ {
		sets[d] = []syntax{syntaxOf[d]}
		sets[Generic] = append(sets[Generic], syntaxOf[d])
	}
	// Whether MySQL runs what is in /*!50110 … */ depends on its version.
	sets[MySQL] = append(sets[MySQL], syntaxOf[MySQL]&^executed)
	return sets
}()
