package scan

import "bytes"

// markdownRows counts the body rows of the pipe tables in a Markdown text
// (GitHub Flavored Markdown, section 4.10). Only what is certainly a table
// counts: its delimiter row has a pipe, and as many cells as the row above it. A
// line without a pipe directly below the rows makes the text unknown: to GFM it
// is one more row, to a person it is not. Tables in fenced code blocks, or
// indented by four spaces or more, do not count.
type markdownRows struct {
	line   markdownLine
	above  int64 // cells of the line above; 0 if it cannot be a header
	table  bool  // the line above belongs to a table
	tables int64
	rows   int64
	other  bool // there is a line outside tables
	only   bool // such a line makes the text unknown (@markdown:only)
	begun  bool // there was something other than spaces
	fence  byte // the fence character of the current code block, or 0
	ticks  int64
}

// markdownLine is what is known of the current line.
type markdownLine struct {
	indent    int64
	begun     bool // there was a byte other than a space
	first     byte
	run       int64 // how often the first byte is repeated
	running   bool
	rest      bool // there is something other than spaces after the run
	tick      bool // there is a backtick after the run
	pipes     int64
	pipeFirst bool
	pipeLast  bool  // the last byte other than spaces is an unescaped pipe
	escaped   bool  // the next byte is escaped by a backslash
	delimiter bool  // it may still be a delimiter row
	cell      uint8 // the position within a cell of a delimiter row
	dashes    bool
}

// The positions within a cell of a delimiter row.
const (
	cellStart uint8 = iota
	cellColon
	cellDash
	cellEnd // after the closing colon
	cellGap // after spaces after the cell
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

// skipRows counts the table rows at the beginning of p, which begins a line, and
// returns the rest. It handles complete rows that begin with a pipe, as nearly
// all do; add handles the others.
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

// addDelimiter reports whether the line may still be a delimiter row.
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

// cells returns the number of cells, if the line is a row.
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

// endLine reports whether the rows can still be counted.
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
	// A header may directly follow other lines, which are not part of the table.
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
