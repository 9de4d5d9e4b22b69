package sql

import "bytes"

// span is a piece of a text.
type span struct{ start, end int }

// scope is a stack of names that can be found by their hashes.
type scope struct {
	heads [256]int32 // the last entry of each hash, counted from 1
	names []scopeName
}

type scopeName struct {
	span
	hash     uint32
	next     int32 // the entry before it that has the same place in heads, from 1
	quoted   bool
	implicit bool // a table goes by its own name
	body     int  // of a common table expression: the token that opens its body
	from     int  // of a range variable: the tokens between which it can be seen
	to       int
}

func (s *scope) len() int { return len(s.names) }

func (s *scope) reset() { s.truncate(0) }

func (s *scope) push(n scopeName) {
	head := &s.heads[n.hash%uint32(len(s.heads))]
	n.next = *head
	s.names = append(s.names, n)
	*head = int32(len(s.names))
}

// truncate takes away all but the first n names.
func (s *scope) truncate(n int) {
	for len(s.names) > n {
		last := &s.names[len(s.names)-1]
		s.heads[last.hash%uint32(len(s.heads))] = last.next
		s.names = s.names[:len(s.names)-1]
	}
}

// pushName adds a name to a scope.
func (r *reader) pushName(s *scope, t *token, n scopeName) {
	if s.len() == maxNames {
		r.fail(OverCap)
		return
	}
	n.span, n.hash, n.quoted = span{int(t.start), int(t.end)}, r.hashOf(t), t.kind != tokenWord
	s.push(n)
}

// hashOf returns the hash of a token's text in lower case.
func (r *reader) hashOf(t *token) uint32 {
	if t.kind == tokenWord {
		return t.link
	}
	h := uint32(hashSeed)
	for _, c := range r.textOf(t) {
		h = hashByte(h, c|0x20)
	}
	return h
}

// find returns the last name of a scope that equals a token in any letter case
// and of which accept reports true, or nil.
func (r *reader) find(s *scope, t *token, accept func(*scopeName) bool) *scopeName {
	hash := r.hashOf(t)
	for i := s.heads[hash%uint32(len(s.heads))]; i > 0; i = s.names[i-1].next {
		n := &s.names[i-1]
		if n.hash == hash && (accept == nil || accept(n)) && bytes.EqualFold(r.src[n.start:n.end], r.textOf(t)) {
			return n
		}
	}
	return nil
}

// mention is a table's name in the statement.
type mention struct {
	span        // in reader.text
	token   int // where its name begins
	last    int // the token of its last part
	query   int // the token at which its query began
	parts   int
	dropped bool // it turned out to name no table
}

// tableSet is a set of the tables of a query, in the order found.
type tableSet struct {
	heads [256]int32
	names []struct {
		span
		hash uint32
		next int32
	}
}

func (s *tableSet) reset() {
	if len(s.names) > 0 {
		s.heads = [256]int32{}
		s.names = s.names[:0]
	}
}

// findTable reports whether a set has a name, and returns the name's hash.
func findTable[T string | []byte](s *tableSet, text []byte, name T) (bool, uint32) {
	h := uint32(hashSeed)
	for i := range len(name) {
		h = hashByte(h, name[i])
	}
	for i := s.heads[h%256]; i > 0; i = s.names[i-1].next {
		if n := &s.names[i-1]; n.hash == h && string(text[n.start:n.end]) == string(name) {
			return true, h
		}
	}
	return false, h
}

// add adds a name, and reports whether there was room for it.
func (s *tableSet) add(text []byte, name span) bool {
	found, h := findTable(s, text, text[name.start:name.end])
	if found {
		return true
	}
	if len(s.names) == maxTables {
		return false
	}
	s.names = append(s.names, struct {
		span
		hash uint32
		next int32
	}{name, h, s.heads[h%256]})
	s.heads[h%256] = int32(len(s.names))
	return true
}

// strings returns the names.
func (s *tableSet) strings(text []byte) []string {
	if len(s.names) == 0 {
		return nil
	}
	names := make([]string, len(s.names))
	for i, n := range s.names {
		names[i] = string(text[n.start:n.end])
	}
	return names
}

// same reports whether the set has the given names and no others.
func (s *tableSet) same(text []byte, names []string) bool {
	if len(names) != len(s.names) {
		return false
	}
	for _, name := range names {
		if found, _ := findTable(s, text, name); !found {
			return false
		}
	}
	return true
}

// isPath reports whether a name begins with that of a range variable of a query
// around it, so that it is a path into its columns: FROM orders o, o.lines.
func (r *reader) isPath(m mention) bool {
	if m.parts < 2 {
		return false
	}
	switch r.dialect {
	case BigQuery, Redshift, Generic:
	default:
		return false
	}
	start := int(r.tokens[m.token].start)
	return r.find(&r.aliases, &r.tokens[m.token], func(n *scopeName) bool {
		return m.token >= n.from && m.token < n.to && (n.start < start || m.query != n.from)
	}) != nil
}

// settle drops the targets of an UPDATE or DELETE that are aliases of a source.
// It reports false where a target of DELETE has no source though there are some.
func (r *reader) settle(f *frame) bool {
	if f.sources == 0 {
		return true
	}
	first := len(r.src)
	if f.sourceAliases < r.aliases.len() {
		first = r.aliases.names[f.sourceAliases].start
	}
	for i := f.targets; i < f.sources; i++ {
		m := &r.mentions[i]
		if m.parts > 1 {
			continue
		}
		alias := r.find(&r.aliases, &r.tokens[m.token], func(n *scopeName) bool {
			return n.from == f.start && n.start >= first && (!n.implicit || f.named)
		})
		if alias == nil && f.strict {
			return false
		}
		m.dropped = alias != nil
	}
	return true
}
