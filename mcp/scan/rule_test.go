package scan

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestRulesThatCannotBe(t *testing.T) {
	for want, rule := range map[string]Rule{
		"glob is empty":                    {Records: []string{"result.n"}},
		`tool "q": table: path "result.#"`: {Tool: "q", Tables: []string{"result.#"}},
		`records: path "result.rows.#.n"`:  {Tool: "q", Records: []string{"result.rows.#.n"}},
		`sum(result.rows.#.n)`:             {Tool: "q", Records: []string{"result.rows.#.n"}},
		`records: path "result.c.#.t|@csv`: {Tool: "q", Records: []string{"result.c.#.t|@csv|#"}},
		`a modifier behind #`:              {Tool: "q", Tables: []string{"result.c.#.t|@fromstr|a"}},
		"a second # is for sum":            {Tool: "q", Tables: []string{"result.c.#.t.#.u"}},
		"affected: path":                   {Tool: "q", Affected: []string{"result.rows.#.n"}},
		"it gives tables":                  {Tool: "q", Records: []string{"arguments.q|@sql"}},
		"sum(…) is not for this":           {Tool: "q", Tables: []string{"sum(result.a)"}},
		"first(…) is not for this":         {Tool: "q", Records: []string{"first(result.a)"}},
		"bracket is not closed":            {Tool: "q", Records: []string{"sum(result.a"}},
		`path ""`:                          {Tool: "q", Records: []string{"sum(result.a,)"}},
		"no constants like":                {Tool: "q", Records: []string{"sum(result.a, =1)"}},
		"sum(…) adds paths of the result":  {Tool: "q", Records: []string{"sum(arguments.a)"}},
		`"x" is no whole number`:           {Tool: "q", Records: []string{"=x"}},
		`"" is no table name`:              {Tool: "q", Tables: []string{"="}},
		`table: path "table"`:              {Tool: "q", Tables: []string{"arguments.table", "table"}},
		"more than 128 paths":              {Tool: "q", Tables: slices.Repeat([]string{"arguments.t"}, 129)},
	} {
		if _, err := NewExtractors([]Rule{{Tool: "fine"}, rule}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", rule, err, want)
		}
	}
}

func TestFirstRuleThatMatchesWins(t *testing.T) {
	// Globs of one character a name are what path.Match takes the same way.
	glob := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?é")), 1, 5, -1)
	name := rapid.StringOfN(rapid.RuneFrom([]rune("abé")), 0, 7, -1)
	rapid.Check(t, func(t *rapid.T) {
		globs, tool := rapid.SliceOfN(glob, 0, 8).Draw(t, "globs"), name.Draw(t, "tool")
		rules := make([]Rule, len(globs))
		want := -1
		for i := len(globs) - 1; i >= 0; i-- {
			rules[i] = Rule{Tool: globs[i], Records: []string{fmt.Sprintf("result.n%d", i)}}
			if ok, err := path.Match(globs[i], tool); err != nil {
				t.Fatal(err)
			} else if ok {
				want = i
			}
		}
		x, err := NewExtractors(rules)
		if err != nil {
			t.Fatal(err)
		}
		// Another tool may have its place among those found, and it itself has it
		// the second time.
		x.For(name.Draw(t, "another tool"))
		x.For(tool)
		switch e := x.For(tool); {
		case want < 0 && e.Rule().Tool != "*" || want < 0 && e.Rule().Records[0] != DefaultRule.Records[0]:
			t.Fatalf("%q: rule %+v, want the default", tool, e.Rule())
		case want >= 0 && e.Rule().Records[0] != rules[want].Records[0]:
			t.Fatalf("%q: rule %+v, want rule %d", tool, e.Rule(), want)
		}
	})
}

