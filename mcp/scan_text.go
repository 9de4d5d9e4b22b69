package mcp

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// unescaper reads the inside of a JSON string that comes in pieces. What
// \u escapes say that is no character becomes U+FFFD, as everywhere in Go.
type unescaper struct {
	at   uint8 // 0: no escape; 1: behind the backslash; 2 to 5: before that hex digit
	unit rune  // of the \u escape so far
	high rune  // a high surrogate that waits for its low one, or 0
}

// read appends what p says to out, up to the closing quote, the end of p, or
// limit bytes in out (or a few more), and tells how far it came. It is not ok
// when an escape is none.
func (u *unescaper) read(out, p []byte, limit int) (_ []byte, n int, closed, ok bool) {
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
				out = u.char(out)
			}
			continue
		}
		if c == 'u' {
			u.at, u.unit = 2, 0
			continue
		}
		c = unescaped[c]
		if c == 0 {
			return out, n, false, false
		}
		u.at = 0
		out = append(u.flush(out), c)
	}
	return out, n, false, true
}

// unescaped is what stands for what behind a backslash.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// copyPlain appends what p holds from n on, up to a quote or backslash; eight
// bytes at once, since in the JSON of a text these are near each other.
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

// char appends the character of a \u escape, or keeps it when it is the first
// half of one.
func (u *unescaper) char(out []byte) []byte {
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

// flush appends what a high surrogate without its low one stands for.
func (u *unescaper) flush(out []byte) []byte {
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
