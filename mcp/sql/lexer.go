package sql

import "bytes"

// scan adds the next token.
func (l *lexer) scan() {
	start, c := l.pos, l.src[l.pos]
	switch {
	case class[c] == letter:
		l.scanWord()
		return
	case class[c] == digit:
		if p := l.previous(); p.is('.') && int(p.end) == l.pos {
			l.scanWord() // db.2024_orders
			return
		}
		l.scanNumber()
		return
	case c == '\'':
		l.scanString(c, tokenString)
		return
	case c == '"':
		l.scanString(c, tokenDouble)
		return
	case c == '`':
		l.scanName(c)
		return
	}
	next := l.at(l.pos + 1)
	switch c {
	case '(', '{':
		if c == '{' && (next == '{' || next == '%') {
			l.fail() // a template, not a query
			return
		}
		l.openBracket(c)
		return
	case '[':
		if l.rules&brackets != 0 || !l.touches() {
			l.scanBracket()
			return
		}
		l.openBracket(c)
		return
	case ')', ']', '}':
		l.closeBracket(c)
		return
	case '.':
		if class[next] == digit && !l.touches() {
			l.scanNumber()
			return
		}
	case '$':
		l.scanDollar()
		return
	case '@':
		l.scanAt()
		return
	case '#':
		if l.rules&tSQLNames != 0 && (class[next] == letter || next == '#') {
			l.takeWord(start)
			l.tokens[len(l.tokens)-1].kind = tokenName
			return
		}
	case ':':
		if next == ':' {
			l.pos += 2
			l.emit(tokenPunct, doubleColon, start, l.pos)
			return
		}
		if class[next]&(letter|digit) != 0 && !l.touches() {
			l.pos++
			for l.isWordByte(l.at(l.pos)) {
				l.pos++
			}
			l.emit(tokenParameter, c, start, l.pos)
			return
		}
	case '?':
		l.pos++
		l.emit(tokenParameter, c, start, l.pos)
		return
	case '|':
		if next == '>' {
			l.pos += 2
			l.emit(tokenPunct, pipe, start, l.pos)
			return
		}
	default:
		if c < ' ' || c == 0x7f {
			l.fail()
			return
		}
	}
	l.pos++
	l.emit(tokenPunct, c, start, l.pos)
}

func (l *lexer) openBracket(c byte) {
	if len(l.open) == maxDepth {
		l.status = OverCap
		return
	}
	l.open = append(l.open, uint32(len(l.tokens)))
	l.pos++
	l.emit(tokenPunct, c, l.pos-1, l.pos)
}

func (l *lexer) closeBracket(c byte) {
	if len(l.open) == 0 {
		l.fail()
		return
	}
	opened := l.open[len(l.open)-1]
	l.open = l.open[:len(l.open)-1]
	if o := l.tokens[opened].char; o+1 != c && o+2 != c {
		l.fail()
		return
	}
	l.pos++
	l.tokens[opened].link = uint32(len(l.tokens))
	l.emit(tokenPunct, c, l.pos-1, l.pos)
	l.tokens[len(l.tokens)-1].link = opened
}

// takeWord reads a word to its end and adds it.
func (l *lexer) takeWord(start int) {
	h := uint32(hashSeed)
	i := start
	for ; i < len(l.src); i++ {
		c := l.src[i]
		if class[c]&(letter|digit) == 0 && c != '$' && (c != '#' || l.differ(hashes)) {
			break
		}
		h = hashByte(h, c|0x20)
	}
	l.pos = i
	l.tokens = append(l.tokens, token{kind: tokenWord, start: uint32(start), end: uint32(i), link: h})
}

func (l *lexer) scanWord() {
	start := l.pos
	p := l.previous()
	// A letter or two before a quote say what the string is.
	if quote := l.prefixed(); quote > 0 {
		l.scanPrefixed(quote)
		return
	}
	l.takeWord(start)
	if (p.is('.') || p.is(':')) && int(p.end) == start {
		return // a part of a name or a path is no keyword
	}
	t := &l.tokens[len(l.tokens)-1]
	t.word, t.like = findKeyword(l.src[start:l.pos], t.link)
}

// prefixed returns the length of the prefix of a string at the current byte, or
// 0 if there is none.
func (l *lexer) prefixed() int {
	isQuote := func(c byte) bool { return c == '\'' || c == '"' && l.rules&doubleStrings != 0 }
	switch first, second := l.src[l.pos]|0x20, l.at(l.pos+1); {
	case isQuote(second):
		if bytes.IndexByte([]byte("enbxruq"), first) >= 0 {
			return 1
		}
	case isQuote(l.at(l.pos + 2)):
		if p := string([]byte{first, second | 0x20}); p == "rb" || p == "br" || p == "nq" {
			return 2
		}
	}
	return 0
}

func (l *lexer) scanPrefixed(n int) {
	last, start := l.src[l.pos+n-1]|0x20, l.pos
	l.pos += n
	switch quote := l.src[l.pos]; last {
	case 'q':
		l.scanDelimited()
	case 'e':
		rules := l.rules
		l.rules |= backslashes
		l.scanString(quote, tokenString)
		l.rules = rules
	default:
		l.scanString(quote, tokenString)
	}
	if l.status == Known {
		l.tokens[len(l.tokens)-1].start = uint32(start)
	}
}

