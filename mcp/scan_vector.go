//go:build (amd64 || arm64) && !purego

package mcp

// pass is passPortable, or does the same.
func (k *skipper) pass(p []byte, as spelling) (n int, _ sets) {
	if vector {
		return passVector(k, p, as)
	}
	return k.passPortable(p, as)
}

// quoteOrEnd returns the index of the quote that ends the string that p begins
// in, or the length of p. escaped reports whether the byte to come, p's first and
// then the one behind p, follows a backslash that counts.
func quoteOrEnd(p []byte, escaped *bool) (n int) {
	if vector && len(p) >= block {
		var found bool
		if n, *escaped, found = quoteVector(p, *escaped); found {
			return n
		}
	}
	return n + quoteOrEndPortable(p[n:], escaped)
}

// unescapeBlocks is what copyPlain is, but that it goes over escapes of one
// letter as well, and that it may stop anywhere before what it cannot go over:
// a quote that ends the string, any other escape, less than a block. It appends
// up to a block more than limit, if out has the room.
func unescapeBlocks(out, p []byte, n, limit int) ([]byte, int) {
	end := min(cap(out), limit+block-1)
	if !vector || len(p)-n < block || end-len(out) < block {
		return out, n
	}
	written, passed := unescapeVector(out[len(out):end], p[n:], &keeping)
	return out[:len(out)+written], n + passed
}

// keeping tells, for a set of 8 bytes, the numbers of the others in order.
var keeping = func() (t [256][8]byte) {
	for set := range t {
		kept := 0
		for i := range byte(8) {
			if set>>i&1 == 0 {
				t[set][kept] = i
				kept++
			}
		}
	}
	return t
}()

// passVector passes over blocks of p, up to one whose brackets must be gone
// through one by one, as passPortable does.
//
//go:noescape
func passVector(k *skipper, p []byte, as spelling) (n int, s sets)

// quoteVector passes over blocks of a string up to the quote that ends it, and
// returns its index or what it came through of p.
//
//go:noescape
func quoteVector(p []byte, before bool) (n int, escaped, found bool)

// unescapeVector writes to out what p says up to a quote that ends the string,
// an escape of more than one letter or of none, or less than a block in either;
// there is one in both.
//
//go:noescape
func unescapeVector(out, p []byte, keeping *[256][8]byte) (written, n int)
