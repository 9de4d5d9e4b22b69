package mcp

import (
	"hash/maphash"
	"sync/atomic"
)

// interned caches names of tools and tables, which calls repeat. A name's hash is
// its index, and the next name with that index replaces it, so that the cache
// never grows.
var interned [1024]atomic.Pointer[[1]string]

// maxInterned is the length in bytes of the longest name that is cached.
const maxInterned = 64

// Intern returns a slice that holds the name and nothing else. It may be shared,
// and must not be changed.
func Intern(name []byte) []string {
	if len(name) > maxInterned {
		return []string{string(name)}
	}
	entry := &interned[maphash.Bytes(seed, name)%uint64(len(interned))]
	if p := entry.Load(); p != nil && p[0] == string(name) {
		return p[:]
	}
	p := &[1]string{string(name)}
	entry.Store(p)
	return p[:]
}
