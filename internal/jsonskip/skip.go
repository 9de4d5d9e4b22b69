// Package jsonskip passes quickly over the parts of a JSON text that nobody
// asks about: the rest of an object or array, the rest of a string. It also
// unescapes strings. Input comes in chunks of any size, nothing is kept of it,
// and no input makes it slower than a small constant time a byte.
//
// # How it works
//
// To find the end of an array one has to look at its brackets, but not at
// those inside strings, and a quote ends a string only if no backslash escapes
// it. Going byte by byte through those cases costs some ten instructions a
// byte. This package looks at a block of 64 bytes at once instead, in the way
// of simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second",
// VLDB Journal 28, 2019):
//
//   - A bitmask is a uint64 with one bit for each byte of the block: the mask
//     of the quotes has a 1 where the block has a quote. Comparing 64 bytes with
//     a quote yields that mask in a few instructions.
//   - A byte is inside a string if the number of quotes before it is odd. The
//     prefix XOR of the mask of quotes (each bit becomes the XOR of all bits up
//     to it) is 1 exactly there, so that one operation tells it for 64 bytes.
//   - Brackets inside strings are masked out. If the brackets that are left
//     cannot close the array, only their number matters, and the block is done.
//     Otherwise walk goes through them one by one.
//
// The masks are made twice: by AVX2 instructions where the processor has them
// (skip_amd64.s), and by portable Go (portable.go), which the tests check the
// other against. The build tag purego leaves the assembly out.
//
// JSON is not validated here: whatever has balanced quotes and brackets passes,
// and any closing bracket closes any opening one.
package jsonskip

import "math/bits"

// block is how many bytes are looked at at once.
const block = 64

// Skipper passes over the rest of an object or array. Begin makes it ready.
type Skipper struct {
	depth    int  // open brackets; 0 once the end has been found
	inString bool // the next byte is in a string
	escaped  bool // the next byte is escaped by a backslash
	commas   int64
	counting bool // commas at depth 1 are counted
}

// Begin makes the Skipper ready for the first byte behind an opening bracket.
// If counting is set, it counts the commas between the elements of that object
// or array.
func (k *Skipper) Begin(counting bool) {
	*k = Skipper{depth: 1, counting: counting}
}

// Commas returns how many commas have been counted so far.
func (k *Skipper) Commas() int64 { return k.commas }

// Skip passes over p up to and including the bracket that closes the object or
// array. It returns how many bytes it passed over: all of p unless closed.
func (k *Skipper) Skip(p []byte) (n int, closed bool) {
	n, closed = k.blocks(p)
	if closed || n == len(p) {
		return n, closed
	}
	var b [block]byte // the rest is padded with zeros, which mean nothing in JSON
	escaped := endsEscaped(p[n:], k.escaped)
	copy(b[:], p[n:])
	if end, closed := k.blocks(b[:]); closed {
		return n + end, true
	}
	k.escaped = escaped
	return len(p), false
}

// blocks is Skip for the whole blocks of p.
func (k *Skipper) blocks(p []byte) (n int, closed bool) {
	for {
		passed, m := k.pass(p[n:])
		if n += passed; len(p)-n < block {
			return n, false
		}
		if end := k.walk(m); end >= 0 {
			return n + end, true
		}
		n += block
	}
}

// bitmasks has the bytes of a block that are outside strings. Bit i is byte i.
type bitmasks struct {
	bracket uint64
	open    uint64 // the brackets that open
	comma   uint64 // empty if commas are not counted
}

// walk goes through a block from bracket to bracket. It returns the index behind
// the bracket that closes the whole, or -1.
func (k *Skipper) walk(m bitmasks) int {
	for ; m.bracket != 0; m.bracket &= m.bracket - 1 {
		bit := m.bracket & -m.bracket
		if k.depth == 1 {
			k.commas += int64(bits.OnesCount64(m.comma & (bit - 1)))
		}
		m.comma &^= bit - 1
		if m.open&bit != 0 {
			k.depth++
		} else if k.depth--; k.depth == 0 {
			return bits.TrailingZeros64(bit) + 1
		}
	}
	if k.depth == 1 {
		k.commas += int64(bits.OnesCount64(m.comma))
	}
	return -1
}

// countsHere reports whether a comma at the current depth is counted.
func (k *Skipper) countsHere() bool { return k.counting && k.depth == 1 }

// endsEscaped reports whether the byte behind p is escaped. escaped says the
// same of p's first byte.
func endsEscaped(p []byte, escaped bool) bool {
	i := len(p)
	for i > 0 && p[i-1] == '\\' {
		i--
	}
	// Backslashes escape each other in pairs. If the whole of p is one run and
	// its first is escaped, that one starts no pair.
	return (len(p)-i)%2 == 1 != (i == 0 && escaped)
}
