package identity

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/internal/glob"
)

// Limits of the scopes of a key.
const (
	maxScopes     = 100
	maxScopeBytes = 128
)

// Scope is the set of tools that a key may call. A nil Scope is every tool.
//
// It is written as a list of patterns, in any order. In a pattern, * stands
// for any characters or none, and every other character for itself, letter
// case included. A pattern that begins with ! denies what the rest of it
// matches; any other allows. A tool is in the scope when no pattern denies it,
// and one allows it or there are only denials: denial wins, so that adding a
// pattern that allows never lifts one that denies. No pattern at all is every
// tool.
//
//	query_*, list_tables        these and nothing else
//	!run_sql                    everything but this
//	query_*, !query_secret_*    these, less some
type Scope struct {
	allow, deny []string // patterns of glob.Match
}

// NewScope returns the scope of a list of patterns; nil for an empty one. An error is an Invalid.
func NewScope(patterns []string) (*Scope, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	if len(patterns) > maxScopes {
		return nil, Invalid(fmt.Sprintf("there are %d scopes: at most %d are allowed", len(patterns), maxScopes))
	}
	s := new(Scope)
	for _, pattern := range patterns {
		rest, denies := strings.CutPrefix(pattern, "!")
		switch {
		case rest == "":
			return nil, Invalid(fmt.Sprintf("the scope %q is empty: write a tool's name, in which * may stand for any characters", pattern))
		case len(pattern) > maxScopeBytes || !utf8.ValidString(pattern):
			return nil, Invalid(fmt.Sprintf("a scope is longer than %d bytes or not UTF-8", maxScopeBytes))
		case !printable(pattern) || strings.ContainsAny(rest, ` !?[]{}\`):
			return nil, Invalid(fmt.Sprintf("the scope %q has a character that is not allowed: write a tool's name, in which * may stand for any characters, after ! to deny it", pattern))
		}
		if denies {
			s.deny = append(s.deny, rest)
		} else {
			s.allow = append(s.allow, rest)
		}
	}
	return s, nil
}

// Match reports whether a tool is in the scope. It allocates nothing, and takes
// time in proportion to the length of the name.
func (s *Scope) Match(tool string) bool {
	matches := func(pattern string) bool { return glob.Match(pattern, tool) }
	switch {
	case s == nil:
		return true
	case slices.ContainsFunc(s.deny, matches):
		return false
	default:
		return len(s.allow) == 0 || slices.ContainsFunc(s.allow, matches)
	}
}
