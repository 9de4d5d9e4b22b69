package scan

// element describes the first element of an array that is counted, to decide
// whether it is a row. An MCP content block ({"type":"text","text":…}, which
// some frameworks repeat as structured content) is not a row, and an array of
// them has no record count. A status row ({"affected_rows":3}) is the result of
// a statement that writes.
type element struct {
	object   bool
	list     bool // an array of objects, or an empty array: not a row given as an array of values
	scalar   bool // neither an object nor an array
	number   bool // a whole number, in affected
	bare     bool // an array of one whole number, in affected
	members  int
	content  bool // its member type is a type of content block
	payload  bool // it has a member that content blocks have
	counts   int  // members that give the number of affected rows
	others   int  // other members that only a status row has
	certain  bool // such a member has a name that means nothing else
	affected int64
}

// probe is what a member of an array's first element may reveal about it.
type probe uint8

const (
	probeNone probe = iota
	probeType
	probePayload
	probeAffected // a name that only the number of affected rows has
	probeCount    // a name that a column of a row may have as well
	probeStatus   // what may be beside these
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

// affectedNames are servers' names for the number of rows that a statement
// affected.
var affectedNames = []string{"affected_rows", "affectedRows", "rows_affected", "rowsAffected"}

// observeMember records the value of a member.
func (e *element) observeMember(p probe, v value) {
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

// observe records the element itself.
func (e *element) observe(v value) {
	e.object = v.kind == isObject
	e.scalar = v.kind != isObject && v.kind != isArray
	if n, ok := v.wholeNumber(); ok {
		e.number, e.affected = true, n
	}
}

// observeArray records, for an element that is an array, how many elements it
// has and what its own first element is.
func (e *element) observeArray(elements int, first *element) {
	e.list = elements == 0 || first.object
	if elements == 1 && first.number {
		e.bare, e.affected = true, first.affected
	}
}

func (e *element) isContent() bool { return e.object && e.content && e.payload }

func (e *element) isStatus() bool {
	return e.object && e.counts == 1 && e.members == e.counts+e.others
}

// status sums up the arrays that one target counts: whether each of them is a
// single status row, and how many affected rows those report.
type status struct {
	arrays, rows int
	doubtful     bool // the name may also be that of a column
	affected     int64
	bare         bool // an array is one row of one whole number, in affected
	scalars      bool // an array begins with neither an object nor an array
	lists        bool // an array begins with a list of rows
	flat         bool // an array begins with something that is not a row of a list of lists
}

func (s *status) add(elements int64, first *element) {
	s.arrays++
	s.lists = s.lists || first != nil && first.list
	s.scalars = s.scalars || first != nil && first.scalar
	s.flat = s.flat || elements > 0 && (first == nil || !first.object)
	if elements == 1 && first != nil && first.isStatus() {
		s.rows++
		s.affected += first.affected // the count beside it detects a sum over 2⁶³
		s.doubtful = s.doubtful || !first.certain
	} else if elements == 1 && first != nil && first.bare {
		s.bare = true
		s.affected += first.affected
	}
}

// onlyStatusRows reports whether all arrays are status rows.
func (s *status) onlyStatusRows() bool { return s.arrays > 0 && s.rows == s.arrays && s.affected >= 0 }

func (s *status) merge(other status) {
	s.arrays += other.arrays
	s.rows += other.rows
	s.affected += other.affected
	s.doubtful = s.doubtful || other.doubtful
	s.bare = s.bare || other.bare
	s.scalars = s.scalars || other.scalars
	s.lists = s.lists || other.lists
	s.flat = s.flat || other.flat
}

// probeFirst makes first, the node of the first element of a counted array n,
// record what element needs.
func (n *node) probeFirst(first *node) {
	first.isFirst = true
	// If first is an array, its own first element distinguishes a list of rows from a row.
	inner := first.element(0)
	if inner == first.each {
		inner = &node{last: -1}
		if first.each != nil { // the other elements are not probed
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
