package scan

import (
	"encoding/binary"
	"math/bits"
)

// jsonCheck checks that bytes, which come in chunks, are one valid JSON value
// (RFC 8259). A text that begins with a bracket need not be JSON, so the readers
// of texts check it before they count anything in it. jsonCheck does not
// interpret the value. Beyond JSON it accepts NaN, Infinity and -Infinity, which
// Python's json module writes.
//
// It allocates nothing. A value nested deeper than maxNesting is refused.
type jsonCheck struct {
	state    checkState
	name     bool   // the current string is a member's name
	hex      uint8  // digits missing from a \u escape
	literal  string // the letters missing from a literal
	depth    int
	inObject bool                    // the innermost open value is an object
	object   [maxNesting / 64]uint64 // bit i: the open value at depth i+1 is an object
}

// maxNesting is how deeply a JSON value in a text may be nested.
const maxNesting = 1024

type checkState uint8

const (
	checkValue     checkState = iota // before a value
	checkFirst                       // after [
	checkFirstName                   // after {
	checkName                        // after the comma in an object
	checkColon                       // after a name
	checkString                      // inside a string
	checkEscape                      // after a backslash
	checkHex                         // inside a \u escape
	checkLiteral                     // inside true, false or null
	checkMinus                       // after the minus of a number
	checkZero                        // after the zero that a number begins with
	checkInteger                     // in the digits before the point
	checkPoint                       // after the point
	checkFraction                    // in the digits after the point
	checkE                           // after the e
	checkESign                       // after the sign of the exponent
	checkExponent                    // in the digits of the exponent
	checkNext                        // after a value in an object or array
	checkDone                        // after the whole value
	checkBroken                      // malformed
)

func (v *jsonCheck) begin() { v.state, v.depth, v.name = checkValue, 0, false }

// end reports whether the value is complete if nothing follows. Only the end of
// the text ends a number at the top.
func (v *jsonCheck) end() bool {
	return v.state == checkDone || v.depth == 0 && v.state.endsNumber()
}

func (s checkState) endsNumber() bool {
	return s == checkZero || s == checkInteger || s == checkFraction || s == checkExponent
}

// feed reads a chunk and returns how many bytes it used: all of them, unless the
// value ends earlier (checkDone) or is malformed (checkBroken).
//
// The states of a typical row (a comma, a quoted name, a colon, a string or
// digits) lead directly into each other; the rarer ones go through token and
// insideToken.
func (v *jsonCheck) feed(p []byte) int {
	for i := 0; i < len(p); {
		switch v.state {
		case checkString:
			i = v.string(p, i)
		case checkInteger, checkFraction, checkExponent:
			for i < len(p) && isDigit(p[i]) {
				i++
			}
			if i < len(p) {
				i += v.afterDigits(p[i])
			}
		case checkNext:
			if i+1 < len(p) && p[i] == ',' && p[i+1] == '"' && v.inObject {
				v.name, v.state = true, checkString
				i = v.string(p, i+2)
				continue
			}
			fallthrough
		case checkValue, checkFirst, checkFirstName, checkName, checkColon:
			c := p[i]
			if i++; c > ' ' || !isSpace(c) {
				if !v.token(c) {
					return v.broken(i - 1)
				}
			}
		case checkDone, checkBroken:
			return i
		default:
			n, ok := v.insideToken(p[i])
			if !ok {
				return v.broken(i)
			}
			i += n
		}
	}
	return len(p)
}

// string reads a string from p[i] on, up to and including its closing quote, and
// returns the index after it. After a name it also reads the colon, and the
// value if that is a string.
func (v *jsonCheck) string(p []byte, i int) int {
	for {
		i = plainEnd(p, i)
		switch {
		case i == len(p):
			return i
		case p[i] == '\\':
			if i+1 == len(p) || !isEscape(p[i+1]) {
				v.state = checkEscape
				return i + 1
			}
			i += 2
		case p[i] != '"':
			return v.broken(i)
		case !v.name:
			v.endValue()
			return i + 1
		case i+2 < len(p) && p[i+1] == ':' && p[i+2] == '"':
			v.name = false
			i += 3
		case i+1 < len(p) && p[i+1] == ':':
			v.name, v.state = false, checkValue
			return i + 2
		default:
			v.name, v.state = false, checkColon
			return i + 1
		}
	}
}

// isEscape reports whether a backslash and c form an escape of one letter.
func isEscape(c byte) bool {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}

func (v *jsonCheck) broken(i int) int {
	v.state = checkBroken
	return i
}

