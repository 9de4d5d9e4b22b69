package mcp

import (
	"fmt"
	"strings"
	"testing"
)

// callOf is a tools/call of about so many bytes, whose arguments are filled by
// a function that appends more.
func callOf(size int, more func(*strings.Builder)) string {
	var s strings.Builder
	s.WriteString(`{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"query_daily","_meta":{"progressToken":17},"arguments":{"table":"daily","filter":{"code":"600000.SH","from":"2026-01-01","to":"2026-06-30"},"limit":100,"data":[0`)
	for s.Len() < size-4 {
		more(&s)
	}
	s.WriteString(`]}}}`)
	return s.String()
}

// text is prose with a line's end and a character beyond ASCII now and then.
func text(s *strings.Builder) {
	s.WriteString(`,"` + strings.Repeat("Select the closing price of every trading day, then group it. ", 15) + `Größe\n"`)
}

func chinese(s *strings.Builder) {
	s.WriteString(`,"` + strings.Repeat("查询每个交易日的收盘价,然后分组。", 20) + `"`)
}

// rows are many small objects.
func rows(s *strings.Builder) {
	s.WriteString(`,{"code":"600000.SH","date":"2026-01-02","open":10.52,"close":10.61,"volume":1283400,"adjusted":true}`)
}

func BenchmarkRead(b *testing.B) {
	for _, bb := range []struct {
		name string
		body string
	}{
		{"ping", `{"jsonrpc":"2.0","id":1,"method":"ping"}`},
		{"text/2KB", callOf(2<<10, text)},
		{"text/64KB", callOf(64<<10, text)},
		{"text/1MB", callOf(1<<20, text)},
		{"chinese/64KB", callOf(64<<10, chinese)},
		{"rows/2KB", callOf(2<<10, rows)},
		{"rows/64KB", callOf(64<<10, rows)},
		// Hostile bodies.
		{"names/4MB", flood("")},
		{"names-escaped/4MB", flood(`\u0061`)},
		{"objects/4MB", callOf(4<<20, func(s *strings.Builder) { s.WriteString(`,{"\n":1}`) })},
		{"batch/4MB", batchOf(4 << 20)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			data := []byte(bb.body)
			var body Body
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := body.Read(data, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// flood is a body of 4 MiB that is one object of as many names as fit.
func flood(prefix string) string {
	var s strings.Builder
	s.WriteString(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":0`)
	for i := 0; s.Len() < 4<<20-30; i++ {
		fmt.Fprintf(&s, `,"%s%x":0`, prefix, i)
	}
	s.WriteString(`}}`)
	return s.String()
}

// batchOf is a batch of about so many bytes, of the smallest requests.
func batchOf(size int) string {
	var s strings.Builder
	s.WriteString(`[{"jsonrpc":"2.0","id":0,"method":""}`)
	for i := 1; s.Len() < size-45; i++ {
		fmt.Fprintf(&s, `,{"jsonrpc":"2.0","id":%d,"method":""}`, i)
	}
	s.WriteString(`]`)
	return s.String()
}

func BenchmarkIDKey(b *testing.B) {
	for _, id := range []string{`1`, `"0192e4a0-7c1b"`, `1e3`} {
		b.Run(id, func(b *testing.B) {
			raw := []byte(id)
			b.ReportAllocs()
			for b.Loop() {
				IDKey(raw)
			}
		})
	}
}
