//go:build !purego

package jsonskip

import "golang.org/x/sys/cpu"

// useVector is whether the processor has the instructions that skip_amd64.s
// uses. Tests switch it off.
var useVector = cpu.X86.HasAVX2 && cpu.X86.HasPCLMULQDQ && cpu.X86.HasBMI1 && cpu.X86.HasPOPCNT

// pass is passPortable, by vector code where there is any.
func (k *Skipper) pass(p []byte) (n int, _ bitmasks) {
	if useVector {
		return passVector(k, p)
	}
	return k.passPortable(p)
}

// QuoteEnd returns the index of the quote that ends the string in which p
// begins, or len(p) if there is none. escaped says whether p's first byte is
// escaped; behind a p without such a quote it says so of the byte to come.
func QuoteEnd(p []byte, escaped *bool) (n int) {
	if useVector && len(p) >= block {
		var found bool
		if n, *escaped, found = quoteVector(p, *escaped); found {
			return n
		}
	}
	return n + quoteEndPortable(p[n:], escaped)
}

// unescapeBlocks is copyPlain for whole blocks. It also resolves escapes of one
// letter, and it may stop anywhere before something that it cannot resolve: a
// quote that ends the string, any other escape, less than a block. It appends
// less than a block more than limit, if out has the capacity.
func unescapeBlocks(out, p []byte, n, limit int) ([]byte, int) {
	end := min(cap(out), limit+block-1)
	if !useVector || len(p)-n < block || end-len(out) < block {
		return out, n
	}
	written, passed := unescapeVector(out[len(out):end], p[n:], &compaction)
	return out[:len(out)+written], n + passed
}

// compaction has, for each bitmask of eight bytes to leave out, the indexes of
// the others in order.
var compaction = func() (t [256][8]byte) {
	for mask := range t {
		kept := 0
		for i := range byte(8) {
			if mask>>i&1 == 0 {
				t[mask][kept] = i
				kept++
			}
		}
	}
	return t
}()

// passVector is passPortable.
//
//go:noescape
func passVector(k *Skipper, p []byte) (n int, m bitmasks)

// quoteVector looks for the quote that ends a string in the whole blocks of p.
// It returns its index, or how many bytes it looked at.
//
//go:noescape
func quoteVector(p []byte, before bool) (n int, escaped, found bool)

// unescapeVector writes to out what p stands for, up to a quote that ends the
// string, an escape that is malformed or has more than one letter, or less than
// a block in either. Both have at least a block.
//
//go:noescape
func unescapeVector(out, p []byte, compaction *[256][8]byte) (written, n int)
