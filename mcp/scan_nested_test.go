package mcp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// skipTextBytes is skipper.skipText, a byte at a time and however much is left.
// It stops before the escape or quote that it leaves to unescaping.
func skipTextBytes(k *skipper, p []byte, behind *bool, as spelling) (n int, closed bool) {
	for i, c := range p {
		meant := c
		if *behind {
			meant = unescaped[c]
		}
		switch {
		case !*behind && c == '"', *behind && meant == 0, *behind && meant == '\n' && as == inLine:
			return i, false
		case !*behind && c == '\\':
			*behind = true
			continue
		}
		*behind = false
		if _, closed := skipBytes(k, []byte{meant}); closed {
			return i + 1, true
		}
	}
	return len(p), false
}

// checkText checks that what skipText passes over of the pieces is what there
// is, and that no more is left than it may leave.
func checkText(t interface{ Fatalf(string, ...any) }, pieces [][]byte, k skipper, as spelling) {
	want, behind, wantBehind := k, k.escaped, k.escaped
	k.escaped, want.escaped = k.inString && k.depth&1 == 0, k.inString && k.depth&1 == 0
	for _, p := range pieces {
		n, closed := k.skipText(p, &behind, as)
		wantN, wantClosed := skipTextBytes(&want, p[:n], &wantBehind, as)
		if wantN != n || wantClosed != closed || behind != wantBehind || k.commas != want.commas || !closed && k != want {
			t.Fatalf("%q: n %d closed %v behind %v %+v, want %d %v %v %+v", p, n, closed, behind, k, wantN, wantClosed, wantBehind, want)
		}
		if closed {
			return
		}
		far, farBehind := want, wantBehind
		farN, farClosed := skipTextBytes(&far, p[n:], &farBehind, as)
		if len(p)-n >= block && farN >= block {
			t.Fatalf("%q: stopped at %q", p, p[n:])
		}
		if farN < len(p)-n || farClosed {
			return
		}
		want, wantBehind = far, farBehind
		k, behind = want, wantBehind
	}
}

// textBytes are maskBytes, the same escaped as a text is, or some of each.
var textBytes = rapid.Custom(func(t *rapid.T) []byte {
	var p []byte
	for range rapid.IntRange(1, 4).Draw(t, "parts") {
		part := maskBytes.Draw(t, "part")
		if rapid.IntRange(0, 3).Draw(t, "escaped") > 0 {
			spelled, err := json.Marshal(strings.ToValidUTF8(string(part), "é"))
			if err != nil {
				t.Fatal(err)
			}
			part = spelled[1 : len(spelled)-1]
		}
		p = append(p, part...)
	}
	return p
})

func TestTextAgreesWithBytes(t *testing.T) {
	checkOften(t, textAgreesWithBytes)
	portably(func() { checkOften(t, textAgreesWithBytes) })
}

func textAgreesWithBytes(t *rapid.T) {
	k := skipper{
		depth:    rapid.IntRange(1, 4).Draw(t, "depth"),
		inString: rapid.Bool().Draw(t, "inString"),
		escaped:  rapid.Bool().Draw(t, "escaped"),
		counting: rapid.Bool().Draw(t, "counting"),
	}
	if rapid.Bool().Draw(t, "deep") {
		k.depth = rapid.IntRange(1, 70).Draw(t, "depth")
	}
	p := textBytes.Draw(t, "bytes")
	var pieces [][]byte
	for len(p) > 0 {
		n := rapid.IntRange(1, len(p)).Draw(t, "piece")
		pieces, p = append(pieces, p[:n]), p[n:]
	}
	checkText(t, pieces, k, rapid.SampledFrom([]spelling{inText, inLine}).Draw(t, "as"))
}

