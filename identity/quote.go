package identity

import (
	"regexp"
	"strconv"
)

// secretPattern matches what may be a secret: a long run of letters and digits, as
// keys, tokens, JWTs and hexadecimal numbers have them. UUIDs have none.
var secretPattern = regexp.MustCompile(`[0-9A-Za-z]{20,}`)

// wordPattern matches a run that is a word or a number.
var wordPattern = regexp.MustCompile(`^([A-Za-z]*|[0-9]*)$`)

// Quote quotes what somebody entered for a message: shortened to 40 characters, and
// without what may be a key or another secret, of which it shows four characters.
// People paste keys into the wrong field, and messages end up in logs.
func Quote(s string) string {
	s = secretPattern.ReplaceAllStringFunc(s, func(run string) string {
		if wordPattern.MatchString(run) {
			return run
		}
		return run[:4] + "…"
	})
	const longest = 40
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "…"
	}
	return strconv.Quote(s)
}
