package mcp

import (
	"bytes"
	"strconv"
	"strings"
)

// verticalRows counts rows that stand one below the other, each behind a line
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
// Instead of rows there may be one line, No rows returned.
//
// The numbers go up by one from 1, also past values of several lines. Where a
// last line says how many rows there are, it has to be so many; where it says
// that the output was truncated, those count that are there.
type verticalRows struct {
	line []byte // the line that passes, as long as it can matter
	long bool   // it is longer
	rows int64
	none bool   // the text says that there are no rows
	last string // the last line that is not empty, if it is short
}

// maxVertical bounds a line that matters to verticalRows.
const maxVertical = 128

func (r *verticalRows) reset(*textRows) { *r = verticalRows{line: r.line[:0]} }

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

// endLine reports whether the text can still be of the format.
func (r *verticalRows) endLine() bool {
	line := strings.TrimSpace(string(r.line))
	long := r.long
	r.line, r.long = r.line[:0], false
	switch number, ok := rowNumber(line); {
	case long:
		r.last = ""
	case line == "":
		return true
	case r.none:
		return false
	case ok && number == r.rows+1:
		r.rows++
		r.last = ""
		return true
	case ok:
		return false
	case r.rows == 0:
		r.none = line == "No rows returned"
		return r.none
	default:
		r.last = line
	}
	return r.rows > 0
}

// rowNumber is the number in a line "7. row", with or without asterisks around.
func rowNumber(line string) (n int64, ok bool) {
	digits, row, _ := strings.Cut(strings.Trim(line, "* "), ". ")
	if row != "row" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 63)
	return n, err == nil
}

func (r *verticalRows) end() (found rowsFound, ok bool) {
	if len(r.line) > 0 && !r.endLine() || r.rows == 0 && !r.none {
		return found, false
	}
	words := strings.Fields(strings.TrimPrefix(r.last, "Result: "))
	if len(words) > 1 && strings.HasPrefix(r.last, "Result: ") && !strings.HasSuffix(r.last, "(output truncated)") {
		if said, err := strconv.ParseInt(words[0], 10, 63); err != nil || said != r.rows {
			return found, false
		}
	}
	return rowsFound{rows: r.rows}, true
}
