package scan

import (
	"encoding/json"
	"strings"
	"testing"
)

// checkWhole feeds a text in pieces and reports whether it is one JSON value.
func checkWhole(text string, piece int) bool {
	var v jsonCheck
	v.begin()
	for p := []byte(text); len(p) > 0; {
		n := min(piece, len(p))
		for q := p[:n]; len(q) > 0; {
			k := v.feed(q)
			if q = q[k:]; v.state == checkDone {
				q = []byte(strings.TrimLeft(string(q), " \t\r\n"))
			}
			if len(q) > 0 && (v.state == checkDone || v.state == checkBroken) {
				return false
			}
		}
		p = p[n:]
	}
	return v.end()
}

func FuzzJSONCheck(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0.5e+3,"\u00e9\n",true,false,null,{}],"b":[]}`, `[(1, 'a')]`, `[see a, b]`, `[,]`, `[1,]`, `{"a" 1}`, `01`, `-`, `1.`, `1e`, `"\x"`, `"a` + "\n" + `"`,
		` 12 `, `nul`, `[1 2]`, `{"a":1,}`, `{1:2}`, `[}`, strings.Repeat("[", 1024) + strings.Repeat("]", 1024), `1e5`, `-01`, `"\u12g4"`, `[1.5.5]`, `0 `, `[0,0e1]`, "",
	} {
		f.Add(s, uint8(1))
	}
	f.Fuzz(func(t *testing.T, text string, cut uint8) {
		if strings.Contains(text, "NaN") || strings.Contains(text, "Infinity") {
			return // which encoding/json does not take
		}
		want := json.Valid([]byte(text))
		for _, n := range []int{1, int(cut) + 1, len(text) + 1} {
			if got := checkWhole(text, n); got != want && strings.Count(text, "[")+strings.Count(text, "{") <= maxNesting {
				t.Fatalf("%q in pieces of %d: %v, encoding/json says %v", text, n, got, want)
			}
		}
	})
}

func BenchmarkJSONCheck(b *testing.B) {
	rows := []byte(rowsOf(64 << 10))
	b.SetBytes(int64(len(rows)))
	var v jsonCheck
	for b.Loop() {
		v.begin()
		if v.feed(rows); !v.end() {
			b.Fatal("no JSON")
		}
	}
}
