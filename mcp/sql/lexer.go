package sql

import "bytes"

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenName // a word in quotes
	tokenString
	tokenNumber
	tokenParam // ?, :x, $1, @x
	tokenPunct // one byte
)

// token is a piece of a query. The text of a name is without its quotes.
type token struct {
	kind       tokenKind
	punct      byte
	word       keyword // of a tokenWord
	start, end int     // of the text
	space      bool    // white space or a comment stands before it
}

// lexer takes a query apart. Its tokens are made as they are asked for.
type lexer struct {
	syntax  syntax
	src     []byte
	pos     int
	differs int      // what other dialects would read differently
	broken  bool     // a string, name or comment has no end, or a byte is none of SQL's
	ahead   [4]token // a ring
	head, n int      // of ahead: the next token, and how many there are
}

// peek returns the token i places ahead; 0 is the next.
func (l *lexer) peek(i int) token {
	for l.n <= i {
		t := &l.ahead[(l.head+l.n)&3]
		*t = l.scan()
		if l.broken { // what comes of a broken query has no meaning
			l.pos = len(l.src)
			*t = token{start: l.pos, end: l.pos}
		}
		l.n++
	}
	return l.ahead[(l.head+i)&3]
}

func (l *lexer) next() token {
	if l.n == 0 { // the usual: nobody has looked ahead
		if t := l.scan(); !l.broken {
			return t
		}
		l.pos = len(l.src)
		return token{start: l.pos, end: l.pos}
	}
	t := l.ahead[l.head]
	l.head, l.n = (l.head+1)&3, l.n-1
	return t
}

func (l *lexer) text(t token) []byte { return l.src[t.start:t.end] }

func isWordStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (l *lexer) isWordByte(c byte) bool {
	return isWordStart(c) || isDigit(c) || c == '$' || c == '#' && !l.syntax.hash
}

func (l *lexer) at(i int) byte {
	if i < len(l.src) {
		return l.src[i]
	}
	return 0
}

// scan reads the next token.
func (l *lexer) scan() token {
	begin := l.pos
	l.skipSpace()
	t := token{start: l.pos, space: l.pos > begin || begin == 0}
	if l.pos >= len(l.src) || l.broken {
		l.pos = len(l.src)
		t.start, t.end = l.pos, l.pos
		return t
	}
	c := l.src[l.pos]
	switch {
	case isWordStart(c):
		return l.scanWord(t)
	case isDigit(c), c == '.' && isDigit(l.at(l.pos+1)) && !l.behindName():
		return l.scanNumber(t)
	case c == '\'':
		return l.scanQuoted(t, c, tokenString)
	case c == '"':
		l.differs |= hasDouble
		if l.syntax.doubleString {
			return l.scanQuoted(t, c, tokenString)
		}
		return l.scanQuoted(t, c, tokenName)
	case c == '`' && l.syntax.backtick:
		return l.scanQuoted(t, c, tokenName)
	case c == '[':
		l.differs |= hasBracket
		if l.syntax.bracket && !l.behindName() {
			return l.scanBracket(t)
		}
	case c == '$':
		return l.scanDollar(t)
	case c == '#':
		l.differs |= hasHash
		if isWordStart(l.at(l.pos+1)) || l.at(l.pos+1) == '#' { // #temp of SQL Server
			for l.pos < len(l.src) && (l.src[l.pos] == '#' || l.isWordByte(l.src[l.pos])) {
				l.pos++
			}
			t.kind, t.end = tokenName, l.pos
			return t
		}
	case c == '@' || c == ':' && (isWordStart(l.at(l.pos+1)) || isDigit(l.at(l.pos+1))) && (l.pos == 0 || l.src[l.pos-1] != ':') && !l.behindName():
		l.pos++
		for l.pos < len(l.src) && (l.isWordByte(l.src[l.pos]) || c == '@' && (l.src[l.pos] == '@' || l.src[l.pos] == '~' || l.src[l.pos] == '%')) {
			l.pos++
		}
		t.kind, t.punct, t.end = tokenParam, c, l.pos
		return t
	case c == '?':
		l.pos++
		t.kind, t.punct, t.end = tokenParam, c, l.pos
		return t
	case c == '{' && l.at(l.pos+1) == '{', c == '{' && l.at(l.pos+1) == '%':
		l.broken = true // a template, not a query
	case c < ' ':
		l.broken = true
	}
	l.pos++
	t.kind, t.punct, t.end = tokenPunct, c, l.pos
	return t
}

// behindName reports whether the byte before the current one ends a name or a
// closed bracket, so that [ and . go on with it.
func (l *lexer) behindName() bool {
	if l.pos == 0 {
		return false
	}
	c := l.src[l.pos-1]
	return isWordStart(c) || isDigit(c) || c == ')' || c == ']' || c == '"' || c == '`'
}

func (l *lexer) skipSpace() {
	for l.pos < len(l.src) {
		c, next := l.src[l.pos], l.at(l.pos+1)
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			l.pos++
		case c == 0xc2 && next == 0xa0: // no-break space
			l.pos += 2
		case c == 0xe3 && next == 0x80 && l.at(l.pos+2) == 0x80: // ideographic space
			l.pos += 3
		case c == '-' && next == '-':
			if space := l.at(l.pos + 2); space > ' ' {
				l.differs |= hasDashes
				if l.syntax.dashSpace {
					return
				}
			}
			l.skipLine()
		case c == '#' && l.syntax.hash:
			l.differs |= hasHash
			l.skipLine()
		case c == '/' && next == '/':
			l.differs |= hasSlashes
			if !l.syntax.slashes {
				return
			}
			l.skipLine()
		case c == '/' && next == '*':
			if l.at(l.pos+2) == '!' { // MySQL runs what is in it
				l.broken = true
				return
			}
			l.skipComment()
		default:
			return
		}
	}
}

