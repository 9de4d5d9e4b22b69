package jsonskip

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// The portable code keeps a bitmask in one of two orders. In text order, bit i
// is byte i of the block. In word order, bit 8j+k is byte j of the block's word
// k, which is byte 8k+j of the block. Word order is what arithmetic on eight
// 64-bit words yields without a multiplication for each, and counting bits and
// the prefix XOR below work in it just as well.

// Words of eight equal bytes.
const (
	ones  = 0x0101010101010101
	lows  = 0x7f * ones
	highs = 0x80 * ones
)

// passPortable passes over the blocks of p whose brackets need not be gone
// through one by one. It stops before such a block and returns its bitmasks:
// then inString and escaped are as behind that block, depth and commas as
// before it. It also stops where less than a block is left.
func (k *Skipper) passPortable(p []byte) (n int, _ bitmasks) {
	for len(p)-n >= block {
		b := (*[block]byte)(p[n:])
		began := k.inString
		quote, bracket, backslash := planes(b)
		if backslash != 0 || k.escaped {
			var escaped uint64
			escaped, k.escaped = escapedBytes(transpose(backslash), k.escaped)
			quote &^= transpose(escaped)
		}
		if m := k.passBlock(b, quote, bracket); m.bracket != 0 {
			return n, m
		}
		if n += block; began && quote == 0 {
			// Within a long string only its end matters.
			n += quoteEndPortable(p[n:], &k.escaped)
		}
	}
	return n, bitmasks{}
}

// passBlock passes over a block, given the quotes that begin and end strings and
// the brackets, both in word order. If its brackets must be gone through one by
// one, it returns them and leaves depth and commas alone.
func (k *Skipper) passBlock(b *[block]byte, quote, bracket uint64) bitmasks {
	if bracket == 0 && !k.countsHere() {
		k.inString = k.inString != (bits.OnesCount64(quote)%2 != 0)
		return bitmasks{}
	}
	str := prefixXOR(quote)
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
		lower, inner := alternating(k.depth, bracket, open)
		if lower < 1 {
			m := bitmasks{bracket: transpose(bracket), open: transpose(open)}
			if k.counting {
				m.comma = transpose(plane(b, ',') &^ str)
			}
			return m
		}
		if k.counting && lower == 1 {
			k.commas += int64(bits.OnesCount64(plane(b, ',') &^ str &^ inner))
		}
	case k.countsHere():
		k.commas += int64(bits.OnesCount64(plane(b, ',') &^ str))
	}
	k.depth += opens - closes
	return bitmasks{}
}

// alternating handles blocks whose brackets strictly alternate between opening
// and closing, as the rows of a table do. Then the depth takes two values only:
// lower and lower+1, and inner has the bytes at lower+1. For all other blocks,
// and where a bracket closes the whole, it returns a lower below 1.
func alternating(depth int, bracket, open uint64) (lower int, inner uint64) {
	inner = prefixXOR(bracket)
	switch open {
	case bracket & inner:
		return depth, inner
	case bracket &^ inner: // the first one closes
		return depth - 1, ^inner
	}
	return 0, 0
}

// prefixXOR replaces each bit of a bitmask in word order by the XOR of all bits
// up to and including it: first between the words, then within each.
func prefixXOR(x uint64) uint64 {
	x ^= x << 8
	x ^= x << 16
	x ^= x << 32
	words := x >> 56
	words ^= words << 1
	words ^= words << 2
	words ^= words << 4
	return x ^ words<<1&0xff*ones
}

func word(b *[block]byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8]) }

// planes returns the quotes of b, its brackets []{} and its backslashes, in word
// order.
func planes(b *[block]byte) (quote, bracket, backslash uint64) {
	for i := 0; i < block; i += 16 {
		quote, bracket, backslash = addPlanes(word(b, i), quote, bracket, backslash)
		quote, bracket, backslash = addPlanes(word(b, i+8), quote, bracket, backslash)
	}
	return quote, bracket, backslash
}

func addPlanes(w, quote, bracket, backslash uint64) (_, _, _ uint64) {
	low, ascii := w&lows, highs&^w
	near := neighbors(low) & ascii
	// The brackets have an odd code, \ and | an even one; bit 5 tells \ from |.
	odd := near & (w << 7)
	// 0x80 minus a byte below 0x80 has the high bit only if the byte is 0.
	return quote>>1 | (highs-(low^'"'*ones))&ascii, bracket>>1 | odd, backslash>>1 | (near^odd)&^(w<<2)
}

// neighbors sets the high bits of those of eight bytes below 0x80 that are one
// of [ \ ] { | }. Other bits of the result mean nothing.
func neighbors(low uint64) uint64 {
	low |= 0x20 * ones // [ \ ] and { | } are 0x20 apart
	return (low + 0x05*ones) ^ (low + 0x02*ones)
}

// opening returns the bytes of b with the bit that, among the brackets, only [
// and { have, in word order.
func opening(b *[block]byte) (mask uint64) {
	for i := 0; i < block; i += 8 {
		mask = mask>>1 | word(b, i)<<6&highs
	}
	return mask
}

// plane returns where b has c, which is below 0x80, in word order.
func plane(b *[block]byte, c byte) (mask uint64) {
	all := uint64(c) * ones
	for i := 0; i < block; i += 8 {
		w := word(b, i)
		mask = mask>>1 | (highs-(w&lows^all))&^w&highs
	}
	return mask
}

// escapedBytes returns the bytes that a backslash escapes, in text order, given
// all backslashes of a block and whether its first byte is escaped. next reports
// whether the first byte of the next block is.
func escapedBytes(backslash uint64, escaped bool) (mask uint64, next bool) {
	var carry uint64
	if escaped {
		carry = 1
	}
	// A run of backslashes that begins at an odd byte flips the parity of the
	// bytes behind it; the addition carries to the end of each such run. This is
	// simdjson's find_odd_backslash_sequences.
	const even = 0x5555555555555555
	backslash &^= carry
	behind := backslash<<1 | carry
	runs, over := bits.Add64(backslash&^even&^behind, backslash, 0)
	return (even ^ runs<<1) & behind, over != 0
}

// transpose turns word order into text order and back. It is the transposition
// of an 8 by 8 matrix of bits (Warren, Hacker's Delight, section 7-3).
func transpose(x uint64) uint64 {
	t := (x ^ x>>7) & 0x00aa00aa00aa00aa
	x ^= t ^ t<<7
	t = (x ^ x>>14) & 0x0000cccc0000cccc
	x ^= t ^ t<<14
	t = (x ^ x>>28) & 0x00000000f0f0f0f0
	return x ^ t ^ t<<28
}

// quoteEndPortable is QuoteEnd in portable Go. Where there are escapes it looks
// at blocks, and elsewhere for the next quote.
func quoteEndPortable(p []byte, escaped *bool) (n int) {
	for dense := false; ; {
		if dense && len(p)-n >= block {
			b := (*[block]byte)(p[n:])
			quote, backslash := transpose(plane(b, '"')), transpose(plane(b, '\\'))
			var mask uint64
			mask, *escaped = escapedBytes(backslash, *escaped)
			if ends := quote &^ mask; ends != 0 {
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
		*escaped = endsEscaped(p[n:end], *escaped)
		if at < 0 || !*escaped {
			return end
		}
		*escaped = false
		n, dense = end+1, true
	}
}
