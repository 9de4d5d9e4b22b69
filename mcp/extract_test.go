package mcp

import (
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRulesThatCannotBe(t *testing.T) {
	for want, rule := range map[string]Rule{
		"glob is empty":                    {Records: "result.n"},
		`tool "q": table: path "result.#"`: {Tool: "q", Tables: []string{"result.#"}},
		`records: path "result.rows.#.n"`:  {Tool: "q", Records: "result.rows.#.n"},
		`table: path "table"`:              {Tool: "q", Tables: []string{"arguments.table", "table"}},
		"more than 16":                     {Tool: "q", Tables: make([]string, 17)},
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
			rules[i] = Rule{Tool: globs[i], Records: fmt.Sprintf("result.n%d", i)}
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
		switch e := x.For(tool); {
		case want < 0 && e != nil:
			t.Fatalf("%q: rule %q, want none", tool, e.result[0].path)
		case want >= 0 && (e == nil || e.result[0].path.text != rules[want].Records):
			t.Fatalf("%q: %+v, want rule %d", tool, e, want)
		}
	})
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"query_*", "query_stock", true},
		{"query_*", "query_", true},
		{"query_*", "requery_stock", false},
		{"*/query", "a/b/query", true},
		{"a?c", "a/c", true},
		{"[a-z]", "[a-z]", true},
		{"[a-z]", "m", false},
		{`\*`, `\x`, true},
		{strings.Repeat("*a", 50) + "b", strings.Repeat("a", 100_000), false},
	} {
		if got := matchGlob(c.glob, c.name); got != c.want {
			t.Errorf("%.20q matches %.20q: %v", c.glob, c.name, got)
		}
	}
}

func TestFactsMerge(t *testing.T) {
	many := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprint("t", i))
		}
		return names
	}
	over := Facts{over: true}
	for _, c := range []struct{ first, later, want Facts }{
		{Facts{}, Facts{}, Facts{}},
		{Facts{Tables: []string{"a", "b"}}, Facts{Tables: []string{"c", "a"}}, Facts{Tables: []string{"a", "b", "c"}}},
		{Facts{Records: 1, RecordsKnown: true}, Facts{Records: 2, RecordsKnown: true}, Facts{Records: 1, RecordsKnown: true}},
		{Facts{}, Facts{Records: 0, RecordsKnown: true}, Facts{RecordsKnown: true}},
		{Facts{Tables: many(60)}, Facts{Tables: many(64)}, Facts{Tables: many(64)}},
		{Facts{Tables: []string{"t"}}, Facts{Tables: many(64), Records: 3, RecordsKnown: true}, Facts{over: true, Records: 3, RecordsKnown: true}},
		{Facts{Tables: []string{"t"}}, over, over},
		{over, Facts{Tables: []string{"t"}}, over},
	} {
		if diff := cmp.Diff(c.want, c.first.Merge(c.later), cmpFacts); diff != "" {
			t.Errorf("%+v and %+v: %s", c.first, c.later, diff)
		}
	}
	shared := append(make([]string, 0, 4), "a")
	first := Facts{Tables: shared}
	b, c := first.Merge(Facts{Tables: []string{"b"}}), first.Merge(Facts{Tables: []string{"c"}})
	if b.Tables[1] != "b" || c.Tables[1] != "c" {
		t.Errorf("two merges share their tables: %v, %v", b.Tables, c.Tables)
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
	x, err := NewExtractors(nil)
	if err != nil || x.For("query") != nil {
		t.Error(x, err)
	}
}
