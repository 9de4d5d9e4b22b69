package mcp

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// The portable code, which the vector code is checked against. It has a set of
// the 64 bytes in one of two orders. In text order, bit i is byte i. In word
// order, bit 8j+k is byte j of word k, that is byte 8k+j: each byte of the
// uint64 holds what the same byte of the eight words is. This is the order that
// plain 64-bit arithmetic yields without a multiplication a word, and popcounts
// and the prefix sum below do not need the other.

// Bytes of a word, all the same.
const (
	ones  = 0x0101010101010101
	lows  = 0x7f * ones
	highs = 0x80 * ones
)

// passPortable passes over blocks of p, up to one whose brackets must be gone
// through one by one: then k is behind that block with inString and escaped,
// and before it with depth and commas. It stops before less than a block.
//
// In a text it takes escaped for what follows a backslash of the text's string,
// and also stops at a block with escapes that it leaves to read, at least all
// that read does not take in: then there is no bracket in the sets, and k is
// before that block.
func (k *skipper) passPortable(p []byte, as spelling) (n int, _ sets) {
	sparse := true // there are likely few brackets in the next block, as in the last
	for len(p)-n >= block {
		if sparse && !k.escaped && len(p)-n >= 2*block {
			if n = k.passWords(p, n, as); len(p)-n < block {
				break
			}
		}
		b := (*[block]byte)(p[n:])
		inside := k.inString && as == asJSON
		quote, bracket, backslash := planes(b)
		sparse = bits.OnesCount64(bracket) <= few
		switch {
		case as != asJSON:
			if !plain(b, quote, backslash, k.escaped, as) {
				return n, sets{}
			}
			k.escaped = backslash>>63 != 0
			sparse = sparse && bits.OnesCount64(backslash) == bits.OnesCount64(quote)
		case backslash != 0 || k.escaped:
			var escaped uint64
			escaped, k.escaped = follows(transpose(backslash), k.escaped)
			quote &^= transpose(escaped)
			sparse = false
		}
		if s := k.passMany(b, quote, bracket); s.bracket != 0 {
			return n, s
		}
		if n += block; inside && quote == 0 {
			// Deep in a long string: its end is all that matters.
			n += quoteOrEndPortable(p[n:], &k.escaped)
		}
	}
	return n, sets{}
}

// passMany passes over a block, given its quotes and brackets in word order, or
// returns what is to be gone through one by one.
func (k *skipper) passMany(b *[block]byte, quote, bracket uint64) sets {
	if bracket == 0 && !k.counts() {
		k.inString = k.inString != (bits.OnesCount64(quote)%2 != 0)
		return sets{}
	}
	str := sums(quote) // in strings is what has an odd number of quotes up to it
	if k.inString {
		str = ^str
	}
	k.inString = str>>63 != 0
	bracket &^= str
	open := bracket & opening(b)
	opens := bits.OnesCount64(open)
	closes := bits.OnesCount64(bracket) - opens
	switch {
	case closes >= k.depth, k.counting && closes == k.depth-1 && bracket != 0:
		lower, inner := byTurns(k.depth, bracket, open)
		if lower < 1 {
			s := sets{bracket: transpose(bracket), open: transpose(open)}
			if k.counting {
				s.comma = transpose(plane(b, ',') &^ str)
			}
			return s
		}
		if k.counting && lower == 1 {
			k.commas += int64(bits.OnesCount64(plane(b, ',') &^ str &^ inner))
		}
	case k.counts():
		k.commas += int64(bits.OnesCount64(plane(b, ',') &^ str))
	}
	k.depth += opens - closes
	return sets{}
}

