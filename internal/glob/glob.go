// Package glob matches names against patterns with * and ?.
package glob

import (
	"strings"
	"unicode/utf8"
)

// Match reports whether a whole name matches a pattern. In the pattern, * stands
// for any characters or none, ? for exactly one character, and everything else
// for itself, letter case included. A byte that is not UTF-8 counts as one
// character.
//
// It allocates nothing. A pattern without ? takes time in proportion to the
// length of the name, so that it may come from somebody who is not trusted. One
// with ? takes time in proportion to the product of both lengths at most.
func Match(pattern, name string) bool {
	if strings.Contains(pattern, "?") {
		return matchRunes(pattern, name)
	}
	first, rest, star := strings.Cut(pattern, "*")
	name, ok := strings.CutPrefix(name, first)
	if !star || !ok {
		return ok && name == ""
	}
	for {
		part, after, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, part)
		}
		// The first place of a part is as good as any later one: it leaves most of
		// the name to the parts after it.
		if _, name, ok = strings.Cut(name, part); !ok {
			return false
		}
		rest = after
	}
}

// matchRunes is Match for all patterns. Where a part does not match, only the
// last * is tried again, one character further.
func matchRunes(pattern, name string) bool {
	p, n := 0, 0
	star, retry := -1, 0 // the last *, and where in the name to try again after it
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, n
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			n += runeLen(name[n:])
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			retry += runeLen(name[retry:])
			p, n = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func runeLen(s string) int {
	_, size := utf8.DecodeRuneInString(s)
	return size
}
