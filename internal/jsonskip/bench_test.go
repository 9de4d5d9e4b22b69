package jsonskip

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// rowsOf is JSON of rows as a stock tool returns them, of about size bytes.
func rowsOf(size int) string {
	var b strings.Builder
	b.WriteString("[")
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"ts_code":"%06d.SZ","trade_date":"2024-%02d-%02d","open":%d.%02d,"high":%d.5,"low":9.75,"close":10.%02d,"vol":%d,"name":"平安银行"}`,
			i%5000, i%12+1, i%28+1, i%90, i%100, i%91, i%99, i*100)
	}
	return b.String() + "]"
}

// skipShapes are arrays of about size bytes, as a Skipper meets them.
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

// codes are the two implementations.
var codes = []struct {
	name string
	with func(func())
}{{"vector", func(f func()) { f() }}, {"portable", withoutVector}}

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
								var k Skipper
								k.Begin(goal == "count")
								if n, closed := k.Skip(p); !closed || n != len(p) {
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

// BenchmarkString passes over a string, or unescapes it.
func BenchmarkString(b *testing.B) {
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
				if n := QuoteEnd(p, &escaped); n != len(p)-1 {
					b.Fatal(n)
				}
			})
			out := make([]byte, 0, 1024+block)
			run("unescape", func(b *testing.B) {
				var u Unescaper
				for n, closed := 0, false; !closed; {
					var passed int
					if _, passed, closed, _ = u.Read(out, p[n:], 1024); passed == 0 {
						b.Fatal(n)
					}
					n += passed
				}
			})
		}
	}
}
