package identity

import (
	"fmt"
	"strings"
	"unicode/utf8"
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
	allow, deny []glob
}

// NewScope compiles patterns. An error is an Invalid.
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
			s.deny = append(s.deny, newGlob(rest))
		} else {
			s.allow = append(s.allow, newGlob(rest))
		}
	}
	return s, nil
}

// Match tells whether a tool is in the scope. It allocates nothing, and takes
// time in proportion to the length of the name.
func (s *Scope) Match(tool string) bool {
	if s == nil {
		return true
	}
	for i := range s.deny {
		if s.deny[i].match(tool) {
			return false
		}
	}
	for i := range s.allow {
		if s.allow[i].match(tool) {
			return true
		}
	}
	return len(s.allow) == 0
}

// glob is a pattern, cut at its stars.
type glob struct {
	first  string   // what a name begins with, or is when there is no star
	middle []string // what comes next, in this order, with anything between
	last   string   // what it ends with
	star   bool
}

func newGlob(pattern string) glob {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return glob{first: pattern}
	}
	return glob{first: parts[0], middle: parts[1 : len(parts)-1], last: parts[len(parts)-1], star: true}
}

// match takes each part of the middle at its first place: where any match
// there is, there is one that does so.
func (g *glob) match(name string) bool {
	if !g.star {
		return name == g.first
	}
	if len(name) < len(g.first)+len(g.last) || !strings.HasPrefix(name, g.first) || !strings.HasSuffix(name, g.last) {
		return false
	}
	name = name[len(g.first) : len(name)-len(g.last)]
	for _, part := range g.middle {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}