// plainEnd returns the index of the first byte of p, from i on, that is a quote,
// a backslash or a control character, or len(p).
func plainEnd(p []byte, i int) int {
	for ; len(p)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		low := w & lows
		// The high bit of each byte that is " or \ or below a space.
		stop := ((highs - (low ^ '"'*ones)) | (highs - (low ^ '\\'*ones)) | ^(low + (0x80-' ')*ones)) &^ w & highs
		if stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for i < len(p) && p[i] >= ' ' && p[i] != '"' && p[i] != '\\' {
		i++
	}
	return i
}

// token reads the first byte of a token, which is not white space. It returns
// false if no token begins with it here.
func (v *jsonCheck) token(c byte) bool {
	switch v.state {
	case checkNext:
		object := v.inObject
		switch {
		case c == ',' && object:
			v.state = checkName
		case c == ',':
			v.state = checkValue
		case c == '}' && object, c == ']' && !object:
			v.close()
		default:
			return false
		}
		return true
	case checkColon:
		v.state = checkValue
		return c == ':'
	case checkFirstName, checkName:
		if c == '}' && v.state == checkFirstName {
			v.close()
			return true
		}
		v.name, v.state = true, checkString
		return c == '"'
	}
	switch {
	case c == '"':
		v.state = checkString
	case c-'1' <= 8:
		v.state = checkInteger
	case c == '{':
		return v.open(checkFirstName)
	case c == '[':
		return v.open(checkFirst)
	case c == ']' && v.state == checkFirst:
		v.close()
	case c == '0':
		v.state = checkZero
	case c == '-':
		v.state = checkMinus
	case c == 'N':
		v.state, v.literal = checkLiteral, "aN"
	case c == 'I':
		v.state, v.literal = checkLiteral, "nfinity"
	case c == 't':
		v.state, v.literal = checkLiteral, "rue"
	case c == 'f':
		v.state, v.literal = checkLiteral, "false"[1:]
	case c == 'n':
		v.state, v.literal = checkLiteral, "ull"
	default:
		return false
	}
	return true
}

// insideToken reads a byte of an escape, of a literal, or of those parts of a
// number that may be a single digit. n is 0 if the byte comes after the number.
func (v *jsonCheck) insideToken(c byte) (n int, ok bool) {
	digit := c-'0' <= 9
	switch v.state {
	case checkEscape:
		v.state = checkString
		if c == 'u' {
			v.state, v.hex = checkHex, 4
			return 1, true
		}
		return 1, isEscape(c)
	case checkHex:
		if v.hex--; v.hex == 0 {
			v.state = checkString
		}
		_, ok := hexDigit(c)
		return 1, ok
	case checkLiteral:
		if c != v.literal[0] {
			return 0, false
		}
		if v.literal = v.literal[1:]; v.literal == "" {
			v.endValue()
		}
		return 1, true
	case checkMinus:
		if c == 'I' {
			v.state, v.literal = checkLiteral, "nfinity"
			return 1, true
		}
		v.state = checkInteger
		if c == '0' {
			v.state = checkZero
		}
		return 1, digit
	case checkZero:
		return v.afterDigits(c), true
	case checkPoint:
		v.state = checkFraction
		return 1, digit
	case checkE:
		if v.state = checkExponent; c == '+' || c == '-' {
			v.state = checkESign
			return 1, true
		}
		return 1, digit
	default: // checkESign
		v.state = checkExponent
		return 1, digit
	}
}

// afterDigits reads the byte after some digits of a number. It returns 1 if it
// belongs to the number.
func (v *jsonCheck) afterDigits(c byte) int {
	switch {
	case c == '.' && (v.state == checkInteger || v.state == checkZero):
		v.state = checkPoint
	case c|0x20 == 'e' && v.state != checkExponent:
		v.state = checkE
	default:
		v.endValue()
		return 0
	}
	return 1
}

func (v *jsonCheck) open(state checkState) bool {
	if v.depth == maxNesting {
		return false
	}
	word, bit := &v.object[v.depth/64], uint64(1)<<(v.depth%64)
	if *word &^= bit; state == checkFirstName {
		*word |= bit
	}
	v.depth++
	v.state, v.inObject = state, state == checkFirstName
	return true
}

func (v *jsonCheck) close() {
	if v.depth--; v.depth > 0 {
		v.inObject = v.object[(v.depth-1)/64]>>((v.depth-1)%64)&1 != 0
	}
	v.endValue()
}

func (v *jsonCheck) endValue() {
	if v.state = checkNext; v.depth == 0 {
		v.state = checkDone
	}
}