// scanDelimited reads '[…]' behind q, in which quotes stand for themselves.
func (l *lexer) scanDelimited() {
	open := l.at(l.pos + 1)
	closing := open
	if i := bytes.IndexByte([]byte("[({<"), open); i >= 0 {
		closing = "])}>"[i]
	}
	start := min(l.pos+2, len(l.src))
	n := bytes.Index(l.src[start:], []byte{closing, '\''})
	if n < 0 || open == 0 {
		l.fail()
		return
	}
	l.pos = start + n + 2
	l.emit(tokenString, '\'', start, start+n)
}

// scanString reads a string, or a name in double quotes. Two quotes stand for
// one.
func (l *lexer) scanString(quote byte, kind tokenKind) {
	start := l.pos + 1
	if l.at(start) == quote && l.at(start+1) == quote && l.scanTriple(quote) {
		return
	}
	escapes := l.rules&backslashes != 0 && (quote == '\'' || l.rules&(doubleStrings|hashes) != 0)
	for i := start; i < len(l.src); i++ {
		switch l.src[i] {
		case quote:
			if l.at(i+1) == quote {
				i++
				continue
			}
			l.pos = i + 1
			l.emit(kind, quote, start, i)
			return
		case '\\':
			if next := l.at(i + 1); next == quote || next == '\\' {
				if quote == '"' {
					l.differs |= doubleStrings | hashes
				}
				l.differs |= backslashes
				if escapes {
					i++
				}
			}
		}
	}
	l.fail()
}

// scanTriple reads a string between three quotes. It reports whether it is one.
func (l *lexer) scanTriple(quote byte) bool {
	if !l.differ(tripleQuotes) {
		return false
	}
	n := bytes.Index(l.src[l.pos+3:], []byte{quote, quote, quote})
	if n < 0 {
		l.fail()
		return true
	}
	start := l.pos + 3
	l.pos = start + n + 3
	l.emit(tokenString, quote, start, start+n)
	return true
}

// scanName reads a name between backticks.
func (l *lexer) scanName(quote byte) {
	start := l.pos + 1
	for i := start; i < len(l.src); i++ {
		if l.src[i] == quote {
			if l.at(i+1) == quote {
				i++
				continue
			}
			l.pos = i + 1
			l.emit(tokenName, quote, start, i)
			return
		}
	}
	l.fail()
}

// scanBracket reads a bracket where a value or a name may begin: a name of SQL
// Server, or the begin of an array. If what is in it reads the same as both, it
// is one token.
func (l *lexer) scanBracket() {
	start := l.pos + 1
	end := start
	for end < len(l.src) && (class[l.src[end]] != 0 || l.src[end] == '$' || l.src[end] == '.') {
		end++
	}
	if !l.touches() && end > start && l.at(end) == ']' && l.at(end+1) != ']' {
		l.pos = end + 1
		l.emit(tokenName, ']', start, end)
		return
	}
	if !l.differ(brackets) {
		l.openBracket('[')
		return
	}
	for i := end; i < len(l.src); i++ {
		if l.src[i] == ']' {
			if l.at(i+1) == ']' {
				i++
				continue
			}
			l.pos = i + 1
			l.emit(tokenName, ']', start, i)
			return
		}
	}
	l.fail()
}

// scanNumber reads a number, or a word that begins with a digit.
func (l *lexer) scanNumber() {
	start, end, letters := l.pos, l.pos, 0
	based := l.src[start] == '0' && bytes.IndexByte([]byte("xbo"), l.at(start+1)|0x20) >= 0
loop:
	for ; end < len(l.src); end++ {
		switch c := l.src[end]; {
		case class[c] == letter:
			letters++
		case class[c] == digit, c == '.' && letters == 0:
		case (c == '+' || c == '-') && letters == 1 && l.src[end-1]|0x20 == 'e' && class[l.at(end+1)] == digit && !based:
		default:
			break loop
		}
	}
	if letters > 2 && !based && l.src[start] != '.' { // 1e5 has one, 1.5BD of Spark two
		l.takeWord(start)
		return
	}
	l.pos = end
	l.emit(tokenNumber, 0, start, end)
}

// scanDollar reads $1, $name, or a string between $tag$ and $tag$.
func (l *lexer) scanDollar() {
	start, i := l.pos, l.pos+1
	for class[l.at(i)]&(letter|digit) != 0 {
		i++
	}
	if l.at(i) != '$' || class[l.at(start+1)] == digit {
		l.pos = i
		l.emit(tokenParameter, '$', start, i)
		return
	}
	tag := l.src[start : i+1]
	n := bytes.Index(l.src[i+1:], tag)
	if n < 0 {
		l.fail()
		return
	}
	l.pos = i + 1 + n + len(tag)
	l.emit(tokenString, '$', i+1, i+1+n)
}

// scanAt reads a variable, or a stage of Snowflake with its path.
func (l *lexer) scanAt() {
	start := l.pos
	next := l.at(l.pos + 1)
	if class[next] != letter && next != '@' && next != '~' && next != '%' && next != '"' {
		l.pos++
		l.emit(tokenPunct, '@', start, l.pos)
		return
	}
	p := l.previous()
	path := p.kind == tokenWord && (p.word == kwFrom || p.word == kwInto || p.word == kwUsing || p.word == kwJoin || p.word == kwStatement)
	l.pos++
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		if path && c == '"' {
			n := bytes.IndexByte(l.src[l.pos+1:], '"')
			if n < 0 {
				l.fail()
				return
			}
			l.pos += n + 2
			continue
		}
		if !l.isWordByte(c) && c != '@' && (!path || bytes.IndexByte([]byte("/.~%-=*"), c) < 0) {
			break
		}
		l.pos++
	}
	l.emit(tokenParameter, '@', start, l.pos)
}
