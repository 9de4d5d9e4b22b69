package toolfilter

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkFilter filters a list of a hundred tools of a kilobyte each, of
// which every other one stays, and a result without a list, as it comes.
func BenchmarkFilter(b *testing.B) {
	listed := tools
	var tools []string
	for i := range 100 {
		name := fmt.Sprint("q", i)
		if i%2 == 1 {
			name = fmt.Sprint("x", i)
		}
		tools = append(tools, fmt.Sprintf(`{"name":%q,"description":%q,"inputSchema":{"type":"object","properties":{"table":{"type":"string"}},"required":["table"]}}`,
			name, strings.Repeat("What it is for. ", 50)))
	}
	list := `{"jsonrpc":"2.0","id":1,"result":{"tools":[` + strings.Join(tools, ",") + `]}}`
	rows := `{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"rows":[` + strings.TrimSuffix(strings.Repeat(`{"a":1,"b":"text"},`, 5000), ",") + `]}}}`
	for _, c := range []struct {
		name, body string
		isStream   bool
	}{
		{"list, JSON", list, false}, {"list, SSE", "data: " + list + "\n\n", true}, {"no list, JSON", rows, false}, {"no list, SSE", "data: " + rows + "\n\n", true},
	} {
		b.Run(c.name, func(b *testing.B) {
			var f Filter
			body := []byte(c.body)
			out := make([]byte, 0, 2*len(body))
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				f.Reset(c.isStream, listed)
				out = out[:0]
				for p := body; len(p) > 0; {
					n := min(32<<10, len(p))
					var err error
					if out, err = f.Append(out, p[:n]); err != nil {
						b.Fatal(err)
					}
					p = p[n:]
				}
			}
		})
	}
}
