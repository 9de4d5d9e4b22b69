package mcp

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// nameSet is the set of the names of one object so far. It is kept at the end of
// reader.names, behind the sets of the objects around it: an object gets no names
// while one within it is open, so the set that grows is always the last.
//
// A small set is a list of the offsets of names without escapes. A larger one, or
// one with an escaped name, is a hash table with linear probing, so that a name
// costs the same in an object of ten and of a hundred thousand. The seed is
// random, so that nobody can craft names that collide.
type nameSet struct {
	base  int // index in reader.names where the set begins
	count int // number of names in the table; 0 for a list
}

const smallSet = 16 // the most names in a list

var seed = maphash.MakeSeed()

// slot makes a slot of a table: hash<<32 | offset<<1 | escaped. A free slot is 0,
// since no name is at offset 0.
func slot(hash uint64, at int, escaped bool) uint64 {
	s := hash<<32 | uint64(at)<<1
	if escaped {
		s |= 1
	}
	return s
}

// add puts the name at offset at of the data into the set. It reports whether it
// was there already.
func (r *reader) add(s *nameSet, name []byte, at int, escaped bool) (twice bool) {
	if s.count == 0 {
		list := r.names[s.base:]
		if len(list) < smallSet && !escaped {
			for _, other := range list {
				if r.isAt(int(other), name) {
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

// isAt reports whether the earlier name at offset at equals name. Neither has
// escapes, so that a quote can only be at their ends.
func (r *reader) isAt(at int, name []byte) bool {
	return r.data[at+len(name)] == '"' && bytes.Equal(r.data[at:at+len(name)], name)
}

// unescapedAt returns the name, without escapes, at offset at.
func (r *reader) unescapedAt(at int) []byte {
	return r.data[at : at+bytes.IndexByte(r.data[at:], '"')]
}

// sameName reports whether the name of a slot equals name.
func (r *reader) sameName(slot uint64, name []byte) bool {
	at := int(slot & 0xffffffff >> 1)
	if slot&1 == 0 {
		return bytes.Equal(r.unescapedAt(at), name)
	}
	r.other, _ = appendDecoded(r.other[:0], r.data[at:])
	return bytes.Equal(r.other, name)
}

// toTable turns a list into a table.
func (r *reader) toTable(s *nameSet) {
	for i, at := range r.names[s.base:] {
		r.names[s.base+i] = slot(maphash.Bytes(seed, r.unescapedAt(int(at))), int(at), false)
		s.count++
	}
	r.grow(s, 1<<bits.Len(uint(2*s.count+3)))
}

// grow gives the set a table with the given number of slots, a power of two.
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
