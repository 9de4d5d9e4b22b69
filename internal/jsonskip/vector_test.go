//go:build amd64 && !purego

package jsonskip

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// checkVector checks that the vector code and the portable code agree on the
// chunks.
func checkVector(t interface{ Fatalf(string, ...any) }, chunks [][]byte, k Skipper, limit int) {
	portable := k
	for _, p := range chunks {
		n, closed := k.Skip(p)
		withoutVector(func() {
			if wantN, wantClosed := portable.Skip(p); n != wantN || closed != wantClosed || k.commas != portable.commas {
				t.Fatalf("skip %q: n %d closed %v commas %d, want %d %v %d", p, n, closed, k.commas, wantN, wantClosed, portable.commas)
			}
		})
		if closed {
			break
		}
		if k != portable {
			t.Fatalf("skip %q: %+v, want %+v", p, k, portable)
		}
	}

	escaped := k.escaped
	wantEscaped := escaped
	for _, p := range chunks {
		n := QuoteEnd(p, &escaped)
		withoutVector(func() {
			if want := QuoteEnd(p, &wantEscaped); n != want || escaped != wantEscaped {
				t.Fatalf("quote in %q: %d, escaped %v, want %d %v", p, n, escaped, want, wantEscaped)
			}
		})
	}

	for _, p := range chunks {
		checkUnescape(t, p, make([]byte, min(limit, 3), limit+block), limit)
	}
}

// checkUnescape checks that unescapeBlocks unescapes as Unescaper does, and that
// it stops no sooner than it may.
func checkUnescape(t interface{ Fatalf(string, ...any) }, p, out []byte, limit int) {
	got, n := unescapeBlocks(out, p, 0, limit)
	var u Unescaper
	var want []byte
	var closed, ok bool
	withoutVector(func() { want, _, closed, ok = u.Read(bytes.Clone(out), p[:n], len(out)+n+1) })
	if !bytes.Equal(got, want) || closed || !ok || u != (Unescaper{}) {
		t.Fatalf("unescaped %q: %q, want %q; %+v, closed %v, ok %v", p[:n], got, want, u, closed, ok)
	}
	if !useVector || len(p)-n <= block || min(cap(out), limit+block-1)-len(got) < block || p[n] == '"' {
		return
	}
	if p[n] != '\\' || p[n+1] != 'u' && unescaped[p[n+1]] != 0 {
		t.Fatalf("unescaped %q and stopped at %q", p[:n], p[n:])
	}
}

// vectorBytes are maskBytes, or bytes with many escapes of all kinds.
var vectorBytes = rapid.OneOf(maskBytes, rapid.Custom(func(t *rapid.T) []byte {
	const often, seldom = `nnrtbf/"\\\u`, "x\x00\xff8\n"
	every := rapid.IntRange(1, 40).Draw(t, "every")
	letters := often[:rapid.IntRange(1, len(often)).Draw(t, "letters")]
	if rapid.IntRange(0, 5).Draw(t, "wrong") == 0 {
		letters += seldom
	}
	var p []byte
	for range rapid.IntRange(0, 300/every).Draw(t, "escapes") {
		for range rapid.IntRange(0, every).Draw(t, "plain") {
			p = append(p, byte('a'+len(p)%26))
		}
		letter := letters[rapid.IntRange(0, len(letters)-1).Draw(t, "letter")]
		if p = append(p, '\\', letter); letter == 'u' {
			p = append(p, "00e9"...)
		}
	}
	if rapid.Bool().Draw(t, "closed") {
		p = append(p, '"')
	}
	return append(p, strings.Repeat("z", rapid.IntRange(0, 130).Draw(t, "behind"))...)
}))

func TestVectorAgreesWithPortable(t *testing.T) {
	checkOften(t, func(t *rapid.T) {
		p := vectorBytes.Draw(t, "bytes")
		k := Skipper{
			depth:    rapid.IntRange(1, 3).Draw(t, "depth"),
			inString: rapid.Bool().Draw(t, "inString"),
			escaped:  rapid.Bool().Draw(t, "escaped"),
			counting: rapid.Bool().Draw(t, "counting"),
		}
		if rapid.Bool().Draw(t, "deep") {
			k.depth = rapid.IntRange(1, 70).Draw(t, "depth")
		}
		var chunks [][]byte
		for len(p) > 0 {
			n := rapid.IntRange(1, len(p)).Draw(t, "chunk")
			chunks, p = append(chunks, p[:n]), p[n:]
		}
		checkVector(t, chunks, k, rapid.IntRange(1, 500).Draw(t, "limit"))
	})
}

// TestVectorBackslashes tries runs of backslashes of every length at every
// position around the end of a block.
func TestVectorBackslashes(t *testing.T) {
	for at := range 2 * block {
		for run := range block + 6 {
			for _, behind := range []string{`"`, `n`, `u0041`, `,`} {
				p := []byte(strings.Repeat("a", at) + strings.Repeat(`\`, run) + behind + strings.Repeat(",]", block))
				for _, inString := range []bool{false, true} {
					checkVector(t, [][]byte{p}, Skipper{depth: 1, inString: inString, counting: true}, 4*block)
					checkVector(t, [][]byte{p[:at+run/2], p[at+run/2:]}, Skipper{depth: 1, inString: inString, counting: true}, 4*block)
				}
			}
		}
	}
}

func FuzzVector(f *testing.F) {
	for _, m := range []string{
		`{"a":"\\"]\"","b":[1,{"n":null}]}},{"c":"\u5e73"}`,
		`"t","u"],"tables":[{"name":"v"},{"name":5}]]`,
		`[[[[[[[[[[`,
		`平安银行,[1,2],{"x":"\ud83d\ude00"}]}`,
	} {
		f.Add([]byte(m), uint16(70), uint8(1), uint8(0b110))
		f.Add([]byte(strings.ReplaceAll(strings.ReplaceAll(m+m, `\`, `\\`), `"`, `\"`)+"\\n\\u0041\\/\"]}"), uint16(129), uint8(3), uint8(0b001))
	}
	f.Fuzz(func(t *testing.T, p []byte, cut uint16, depth, state uint8) {
		k := Skipper{depth: int(depth) + 1, inString: state&1 != 0, escaped: state&2 != 0, counting: state&4 != 0}
		var chunks [][]byte
		for len(p) > 0 {
			n := min(int(cut)+1, len(p))
			chunks, p = append(chunks, p[:n]), p[n:]
		}
		checkVector(t, chunks, k, int(cut)+1)
	})
}
