package mcp

import (
	"bytes"
	"math"
	"strconv"
)

// IDKey is a form of an id, given as JSON text, that is equal for the same
// request's ids and so can be the key of a map: a string by its characters, a
// number by its value, a string never a number's. Upstreams decode an id and
// encode it again, so an answer may spell it differently: 1 as 1.0, a character
// as an escape, and an integer beyond 2^53 as its neighbour, where the upstream
// keeps numbers as doubles. It is "" for what is no id: null, nothing, an
// infinite number, a string with a lone surrogate.
func IDKey(raw []byte) string {
	return string(AppendIDKey(make([]byte, 0, 64), raw))
}

// AppendIDKey appends the IDKey of an id to b; nothing for what is no id.
func AppendIDKey(b, raw []byte) []byte {
	if len(raw) == 0 {
		return b
	}
	if raw[0] == '"' {
		s, ok := DecodeString(raw)
		if !ok {
			return b
		}
		return append(append(b, 's'), s...)
	}
	if isPlainInteger(raw) {
		return append(append(b, 'n'), raw...)
	}
	f, ok := number(raw)
	if !ok {
		return b
	}
	// Integers are told apart from 2^53 on no further than doubles can.
	b = append(b, 'n')
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.AppendInt(b, int64(f), 10) // -0 is 0
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// isPlainInteger tells whether raw is an integer from 0 on, spelled as
// AppendIDKey does: what nearly all clients count by.
func isPlainInteger(raw []byte) bool {
	if len(raw) == 0 || len(raw) > 15 || raw[0] == '0' && len(raw) > 1 {
		return false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// SameID tells whether two ids, given as JSON text, have the same IDKey, and one
// that is not "".
func SameID(a, b []byte) bool {
	var bufA, bufB [64]byte
	key := AppendIDKey(bufA[:0], a)
	return len(key) > 0 && (bytes.Equal(a, b) || bytes.Equal(key, AppendIDKey(bufB[:0], b)))
}

// validID tells whether raw is the JSON text of an id as MCP's schema has it
// (RequestId): a string, or an integer. One that 64 bits do not hold is none:
// the official Go SDK runs such a request, and one with a fraction, and answers
// it under another id.
func validID(raw []byte) bool {
	if len(raw) > 0 && raw[0] == '"' {
		_, ok := DecodeString(raw)
		return ok
	}
	f, ok := number(raw)
	return ok && f == math.Trunc(f) && -1<<63 <= f && f < 1<<63
}

// number is the value of a number given as JSON text; not ok if it is none, or
// beyond what a double can hold.
func number(raw []byte) (f float64, ok bool) {
	if len(raw) == 0 {
		return 0, false
	}
	for _, c := range raw {
		switch {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
		default: // ParseFloat also takes inf, hexadecimal and more
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}
