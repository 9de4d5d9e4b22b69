package identity

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestScope(t *testing.T) {
	for _, test := range []struct {
		patterns    string
		allow, deny string
	}{
		{"", "a run_sql query_x", ""},
		{"query_*", "query_ query_table query_*", "query xquery_a run_sql QUERY_A"},
		{"query_*  list_tables", "query_a list_tables", "list_table list_tables2 list_"},
		{"!run_sql", "query_a run_sql2 xrun_sql Run_sql", "run_sql"},
		{"query_* !query_secret_*", "query_a query_secret", "query_secret_ query_secret_a run_sql"},
		{"!query_secret_* query_*", "query_a query_secret", "query_secret_ query_secret_a run_sql"},
		{"* !*", "", "a query_a"},
		{"*", "a query_a", ""},
		{"!*", "", "a query_a"},
		{"a*b*c", "abc axbxc aabbcc abcc", "ab ac acb abcx xabc"},
		{"*a*", "a xa ax xax", "b"},
		{"a**a", "aa axa", "a"},
		{"ab*ba", "abba abxba", "aba ab"},
		{"*ab*ab*", "abab xabyabz", "ab aba"},
		{"日*", "日本", "本日"},
		{"a.b/c-d_e", "a.b/c-d_e", "axb/c-d_e"},
		{"!a !b", "c", "a b"},
	} {
		s, err := NewScope(strings.Fields(test.patterns))
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range strings.Fields(test.allow) {
			if !s.Match(tool) {
				t.Errorf("%q denies %q", test.patterns, tool)
			}
		}
		for _, tool := range append(strings.Fields(test.deny), map[bool][]string{true: {""}}[strings.HasPrefix(test.patterns, "query")]...) {
			if s.Match(tool) {
				t.Errorf("%q allows %q", test.patterns, tool)
			}
		}
	}
	for _, patterns := range [][]string{
		{""}, {"!"}, {"a", ""}, {"!!a"}, {"a!"}, {"a?"}, {"[ab]"}, {"{a,b}"}, {`a\*`}, {"a b"}, {"a\x00"}, {"a\n"}, {"\xff"}, {"a\u202e"},
		{strings.Repeat("a", 129)}, make([]string, 101),
	} {
		var invalid Invalid
		if s, err := NewScope(patterns); s != nil || !errors.As(err, &invalid) {
			t.Errorf("NewScope(%.40q): %v", patterns, err)
		}
	}
}

// TestScopeOracle holds Match against the words of its contract, said with
// regular expressions.
func TestScopeOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.StringMatching(`!?[ab*]{1,6}`), 1, 5).Draw(t, "patterns")
		tool := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "tool")
		s, err := NewScope(patterns)
		if err != nil {
			t.Fatal(err)
		}
		var allowing, allowed, denied bool
		for _, p := range patterns {
			rest, denies := strings.CutPrefix(p, "!")
			matches := regexp.MustCompile(`^` + strings.ReplaceAll(rest, "*", ".*") + `$`).MatchString(tool)
			allowing = allowing || !denies
			allowed = allowed || !denies && matches
			denied = denied || denies && matches
		}
		if got, want := s.Match(tool), !denied && (allowed || !allowing); got != want {
			t.Errorf("%q on %q: %t, want %t", patterns, tool, got, want)
		}
	})
}

// TestScopeCosts: nothing is allocated, and a hostile name takes no longer than
// it is.
func TestScopeCosts(t *testing.T) {
	s, err := NewScope([]string{"*a*a*a*a*a*a*a*b", "query_*", "!*x*x*x*x*y"})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { s.Match("query_table") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s.Match(strings.Repeat("a", 4<<20)) { // were it exponential, it would not end
		t.Error("a long name matches")
	}
}

func BenchmarkScope(b *testing.B) {
	s, err := NewScope([]string{"query_*", "list_tables", "get_schema", "!query_secret_*"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Match("get_schema")
	}
}
