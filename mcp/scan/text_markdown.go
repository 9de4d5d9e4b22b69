package scan

import "bytes"

// markdownRows counts the body rows of the pipe tables of a Markdown text
// (GitHub Flavored Markdown, section 4.10). Only what is certainly a table
// counts: its delimiter row has a pipe and as many cells as the row above it,
// and a line right below its rows that has no pipe, which GFM takes for one more
// row and a reader for something else, makes the text unknown. What stands in
// fenced code blocks or is indented by four and more is no table.
type markdownRows struct {
	line   markdownLine
	above  int64 // cells of the line above, outside tables; 0: it cannot be a header
	table  bool  // the line above belongs to a table
	tables int64
	rows   int64
	other  bool // there is a line outside tables
	only   bool // with which the text is not what is wanted
	begun  bool // something but spaces has come
	fence  byte // the character of the fence of the code block that passes, or 0
	ticks  int64
}

// markdownLine is what has been seen of a line.
type markdownLine struct {
	indent    int64
	begun     bool // a byte that is no space has come
	first     byte
	run       int64 // of the first byte, if it is a fence's, repeated
	running   bool
	rest      bool // something but spaces stands behind the run
	tick      bool // a backtick stands behind the run
	pipes     int64
	pipeFirst bool
	pipeLast  bool  // the last byte that is no space is a pipe that counts
	escaped   bool  // the next byte is behind a backslash
	delimiter bool  // so far it is a delimiter row
	cell      uint8 // of a delimiter row: where in a cell it has come
	dashes    bool
}

// Where in a cell of a delimiter row a line has come.
const (
	cellStart uint8 = iota
	cellColon
	cellDash
	cellEnd // behind the closing colon
	cellGap // behind spaces behind the cell
)

func (r *markdownRows) reset(rows *textRows) { *r = markdownRows{only: rows.only} }

func (r *markdownRows) feed(p []byte) bool {
	if r.line == (markdownLine{}) {
		p = r.skipRows(p)
	}
	for len(p) > 0 {
		c := p[0]
		p = p[1:]
		if !r.begun && !isSpace(c) {
			if r.begun = true; r.only && c != '|' {
				return false
			}
		}
		if c != '\n' {
			r.line.add(c)
			continue
		}
		if !r.endLine() {
			return false
		}
		p = r.skipRows(p)
	}
	return !r.only || !r.other
}

// passRows counts what rows of a table p, at the beginning of a line, begins
// with, and returns what is behind them. These begin with a pipe, as nearly all
// do, and are there to their ends; the others go through add.
func (r *markdownRows) skipRows(p []byte) []byte {
	for r.table && len(p) > 0 && p[0] == '|' {
		lf := bytes.IndexByte(p, '\n')
		if lf < 0 {
			break
		}
		r.rows++
		p = p[lf+1:]
	}
	return p
}

func (l *markdownLine) add(c byte) {
	if !l.begun {
		switch c {
		case ' ':
			l.indent++
			return
		case '\t':
			l.indent += 4
			return
		case '\r':
			return
		}
		l.begun, l.first, l.delimiter = true, c, true
		l.running = c == '`' || c == '~'
		l.pipeFirst = c == '|'
	}
	if l.running && c == l.first {
		l.run++
	} else {
		l.running = false
		l.rest = l.rest || !isSpace(c)
		l.tick = l.tick || c == '`'
	}
	pipe := c == '|' && !l.escaped
	l.escaped = c == '\\' && !l.escaped
	if pipe {
		l.pipes++
	}
	if !isSpace(c) {
		l.pipeLast = pipe
	}
	if l.delimiter {
		l.delimiter = l.addDelimiter(c, pipe)
	}
}

// addDelimiter reports whether the line is still a delimiter row.
func (l *markdownLine) addDelimiter(c byte, pipe bool) bool {
	switch {
	case pipe:
		if l.pipes == 1 && l.pipeFirst && l.cell == cellStart {
			return true
		}
		whole := l.cell == cellDash || l.cell == cellEnd || l.cell == cellGap
		l.cell = cellStart
		return whole
	case isSpace(c):
		switch l.cell {
		case cellColon:
			return false
		case cellDash, cellEnd:
			l.cell = cellGap
		}
		return true
	case c == '-':
		if l.cell > cellDash {
			return false
		}
		l.cell, l.dashes = cellDash, true
		return true
	case c == ':':
		switch l.cell {
		case cellStart:
			l.cell = cellColon
			return true
		case cellDash:
			l.cell = cellEnd
			return true
		}
	}
	return false
}

// cells is the number of cells of a row.
func (l *markdownLine) cells() int64 {
	n := l.pipes + 1
	if l.pipeFirst {
		n--
	}
	if l.pipeLast && (!l.pipeFirst || l.pipes > 1) {
		n--
	}
	return n
}

// isDelimiter reports whether the line is a delimiter row.
func (l *markdownLine) isDelimiter() bool {
	return l.delimiter && l.dashes && l.pipes > 0 && (l.pipeLast || l.cell >= cellDash)
}

// endLine reports whether the text can still be counted.
func (r *markdownRows) endLine() bool {
	l := r.line
	r.line = markdownLine{}
	fence := l.indent < 4 && l.run >= 3 && (l.first == '~' || !l.tick)
	switch {
	case r.fence != 0:
		if fence && l.first == r.fence && l.run >= r.ticks && !l.rest {
			r.fence = 0
		}
		return true
	case !l.begun:
		r.other = r.other || r.above != 0
		r.above, r.table = 0, false
		return true
	case fence:
		r.fence, r.ticks = l.first, l.run
		r.above, r.table, r.other = 0, false, true
		return true
	case r.table:
		if l.indent >= 4 || l.pipes == 0 {
			return false
		}
		r.rows++
		return true
	case l.isDelimiter() && l.indent < 4 && r.above == l.cells():
		r.above, r.table = 0, true
		r.tables++
		return true
	}
	// A header may follow other lines; those stay outside.
	r.other = r.other || r.above != 0
	r.above = 0
	if l.pipes > 0 && l.indent < 4 && l.first != '>' && l.first != '#' {
		r.above = l.cells()
	} else {
		r.other = true
	}
	return true
}

func (r *markdownRows) end() (found rowsFound, ok bool) {
	if r.line != (markdownLine{}) && !r.endLine() {
		return found, false
	}
	return rowsFound{rows: r.rows, other: r.other || r.above != 0}, r.tables > 0
}
