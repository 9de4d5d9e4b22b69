package jsonskip

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// Unescaper reads the inside of a JSON string (RFC 8259, section 7) that comes
// in chunks. The zero value is ready. A \u escape of half a surrogate pair
// becomes U+FFFD, as in encoding/json.
type Unescaper struct {
	at   uint8 // 0: outside an escape; 1: behind its backslash; 2 to 5: before that hex digit of \u
	unit rune  // the \u escape so far
	high rune  // a high surrogate that waits for the low one, or 0
}

// InEscape reports whether the last chunk ended within an escape or between the
// halves of a surrogate pair.
func (u *Unescaper) InEscape() bool { return *u != Unescaper{} }

// BehindBackslash reports whether the last chunk ended with the backslash of an
// escape.
func (u *Unescaper) BehindBackslash() bool { return u.at == 1 }

// Read appends what p stands for to out, up to the closing quote, the end of p,
// or a length of out of limit bytes (which it may exceed by less than 64). It
// returns out, how many bytes of p it used, and whether it came to the closing
// quote. ok is false where an escape is malformed.
func (u *Unescaper) Read(out, p []byte, limit int) (_ []byte, n int, closed, ok bool) {
	for n < len(p) && len(out) < limit {
		if u.at == 0 {
			if u.high == 0 {
				out, n = copyPlain(out, p, n, limit)
				if n == len(p) || len(out) >= limit {
					break
				}
			}
			c := p[n]
			n++
			switch c {
			case '\\':
				u.at = 1
			case '"':
				return u.flush(out), n, true, true
			default:
				out = append(u.flush(out), c)
			}
			continue
		}
		c := p[n]
		n++
		if u.at > 1 {
			digit, ok := hexDigit(c)
			if !ok {
				return out, n, false, false
			}
			u.unit = u.unit<<4 | digit
			if u.at++; u.at == 6 {
				u.at = 0
				out = u.appendUnit(out)
			}
			continue
		}
		if c == 'u' {
			u.at, u.unit = 2, 0
			continue
		}
		if c = unescaped[c]; c == 0 {
			return out, n, false, false
		}
		u.at = 0
		out = append(u.flush(out), c)
	}
	return out, n, false, true
}

// unescaped maps the letter of an escape to what it stands for, or to 0.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// copyPlain appends the bytes of p from n on, up to a quote or backslash that
// needs a closer look. It copies eight at once, since in JSON that is written
// inside a string these are near each other.
func copyPlain(out, p []byte, n, limit int) ([]byte, int) {
	if p[n] != '\\' {
		out, n = unescapeBlocks(out, p, n, limit)
	}
	for len(p)-n >= 8 && cap(out)-len(out) >= 8 {
		w := binary.LittleEndian.Uint64(p[n:])
		low := w & lows
		stop := ((highs - (low ^ '"'*ones)) | (highs - (low ^ '\\'*ones))) &^ w & highs
		binary.LittleEndian.PutUint64(out[len(out):len(out)+8], w)
		if stop != 0 {
			plain := bits.TrailingZeros64(stop) / 8
			return out[:len(out)+plain], n + plain
		}
		if out, n = out[:len(out)+8], n+8; len(out) >= limit {
			return out, n
		}
	}
	for ; n < len(p) && len(out) < limit && p[n] != '"' && p[n] != '\\'; n++ {
		out = append(out, p[n])
	}
	return out, n
}

// appendUnit appends the character of a \u escape, or keeps it if it is the
// first half of a surrogate pair.
func (u *Unescaper) appendUnit(out []byte) []byte {
	if u.high != 0 {
		if r := utf16.DecodeRune(u.high, u.unit); r != utf8.RuneError {
			u.high = 0
			return utf8.AppendRune(out, r)
		}
		out = u.flush(out)
	}
	if u.unit >= 0xd800 && u.unit < 0xdc00 {
		u.high = u.unit
		return out
	}
	return utf8.AppendRune(out, u.unit)
}

// flush appends U+FFFD for a high surrogate that got no low one.
func (u *Unescaper) flush(out []byte) []byte {
	if u.high == 0 {
		return out
	}
	u.high = 0
	return utf8.AppendRune(out, utf8.RuneError)
}

func hexDigit(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10, true
	}
	return 0, false
}
