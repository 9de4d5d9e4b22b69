package glob

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "query_日本", true}, {"?", "", false}, {"?", "日", true}, {"?", "日本", false},
		{"??", "a\xff", true}, {"query_*", "query_", true}, {"query_*", "query", false}, {"query_*", "Query_a", false}, {"*_all", "get_all", true},
		{"*_all", "get_all_", false}, {"a*b*c", "abcbc", true}, {"a*b*c", "acb", false}, {"a**b", "ab", true}, {"*?*", "", false}, {"*?*", "x", true},
		{"[ab]", "a", false}, {"[ab]", "[ab]", true}, {`\*`, `\anything`, true}, {"a.c", "abc", false},
		{"query_*", "query_stock", true}, {"query_*", "requery_stock", false}, {"*/query", "a/b/query", true}, {"a?c", "a/c", true},
		{"[a-z]", "[a-z]", true}, {"[a-z]", "m", false}, {`\*`, `\x`, true},
		{strings.Repeat("*a", 50) + "b", strings.Repeat("a", 100_000), false},
	} {
		if got := Match(test.pattern, test.name); got != test.want {
			t.Errorf("Match(%.20q, %.20q) = %t", test.pattern, test.name, got)
		}
	}
}

// TestMatchLikeRegexp: both ways of matching agree with regexp.
func TestMatchLikeRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab日*?")), 0, 8, -1).Draw(t, "pattern")
		name := rapid.StringOfN(rapid.RuneFrom([]rune("ab日")), 0, 12, -1).Draw(t, "name")
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile(`^(?s:` + expression + `)$`).MatchString(name)
		if got := Match(pattern, name); got != want {
			t.Fatalf("Match(%q, %q) = %t, want %t", pattern, name, got, want)
		}
		if got := matchRunes(pattern, name); got != want {
			t.Fatalf("matchRunes(%q, %q) = %t, want %t", pattern, name, got, want)
		}
	})
}

func TestMatchAllocatesNothing(t *testing.T) {
	name := strings.Repeat("a", 500)
	for _, pattern := range []string{strings.Repeat("*a", 50) + "b", strings.Repeat("*a?", 50) + "b"} {
		if got := testing.AllocsPerRun(10, func() { Match(pattern, name) }); got != 0 {
			t.Errorf("%q: %v allocations", pattern, got)
		}
	}
}
