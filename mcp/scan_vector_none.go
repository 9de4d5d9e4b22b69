//go:build (!amd64 && !arm64) || purego

package mcp

func (k *skipper) pass(p []byte) (n int, _ sets) { return k.passPortable(p) }

func quoteOrEnd(p []byte, escaped *bool) int { return quoteOrEndPortable(p, escaped) }

func unescapeBlocks(out, _ []byte, n, _ int) ([]byte, int) { return out, n }
