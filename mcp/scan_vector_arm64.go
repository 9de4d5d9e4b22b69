//go:build !purego

package mcp

// vector is true: every such processor has what the vector code is made of.
// Tests turn it off.
var vector = true