func TestFactsMerge(t *testing.T) {
	many := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprint("t", i))
		}
		return names
	}
	e := mustExtractor(t, Rule{
		Tables:  []string{"arguments.t", "result.t", "first(arguments.sql|@sql, result.u)"},
		Records: []string{"result.n", "arguments.n", "=7"},
	})
	list := func(names []string) string {
		text, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range []struct {
		arguments, result string
		want              Facts
	}{
		{`{}`, `{}`, Facts{TablesUnknown: NotFound, Records: 7, RecordsKnown: true}},
		{`{"t":["a","b"]}`, `{"t":["c","a"]}`, Facts{Tables: []string{"a", "b", "c"}, Records: 7, RecordsKnown: true}},
		{`{"n":1}`, `{"n":2}`, Facts{TablesUnknown: NotFound, Records: 2, RecordsKnown: true}},
		{`{"n":1}`, `{"n":"x"}`, Facts{TablesUnknown: NotFound, Records: 1, RecordsKnown: true}},
		{`{"t":1}`, `{}`, Facts{TablesUnknown: WrongType, Records: 7, RecordsKnown: true}},
		{`{"t":` + list(many(60)) + `}`, `{"t":` + list(many(64)) + `}`, Facts{Tables: many(64), Records: 7, RecordsKnown: true}},
		{`{"t":"t"}`, `{"t":` + list(many(64)) + `}`, Facts{TablesUnknown: OverCap, Records: 7, RecordsKnown: true}},
		{`{"t":` + list(many(65)) + `}`, `{"t":"x"}`, Facts{TablesUnknown: OverCap, Records: 7, RecordsKnown: true}},
		{`{"t":"t","sql":"SELECT FROM WHERE"}`, `{"n":0}`, Facts{TablesUnknown: SQLUnread, RecordsKnown: true}},
		{`{"t":"t","sql":"SELECT FROM WHERE"}`, `{"u":"x"}`, Facts{Tables: []string{"t", "x"}, Records: 7, RecordsKnown: true}},
		{`{"t":"t","sql":"SELECT * FROM b"}`, `{"u":"x"}`, Facts{Tables: []string{"t", "b"}, Records: 7, RecordsKnown: true}},
		{`{"sql":"SELECT 1"}`, `{"u":"x"}`, Facts{Records: 7, RecordsKnown: true}},
	} {
		first := e.FromParams([]byte(`{"arguments":` + c.arguments + `}`))
		before := slices.Clone(first.Tables)
		var later Facts
		var s Scanner
		s.Reset(JSON, Calls, e)
		s.Scan([]byte(`{"id":1,"result":`+c.result+`}`), func(r *Reply) { later = r.Facts(e) })
		if diff := cmp.Diff(c.want, first.Merge(later), cmpopts.IgnoreUnexported(Facts{})); diff != "" {
			t.Errorf("%.80s and %.80s: %s", c.arguments, c.result, diff)
		}
		if !slices.Equal(before, first.Tables) {
			t.Errorf("%.80s: the merge changed what it began with", c.arguments)
		}
	}
}

func TestNoExtractorFindsNothing(t *testing.T) {
	broken := mustExtractor(t, Rule{Tables: []string{"arguments.table"}})
	if f := broken.FromParams([]byte(`{"arguments":{"table":"t"}}}`)); f.Tables != nil {
		t.Error(f)
	}
	got := scanAll(new(Scanner), JSON, [][]byte{[]byte(`{"id":1,"result":{"n":1}}`)}, nil)
	if diff := cmp.Diff([]Facts{{}}, got[0].Facts, cmpFacts); diff != "" {
		t.Error(diff)
	}
	var e *Extractor
	if f := e.FromParams([]byte(`{"arguments":{"table":"t"}}`)); f.Tables != nil || f.RecordsKnown {
		t.Error(f)
	}
	want := Facts{TablesUnknown: NoRule, RecordsUnknown: NoRule}
	for _, e := range []*Extractor{nil, mustExtractor(t, Rule{})} {
		if diff := cmp.Diff(want, e.FromParams([]byte(`{}`)).Merge(Facts{}), cmpopts.IgnoreUnexported(Facts{})); diff != "" {
			t.Error(diff)
		}
	}
}