// TestTextBackslashes goes through runs of backslashes of every length at every
// place around the end of a block.
func TestTextBackslashes(t *testing.T) {
	for at := range 2 * block {
		for run := range block + 6 {
			for _, behind := range []string{`"`, `n`, `u0022`, `,`} {
				p := []byte(strings.Repeat("a", at) + strings.Repeat(`\`, run) + behind + strings.Repeat(`,]`, block))
				for _, inString := range []bool{false, true} {
					k := skipper{depth: 3, inString: inString, counting: true}
					checkText(t, [][]byte{p}, k, inText)
					checkText(t, [][]byte{p[:at+run/2], p[at+run/2:]}, k, inLine)
				}
			}
		}
	}
}

// TestTextEnds has a piece end at every place around brackets and escapes.
func TestTextEnds(t *testing.T) {
	for _, end := range []string{`},{`, `},{\"`, `\"},{`, `a\"`, `\"\"`, `"},{`, `\\\"}`} {
		for before := range 4 * block {
			p := []byte(strings.Repeat("a", before) + end + strings.Repeat("b", block))
			check := func() {
				for cut := before; cut <= before+len(end); cut++ {
					checkText(t, [][]byte{p[:cut], p[cut:]}, skipper{depth: 2, counting: true}, inText)
				}
			}
			check()
			portably(check)
		}
	}
}

// genSpelled is text as JSON spells it, in whatever way.
func genSpelled(t *rapid.T, text string) string {
	odd := rapid.SampledFrom([]int{0, 0, 3, 40}).Draw(t, "odd")
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range text {
		switch {
		case odd > 0 && r < 0x10000 && rapid.IntRange(0, odd).Draw(t, "as a number") == 0:
			fmt.Fprintf(&b, `\u%04x`, r)
		case odd > 0 && r == '/' && i%2 == 0:
			b.WriteString(`\/`)
		default:
			spelled, err := json.Marshal(string(r))
			if err != nil {
				t.Fatal(err)
			}
			b.Write(spelled[1 : len(spelled)-1])
		}
	}
	return b.String() + `"`
}

// genRows is JSON that a tool may put into a text, of up to a few thousand bytes.
func genRows(t *rapid.T) string {
	rows := []any{}
	for range rapid.IntRange(0, 30).Draw(t, "rows") {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("\"\"\\\\{}[],,:\n\t/<abcdefghé😀")), 0, 60, -1).Draw(t, "value")
		rows = append(rows, rapid.SampledFrom([]any{
			map[string]any{"a": text, "b": 1.5}, map[string]any{"a": []any{text, map[string]any{"b": text}}}, []any{1, []any{}, nil}, 7, true,
		}).Draw(t, "row"))
	}
	var whole any = rows
	switch name := rapid.SampledFrom([]string{"", "rows", "data", "results", "other"}).Draw(t, "name"); name {
	case "":
	default:
		whole = map[string]any{name: rows, "a": "before", "z": map[string]any{"rows": rows}}
	}
	spelled, err := json.Marshal(whole)
	if rapid.Bool().Draw(t, "pretty") {
		spelled, err = json.MarshalIndent(whole, "", "  ")
	}
	if err != nil {
		t.Fatal(err)
	}
	text := string(spelled)
	switch rapid.IntRange(0, 9).Draw(t, "more") {
	case 0:
		text += "\n" + text
	case 1:
		text = text[:len(text)/2]
	case 2:
		text += " ]"
	}
	return text
}

// TestLongTextsAgreeWithGJSON reads JSON in texts that are longer than blocks.
func TestLongTextsAgreeWithGJSON(t *testing.T) {
	rules := []*Extractor{mustExtractor(t, DefaultRule)}
	for _, records := range []string{"result.content.0.text|@fromstr|rows.#", "sum(result.content.#.text|@ndjson|#)", "sum(result.content.#.text|@fromstr|z.rows.#)"} {
		rules = append(rules, mustExtractor(t, Rule{Records: []string{records}}))
	}
	agree := func(t *rapid.T) {
		var texts []string
		for range rapid.IntRange(1, 2).Draw(t, "texts") {
			texts = append(texts, `{"text":`+genSpelled(t, genRows(t))+`}`)
		}
		message := `{"id":1,"result":{"content":[` + strings.Join(texts, ",") + `]}}`
		pieces := genPieces(t, message)
		for _, e := range rules {
			var s Scanner
			got := scanAll(&s, JSON, pieces, e)
			if diff := cmp.Diff([]Facts{expectFacts(message, e, rootResult)}, got[0].Facts, cmpFacts, cmpEmpty); diff != "" {
				t.Fatalf("%v: %s\n%s", e.rule.Records, diff, message)
			}
		}
	}
	checkOften(t, agree)
	portably(func() { rapid.Check(t, agree) })
}

func FuzzText(f *testing.F) {
	for _, m := range fuzzMessages {
		spelled, err := json.Marshal(m + m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(spelled[1:], uint16(70), uint8(1), uint8(0b100))
		f.Add([]byte(m), uint16(129), uint8(3), uint8(0b1001))
	}
	f.Fuzz(func(t *testing.T, p []byte, cut uint16, depth, state uint8) {
		k := skipper{depth: int(depth) + 1, inString: state&1 != 0, escaped: state&2 != 0, counting: state&4 != 0}
		as := inText
		if state&8 != 0 {
			as = inLine
		}
		var pieces [][]byte
		for len(p) > 0 {
			n := min(int(cut)+1, len(p))
			pieces, p = append(pieces, p[:n]), p[n:]
		}
		checkText(t, pieces, k, as)
		portably(func() { checkText(t, pieces, k, as) })
	})
}
