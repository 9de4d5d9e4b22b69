//go:build !amd64 || purego

package jsonskip

// What skip_amd64.go has, for processors without vector code.

func (k *Skipper) pass(p []byte) (n int, _ bitmasks) { return k.passPortable(p) }

// QuoteEnd returns the index of the quote that ends the string in which p
// begins, or len(p) if there is none. escaped says whether p's first byte is
// escaped; behind a p without such a quote it says so of the byte to come.
func QuoteEnd(p []byte, escaped *bool) int { return quoteEndPortable(p, escaped) }

func unescapeBlocks(out, _ []byte, n, _ int) ([]byte, int) { return out, n }
