package mcp

import "math/bits"

// skipper passes over the rest of an object or array whose bytes come in
// pieces, and counts the commas at its own depth where they are asked for. It
// looks at 64 bytes at once and at nothing but quotes, backslashes, brackets
// and commas; so it finds the end of what is valid JSON and takes some of what
// is not: {] passes as closed.
//
// Most blocks of 64 bytes are passed over by code that there is twice, in
// portable Go and in the vector instructions of some processors. What these
// cannot tell from sets and their sizes, they leave to walk.
type skipper struct {
	depth    int  // brackets open; 0 when the end has been found
	inString bool // in a string
	escaped  bool // the next byte follows a backslash that counts
	commas   int64
	counting bool // of the commas at depth 1
}

// begin starts behind an opening bracket.
func (k *skipper) begin(counting bool) {
	*k = skipper{depth: 1, counting: counting}
}

// counts reports whether a comma that comes now is counted.
func (k *skipper) counts() bool { return k.counting && k.depth == 1 }

const block = 64

// skip passes over p up to the bracket that closes, which it includes, and
// tells how far it came.
func (k *skipper) skip(p []byte) (n int, closed bool) {
	n, closed = k.blocks(p)
	if closed || n == len(p) {
		return n, closed
	}
	var b [block]byte // zeros count as nothing
	escaped := escapes(p[n:], k.escaped)
	copy(b[:], p[n:])
	if end, closed := k.blocks(b[:]); closed {
		return n + end, true
	}
	k.escaped = escaped
	return len(p), false
}

// blocks is skip, but for the end of p that makes no block.
func (k *skipper) blocks(p []byte) (n int, closed bool) {
	for {
		passed, s := k.pass(p[n:], asJSON)
		if n += passed; len(p)-n < block {
			return n, false
		}
		if end := k.walk(s); end >= 0 {
			return n + end, true
		}
		n += block
	}
}

// sets are bytes of a block that stand in no string; bit i is byte i.
type sets struct {
	bracket uint64
	open    uint64 // of these
	comma   uint64 // if they are counted
}

// walk goes through a block from bracket to bracket. It returns the end of the
// bracket that closes the whole, or -1.
func (k *skipper) walk(s sets) int {
	for ; s.bracket != 0; s.bracket &= s.bracket - 1 {
		bit := s.bracket & -s.bracket
		if k.depth == 1 {
			k.commas += int64(bits.OnesCount64(s.comma & (bit - 1)))
		}
		s.comma &^= bit - 1
		if s.open&bit != 0 {
			k.depth++
		} else if k.depth--; k.depth == 0 {
			return bits.TrailingZeros64(bit) + 1
		}
	}
	if k.depth == 1 {
		k.commas += int64(bits.OnesCount64(s.comma))
	}
	return -1
}

// escapes reports whether the byte behind p follows a backslash that counts, when
// it is known of p's first byte.
func escapes(p []byte, escaped bool) bool {
	i := len(p)
	for i > 0 && p[i-1] == '\\' {
		i--
	}
	// The run's first backslash does not count if it is escaped itself.
	return (len(p)-i)%2 == 1 != (i == 0 && escaped)
}
