package mcp

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestFactsStored holds that facts which were stored in between merge with what
// a reply tells as those that were not.
func TestFactsStored(t *testing.T) {
	x, err := NewExtractors([]Rule{{
		Tool:    "*",
		Tables:  []string{"arguments.table", "arguments.sql|@sql", "result.structuredContent.table"},
		Records: []string{"result.structuredContent.rows.#", "arguments.limit", "=1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := x.For("t")
	for _, params := range []string{
		`{"arguments":{"table":"a"}}`, `{"arguments":{"table":7,"sql":"SELECT 1 FROM b, c"}}`, `{"arguments":{"sql":"no query"}}`,
		`{"arguments":{"limit":5}}`, `{}`,
	} {
		for _, result := range []string{`{"structuredContent":{"table":"z","rows":[1,2]}}`, `{"structuredContent":{"rows":{}}}`, `{}`} {
			f := e.FromParams([]byte(params))
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			var stored Facts
			if err := json.Unmarshal(text, &stored); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(f, stored) {
				t.Errorf("%s: %+v comes back as %+v", params, f, stored)
			}
			var s Scanner
			s.Reset(JSON, Calls, e)
			s.Scan([]byte(`{"jsonrpc":"2.0","id":1,"result":`+result+`}`), func(r *Reply) {
				want, got := f.Merge(r.Facts(e)), stored.Merge(r.Facts(e))
				if !reflect.DeepEqual(want, got) {
					t.Errorf("%s with %s: %+v, stored in between %+v", params, result, want, got)
				}
			})
		}
	}
}
