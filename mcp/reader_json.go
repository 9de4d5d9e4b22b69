package mcp

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// The grammar of RFC 8259, byte by byte. It is one pass over the data, except
// that strings with bytes beyond ASCII are also checked for valid UTF-8.

// Words of eight equal bytes.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// space skips white space.
func (r *reader) space(i int) int {
	for i < len(r.data) {
		switch r.data[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// unexpected fails because of the byte at i, where something else was expected.
func (r *reader) unexpected(i int, wanted string) int {
	if i >= len(r.data) {
		return r.fail(CodeParseError, len(r.data), "the body ends where %s was expected", wanted)
	}
	return r.fail(CodeParseError, i, "%s was expected, not the byte %q", wanted, r.data[i])
}

// value reads any value. depth is that of the array or object around it.
func (r *reader) value(i, depth int) int {
	if i >= len(r.data) {
		return r.unexpected(i, "a value")
	}
	switch c := r.data[i]; c {
	case '"':
		i, _ = r.string(i)
		return i
	case '{':
		return r.object(i, depth+1, ofAnything)
	case '[':
		return r.array(i, depth+1)
	case 't':
		return r.literal(i, "true")
	case 'f':
		return r.literal(i, "false")
	case 'n':
		return r.literal(i, "null")
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return r.number(i)
		}
		return r.unexpected(i, "a value")
	}
}

func (r *reader) literal(i int, text string) int {
	if end := i + len(text); end <= len(r.data) && string(r.data[i:end]) == text {
		return end
	}
	return r.unexpected(i, text)
}

func (r *reader) number(i int) int {
	if r.data[i] == '-' {
		i++
	}
	if i < len(r.data) && r.data[i] == '0' {
		i++
	} else if i = r.digits(i); i < 0 {
		return i
	}
	if i < len(r.data) && r.data[i] == '.' {
		if i = r.digits(i + 1); i < 0 {
			return i
		}
	}
	if i < len(r.data) && r.data[i]|0x20 == 'e' {
		i++
		if i < len(r.data) && (r.data[i] == '+' || r.data[i] == '-') {
			i++
		}
		i = r.digits(i)
	}
	return i
}

// digits reads one digit or more.
func (r *reader) digits(i int) int {
	begin := i
	for i < len(r.data) && '0' <= r.data[i] && r.data[i] <= '9' {
		i++
	}
	if i == begin {
		return r.unexpected(i, "a digit")
	}
	return i
}

func (r *reader) array(i, depth int) int {
	if depth > maxDepth {
		return r.tooDeep(i)
	}
	if i = r.space(i + 1); i < len(r.data) && r.data[i] == ']' {
		return i + 1
	}
	for {
		if i = r.value(i, depth); i < 0 {
			return i
		}
		i = r.space(i)
		if i == len(r.data) {
			return r.unexpected(i, "a comma or the end of the array")
		}
		switch r.data[i] {
		case ',':
			i = r.space(i + 1)
		case ']':
			return i + 1
		default:
			return r.unexpected(i, "a comma or the end of the array")
		}
	}
}

func (r *reader) tooDeep(i int) int {
	return r.fail(CodeInvalidRequest, i, "arrays and objects nest deeper than %d levels", maxDepth)
}

// owner says what an object is in the protocol.
type owner uint8

const (
	ofAnything owner = iota
	ofMessage
	ofParams
)

func (r *reader) object(i, depth int, of owner) int {
	if depth > maxDepth {
		return r.tooDeep(i)
	}
	if i = r.space(i + 1); i < len(r.data) && r.data[i] == '}' {
		return i + 1
	}
	names := nameSet{base: len(r.names)}
	for {
		if i >= len(r.data) || r.data[i] != '"' {
			return r.unexpected(i, "a name in quotes")
		}
		begin := i
		end, escaped := r.string(begin)
		if end < 0 {
			return end
		}
		name := r.data[begin+1 : end-1]
		if escaped {
			var whole bool
			if r.name, whole = appendDecoded(r.name[:0], name); !whole {
				return r.fail(CodeInvalidRequest, begin, "a name contains an unpaired UTF-16 surrogate: %s", excerpt(r.data[begin:end]))
			}
			name = r.name
		}
		if r.add(&names, name, begin+1, escaped) {
			return r.fail(CodeInvalidRequest, begin, "the name %s occurs twice in one object", excerpt(r.data[begin:end]))
		}
		if i = r.space(end); i >= len(r.data) || r.data[i] != ':' {
			return r.unexpected(i, "a colon")
		}
		i = r.space(i + 1)
		if of == ofAnything {
			i = r.value(i, depth)
		} else {
			i = r.member(name, begin, i, depth, of)
		}
		if i < 0 {
			return i
		}
		i = r.space(i)
		if i == len(r.data) {
			return r.unexpected(i, "a comma or the end of the object")
		}
		switch r.data[i] {
		case ',':
			i = r.space(i + 1)
		case '}':
			r.names = r.names[:names.base]
			return i + 1
		default:
			return r.unexpected(i, "a comma or the end of the object")
		}
	}
}

// member reads the value, at i, of a member of a message or of its params, and
// keeps it if the gate uses it. The name is at nameAt.
func (r *reader) member(name []byte, nameAt, i, depth int, of owner) int {
	var field *[]byte
	if of == ofMessage {
		field = r.fields.member(name)
	} else {
		field = r.fields.param(name)
	}
	if field == nil {
		if known := r.misspells(name, of); known != "" {
			return r.fail(CodeInvalidRequest, nameAt, "%q could be taken for %q", excerpt(name), known)
		}
	}
	begin := i
	if field == &r.fields.params && i < len(r.data) && r.data[i] == '{' {
		i = r.object(i, depth+1, ofParams)
	} else {
		i = r.value(i, depth)
	}
	if i >= 0 && field != nil {
		*field = r.data[begin:i]
	}
	return i
}

// string reads a string with its quotes. It reports whether it has escapes.
func (r *reader) string(i int) (end int, escaped bool) {
	begin, data := i, r.data
	i++
	var beyond uint64 // high bits of bytes beyond ASCII
	for {
		// Eight bytes at a time: a zero byte borrows into its high bit when
		// one is taken off, a control character when a space is. A borrow can
		// only spoil bytes after the first hit, and bytes beyond ASCII are
		// masked out.
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			hit := ((w - ' '*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones)) &^ w & highs
			if hit != 0 {
				n := bits.TrailingZeros64(hit) &^ 7
				beyond |= w & (1<<n - 1)
				i += n >> 3
				break
			}
			beyond |= w
			i += 8
		}
		if i >= len(data) {
			return r.unexpected(i, "the end of a string"), false
		}
		switch c := data[i]; {
		case c == '"':
			if beyond&highs != 0 && !utf8.Valid(data[begin:i]) {
				return r.fail(CodeParseError, begin, "a string is not valid UTF-8"), false
			}
			return i + 1, escaped
		case c == '\\':
			escaped = true
			n := escapeLen(data[i:])
			if n == 0 {
				return r.fail(CodeParseError, i, "a backslash does not begin an escape"), false
			}
			i += n
		case c < ' ':
			return r.fail(CodeParseError, i, "a control character in a string is not escaped"), false
		default: // among the last seven bytes
			beyond |= uint64(c)
			i++
		}
	}
}

// escapeLen returns the length of the escape that b begins with, or 0.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b); ok {
			return 6
		}
	}
	return 0
}

