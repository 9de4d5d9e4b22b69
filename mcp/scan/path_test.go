package scan

import (
	"strings"
	"testing"
)

func TestPathsThatCannotBeFollowed(t *testing.T) {
	for path, want := range map[string]string{
		``:                             "begin with",
		`table`:                        "begin with",
		`params.arguments.table`:       "begin with",
		`result|@fromstr`:              "begin with",
		`result`:                       "it ends",
		`result.`:                      "it ends",
		`result..a`:                    "empty",
		`result.a.`:                    "empty",
		`result.a|`:                    "empty",
		`result.a|b`:                   "use . instead",
		`result.a.#.b.#.c.#.d`:         "there can be two #",
		`result.a.b|@affected|#`:       "behind @affected the path ends",
		`arguments.b|@affected`:        "@affected is for results",
		`result.a.b|@yaml:2|#`:         "@yaml takes no argument",
		`result.a.b|@csv`:              "@csv|#",
		`result.a.b|@csv|rows`:         "behind @csv stands #",
		`result.a.b|@csv|#.c`:          "behind @csv stands #",
		`result.a.b|@csv:0|#`:          "@csv takes a number from 1",
		`result.a.b|@ndjson:x|#`:       "@ndjson takes a number from 1",
		`result.a.b|@markdown:all|#`:   "no argument but only",
		`result.a.b|@python:2|#`:       "@python takes no argument",
		`result.a.b|@fenced|c`:         "behind @fenced stands",
		`result.a.b|@fenced|#`:         "behind @fenced stands",
		`result.a.b|@tagged|@csv|#`:    "@tagged takes a tag's name",
		`result.a.b|@tagged:<x|@csv|#`: "@tagged takes a tag's name",
		`result.a.b|@sql`:              "@sql is for arguments",
		`arguments.b|@sql|c`:           "behind @sql the path ends",
		`arguments.b|@sql:cobol`:       `no dialect "cobol"`,
		`result.a` + strings.Repeat("|@fromstr|b", 5): "more than 4 modifiers",
		`result.a|@fromstr:x`:                         "no argument",
		`result.a|@reverse`:                           `the modifier @reverse`,
		`result.a.@pretty:{"indent":""}`:              `write \@pretty`,
		`result.a.#(b=1)`:                             "queries",
		`result.a.#(b=1)#.c`:                          "queries",
		`result.a*`:                                   `the wildcard *`,
		`result.?`:                                    `write \?`,
		`result.{a,b}`:                                `begins with {`,
		`result.a|@fromstr|[b]`:                       `begins with [`,
		`result.a\`:                                   `a \ at the end`,
		`result.` + strings.Repeat("x", 257):          "longer than 256",
		`result` + strings.Repeat(".x", 33):           "more than 32",
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
		`result.content.#.text|@fromstr|rows.#`,
		`result.content.0.text|@fromstr|result|@tagged:data|@fromstr|#`,
		`result.content.0.text|@csv:1|#`,
		`result.content.0.text.@markdown:only.#`,
		`result.content.0.text|@fenced|@ndjson|#`,
		`result.a.#.b.#`,
		`result.a.#.b.#.c.#`,
		`result.content.#.text|@embedded|results.#.rows.#`,
		`result.content.0.text|@python|0.n`,
		`result.content.0.text|@tagged:x|@embedded|#`,
		`result.content.0.text|@affected`,
		`arguments.sql|@sql`,
		`arguments.0.sql|@fenced|@sql:postgres`,
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
