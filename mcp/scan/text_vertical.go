package scan

import "bytes"

// verticalRows counts rows that are printed one below the other, each after a line
// with its number, as mysql's \G and mcp-alchemy print them:
//
//  1. row
//     id: 1
//     name: Ada
//
//  2. row
//     …
//
//     Result: 2 rows
//
// The numbers go up by one from 1; a value may have several lines. If the last
// line gives the number of rows, it has to be right, unless it says that the
// output was truncated: then the rows that are there count.
type verticalRows struct {
	line []byte // the current line, cut to maxVertical
	long bool   // it was cut
	rows int64
	last []byte // the last line that is neither empty nor cut
}

// maxVertical is the length in bytes of the longest line that matters to
// verticalRows.
const maxVertical = 128

func (r *verticalRows) reset(*textRows) { *r = verticalRows{line: r.line[:0], last: r.last[:0]} }

func (r *verticalRows) feed(p []byte) bool {
	for len(p) > 0 {
		lf := bytes.IndexByte(p, '\n')
		line := p[:lf+1]
		if lf < 0 {
			line = p
		}
		n := min(len(line), maxVertical-len(r.line))
		r.long = r.long || n < len(line)
		r.line = append(r.line, line[:n]...)
		if p = p[len(line):]; lf >= 0 && !r.endLine() {
			return false
		}
	}
	return true
}

// endLine reports whether the text may still be of the format.
func (r *verticalRows) endLine() bool {
	line := bytes.TrimSpace(r.line)
	long := r.long
	r.line, r.long = r.line[:0], false
	switch number, ok := rowNumber(line); {
	case long:
		r.last = r.last[:0]
	case len(line) == 0:
		return true
	case ok && number == r.rows+1:
		r.rows++
		r.last = r.last[:0]
		return true
	case ok:
		return false
	default:
		r.last = append(r.last[:0], line...)
	}
	return r.rows > 0 // the text begins with a row
}

// rowNumber returns the number in a line "7. row", with or without asterisks
// around it.
func rowNumber(line []byte) (n int64, ok bool) {
	digits, ok := bytes.CutSuffix(bytes.Trim(line, "* "), []byte(". row"))
	if !ok {
		return 0, false
	}
	return wholeNumber(digits)
}

func (r *verticalRows) end() (found rowsFound, ok bool) {
	if len(r.line) > 0 && !r.endLine() || r.rows == 0 {
		return found, false
	}
	if said, ok := bytes.CutPrefix(r.last, []byte("Result: ")); ok && !bytes.HasSuffix(said, []byte("(output truncated)")) {
		digits, _, _ := bytes.Cut(said, []byte{' '})
		if n, ok := wholeNumber(digits); ok && n != r.rows {
			return found, false
		}
	}
	return rowsFound{rows: r.rows}, true
}