func eight(b *[block]byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// byTurns looks at brackets that alternately open and close: then there are two
// depths in the block, the lower and one more, which inner has. If they do not,
// or one of them closes the whole, lower is below 1.
func byTurns(depth int, bracket, open uint64) (lower int, inner uint64) {
	inner = sums(bracket)
	switch open {
	case bracket & inner:
		return depth, inner
	case bracket &^ inner: // the first one closes
		return depth - 1, ^inner
	}
	return 0, 0
}

// sums makes each bit of a set in word order the sum, modulo 2, of those up to
// it: first within each word, then over the words.
func sums(x uint64) uint64 {
	x ^= x << 8
	x ^= x << 16
	x ^= x << 32
	words := x >> 56
	words ^= words << 1
	words ^= words << 2
	words ^= words << 4
	return x ^ words<<1&0xff*ones
}

// planes returns, in word order, the quotes of b, the brackets []{} and the
// backslashes.
func planes(b *[block]byte) (quote, bracket, backslash uint64) {
	for i := 0; i < block; i += 16 {
		quote, bracket, backslash = addPlanes(eight(b, i), quote, bracket, backslash)
		quote, bracket, backslash = addPlanes(eight(b, i+8), quote, bracket, backslash)
	}
	return quote, bracket, backslash
}

func addPlanes(w, quote, bracket, backslash uint64) (_, _, _ uint64) {
	low, ascii := w&lows, highs&^w
	near := neighbors(low) & ascii
	// The brackets are the odd ones; bit 5 tells \ from |.
	odd := near & (w << 7)
	// 0x80 less a byte below 0x80 has the high bit if the byte is 0.
	return quote>>1 | (highs-(low^'"'*ones))&ascii, bracket>>1 | odd, backslash>>1 | (near^odd)&^(w<<2)
}

// neighbors sets the high bits of the bytes [ \ ] { | } of eight below 0x80,
// and others of their bits.
func neighbors(low uint64) uint64 {
	low |= 0x20 * ones // [ \ ] and { | } are 0x20 apart
	return (low + 0x05*ones) ^ (low + 0x02*ones)
}

// opening returns, in word order, the bytes with the bit that only the opening
// ones of the brackets have.
func opening(b *[block]byte) (set uint64) {
	for i := 0; i < block; i += 8 {
		set = set>>1 | eight(b, i)<<6&highs
	}
	return set
}

// plane returns, in word order, where c, which is below 0x80, is in b.
func plane(b *[block]byte, c byte) (set uint64) {
	all := uint64(c) * ones
	for i := 0; i < block; i += 8 {
		w := eight(b, i)
		set = set>>1 | (highs-(w&lows^all))&^w&highs
	}
	return set
}

// follows returns, in text order, the bytes that follow a backslash that counts,
// given all backslashes and whether the first byte does; and whether the next
// block's first byte does.
func follows(backslash uint64, escaped bool) (set uint64, next bool) {
	var carry uint64
	if escaped {
		carry = 1
	}
	// A run of backslashes that begins at an odd byte turns the parity of what
	// follows it; the addition runs to the end of each such run. As simdjson.
	const even = 0x5555555555555555
	backslash &^= carry
	behind := backslash<<1 | carry
	runs, over := bits.Add64(backslash&^even&^behind, backslash, 0)
	return (even ^ runs<<1) & behind, over != 0
}

// transpose turns word order into text order, and back: the transposition of
// an 8 by 8 matrix of bits (Hacker's Delight, 7-3).
func transpose(x uint64) uint64 {
	t := (x ^ x>>7) & 0x00aa00aa00aa00aa
	x ^= t ^ t<<7
	t = (x ^ x>>14) & 0x0000cccc0000cccc
	x ^= t ^ t<<14
	t = (x ^ x>>28) & 0x00000000f0f0f0f0
	return x ^ t ^ t<<28
}

// quoteOrEndPortable is quoteOrEnd. It looks at blocks where there are escapes,
// and for the next quote where there are none.
func quoteOrEndPortable(p []byte, escaped *bool) (n int) {
	for dense := false; ; {
		if dense && len(p)-n >= block {
			b := (*[block]byte)(p[n:])
			quote, backslash := transpose(plane(b, '"')), transpose(plane(b, '\\'))
			var set uint64
			set, *escaped = follows(backslash, *escaped)
			if ends := quote &^ set; ends != 0 {
				*escaped = false
				return n + bits.TrailingZeros64(ends)
			}
			dense = quote|backslash != 0
			n += block
			continue
		}
		at := bytes.IndexByte(p[n:], '"')
		end := n + at
		if at < 0 {
			end = len(p)
		}
		*escaped = escapes(p[n:end], *escaped)
		if at < 0 || !*escaped {
			return end
		}
		*escaped = false
		n, dense = end+1, true
	}
}
