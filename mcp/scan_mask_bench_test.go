package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// skipShapes are arrays, as a skipper meets them, of about size bytes.
func skipShapes(size int) map[string]string {
	array := func(element func(i int) string) string {
		var b strings.Builder
		b.WriteByte('[')
		for i := 0; b.Len() < size; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(element(i))
		}
		return b.String() + "]"
	}
	const prose = "Select the closing price of every trading day, then group it by month; "
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(rowsOf(size*2/3)), "", "  "); err != nil {
		panic(err)
	}
	return map[string]string{
		"rows":    rowsOf(size),
		"short":   array(func(i int) string { return fmt.Sprintf(`{"id":%d,"name":"n%d","v":%d.5}`, i, i%90, i%7) }),
		"numbers": array(func(i int) string { return fmt.Sprintf("[%d,%d.25,null]", i, i%1000) }),
		"nested": array(func(i int) string {
			return fmt.Sprintf(`{"id":%d,"user":{"login":"u%d","roles":["a","b"]},"labels":[{"name":"bug","color":"f00"},{"name":"p%d"}],"body":"%s"}`, i, i%50, i%5, prose[:i%len(prose)])
		}),
		"pretty":  pretty.String(),
		"strings": array(func(i int) string { return `"` + strings.Repeat(prose, 1+i%40) + `"` }),
		"escaped": array(func(int) string { return `"` + strings.ReplaceAll(rowsOf(1000), `"`, `\"`) + `"` }),
	}
}

// codes are the two ways to pass over blocks.
var codes = []struct {
	name string
	with func(func())
}{{"vector", func(f func()) { f() }}, {"portable", portably}}

func BenchmarkSkip(b *testing.B) {
	for _, size := range []int{1 << 10, 2 << 10, 64 << 10, 1 << 20} {
		for shape, text := range skipShapes(size) {
			p := []byte(text)[1:]
			for _, goal := range []string{"count", "skip"} {
				for _, code := range codes {
					code.with(func() {
						b.Run(fmt.Sprintf("%s/%s/%dKB/%s", goal, shape, size>>10, code.name), func(b *testing.B) {
							b.ReportAllocs()
							b.SetBytes(int64(len(p)))
							for b.Loop() {
								var k skipper
								k.begin(goal == "count")
								if n, closed := k.skip(p); !closed || n != len(p) {
									b.Fatal(n, closed)
								}
							}
						})
					})
				}
			}
		}
	}
}

// BenchmarkText passes over the text that a result holds, or unescapes it.
func BenchmarkText(b *testing.B) {
	const line = "## Prices\\n\\nThe closing price of every trading day, grouped by month.\\n"
	for _, size := range []int{64, 1 << 10, 2 << 10, 64 << 10, 1 << 20} {
		pretty := strings.ReplaceAll(skipShapes(size)["pretty"], "\n", `\n`)
		for shape, text := range map[string]string{
			"json":   strings.ReplaceAll(rowsOf(size), `"`, `\"`),
			"pretty": strings.ReplaceAll(pretty, `"`, `\"`),
			"prose":  strings.Repeat(line, size/len(line)+1),
			"plain":  strings.Repeat("abcdefgh", size/8),
		} {
			p := []byte(text + `"`)
			run := func(goal string, pass func(b *testing.B)) {
				for _, code := range codes {
					code.with(func() {
						b.Run(fmt.Sprintf("%s/%s/%dB/%s", goal, shape, size, code.name), func(b *testing.B) {
							b.ReportAllocs()
							b.SetBytes(int64(len(p)))
							for b.Loop() {
								pass(b)
							}
						})
					})
				}
			}
			run("quote", func(b *testing.B) {
				var escaped bool
				if n := quoteOrEnd(p, &escaped); n != len(p)-1 {
					b.Fatal(n)
				}
			})
			out := make([]byte, 0, textPiece+block)
			run("unescape", func(b *testing.B) {
				var u unescaper
				for n, closed := 0, false; !closed; {
					var passed int
					if _, passed, closed, _ = u.read(out, p[n:], textPiece); passed == 0 {
						b.Fatal(n)
					}
					n += passed
				}
			})
		}
	}
}
