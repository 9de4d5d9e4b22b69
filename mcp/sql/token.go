package sql

import "bytes"

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // without quotes
	tokenName             // in quotes
	tokenDouble           // "…", which is a name or a string
	tokenString
	tokenNumber
	tokenParameter // ?, :x, $1, @x, a stage
	tokenPunct     // one byte, :: or |>
)

// Punctuation of two bytes that is one token.
const (
	doubleColon = 'c'
	pipe        = 'p'
)

// token is a piece of a query. The text of one in quotes is without them.
type token struct {
	start, end uint32
	link       uint32 // of a bracket: the index of its other half; of a word: its hash in lower case
	kind       tokenKind
	char       byte // of punctuation: which; of what is in quotes: the quote; of a parameter: its mark
	word       keyword
	like       uint8 // of a keyword
}

func (t *token) is(char byte) bool { return t.kind == tokenPunct && t.char == char }

// isName reports whether a token can be a part of a name.
func (t *token) isName() bool {
	return t.kind == tokenWord || t.kind == tokenName || t.kind == tokenDouble
}

// lexer takes a query apart.
type lexer struct {
	src     []byte
	rules   syntax
	differs syntax // the rules that matter to this query
	tokens  []token
	open    []uint32 // the brackets that are open
	pos     int
	status  Status
	hint    bool // in the executed comment of MySQL
}

// lex fills tokens, the last of which is a tokenEnd. It reports Unread where a
// string, a comment or a bracket has no end, or a byte is none of SQL's.
func (l *lexer) lex() Status {
	l.tokens, l.open, l.pos, l.status, l.differs, l.hint = l.tokens[:0], l.open[:0], 0, Known, 0, false
	for l.status == Known && l.skipSpace() {
		begin := l.pos
		if l.scan(); l.pos == begin {
			l.fail() // never: a token has a byte
		}
		if len(l.tokens) == maxTokens {
			return OverCap
		}
		if len(l.tokens) == 1 && l.status == Known {
			if t := &l.tokens[0]; t.like&starts == 0 && !t.is('(') && !t.is(';') {
				return NotSQL
			}
		}
	}
	l.tokens = append(l.tokens, token{start: uint32(len(l.src)), end: uint32(len(l.src))})
	if l.status == Known && (len(l.open) > 0 || l.hint) {
		l.status = Unread
	}
	return l.status
}

func (l *lexer) fail() {
	l.status = Unread
	l.pos = len(l.src)
}

func (l *lexer) at(i int) byte {
	if i < len(l.src) {
		return l.src[i]
	}
	return 0
}

// differ notes that a rule matters to the query, and reports whether it is in
// force.
func (l *lexer) differ(rule syntax) bool {
	l.differs |= rule
	return l.rules&rule != 0
}

// What a byte is.
const (
	letter = 1 << iota // a word may begin with it
	digit
	space
)

var class = func() (table [256]uint8) {
	for c := range table {
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80:
			table[c] = letter
		case c >= '0' && c <= '9':
			table[c] = digit
		case c == ' ' || c >= '\t' && c <= '\r':
			table[c] = space
		}
	}
	return table
}()

// isWordByte reports whether a byte may stand in a word.
func (l *lexer) isWordByte(c byte) bool {
	return class[c]&(letter|digit) != 0 || c == '$' || c == '#' && l.rules&hashes == 0
}

// skipSpace skips white space and comments. It reports whether anything is left.
func (l *lexer) skipSpace() bool {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; {
		case class[c] == space:
			l.pos++
		case c == '-' && l.at(l.pos+1) == '-':
			if next := l.at(l.pos + 2); next > ' ' && l.differ(spacedDashes) {
				return true
			}
			l.skipLine()
		case c == '#' && !l.isTemporary():
			if !l.differ(hashes) {
				return true
			}
			l.skipLine()
		case c == '/' && l.at(l.pos+1) == '/':
			if !l.differ(slashes) {
				return true
			}
			l.skipLine()
		case c == '/' && l.at(l.pos+1) == '*':
			l.skipComment()
		case c == '*' && l.hint && l.at(l.pos+1) == '/':
			l.hint = false
			l.pos += 2
		case c == 0xc2 && l.at(l.pos+1) == 0xa0: // no-break space
			l.pos += 2
		case c == 0xe3 && l.at(l.pos+1) == 0x80 && l.at(l.pos+2) == 0x80, // ideographic space
			c == 0xef && l.at(l.pos+1) == 0xbb && l.at(l.pos+2) == 0xbf: // byte order mark
			l.pos += 3
		default:
			return true
		}
	}
	return false
}

// isTemporary reports whether # begins the name of a temporary table.
func (l *lexer) isTemporary() bool {
	next := l.at(l.pos + 1)
	return (class[next]&letter != 0 || next == '#') && l.differ(tSQLNames)
}

func (l *lexer) skipLine() {
	if n := bytes.IndexByte(l.src[l.pos:], '\n'); n >= 0 {
		l.pos += n + 1
		return
	}
	l.pos = len(l.src)
}

func (l *lexer) skipComment() {
	if l.at(l.pos+2) == '!' && l.differ(executed) {
		l.pos += 3
		for class[l.at(l.pos)] == digit {
			l.pos++
		}
		if l.hint {
			l.fail()
		}
		l.hint = true
		return
	}
	depth := 0
	for l.pos < len(l.src) {
		n := bytes.IndexByte(l.src[l.pos:], '*')
		if n < 0 {
			break
		}
		i := l.pos + n
		switch {
		case i > l.pos && l.src[i-1] == '/' && (depth == 0 || l.differ(nesting)):
			depth++
			l.pos = i + 1
		case l.at(i+1) == '/':
			l.pos = i + 2
			if depth--; depth == 0 {
				return
			}
		default:
			l.pos = i + 1
		}
	}
	l.fail()
}

// emit adds a token whose text ends at the current byte.
func (l *lexer) emit(kind tokenKind, char byte, start, end int) {
	l.tokens = append(l.tokens, token{kind: kind, char: char, start: uint32(start), end: uint32(end)})
}

// previous returns the last token, or one of no kind.
func (l *lexer) previous() token {
	if len(l.tokens) == 0 {
		return token{}
	}
	return l.tokens[len(l.tokens)-1]
}

// touches reports whether the byte before the current one ends a name, a
// parameter or a bracket, with nothing in between.
func (l *lexer) touches() bool {
	if l.pos == 0 {
		return false
	}
	c := l.src[l.pos-1]
	return class[c]&(letter|digit) != 0 || c == ')' || c == ']' || c == '}' || c == '"' || c == '`' || c == '\'' || c == '$'
}
