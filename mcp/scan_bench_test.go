package mcp

import (
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

// benchResults are results of about size bytes: rows as structured content, as
// the text that servers of one language send and the spec wants beside it, and
// both.
func benchResults(size int) map[string]string {
	structured := func(n int) string { return `"structuredContent":{"rows":` + rowsOf(n) + `}` }
	text := func(n int) string {
		return `"content":[{"type":"text","text":"` + strings.ReplaceAll(`{"rows":`+rowsOf(n)+`}`, `"`, `\"`) + `"}]`
	}
	return map[string]string{
		"rows": `"content":[],` + structured(size),
		"text": text(size),
		"both": text(size/2) + "," + structured(size/2),
	}
}

func BenchmarkScan(b *testing.B) {
	rules := []struct {
		name, shape string
		rule        Rule
	}{
		{"count", "rows", Rule{Tool: "*", Tables: []string{"arguments.table"}, Records: []string{"result.structuredContent.rows.#"}}},
		{"skip", "rows", Rule{Tool: "*", Tables: []string{"arguments.table"}}},
		{"each", "rows", Rule{Tool: "*", Tables: []string{"result.structuredContent.rows.#.name"}}},
		{"count", "both", Rule{Tool: "*", Records: []string{"result.structuredContent.rows.#"}}},
		{"skip", "text", Rule{Tool: "*"}},
		{"fromstr", "text", Rule{Tool: "*", Records: []string{"result.content.0.text|@fromstr|rows.#"}}},
	}
	for _, size := range []int{2 << 10, 64 << 10, 1 << 20} {
		shapes := benchResults(size)
		for _, r := range rules {
			e, err := newExtractor(r.rule)
			if err != nil {
				b.Fatal(err)
			}
			message := `{"jsonrpc":"2.0","id":1,"result":{` + shapes[r.shape] + `,"isError":false}}`
			for format, body := range map[Format]string{JSON: message, SSE: "event: message\ndata: " + message + "\n\n"} {
				b.Run(fmt.Sprintf("%s/%s/%dKB/%s", r.name, r.shape, size>>10, [...]string{"JSON", "SSE"}[format]), func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(len(body)))
					var s Scanner
					var replies int
					found := func(*Reply) { replies++ }
					p := []byte(body)
					for b.Loop() {
						s.Reset(format, Calls, e)
						for q := p; len(q) > 0; {
							n := min(len(q), 32<<10) // as httputil.ReverseProxy copies
							s.Scan(q[:n], found)
							q = q[n:]
						}
					}
					if replies != b.N {
						b.Fatalf("%d replies in %d bodies", replies, b.N)
					}
				})
			}
		}
	}
}

func BenchmarkFromParams(b *testing.B) {
	e, err := newExtractor(Rule{Tool: "*", Tables: []string{"arguments.table"}})
	if err != nil {
		b.Fatal(err)
	}
	params := []byte(`{"name":"query_table","arguments":{"table":"stock_daily","where":"ts_code = '000001.SZ'","limit":100},"_meta":{"progressToken":1}}`)
	b.ReportAllocs()
	for b.Loop() {
		if f := e.FromParams(params); len(f.Tables) != 1 {
			b.Fatal(f)
		}
	}
}

func BenchmarkFor(b *testing.B) {
	var rules []Rule
	for i := range 1000 {
		rules = append(rules, Rule{Tool: fmt.Sprintf("tool%d_*", i)})
	}
	x, err := NewExtractors(rules)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if x.For("tool999_query") == nil {
			b.Fatal("no rule")
		}
	}
}
