package mcp

import (
	"encoding/binary"
	"math/bits"
)

// few is how many brackets a block has at most where words are faster: they cost
// less than a block as long as there is nothing in them, and more where a bracket
// must be gone to.
const few = 5

// passWords passes over p from n on, eight bytes at once, as long as brackets
// are far from each other, and returns how far it came. The byte at n is not
// escaped, nor is the one where it ends. It stops before what it leaves to
// blocks: the bracket that closes the whole, commas that count elsewhere than
// between two brackets, backslashes, but for \" in a text, and the end of p.
func (k *skipper) passWords(p []byte, n int, as spelling) int {
	if k.counts() {
		return n
	}
	const often = 8
	begun := n
	for brackets := 1; ; brackets++ {
		var found bool
		if as == asJSON {
			n, found = k.toMark(p, n)
		} else {
			n, found = k.toBracket(p, n)
		}
		if !found {
			return n
		}
		var ok bool
		if n, ok = k.take(p, n); !ok {
			return n
		}
		if brackets%often == 0 {
			if n-begun < often*block/few {
				return n
			}
			begun = n
		}
	}
}

// take takes in the bracket at n, which is in no string, and the comma and the
// bracket behind it if the comma counts. It is not ok where passWords stops.
func (k *skipper) take(p []byte, n int) (_ int, ok bool) {
	switch {
	case opens(p[n]):
		k.depth++
		return n + 1, true
	case k.depth == 1:
		return n, false
	}
	if k.depth--; !k.counts() {
		return n + 1, true
	}
	if len(p)-n < 3 || p[n+1] != ',' || p[n+2] != '{' && p[n+2] != '[' {
		return n + 1, false
	}
	k.commas++
	k.depth++
	return n + 3, true
}

// opens reports whether a bracket is one that opens.
func opens(bracket byte) bool { return bracket&2 != 0 }

// toMark goes to the next bracket outside strings. What it finds instead, where
// it does not find one, is a backslash or the end.
func (k *skipper) toMark(p []byte, n int) (_ int, found bool) {
	quotes := k.quotes()
	for len(p)-n >= 16 {
		b := (*[16]byte)(p[n:])
		others, mark := wordMarks(binary.LittleEndian.Uint64(b[:8]))
		if mark&highs == 0 {
			quotes ^= others
			n += 8
			if others, mark = wordMarks(binary.LittleEndian.Uint64(b[8:])); mark&highs == 0 {
				quotes ^= others
				n += 8
				continue
			}
		}
		at := bits.TrailingZeros64(mark&highs) &^ 7
		quotes ^= ^others & (1<<at - 1)
		n += at / 8
		switch c := p[n]; {
		case c == '\\':
			k.inString = !even(quotes)
			return n, false
		case c != '|' && even(quotes):
			k.inString = false
			return n, true
		}
		n++
	}
	k.inString = !even(quotes)
	return n, false
}

// toBracket is toMark in a text. What it finds instead is the end of the text, or
// an escape that is not \".
func (k *skipper) toBracket(p []byte, n int) (_ int, found bool) {
	if n < len(p) && p[n] == '"' {
		return n, false
	}
	quotes, begun := k.quotes(), n
	for len(p)-n >= 17 {
		b := (*[17]byte)(p[n:])
		others, other, bracket := textMarks(binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[1:9]))
		if (other|bracket)&highs == 0 {
			quotes ^= others
			n += 8
			others, other, bracket = textMarks(binary.LittleEndian.Uint64(b[8:16]), binary.LittleEndian.Uint64(b[9:17]))
			if (other|bracket)&highs == 0 {
				quotes ^= others
				n += 8
				continue
			}
		}
		at := bits.TrailingZeros64((other|bracket)&highs) &^ 7
		quotes ^= ^others & (1<<at - 1)
		n += at / 8
		isBracket := bracket>>at&0x80 != 0
		if isBracket && even(quotes) {
			k.inString = false
			return n, true
		}
		if p[n] != '\\' {
			n++
		}
		if !isBracket || other>>at&0x80 != 0 {
			k.inString = !even(quotes)
			return n, false
		}
	}
	if n > begun && p[n-1] == '\\' {
		n++ // behind the quote, which is counted
	}
	k.inString = !even(quotes)
	return n, false
}

// quotes are high bits whose number is odd in a string. Those of whole words may
// be the bytes that are no quotes as well, since there are eight in all.
func (k *skipper) quotes() uint64 {
	if k.inString {
		return 0x80
	}
	return 0
}

func even(quotes uint64) bool { return bits.OnesCount64(quotes&highs)%2 == 0 }

// wordMarks sets the high bits where no quote is, and where a bracket is, a
// backslash or a bar.
func wordMarks(w uint64) (others, mark uint64) {
	low := w & lows
	return (low ^ '"'*ones) + lows | w, neighbors(low) &^ w
}

// textMarks sets the high bits where no quote is next, where a backslash is and no
// quote next or a quote and no backslash, and where a bracket is.
func textMarks(w, next uint64) (others, other, bracket uint64) {
	low := w & lows
	others = (next&lows ^ '"'*ones) + lows | next
	return others, others ^ ((low ^ '\\'*ones) + lows | w), neighbors(low) & (w << 7) &^ w
}
