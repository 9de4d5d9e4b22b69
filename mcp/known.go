package mcp

import (
	"hash/maphash"
	"sync/atomic"
)

// known keeps names that calls bring again and again, of tools and of tables,
// so that they are made once. A name's place in it is where its hash says, and
// the next name there takes it over; so it never grows, whatever comes.
var known [1024]atomic.Pointer[[1]string]

// maxKnown bounds in bytes what one place keeps.
const maxKnown = 64

// alone is a slice of the name and nothing else, to be read only.
func alone(name []byte) []string {
	if len(name) > maxKnown {
		return []string{string(name)}
	}
	place := &known[maphash.Bytes(seed, name)%uint64(len(known))]
	if p := place.Load(); p != nil && p[0] == string(name) {
		return p[:]
	}
	p := &[1]string{string(name)}
	place.Store(p)
	return p[:]
}
