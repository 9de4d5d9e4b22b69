//go:build (!amd64 && !arm64) || purego

package mcp

// What scan_vector.go has, where there is no vector code.

func (k *skipper) pass(p []byte, as spelling) (n int, _ sets) { return k.passPortable(p, as) }

func quoteOrEnd(p []byte, escaped *bool) int { return quoteOrEndPortable(p, escaped) }

func unescapeBlocks(out, _ []byte, n, _ int) ([]byte, int) { return out, n }
