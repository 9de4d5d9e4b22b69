//go:build !purego

package mcp

import "golang.org/x/sys/cpu"

// vector reports whether the processor has what the vector code is made of.
var vector = cpu.X86.HasAVX2 && cpu.X86.HasPCLMULQDQ && cpu.X86.HasBMI1 && cpu.X86.HasPOPCNT
