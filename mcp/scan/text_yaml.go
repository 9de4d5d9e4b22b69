package scan

import "bytes"

// yamlRows counts the items of a YAML sequence in block style that is the whole
// text, in the form that YAML libraries write: each item begins a line with "- "
// and is a mapping, a sequence or a flow ({…}, […]); its further lines are
// indented. A sequence of plain scalars is not counted, since a list in prose
// looks the same. Empty lines and comments are allowed anywhere, and --- before
// the sequence. [] is an empty sequence.
type yamlRows struct {
	line  []byte // the beginning of the current line
	colon bool   // it has a colon before a space
	last  byte
	begun bool // the sequence, or --- before it, has begun
	empty bool // [] was read
	rows  int64
}

// maxYAML is how many bytes of a line's beginning matter.
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

// endLine reports whether the text may still be such a sequence.
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
