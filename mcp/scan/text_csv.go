package scan

import "bytes"

// csvRows counts the rows of comma-separated values (RFC 4180) or of
// tab-separated values, which have no quotes. The first line is a header. A
// header without rows is not taken for CSV: a sentence with a comma looks the
// same.
//
// Every line must have as many fields as the header. If one has not, or if
// quotes are malformed, the text is something else or incomplete. Empty lines
// are allowed at the end only. If there is a single column, they are not allowed
// at all, because an empty line could be a value.
type csvRows struct {
	comma  byte
	state  csvState
	fields int64 // of the current line so far
	header int64 // fields of the header; 0 before it
	lines  int64
	empty  bool // there was an empty line
}

type csvState uint8

const (
	csvLine     csvState = iota // at the beginning of a line
	csvField                    // at the beginning of a field, after a comma
	csvPlain                    // inside a field without quotes
	csvQuoted                   // inside a field with quotes
	csvUnquoted                 // after a quote in such a field: the closing one, or the first of two
	csvCR                       // after a CR, which an LF has to follow
)

func (r *csvRows) reset(*textRows) { *r = csvRows{comma: r.comma} }

func (r *csvRows) feed(p []byte) bool {
	for len(p) > 0 {
		line := p
		lf := bytes.IndexByte(p, '\n')
		if lf >= 0 {
			line = p[:lf+1]
		}
		p = p[len(line):]
		if lf >= 0 && r.state == csvLine && r.isPlain(line) {
			r.fields = int64(bytes.Count(line, []byte{r.comma})) + 1
			if !r.endLine() {
				return false
			}
		} else if !r.add(line) {
			return false
		}
	}
	return true
}

// isPlain reports whether counting the commas is enough for a line, which
// includes its LF. It is false for an empty line.
func (r *csvRows) isPlain(line []byte) bool {
	line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
	return len(line) > 0 && bytes.IndexByte(line, '\r') < 0 && (r.comma != ',' || bytes.IndexByte(line, '"') < 0)
}

// add reads p byte by byte and reports whether the text may still be of the
// format.
func (r *csvRows) add(p []byte) bool {
	for _, c := range p {
		if r.state == csvQuoted {
			if c == '"' {
				r.state = csvUnquoted
			}
			continue
		}
		switch {
		case c == '\n':
			if !r.endLine() {
				return false
			}
		case r.state == csvCR:
			return false
		case c == '\r':
			r.state = csvCR
		case c == r.comma:
			r.fields = max(r.fields, 1) + 1
			r.state = csvField
		case c == '"' && r.comma == ',':
			if r.state == csvPlain {
				return false
			}
			r.fields = max(r.fields, 1)
			r.state = csvQuoted
		case r.state == csvUnquoted:
			return false
		default:
			r.fields = max(r.fields, 1)
			r.state = csvPlain
		}
	}
	return true
}

// endLine reports whether the line fits the lines before.
func (r *csvRows) endLine() bool {
	fields := r.fields
	r.state, r.fields = csvLine, 0
	switch {
	case fields == 0:
		r.empty = true
		return true
	case r.empty:
		return false
	case r.header == 0:
		r.header = fields
	}
	r.lines++
	return fields == r.header
}

func (r *csvRows) end() (found rowsFound, ok bool) {
	if r.state == csvQuoted || r.fields > 0 && !r.endLine() || r.lines < 2 || r.header == 1 && r.empty {
		return found, false
	}
	return rowsFound{rows: r.lines - 1, columns: r.header}, true
}
