package scan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
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
	textIs := func(text string) string {
		return `"content":[{"type":"text","text":"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\n", `\n`).Replace(text) + `"}]`
	}
	text := func(n int) string { return textIs(`{"rows":` + rowsOf(n) + `}`) }
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(`{"rows":`+rowsOf(size*2/3)+`}`), "", "  "); err != nil {
		panic(err)
	}
	textOf := func(line string) string {
		line, _ = strings.CutPrefix(strings.TrimSuffix(fmt.Sprintf("%q", line), `"`), `"`)
		return `"content":[{"type":"text","text":"` + strings.Repeat(line, size/len(line)) + `"}]`
	}
	return map[string]string{
		"prose":    textOf("The company's shares rose by 3 % that day, as they had done before.\n"),
		"csv":      textOf("000001.SZ,2024-01-02,9.75,10.20,Ping An,120000\n"),
		"quoted":   textOf("000001.SZ,2024-01-02,9.75,10.20,\"Ping, An\",120000\n"),
		"markdown": `"content":[{"type":"text","text":"| code | day | close |\n|---|---|---:|\n` + textOf("| 000001.SZ | 2024-01-02 | 10.20 |\n")[len(`"content":[{"type":"text","text":"`):],
		"ndjson":   textOf(`{"ts_code":"000001.SZ","trade_date":"2024-01-02","close":10.20}` + "\n"),
		"rows":     `"content":[],` + structured(size),
		"text":     text(size),
		"pretty":   textIs(pretty.String()),
		// As Python writes it, and with quotes in the values.
		"ascii": textIs(strings.NewReplacer("平安银行", `\u5e73\u5b89 \"\u94f6\u884c\"`).Replace(`{"rows":` + rowsOf(size) + `}`)),
		"both":  text(size/2) + "," + structured(size/2),
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
		{"default", "rows", DefaultRule},
		{"default", "text", DefaultRule},
		{"default", "both", DefaultRule},
		{"default", "pretty", DefaultRule},
		{"default", "ascii", DefaultRule},
		{"default", "prose", DefaultRule},
		{"csv", "csv", Rule{Tool: "*", Records: []string{"result.content.0.text|@csv|#"}}},
		{"csv", "quoted", Rule{Tool: "*", Records: []string{"result.content.0.text|@csv|#"}}},
		{"markdown", "markdown", Rule{Tool: "*", Records: []string{"result.content.0.text|@markdown|#"}}},
		{"default", "markdown", DefaultRule},
		{"ndjson", "ndjson", Rule{Tool: "*", Records: []string{"result.content.0.text|@ndjson|#"}}},
	}
	for _, size := range []int{200, 2 << 10, 64 << 10, 1 << 20} {
		shapes := benchResults(size)
		for _, r := range rules {
			e, err := newExtractor(r.rule)
			if err != nil {
				b.Fatal(err)
			}
			message := `{"jsonrpc":"2.0","id":1,"result":{` + shapes[r.shape] + `,"isError":false}}`
			for format, body := range map[Format]string{JSON: message, SSE: "event: message\ndata: " + message + "\n\n"} {
				b.Run(fmt.Sprintf("%s/%s/%dB/%s", r.name, r.shape, size, [...]string{"JSON", "SSE"}[format]), func(b *testing.B) {
					b.ReportAllocs()
					b.SetBytes(int64(len(body)))
					var s Scanner
					var replies int
					var habits habits
					habit := Habit{}
					if e.isDefault() {
						habit = habits.of("tool")
					}
					found := func(r *Reply) { replies++; r.Facts(e) }
					p := []byte(body)
					for b.Loop() {
						s.Reset(format, Calls, e)
						s.Expect(habit)
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

// BenchmarkGathered is what BenchmarkScan does, by gathering the body and asking
// gjson.
func BenchmarkGathered(b *testing.B) {
	for _, size := range []int{200, 2 << 10, 64 << 10} {
		shapes := benchResults(size)
		for shape, path := range map[string]string{"rows": "result.structuredContent.rows.#", "text": "result.content.0.text|@fromstr|rows.#"} {
			message := []byte(`{"jsonrpc":"2.0","id":1,"result":{` + shapes[shape] + `,"isError":false}}`)
			e := mustExtractor(b, Rule{Records: []string{path}})
			found := int64(0)
			scanned := int64(0)
			b.Run(fmt.Sprintf("%s/%dB/gjson", shape, size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(message)))
				var body bytes.Buffer
				for b.Loop() {
					body.Reset()
					body.Write(message)
					// What a reply is read for, each looked up once.
					rs := gjson.GetManyBytes(body.Bytes(), "id", "method", "error", "result.isError", "result.resultType",
						"result.task", "result.taskId", "result.requestState", path)
					found = rs[8].Int()
				}
			})
			b.Run(fmt.Sprintf("%s/%dB/scanner", shape, size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(message)))
				var s Scanner
				take := func(r *Reply) { scanned = r.Facts(e).Records }
				for b.Loop() {
					s.Reset(JSON, Calls, e)
					s.Scan(message, take)
				}
			})
			if found != scanned || found == 0 {
				b.Fatalf("%d records and %d", found, scanned)
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

// BenchmarkFor looks a tool up among 1,000 rules.
func BenchmarkFor(b *testing.B) {
	for name, glob := range map[string]string{"prefixes of their own": "tool%d_*", "one prefix": "tool*_%d*"} {
		b.Run(name, func(b *testing.B) {
			var rules []Rule
			for i := range 1000 {
				rules = append(rules, Rule{Tool: fmt.Sprintf(glob, i)})
			}
			x, err := NewExtractors(rules)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if x.For("tool999_999query") == nil {
					b.Fatal("no rule")
				}
			}
		})
	}
}