// hex4 returns the code unit of the \u escape that b begins with.
func hex4(b []byte) (unit rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}

// DecodeString returns the text of a string that is given as valid JSON, with
// its quotes. The text is a part of raw where there is nothing to decode. ok is
// false if raw is not a string, or has an unpaired surrogate, which decoders turn
// into different texts.
func DecodeString(raw []byte) (text []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return nil, false
	}
	raw = raw[1 : len(raw)-1]
	for _, c := range raw {
		if c == '\\' {
			return appendDecoded(nil, raw)
		}
	}
	return raw, true
}

// appendDecoded appends the decoded inside of a string, up to its closing quote
// or the end of raw.
func appendDecoded(dst, raw []byte) (text []byte, ok bool) {
	for i := 0; i < len(raw) && raw[i] != '"'; {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		n := escapeLen(raw[i:])
		if n == 0 {
			return dst, false
		}
		unit, hex := hex4(raw[i:])
		i += n
		switch {
		case !hex:
			dst = append(dst, plainEscape(raw[i-1]))
		case !utf16.IsSurrogate(unit):
			dst = utf8.AppendRune(dst, unit)
		default:
			low, _ := hex4(raw[i:])
			if unit = utf16.DecodeRune(unit, low); unit == utf8.RuneError {
				return dst, false
			}
			dst = utf8.AppendRune(dst, unit)
			i += 6
		}
	}
	return dst, true
}

// plainEscape returns the character that a backslash and c stand for.
func plainEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
