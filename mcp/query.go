package mcp

import "github.com/tallygate/tallygate/mcp/sqltables"

// maxQuery bounds in bytes a query whose tables are wanted.
const maxQuery = 64 << 10

func (r *textReader) endQuery(w int) {
	c := r.caught
	if c.closed(w) {
		return
	}
	if r.over {
		c.fail(w, OverCap)
		return
	}
	path := c.plan.wanted[w].path
	tables, err := sqltables.Tables(path.steps[len(path.steps)-1].name, string(r.kept))
	if err != nil {
		c.fail(w, SQLUnread)
		return
	}
	for _, name := range tables {
		c.table(w, value{kind: isString, text: []byte(name)})
	}
	if s := &c.answers[w]; s.why == Known {
		s.done, s.known = true, true // also where it names none
		c.settle(w)
	}
}
