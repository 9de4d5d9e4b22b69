package mcp

import "bytes"

// jsonLines counts the lines of NDJSON: each holds a JSON object or array, or
// nothing. What stands in these is not looked at but for its quotes and
// brackets.
type jsonLines struct {
	skip   skipper
	state  linesState
	lines  int64
	riding bool // another reads the first line, as JSON
}

type linesState uint8

const (
	linesBefore linesState = iota // of what is in the line, nothing has come
	linesIn                       // in it
	linesBehind                   // behind it
)

func (r *jsonLines) reset(place *textPlace, _ *textRows) { *r = jsonLines{riding: place.json != nil} }

// ride is feed while the text is read as JSON, which the first line is too.
// behind is what of p stands behind that JSON.
func (r *jsonLines) ride(p, behind []byte, json docState) bool {
	value := p[:len(p)-len(behind)]
	if r.lines == 0 && r.state == linesBefore {
		begin := 0
		for begin < len(value) && isSpace(value[begin]) {
			begin++
		}
		if value = value[begin:]; len(value) > 0 {
			if value[0] != '{' && value[0] != '[' {
				return false
			}
			r.state = linesIn
		}
	}
	switch {
	case bytes.IndexByte(value, '\n') >= 0 && r.state == linesIn:
		return false
	case json == docDone || len(behind) > 0 && r.state == linesIn:
		r.riding, r.state, r.lines = false, linesBehind, 1
		return r.feed(behind)
	}
	return json != docBroken
}

func (r *jsonLines) feed(p []byte) bool {
	for len(p) > 0 {
		if r.state == linesIn {
			n, closed := r.skip.skip(p)
			if bytes.IndexByte(p[:n], '\n') >= 0 {
				return false // this is JSON over several lines
			}
			if p = p[n:]; closed {
				r.state = linesBehind
				r.lines++
			}
			continue
		}
		c := p[0]
		p = p[1:]
		switch {
		case c == '\n':
			r.state = linesBefore
		case isSpace(c):
		case (c == '{' || c == '[') && r.state == linesBefore:
			r.state = linesIn
			r.skip.begin(false)
		default:
			return false
		}
	}
	return true
}

func (r *jsonLines) end() (found rowsFound, ok bool) {
	return rowsFound{rows: r.lines, size: r.lines}, r.state != linesIn
}

// pythonList counts the elements of a Python list as repr prints it: dicts,
// tuples, numbers, and objects with their constructors. A list whose first
// string has double quotes is taken for JSON, which others count.
type pythonList struct {
	depth   int64
	quote   byte // of the string that passes; 0: none
	escaped bool
	strings bool // a string has begun
	value   bool // the element that passes has a beginning
	done    bool // behind the list
	commas  int64
}

func (r *pythonList) reset(*textPlace, *textRows) { *r = pythonList{} }

func (r *pythonList) feed(p []byte) bool {
	for i := 0; i < len(p); i++ {
		c := p[i]
		if r.quote != 0 {
			switch {
			case r.escaped:
				r.escaped = false
			case c == '\\':
				r.escaped = true
			case c == r.quote:
				r.quote = 0
			case c == '\n': // repr writes it \n
				return false
			}
			continue
		}
		switch {
		case isSpace(c):
			continue
		case r.done, r.depth == 0 && c != '[':
			return false
		}
		switch c {
		case '\'', '"':
			if c == '"' && !r.strings {
				return false
			}
			r.quote, r.strings, r.value = c, true, true
		case '[', '(', '{':
			r.value = r.depth > 0
			r.depth++
		case ']', ')', '}':
			if r.depth--; r.depth == 0 {
				if c != ']' || !r.value && r.commas > 0 {
					return false
				}
				r.done = true
			}
		case ',':
			if r.depth == 1 {
				if !r.value {
					return false
				}
				r.commas++
				r.value = false
			}
		default:
			r.value = true
		}
	}
	return true
}

func (r *pythonList) end() (found rowsFound, ok bool) {
	if r.value {
		r.commas++
	}
	return rowsFound{rows: r.commas}, r.done
}
