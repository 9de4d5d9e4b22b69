package scan

// element is what an array that is counted begins with: a row, or what only
// looks like one. An MCP content block ({"type":"text","text":…}, which some
// frameworks repeat as structured content) is no row, and an array of them has
// no number of rows. A status row ({"affected_rows":3}) is the answer to a
// statement that writes.
type element struct {
	object   bool
	list     bool // an array of objects, or an empty one: not the values of a row
	scalar   bool // neither an object nor an array
	number   bool // a whole number, which is affected
	bare     bool // an array of one whole number, which is affected
	members  int
	content  bool // its type is that of a content block
	payload  bool // it has what a content block has
	counts   int  // members that say how many rows were affected
	others   int  // other members that only a status row has
	certain  bool // the member that counts is called by a name for nothing else
	affected int64
}

// probe is what a member of an array's first element may tell of it.
type probe uint8

const (
	probeNone probe = iota
	probeType
	probePayload
	probeAffected // a name that only the number of affected rows has
	probeCount    // a name that a column of a row may have as well
	probeStatus   // what may stand beside these
)

var probes = []struct {
	probe probe
	names []string
}{
	{probeType, []string{"type"}},
	{probePayload, []string{"text", "data", "resource", "uri"}},
	{probeAffected, affectedNames},
	{probeCount, []string{"changes", "count", "Count"}},
	{probeStatus, []string{"insertId", "insert_id", "lastInsertRowid", "last_insert_rowid", "lastInsertId", "last_insert_id", "lastID", "success"}},
}

// affectedNames are what servers call the number of rows that a statement
// affected.
var affectedNames = []string{"affected_rows", "affectedRows", "rows_affected", "rowsAffected"}

// take takes in the value of a member.
func (e *element) take(p probe, v value) {
	switch p {
	case probeType:
		switch string(v.text) {
		case "text", "image", "audio", "resource", "resource_link":
			e.content = v.kind == isString && !v.over
		}
	case probeAffected, probeCount:
		if n, ok := v.wholeNumber(); ok {
			e.counts++
			e.affected, e.certain = n, p == probeAffected
		}
	case probeStatus:
		e.others++
	}
}

// takeFirst takes in the element itself.
func (e *element) takeFirst(v value) {
	e.object = v.kind == isObject
	e.scalar = v.kind != isObject && v.kind != isArray
	if n, ok := v.wholeNumber(); ok {
		e.number, e.affected = true, n
	}
}

// takeArray takes in how many elements it has, if it is an array, and what its
// own first is.
func (e *element) takeArray(elements int, first *element) {
	e.list = elements == 0 || first.object
	if elements == 1 && first.number {
		e.bare, e.affected = true, first.affected
	}
}

func (e *element) isContent() bool { return e.object && e.content && e.payload }

func (e *element) isStatus() bool {
	return e.object && e.counts == 1 && e.members == e.counts+e.others
}

// status is what the arrays whose elements are counted say of affected rows:
// whether each of them is one status row.
type status struct {
	arrays, rows int
	doubtful     bool // a name may be a column's as well
	affected     int64
	bare         bool // an array is one row of one whole number, which is affected
	scalars      bool // an array begins with neither an object nor an array
	lists        bool // an array begins with a list of rows
	flat         bool // an array begins with what is no row of a list of lists
}

func (s *status) add(elements int64, first *element) {
	s.arrays++
	s.lists = s.lists || first != nil && first.list
	s.scalars = s.scalars || first != nil && first.scalar
	s.flat = s.flat || elements > 0 && (first == nil || !first.object)
	if elements == 1 && first != nil && first.isStatus() {
		s.rows++
		s.affected += first.affected // a sum over 2⁶³ is found by the count beside it
		s.doubtful = s.doubtful || !first.certain
	} else if elements == 1 && first != nil && first.bare {
		s.bare = true
		s.affected += first.affected
	}
}

// is reports whether there is nothing but status rows.
func (s *status) is() bool { return s.arrays > 0 && s.rows == s.arrays && s.affected >= 0 }

func (s *status) join(other status) {
	s.arrays += other.arrays
	s.rows += other.rows
	s.affected += other.affected
	s.doubtful = s.doubtful || other.doubtful
	s.bare = s.bare || other.bare
	s.scalars = s.scalars || other.scalars
	s.lists = s.lists || other.lists
	s.flat = s.flat || other.flat
}

// probeFirst makes the node of an array, whose elements are counted, look at
// the first of them.
func (n *node) probeFirst(first *node) {
	first.isFirst = true
	// Its own first element, if it is an array, tells a list of rows from a row.
	inner := first.element(0)
	if inner == first.each {
		inner = &node{last: -1}
		if first.each != nil { // the others are not looked at like this
			*inner = *first.each
		}
		first.index = append(first.index, edge{index: 0, node: inner})
	}
	inner.isFirst, inner.keep = true, true
	first.all = append(first.all, n.count...)
	for _, p := range probes {
		for _, name := range p.names {
			member := first.child([]byte(name))
			if member == nil {
				member = &node{}
				first.members = append(first.members, edge{name: name, node: member})
			}
			member.probe = p.probe
			member.keep = member.keep || p.probe != probePayload
		}
	}
}
