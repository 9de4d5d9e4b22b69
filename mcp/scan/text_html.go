package scan

// htmlRows counts the table rows of an HTML text: each <tr> with a <td> in it. A
// <tr> with nothing but <th> is a header. Only simple tables count: each <table>
// and <tr> is closed, or ended by the next one; none is nested; there is no
// <tfoot>, because a total is not a row; and there is no comment, script or
// style, whose content may look like tags.
type htmlRows struct {
	state htmlState
	name  []byte // of the current tag, in lower case, cut to maxHTMLName
	quote byte   // of the current attribute value
	table bool   // inside a table
	row   bool   // inside a row of it
	cell  bool   // the row has a <td>
	found int64  // tables
	rows  int64
}

type htmlState uint8

const (
	htmlText      htmlState = iota
	htmlOpen                // after <
	htmlName                // inside the name of a tag
	htmlTag                 // after the name, or after an attribute
	htmlAttribute           // inside an attribute's name
	htmlAfter               // after that and white space
	htmlEquals              // after its =
	htmlBare                // inside its value, without quotes
	htmlValue               // inside its value, in quotes
)

// maxHTMLName is longer than every name that matters, including a slash.
const maxHTMLName = 8

func (r *htmlRows) reset(*textRows) { *r = htmlRows{name: r.name[:0]} }

func (r *htmlRows) feed(p []byte) bool {
	for _, c := range p {
		switch r.state {
		case htmlText:
			if c == '<' {
				r.state, r.name = htmlOpen, r.name[:0]
			}
		case htmlOpen:
			switch {
			case c == '/' && len(r.name) == 0:
				r.name = append(r.name, c)
			case c|0x20-'a' < 26:
				r.state, r.name = htmlName, append(r.name, c|0x20)
			case c == '<' && len(r.name) == 0: // "a <<b>"
			case c == '!' || c == '?' || len(r.name) > 0: // a comment (13.2.5.6, 13.2.5.7)
				return false
			default: // not a tag: "a < b"
				r.state = htmlText
			}
		case htmlValue:
			if c == r.quote {
				r.state = htmlTag
			}
		default:
			if c == '>' {
				r.state = htmlText
				if !r.tag() {
					return false
				}
				continue
			}
			r.inTag(c)
		}
	}
	return true
}

// inTag reads a byte of a tag before its end (WHATWG HTML, 13.2.5.8 and
// 13.2.5.32 to 13.2.5.39).
func (r *htmlRows) inTag(c byte) {
	space := isSpace(c) || c == '\f'
	switch r.state {
	case htmlName:
		switch {
		case space || c == '/':
			r.state = htmlTag
		case len(r.name) < maxHTMLName:
			r.name = append(r.name, lower(c))
		}
	case htmlTag:
		if !space && c != '/' {
			r.state = htmlAttribute // also with a =
		}
	case htmlAttribute, htmlAfter:
		switch {
		case c == '/':
			r.state = htmlTag
		case c == '=':
			r.state = htmlEquals
		case space:
			r.state = htmlAfter
		default:
			r.state = htmlAttribute
		}
	case htmlEquals:
		switch {
		case c == '"' || c == '\'':
			r.state, r.quote = htmlValue, c
		case !space:
			r.state = htmlBare
		}
	case htmlBare:
		if space {
			r.state = htmlTag
		}
	}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// tag is called after a tag and reports whether the rows can still be counted.
func (r *htmlRows) tag() bool {
	switch string(r.name) {
	case "table":
		r.found++
		ok := !r.table
		r.table = true
		return ok
	case "/table":
		ok := r.table
		r.endRow()
		r.table = false
		return ok
	case "tr":
		r.endRow()
		r.row = r.table
		return r.table
	case "/tr":
		ok := r.row
		r.endRow()
		return ok
	case "td":
		r.cell = true
		return r.row
	case "th":
		return r.row
	case "tfoot", "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "template":
		return false
	}
	return true
}

func (r *htmlRows) endRow() {
	if r.row && r.cell {
		r.rows++
	}
	r.row, r.cell = false, false
}

func (r *htmlRows) end() (found rowsFound, ok bool) {
	// A < that nothing follows is text (WHATWG HTML, 13.2.5.6 and 13.2.5.7).
	return rowsFound{rows: r.rows}, r.found > 0 && !r.table && (r.state == htmlText || r.state == htmlOpen)
}
