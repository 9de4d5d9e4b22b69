package identity

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestScope: tools are written as SERVER/TOOL; without a server they are those of
// any.
func TestScope(t *testing.T) {
	for _, test := range []struct {
		patterns    string
		allow, deny string
	}{
		{"", "a run_sql query_x s/a", ""},
		{"query_*", "query_ query_table query_* s/query_a", "query xquery_a run_sql QUERY_A s/run_sql"},
		{"query_*  list_tables", "query_a list_tables", "list_table list_tables2 list_"},
		{"!run_sql", "query_a run_sql2 xrun_sql Run_sql", "run_sql s/run_sql"},
		{"query_* !query_secret_*", "query_a query_secret", "query_secret_ query_secret_a run_sql"},
		{"!query_secret_* query_*", "query_a query_secret", "query_secret_ query_secret_a run_sql"},
		{"* !*", "", "a query_a"},
		{"*", "a query_a s/a s/b/c", ""},
		{"!*", "", "a query_a"},
		{"a*b*c", "abc axbxc aabbcc abcc", "ab ac acb abcx xabc"},
		{"*a*", "a xa ax xax", "b"},
		{"a**a", "aa axa", "a"},
		{"ab*ba", "abba abxba", "aba ab"},
		{"*ab*ab*", "abab xabyabz", "ab aba"},
		{"日*", "日本", "本日"},
		{"!a !b", "c", "a b"},
		{"stock/query_*", "stock/query_a", "stock/run_sql files/query_a Stock/query_a stoc/query_a stock2/query_a"},
		{"stock/*", "stock/a stock/run_sql stock/a/b", "files/a"},
		{"s*/query_* files/*", "stock/query_a s/query_a files/a", "stock/run_sql x/query_a"},
		{"!stock/run_sql", "stock/a files/run_sql", "stock/run_sql"},
		{"* !stock/*", "files/a", "stock/a"},
		{"stock/a/b", "stock/a/b", "stock/b stock/a"}, // a tool's name may have a slash
		{"*/a/b", "stock/a/b files/a/b", "a stock/a"},
		{"resources prompts", "", "a resources prompts stock/resources"},
		{"stock/resources !run_sql", "", "a stock/a stock/resources run_sql"},
		{"!resources", "a stock/a", ""},
		{"resources*", "resources resources_x", "prompts"}, // a tool, and no word
	} {
		s, err := NewScope(strings.Fields(test.patterns))
		if err != nil {
			t.Fatal(err)
		}
		allows := func(name string) bool {
			server, tool, ok := strings.Cut(name, "/")
			if !ok {
				server, tool = "default", name
			}
			return s.AllowsTool(server, tool)
		}
		for _, tool := range strings.Fields(test.allow) {
			if !allows(tool) {
				t.Errorf("%q denies %q", test.patterns, tool)
			}
		}
		for _, tool := range append(strings.Fields(test.deny), map[bool][]string{true: {""}}[strings.HasPrefix(test.patterns, "query")]...) {
			if allows(tool) {
				t.Errorf("%q allows %q", test.patterns, tool)
			}
		}
	}
}

// TestScopeWords: resources and prompts have to be named.
func TestScopeWords(t *testing.T) {
	for _, test := range []struct{ patterns, resources, prompts string }{ // the servers on which they are allowed
		{"", "stock files", "stock files"},
		{"*", "", ""},
		{"*/*", "", ""},
		{"resources* prompts*", "", ""},
		{"!run_sql", "", ""},
		{"!resources", "", ""},
		{"resources", "stock files", ""},
		{"prompts", "", "stock files"},
		{"*/resources stock/prompts", "stock files", "stock"},
		{"resources !stock/resources", "files", ""},
		{"!*/prompts prompts f*/resources", "files", ""},
	} {
		s, err := NewScope(strings.Fields(test.patterns))
		if err != nil {
			t.Fatal(err)
		}
		for _, server := range []string{"stock", "files"} {
			if got := s.AllowsResources(server); got != strings.Contains(test.resources, server) {
				t.Errorf("%q allows the resources of %s: %t", test.patterns, server, got)
			}
			if got := s.AllowsPrompts(server); got != strings.Contains(test.prompts, server) {
				t.Errorf("%q allows the prompts of %s: %t", test.patterns, server, got)
			}
		}
	}
}

func TestScopeRefuses(t *testing.T) {
	for _, test := range []struct {
		patterns []string
		words    string
	}{
		{[]string{""}, "is empty"}, {[]string{"!"}, "is empty"}, {[]string{"a", ""}, "is empty"},
		{[]string{"!!a"}, "a character that is not allowed"}, {[]string{"a!"}, "a character"}, {[]string{"a?"}, "a character"},
		{[]string{"[ab]"}, "a character"}, {[]string{"{a,b}"}, "a character"}, {[]string{`a\*`}, "a character"}, {[]string{"a b"}, "a character"},
		{[]string{"a\x00"}, "a character"}, {[]string{"a\n"}, "a character"}, {[]string{"a\u202e"}, "a character"},
		{[]string{"\xff"}, "not UTF-8"}, {[]string{strings.Repeat("a", 257)}, "longer than 256 bytes"},
		{make([]string, 101), "there are 101 scopes"},
		{[]string{"/a"}, "no server's name"}, {[]string{"!/"}, "no server's name"}, {[]string{"é/a"}, "no server's name"}, {[]string{"a@b/c"}, "no server's name"},
		{[]string{"stock/"}, "write stock/* for every tool"},
	} {
		var invalid Invalid
		s, err := NewScope(test.patterns)
		if s != nil || !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.words) {
			t.Errorf("NewScope(%.40q): %v, want an error with %q", test.patterns, err, test.words)
		}
	}
}

// TestScopeOracle compares AllowsTool with its contract, written with regular
// expressions.
func TestScopeOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patterns := rapid.SliceOfN(rapid.StringMatching(`!?([ab*]{1,2}/)?[ab*]{1,6}`), 1, 5).Draw(t, "patterns")
		server := rapid.StringMatching(`[ab]{1,2}`).Draw(t, "server")
		tool := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "tool")
		s, err := NewScope(patterns)
		if err != nil {
			t.Fatal(err)
		}
		var allowing, allowed, denied bool
		for _, p := range patterns {
			rest, denies := strings.CutPrefix(p, "!")
			if !strings.Contains(rest, "/") {
				rest = "*/" + rest
			}
			matches := regexp.MustCompile(`^` + strings.ReplaceAll(rest, "*", "[ab]*") + `$`).MatchString(server + "/" + tool)
			allowing = allowing || !denies
			allowed = allowed || !denies && matches
			denied = denied || denies && matches
		}
		if got, want := s.AllowsTool(server, tool), !denied && (allowed || !allowing); got != want {
			t.Errorf("%q on %q of %q: %t, want %t", patterns, tool, server, got, want)
		}
	})
}

// TestScopeCosts: nothing is allocated, and a hostile name takes no longer than
// it is.
func TestScopeCosts(t *testing.T) {
	s, err := NewScope([]string{"*a*a*a*a*a*a*a*b", "query_*", "stock*/resources", "!*x*x*x*x*y"})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { s.AllowsTool("stock-data", "query_table"); s.AllowsResources("stock-data") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s.AllowsTool("default", strings.Repeat("a", 4<<20)) { // were it exponential, it would not end
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
		s.AllowsTool("default", "get_schema")
	}
}
