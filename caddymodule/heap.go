package caddymodule

import (
	"os"
	"runtime/debug"
	"sync"
)

// ballast is memory that the garbage collector takes for used and nobody ever
// touches, so that no page stands behind it. A gate uses some 8 MB of heap;
// without ballast that much again would be collected some fifty times a second
// under load, a tenth of a call's processor time. With it, the heap grows to
// some 30 MB in between.
var ballast = sync.OnceValue(func() []byte {
	const size, roomy = 12 << 20, 96 << 20
	limit := debug.SetMemoryLimit(-1) // Caddy sets it by the container's
	if os.Getenv("GOGC") != "" || limit < roomy {
		return nil
	}
	return make([]byte, size)
})
