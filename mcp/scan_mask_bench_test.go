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

func BenchmarkSkip(b *testing.B) {
	for _, size := range []int{1 << 10, 2 << 10, 64 << 10, 1 << 20} {
		for _, shape := range []string{"rows", "short", "numbers", "nested", "pretty", "strings", "escaped"} {
			p := []byte(skipShapes(size)[shape])[1:]
			for _, counting := range []bool{true, false} {
				b.Run(fmt.Sprintf("%s/%s/%dKB", map[bool]string{true: "count", false: "skip"}[counting], shape, size>>10), func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(len(p)))
					for b.Loop() {
						var k skipper
						k.begin(counting)
						if n, closed := k.skip(p); !closed || n != len(p) {
							b.Fatal(n, closed)
						}
					}
				})
			}
		}
	}
}

// BenchmarkQuote passes over a text that holds JSON, as most results do.
func BenchmarkQuote(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 2 << 10, 64 << 10, 1 << 20} {
		for shape, text := range map[string]string{
			"escaped": strings.ReplaceAll(rowsOf(size), `"`, `\"`),
			"plain":   strings.Repeat("abcdefgh", size/8),
		} {
			p := []byte(text + `"`)
			b.Run(fmt.Sprintf("%s/%dKB", shape, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					var escaped bool
					if n := quoteOrEnd(p, &escaped); n != len(p)-1 {
						b.Fatal(n)
					}
				}
			})
		}
	}
}
