package mcp

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

// plain tells whether a block of a text, given what is in it in word order, has
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
