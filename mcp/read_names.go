package mcp

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// nameSet is the names of one object so far, at the end of reader.names, where
// the sets of the objects around it come before. An object that is being read
// can only grow while no object within it is, so its set is always the last.
//
// A small set is a list of the offsets of unescaped names. Above that, or with
// the first escape, it is a hash table with linear probing, so that an object
// of a hundred thousand names costs no more for each than one of ten. The seed
// is random, so that no body can be made to collide.
type nameSet struct {
	base  int // where the set begins in reader.names
	count int // how many names are in the table; 0 for a list
}

const smallSet = 16 // most names in a list

var seed = maphash.MakeSeed()

// A table's slot is hash<<32 | offset<<1 | escaped, or 0 when it is free: no
// name stands at offset 0.
func slot(hash uint64, at int, escaped bool) uint64 {
	s := hash<<32 | uint64(at)<<1
	if escaped {
		s |= 1
	}
	return s
}

// add puts a name, which stands in the data at the offset at, into the set, and
// tells whether it was there already.
func (r *reader) add(s *nameSet, name []byte, at int, escaped bool) (twice bool) {
	if s.count == 0 {
		list := r.names[s.base:]
		if len(list) < smallSet && !escaped {
			for _, other := range list {
				if r.standsAt(int(other), name) {
					return true
				}
			}
			r.names = append(r.names, uint64(at))
			return false
		}
		r.toTable(s)
	}
	if table := r.names[s.base:]; s.count >= len(table)/4*3 {
		r.grow(s, 2*len(table))
	}
	table := r.names[s.base:]
	hash := maphash.Bytes(seed, name)
	mask := uint64(len(table) - 1)
	for i := hash & 0xffffffff & mask; ; i = (i + 1) & mask {
		other := table[i]
		if other == 0 {
			table[i] = slot(hash, at, escaped)
			s.count++
			return false
		}
		if other>>32 == hash&0xffffffff && r.sameName(other, name) {
			return true
		}
	}
}

// standsAt tells whether the name at the offset at, before the current one, is
// name. Both are unescaped, so a quote can only be where they end.
func (r *reader) standsAt(at int, name []byte) bool {
	return r.data[at+len(name)] == '"' && bytes.Equal(r.data[at:at+len(name)], name)
}

// unescapedAt is the name at the offset at.
func (r *reader) unescapedAt(at int) []byte {
	return r.data[at : at+bytes.IndexByte(r.data[at:], '"')]
}

// sameName tells whether the name of a slot is name.
func (r *reader) sameName(slot uint64, name []byte) bool {
	at := int(slot & 0xffffffff >> 1)
	if slot&1 == 0 {
		return bytes.Equal(r.unescapedAt(at), name)
	}
	r.other, _ = appendDecoded(r.other[:0], r.data[at:])
	return bytes.Equal(r.other, name)
}

// toTable makes a table of a list.
func (r *reader) toTable(s *nameSet) {
	for i, at := range r.names[s.base:] {
		r.names[s.base+i] = slot(maphash.Bytes(seed, r.unescapedAt(int(at))), int(at), false)
		s.count++
	}
	r.grow(s, 1<<bits.Len(uint(2*s.count+3)))
}

// grow gives the set a table of so many slots, a power of two.
func (r *reader) grow(s *nameSet, slots int) {
	r.spare = append(r.spare[:0], r.names[s.base:]...)
	r.names = append(r.names[:s.base], make([]uint64, slots)...)
	table := r.names[s.base:]
	mask := uint64(slots - 1)
	for _, other := range r.spare {
		if other == 0 {
			continue
		}
		i := other >> 32 & mask
		for table[i] != 0 {
			i = (i + 1) & mask
		}
		table[i] = other
	}
}