func (l *lexer) skipLine() {
	n := bytes.IndexByte(l.src[l.pos:], '\n')
	if n < 0 {
		l.pos = len(l.src)
		return
	}
	l.pos += n + 1
}

func (l *lexer) skipComment() {
	depth := 0
	for l.pos < len(l.src) {
		switch c, next := l.src[l.pos], l.at(l.pos+1); {
		case c == '/' && next == '*':
			if depth > 0 {
				l.differs |= hasNested
			}
			if depth == 0 || l.syntax.nested {
				depth++
			}
			l.pos += 2
		case c == '*' && next == '/':
			l.pos += 2
			if depth--; depth == 0 {
				return
			}
		default:
			l.pos++
		}
	}
	l.broken = true
}

func (l *lexer) scanWord(t token) token {
	for l.pos < len(l.src) && l.isWordByte(l.src[l.pos]) {
		l.pos++
	}
	t.kind, t.end = tokenWord, l.pos
	// A letter or two before a quote say what the string is.
	if l.at(l.pos) == '\'' || l.at(l.pos) == '"' && l.syntax.doubleString {
		switch prefix := l.src[t.start:l.pos]; {
		case len(prefix) == 1 && prefix[0]|0x20 == 'q' && l.syntax.quoteQ:
			return l.scanOracle(t)
		case len(prefix) == 1 && bytes.IndexByte([]byte("eEnNbBxXrRuU"), prefix[0]) >= 0, equalFold(prefix, "RB"), equalFold(prefix, "BR"):
			old := l.syntax.backslash
			if prefix[0]|0x20 == 'e' {
				l.syntax.backslash = true
			}
			t = l.scanQuoted(t, l.src[l.pos], tokenString)
			l.syntax.backslash = old
			return t
		}
	}
	t.word = keywordOf(l.src[t.start:t.end])
	return t
}

func (l *lexer) scanNumber(t token) token {
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		sign := (c == '+' || c == '-') && l.src[l.pos-1]|0x20 == 'e' && l.at(t.start+1)|0x20 != 'x'
		if !isDigit(c) && c != '.' && !isWordStart(c) && !sign {
			break
		}
		l.pos++
	}
	t.kind, t.end = tokenNumber, l.pos
	return t
}

// scanQuoted reads a string or a name in quotes, in which two quotes stand for
// one.
func (l *lexer) scanQuoted(t token, quote byte, kind tokenKind) token {
	t.kind = kind
	if l.at(l.pos+1) == quote && l.at(l.pos+2) == quote {
		l.differs |= hasTriple
		if l.syntax.triple {
			end := bytes.Index(l.src[l.pos+3:], []byte{quote, quote, quote})
			if end < 0 {
				l.broken = true
				return t
			}
			t.start, t.end = l.pos+3, l.pos+3+end
			l.pos = t.end + 3
			return t
		}
	}
	t.start = l.pos + 1
	for i := t.start; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '\\' && kind == tokenString:
			l.differs |= hasBackslash
			if l.syntax.backslash {
				i++
			}
		case c == quote && l.at(i+1) == quote:
			i++
		case c == quote:
			t.end, l.pos = i, i+1
			return t
		}
	}
	l.broken = true
	return t
}

func (l *lexer) scanBracket(t token) token {
	t.kind, t.start = tokenName, l.pos+1
	for i := t.start; i < len(l.src); i++ {
		if l.src[i] == ']' {
			if l.at(i+1) == ']' {
				i++
				continue
			}
			t.end, l.pos = i, i+1
			return t
		}
	}
	l.broken = true
	return t
}

// scanDollar reads $1, $name, or a string between $tag$ and $tag$.
func (l *lexer) scanDollar(t token) token {
	i := l.pos + 1
	for i < len(l.src) && (isWordStart(l.src[i]) || isDigit(l.src[i])) {
		i++
	}
	if l.at(i) == '$' && !isDigit(l.at(l.pos+1)) {
		l.differs |= hasDollar
		if l.syntax.dollar {
			tag := l.src[l.pos : i+1]
			end := bytes.Index(l.src[i+1:], tag)
			if end < 0 {
				l.broken = true
				return t
			}
			t.kind, t.start, t.end = tokenString, i+1, i+1+end
			l.pos = t.end + len(tag)
			return t
		}
	}
	t.kind, t.punct, t.end, l.pos = tokenParam, '$', i, i
	return t
}

// scanOracle reads q'[…]'.
func (l *lexer) scanOracle(t token) token {
	open := l.at(l.pos + 1)
	closing := open
	if i := bytes.IndexByte([]byte("[({<"), open); i >= 0 {
		closing = "])}>"[i]
	}
	end := -1
	if l.pos+2 <= len(l.src) {
		end = bytes.Index(l.src[l.pos+2:], []byte{closing, '\''})
	}
	if end < 0 {
		l.broken = true
		return t
	}
	t.kind, t.start, t.end = tokenString, l.pos+2, l.pos+2+end
	l.pos = t.end + 2
	return t
}
