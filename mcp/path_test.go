package mcp

import (
	"strings"
	"testing"
)

func TestPathsThatCannotBeFollowed(t *testing.T) {
	for path, want := range map[string]string{
		``:                                   "begin with",
		`table`:                              "begin with",
		`params.arguments.table`:             "begin with",
		`result|@fromstr`:                    "begin with",
		`result`:                             "it ends",
		`result.`:                            "it ends",
		`result..a`:                          "empty",
		`result.a.`:                          "empty",
		`result.a|`:                          "empty",
		`result.a|b`:                         "use . instead",
		`result.a.#|@fromstr`:                "cannot follow #",
		`result.a.#.b|@fromstr`:              "cannot follow #",
		`result.a.#.b.#`:                     "# can be used once",
		`result.a|@fromstr|b|@fromstr`:       "@fromstr can be used once",
		`result.a|@fromstr:x`:                "no argument",
		`result.a|@reverse`:                  `the modifier @reverse`,
		`result.a.@pretty:{"indent":""}`:     `write \@pretty`,
		`result.a.#(b=1)`:                    "queries",
		`result.a.#(b=1)#.c`:                 "queries",
		`result.a*`:                          `the wildcard *`,
		`result.?`:                           `write \?`,
		`result.{a,b}`:                       `begins with {`,
		`result.a|@fromstr|[b]`:              `begins with [`,
		`result.a\`:                          `a \ at the end`,
		`result.` + strings.Repeat("x", 257): "longer than 256",
		`result` + strings.Repeat(".x", 33):  "more than 32",
	} {
		_, err := ParsePath(path)
		if err == nil {
			t.Errorf("%q: no error, want %q", path, want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %q, want %q", path, err, want)
		}
	}
}

func TestPathsThatCanBeFollowed(t *testing.T) {
	for _, path := range []string{
		`arguments.table`,
		`result.structuredContent.rows.#`,
		`result.structuredContent.tables.#.name`,
		`result.content.0.text|@fromstr|rows.#`,
		`result.content.0.text.@fromstr.rows.#`,
		`result.content.0.text|@fromstr`,
		`result.content.0.text|@fromstr|#`,
		`result._meta.example\.com/table`,
		`result.\#.\@fromstr.\{x\*`,
		`result.@type`,
		`result.a#b`,
	} {
		if p, err := ParsePath(path); err != nil || p.String() != path {
			t.Errorf("%q: %q, %v", path, p, err)
		}
	}
}
