//go:build (amd64 || arm64) && !purego

package mcp

// pass is passPortable, or does the same.
func (k *skipper) pass(p []byte) (n int, _ sets) {
	if vector {
		return passVector(k, p)
	}
	return k.passPortable(p)
}

// quoteOrEnd returns the index of the quote that ends the string that p begins
// in, or the length of p. escaped tells whether the byte to come, p's first and
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

// passVector passes over blocks of p, up to one whose brackets must be gone
// through one by one, as passPortable does.
//
//go:noescape
func passVector(k *skipper, p []byte) (n int, s sets)

// quoteVector passes over blocks of a string up to the quote that ends it, and
// returns its index or what it came through of p.
//
//go:noescape
func quoteVector(p []byte, before bool) (n int, escaped, found bool)
