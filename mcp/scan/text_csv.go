package scan

import "bytes"

// csvRows counts the rows of comma-separated values as RFC 4180 has them, or
// of tab-separated values, which know no quotes. The first line is a header. A
// header alone is none: a sentence with a comma looks the same.
// Every line has as many fields as the header has: where one has not, or quotes
// are not as they should be, this is something else, or something is missing.
// Empty lines may stand at the end, and nowhere else; where there is one column
// only, an empty line could be a value, and may not stand there either.
type csvRows struct {
	comma  byte
	state  csvState
	fields int64 // of the line that passes, up to where it has come
	header int64 // fields of the header; 0: it is still to come
	lines  int64
	empty  bool // an empty line has passed
}

type csvState uint8

const (
	csvLine     csvState = iota // at the begin of a line
	csvField                    // at the begin of a field, behind a comma
	csvPlain                    // in a field without quotes
	csvQuoted                   // in one with quotes
	csvUnquoted                 // behind a quote in it: the closing one, or the first of two
	csvCR                       // behind a CR, where an LF has to come
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

// isPlain reports whether of a line, with its LF, no more than the commas need to
// be counted. An empty one is not.
func (r *csvRows) isPlain(line []byte) bool {
	line = bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'})
	return len(line) > 0 && bytes.IndexByte(line, '\r') < 0 && (r.comma != ',' || bytes.IndexByte(line, '"') < 0)
}

// add reports whether what p begins is still such a text.
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

// endLine reports whether the line is one of such a text.
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
