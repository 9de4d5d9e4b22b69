package mcp

import "math/bits"

// JSON that a text is comes with its quotes and backslashes escaped. Where only
// its brackets and commas matter, it is passed over as it comes: a quote of that
// JSON is written \", and \\\" if it stands in a string of it. A " without a
// backslash is the end of the text.

// spelling is how the JSON is written that a skipper passes over. In a text it
// is the letter of the escape that may pass, besides \", without a closer look.
type spelling uint8

const (
	asJSON spelling = 0
	inText spelling = 'n'
	inLine spelling = '"' // in a text, and the end of a line matters
)

// skipText is skip for JSON in a text. behind reports whether the byte to come
// follows a backslash of the text's string, p's first and then the one behind
// what was passed over; escaped is about the JSON in it. It stops before what it
// leaves to unescaping: the end of the text, an escape of more than one letter
// or of none, less than a block, and in a line its end.
func (k *skipper) skipText(p []byte, behind *bool, as spelling) (n int, closed bool) {
	for len(p)-n >= block {
		var s sets
		if !k.escaped {
			k.escaped = *behind
			var passed int
			passed, s = k.pass(p[n:], as)
			*behind, k.escaped = k.escaped, false
			if n += passed; len(p)-n < block {
				break
			}
		}
		if k.escaped || s.bracket == 0 {
			var ok bool
			if s, ok = k.read((*[block]byte)(p[n:]), behind, as); !ok {
				break
			}
		}
		if end := k.walk(s); end >= 0 {
			*behind = false // of what follows a bracket
			return n + end, true
		}
		n += block
	}
	return n, false
}

// plain reports whether a block of a text, given what is in it in word order, has
// no other escapes than \" and the one that as names, and no quote that ends the
// text.
func plain(b *[block]byte, quote, backslash uint64, behind bool, as spelling) bool {
	follows := backslash<<8 | backslash>>56<<1&0xff
	if behind {
		follows |= 1
	}
	if follows == quote {
		return true // no backslash follows one, being no quote
	}
	if backslash&follows != 0 || quote&^follows != 0 {
		return false
	}
	return follows&^quote&^plane(b, byte(as)) == 0
}

// read takes in a block of a text with whatever escapes of one letter, and
// returns what is to be walked through; or it is not ok, and nothing is changed.
func (k *skipper) read(b *[block]byte, behind *bool, as spelling) (_ sets, ok bool) {
	quote, bracket, backslash := planes(b)
	open := bracket & opening(b)
	quote, backslash = transpose(quote), transpose(backslash)
	behinds, next := follows(backslash, *behind)
	if quote&^behinds != 0 {
		return sets{}, false
	}
	for others := behinds &^ (quote | backslash); others != 0; others &= others - 1 {
		c := unescaped[b[bits.TrailingZeros64(others)]]
		if c == 0 || c == '\n' && as == inLine {
			return sets{}, false
		}
	}

	// What follows an inner backslash is the byte behind it, or the one that the
	// backslash there escapes.
	first := backslash &^ behinds
	var escaped uint64
	if k.escaped {
		escaped = 1 << (first & 1)
	}
	k.escaped = false
	for inner := backslash & behinds &^ escaped; inner != 0; {
		bit := inner & -inner
		letter := bit << 1
		letter <<= bits.OnesCount64(letter & first)
		k.escaped = letter == 0 // it is in the next block
		escaped |= letter
		inner &^= bit | letter
	}
	*behind = next

	str := sums(transpose(quote &^ escaped))
	if k.inString {
		str = ^str
	}
	k.inString = str>>63 != 0
	s := sets{bracket: transpose(bracket &^ str), open: transpose(open &^ str)}
	if k.counting {
		s.comma = transpose(plane(b, ',') &^ str)
	}
	return s, true
}
