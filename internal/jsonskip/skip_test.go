package jsonskip

import (
	"testing"

	"pgregory.net/rapid"
)

// skipBytes is Skipper.Skip, a byte at a time: the oracle.
func skipBytes(k *Skipper, p []byte) (n int, closed bool) {
	for i, c := range p {
		escaped := k.escaped
		k.escaped = c == '\\' && !escaped
		switch {
		case c == '"' && !escaped:
			k.inString = !k.inString
		case k.inString:
		case c == '{' || c == '[':
			k.depth++
		case c == '}' || c == ']':
			if k.depth--; k.depth == 0 {
				return i + 1, true
			}
		case c == ',' && k.depth == 1 && k.counting:
			k.commas++
		}
	}
	return len(p), false
}

// checkOften checks a property some 1,500 times instead of rapid's 100: the
// corner cases at the ends of blocks are rare.
func checkOften(t *testing.T, property func(*rapid.T)) {
	for range 15 {
		rapid.Check(t, property)
	}
}

// sparseBytes have few brackets, quotes and escapes.
var sparseBytes = rapid.Custom(func(t *rapid.T) []byte {
	fragments := []string{"{", "}", "[", "]", "},{", "],[", "}, {", `"`, `""`, `":"`, ",", "|", `\`, `\"`, `\\`, `\n`, "\n"}
	kinds := rapid.IntRange(1, len(fragments)).Draw(t, "kinds")
	var p []byte
	for range rapid.IntRange(0, 20).Draw(t, "fragments") {
		for range rapid.IntRange(0, 40).Draw(t, "between") {
			p = append(p, "ab1é, "[len(p)%7])
		}
		p = append(p, fragments[rapid.IntRange(0, kinds-1).Draw(t, "fragment")]...)
	}
	return p
})

// maskBytes are the bytes that the masks distinguish, those that differ from
// them in one bit, and a few long runs.
var maskBytes = rapid.Custom(func(t *rapid.T) []byte {
	const relevant = "\"\"\"\\\\\\{{[[}],,,:a \n|_^~Z\x00\x01\x7f\xa2\xac\xdb\xdc\xdd\xfb\xfd\xff!#-+"
	one := rapid.Custom(func(t *rapid.T) byte { return relevant[rapid.IntRange(0, len(relevant)-1).Draw(t, "byte")] })
	var p []byte
	for range rapid.IntRange(0, 12).Draw(t, "parts") {
		switch kind := rapid.IntRange(0, 4).Draw(t, "kind"); {
		case kind == 0:
			p = append(p, sparseBytes.Draw(t, "sparse")...)
		case kind%2 == 0:
			c, n := one.Draw(t, "of"), rapid.IntRange(1, 150).Draw(t, "length")
			if c == '}' || c == ']' {
				n = 1
			}
			for range n {
				p = append(p, c)
			}
		default:
			p = append(p, rapid.SliceOfN(one, 0, 80).Draw(t, "mixed")...)
		}
	}
	return p
})

func TestMasksAgreeWithBytes(t *testing.T) {
	checkOften(t, masksAgreeWithBytes)
	withoutVector(func() { checkOften(t, masksAgreeWithBytes) })
}

func masksAgreeWithBytes(t *rapid.T) {
	p := maskBytes.Draw(t, "bytes")
	want := Skipper{depth: rapid.IntRange(1, 70).Draw(t, "depth"), counting: rapid.Bool().Draw(t, "counting")}
	if rapid.Bool().Draw(t, "shallow") {
		want.depth = 1
	}
	got := want
	for len(p) > 0 {
		piece := p[:rapid.IntRange(1, len(p)).Draw(t, "piece")]
		n, closed := got.Skip(piece)
		wantN, wantClosed := skipBytes(&want, piece)
		if n != wantN || closed != wantClosed || got.commas != want.commas {
			t.Fatalf("%q: n %d closed %v commas %d, want %d %v %d", piece, n, closed, got.commas, wantN, wantClosed, want.commas)
		}
		if closed {
			return
		}
		if got != want {
			t.Fatalf("%q: %+v, want %+v", piece, got, want)
		}
		p = p[len(piece):]
	}
}

func TestTransposeIsItsOwnInverse(t *testing.T) {
	for bit := range 64 {
		x := uint64(1) << bit
		if got, want := transpose(x), uint64(1)<<(bit%8*8+bit/8); got != want || transpose(got) != x {
			t.Errorf("bit %d: %#x, want %#x", bit, got, want)
		}
	}
}

// quoteBytes is QuoteEnd, a byte at a time: the oracle.
func quoteBytes(p []byte, escaped *bool) int {
	for i, c := range p {
		if c == '"' && !*escaped {
			return i
		}
		*escaped = c == '\\' && !*escaped
	}
	return len(p)
}

func TestQuoteAgreesWithBytes(t *testing.T) {
	checkOften(t, quoteAgreesWithBytes)
	withoutVector(func() { checkOften(t, quoteAgreesWithBytes) })
}

func quoteAgreesWithBytes(t *rapid.T) {
	p := maskBytes.Draw(t, "bytes")
	got := rapid.Bool().Draw(t, "escaped")
	want := got
	for len(p) > 0 {
		piece := p[:rapid.IntRange(1, len(p)).Draw(t, "piece")]
		n := QuoteEnd(piece, &got)
		if wantN := quoteBytes(piece, &want); n != wantN || got != want {
			t.Fatalf("%q: %d, escaped %v, want %d %v", piece, n, got, wantN, want)
		}
		p = p[len(piece):]
	}
}
