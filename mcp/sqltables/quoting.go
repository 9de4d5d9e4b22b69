package sqltables

import "strings"

// quoting is what a dialect takes for strings, quoted names and comments.
type quoting struct {
	backslash bool // \ escapes in strings
	brackets  bool // [a name]
	hash      bool // # begins a comment
	backtick  bool // `a name`
}

// maxDepth bounds how deep a query's brackets may be nested. Some parsers take
// time that is quadratic in it, and all of them stack.
const maxDepth = 100

// outline is what a query looks like from afar.
type outline struct {
	open bool   // a bracket is left open
	from bool   // there is a word that a table follows
	last string // the last word in capitals, or the last other character
}

// dangling are words and characters that no query ends with.
var dangling = set(`SELECT FROM JOIN INTO WHERE AND OR NOT IN ON BY GROUP ORDER HAVING UNION INTERSECT EXCEPT
	INSERT UPDATE DELETE SET VALUES AS LIKE BETWEEN CASE WHEN THEN WITH PREWHERE , = < > + - / .`)

// whole reports whether nothing seems to be missing.
func (o outline) whole() bool { return !o.open && !dangling[o.last] }

// outline looks at a query's brackets and words. Strings and quoted names have
// to end, which not every parser minds.
func (q quoting) outline(query string) (o outline, err error) {
	depth := 0
	for i := 0; i < len(query); i++ {
		switch c := query[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';':
		case c == '\'' || c == '"' || c == '`' && q.backtick:
			if i = q.endString(query, i); i < 0 {
				return o, ErrSyntax
			}
			o.last = string(c)
		case c == '[' && q.brackets:
			n := strings.IndexByte(query[i:], ']')
			if n < 0 {
				return o, ErrSyntax
			}
			i += n
			o.last = "]"
		case c == '-' && strings.HasPrefix(query[i:], "--"), c == '#' && q.hash:
			n := strings.IndexByte(query[i:], '\n')
			if n < 0 {
				n = len(query)
			}
			i += n
		case c == '/' && strings.HasPrefix(query[i:], "/*"):
			n := strings.Index(query[i+2:], "*/")
			if n < 0 {
				n = len(query)
			}
			i += n + 3
		case c == '(' || c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return o, ErrTooLarge
			}
			o.last = string(c)
		case c == ')' || c == ']' || c == '}':
			depth--
			o.open = o.open || depth < 0
			o.last = string(c)
		case isLetter(c):
			begin := i
			for i+1 < len(query) && (isLetter(query[i+1]) || query[i+1] >= '0' && query[i+1] <= '9') {
				i++
			}
			if o.last = ""; i-begin < 16 {
				o.last = strings.ToUpper(query[begin : i+1])
			}
			o.from = o.from || o.last == "FROM" || o.last == "JOIN" || o.last == "INTO"
		default:
			o.last = string(c)
		}
	}
	o.open = o.open || depth != 0
	return o, nil
}

func isLetter(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '@' || c == '$' || c >= 0x80
}

// endString is the index of the quote that ends the string that begins at i, or
// -1. A quote that is written twice ends one string and begins the next.
func (q quoting) endString(query string, i int) int {
	quote := query[i]
	for i++; i < len(query); i++ {
		switch {
		case query[i] == '\\' && q.backslash && quote != '`':
			i++
		case query[i] == quote:
			return i
		}
	}
	return -1
}
