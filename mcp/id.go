package mcp

import (
	"bytes"
	"math"
	"strconv"
)

// IDKey returns the canonical form of an id, given as JSON text, for use as the
// key of a map: a string by its characters, a number by its value, and a string
// never equal to a number. Upstreams decode an id and encode it again, so that an
// answer may spell it differently: 1 as 1.0, a character as an escape, and an
// integer beyond 2^53 as its neighbor if the upstream keeps numbers as doubles.
// It returns "" for anything but an id: null, nothing, a number that overflows, a
// string with an unpaired surrogate.
func IDKey(raw []byte) string {
	return string(AppendIDKey(make([]byte, 0, 64), raw))
}

// AppendIDKey appends the IDKey of an id to b.
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
	// From 2^53 on, integers are distinguished only as far as doubles can.
	b = append(b, 'n')
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.AppendInt(b, int64(f), 10) // -0 is 0
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// isPlainInteger reports whether raw is a non-negative integer in the spelling
// of AppendIDKey, as nearly all clients use.
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

// SameID reports whether two ids, given as JSON text, have the same IDKey and are
// ids at all.
func SameID(a, b []byte) bool {
	var bufA, bufB [64]byte
	key := AppendIDKey(bufA[:0], a)
	return len(key) > 0 && (bytes.Equal(a, b) || bytes.Equal(key, AppendIDKey(bufB[:0], b)))
}

// validID reports whether raw is the JSON text of an id as in MCP's schema
// (RequestId): a string or an integer. Integers beyond 64 bits are refused: the
// official Go SDK runs such a request, as it does one with a fraction, and
// answers it under another id.
func validID(raw []byte) bool {
	if len(raw) > 0 && raw[0] == '"' {
		_, ok := DecodeString(raw)
		return ok
	}
	f, ok := number(raw)
	return ok && f == math.Trunc(f) && -1<<63 <= f && f < 1<<63
}

// number returns the value of a number given as JSON text. ok is false if it is
// not one, or overflows a double.
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
