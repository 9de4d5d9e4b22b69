//go:build (amd64 || arm64) && !purego

package mcp

// portably runs f with the portable code.
func portably(f func()) {
	defer func(was bool) { vector = was }(vector)
	vector = false
	f()
}
