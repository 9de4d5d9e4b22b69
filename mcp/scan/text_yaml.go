package scan

import "bytes"

// yamlRows counts the items of a YAML sequence in block style that is the whole
// text, as dumpers write one: each item begins a line with "- " and is a
// mapping, a sequence or a flow ({…}, […]); all that belongs to it is indented.
// A sequence of plain scalars is not taken, since a list in prose looks the
// same. Empty lines and comments may stand anywhere, --- before the sequence,
// and [] is an empty one.
type yamlRows struct {
	line  []byte // the beginning of the line that passes
	colon bool   // it has a colon with a space or the end behind it
	last  byte
	begun bool // of the sequence
	empty bool // [] was read
	rows  int64
}

// maxYAML is how much of a line's beginning matters.
const maxYAML = 8

func (r *yamlRows) reset(*textRows) { *r = yamlRows{line: r.line[:0]} }

func (r *yamlRows) feed(p []byte) bool {
	for len(p) > 0 {
		lf := bytes.IndexByte(p, '\n')
		line := p[:lf+1]
		if lf < 0 {
			line = p
		}
		r.add(bytes.TrimSuffix(line, []byte{'\n'}))
		if p = p[len(line):]; lf >= 0 && !r.endLine() {
			return false
		}
	}
	return true
}

func (r *yamlRows) add(p []byte) {
	if len(p) == 0 {
		return
	}
	r.line = append(r.line, p[:min(len(p), maxYAML-len(r.line))]...)
	r.colon = r.colon || r.last == ':' && isSpace(p[0]) || bytes.Contains(p, []byte(": ")) || bytes.Contains(p, []byte(":\r"))
	r.last = p[len(p)-1]
}

// endLine reports whether the text can still be such a sequence.
func (r *yamlRows) endLine() bool {
	line := bytes.TrimRight(r.line, " \r")
	mapping := r.colon || r.last == ':'
	r.line, r.colon, r.last = r.line[:0], false, 0
	switch {
	case len(line) == 0, line[0] == '#':
		return true
	case bytes.Equal(line, []byte("---")) && !r.begun:
		r.begun = true
		return true
	case r.empty:
		return false
	case bytes.Equal(line, []byte("[]")) && r.rows == 0:
		r.empty = true
		return true
	case line[0] == ' ':
		return r.rows > 0
	case len(line) < 3 || line[0] != '-' || line[1] != ' ':
		return false
	}
	r.begun = true
	r.rows++
	first := bytes.TrimLeft(line[2:], " ")
	return mapping || len(first) > 0 && (first[0] == '{' || first[0] == '[' || first[0] == '-' && len(first) > 1 && first[1] == ' ')
}

func (r *yamlRows) end() (found rowsFound, ok bool) {
	if len(r.line) > 0 && !r.endLine() {
		return found, false
	}
	return rowsFound{rows: r.rows}, r.rows > 0 || r.empty
}
