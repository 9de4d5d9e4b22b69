package identity

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tallygate/tallygate/internal/glob"
)

// Limits of the scopes of a key.
const (
	maxScopes     = 100
	maxScopeBytes = 256
)

// The scopes that stand for all resources and all prompts of a server.
const (
	resourcesScope = "resources"
	promptsScope   = "prompts"
)

// serverPattern matches what may stand before the slash of a scope: the name of
// a server, in which * may stand for any characters.
var serverPattern = regexp.MustCompile(`^[A-Za-z0-9._*-]+$`)

// Scope is the set of tools that a key may call, and whether it may use resources
// and prompts. A nil Scope is everything.
//
// It is written as a list of patterns, in any order. A pattern names tools of
// every server, or, behind the name of a server and a slash, those of that server.
// On both sides of the slash, * stands for any characters or none, and every other
// character for itself, letter case included. The words resources and prompts,
// alone or behind a slash, stand for all resources and all prompts, which no other
// pattern includes.
//
// A pattern that begins with ! denies what the rest of it matches; any other
// allows. A tool is in the scope when no pattern denies it, and one allows it or
// there are only denials: denial wins, so that adding a pattern that allows never
// lifts one that denies. Resources and prompts are in the scope only where a
// pattern allows them. No pattern at all is everything.
//
//	query_*, list_tables          these tools and nothing else
//	!run_sql                      every tool but this
//	query_*, !query_secret_*      these, less some
//	stock-data/query_*            tools of one server
//	*, stock-data/resources       every tool, and the resources of one server
type Scope struct {
	allow, deny []scopePattern
}

// scopePattern has patterns of glob.Match.
type scopePattern struct {
	server string
	tool   string // "" for a word
	word   string // resourcesScope or promptsScope; "" for tools
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
		parsed, err := parseScope(pattern, rest)
		switch {
		case err != nil:
			return nil, err
		case denies:
			s.deny = append(s.deny, parsed)
		default:
			s.allow = append(s.allow, parsed)
		}
	}
	return s, nil
}

// parseScope reads a pattern, of which rest is what it denies or allows.
func parseScope(pattern, rest string) (p scopePattern, err error) {
	const write = "write a tool's name, in which * may stand for any characters, after SERVER/ for one server, and after ! to deny it"
	switch {
	case rest == "":
		return p, Invalid(fmt.Sprintf("the scope %s is empty: %s", Quote(pattern), write))
	case len(pattern) > maxScopeBytes || !utf8.ValidString(pattern):
		return p, Invalid(fmt.Sprintf("a scope is longer than %d bytes or not UTF-8", maxScopeBytes))
	case !printable(pattern) || strings.ContainsAny(rest, ` !?[]{}\`):
		return p, Invalid(fmt.Sprintf("the scope %s has a character that is not allowed: %s", Quote(pattern), write))
	}
	server, tool, ok := strings.Cut(rest, "/")
	if !ok {
		server, tool = "*", rest
	}
	switch {
	case !serverPattern.MatchString(server):
		return p, Invalid(fmt.Sprintf("the scope %s has no server's name before its slash: a name has letters, digits, '.', '_' and '-', as in stock-data/query_*", Quote(pattern)))
	case tool == "":
		return p, Invalid(fmt.Sprintf("the scope %s has nothing after its slash: write %s/* for every tool of the server", Quote(pattern), server))
	case tool == resourcesScope || tool == promptsScope:
		return scopePattern{server: server, word: tool}, nil
	}
	return scopePattern{server: server, tool: tool}, nil
}

// AllowsTool reports whether a tool of a server is in the scope. It allocates
// nothing, and takes time in proportion to the length of the names.
func (s *Scope) AllowsTool(server, tool string) bool {
	if s == nil {
		return true
	}
	matches := func(p scopePattern) bool {
		return p.word == "" && glob.Match(p.tool, tool) && glob.Match(p.server, server)
	}
	if slices.ContainsFunc(s.deny, matches) {
		return false
	}
	return len(s.allow) == 0 || slices.ContainsFunc(s.allow, matches)
}

// AllowsResources reports whether the resources of a server are in the scope.
func (s *Scope) AllowsResources(server string) bool { return s.allowsWord(server, resourcesScope) }

// AllowsPrompts reports whether the prompts of a server are in the scope.
func (s *Scope) AllowsPrompts(server string) bool { return s.allowsWord(server, promptsScope) }

func (s *Scope) allowsWord(server, word string) bool {
	matches := func(p scopePattern) bool { return p.word == word && glob.Match(p.server, server) }
	return s == nil || !slices.ContainsFunc(s.deny, matches) && slices.ContainsFunc(s.allow, matches)
}
