package scan

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/tallygate/tallygate/mcp"
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

// TestFromCall: a call as it was read tells what its params' text tells.
func TestFromCall(t *testing.T) {
	x, err := NewExtractors([]Rule{
		{Tool: "a", Tables: []string{"arguments.table", "=b"}, Records: []string{"arguments.limit", "=1"}},
		{Tool: "c", Tables: []string{"result.table"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"a", "c", "d"} {
		for _, params := range []string{
			`{"name":"t"}`, `{"name":"t","arguments":null}`, `{"name":"t","arguments":[]}`, `{"name":"t","arguments":{}}`,
			`{"name":"t", "arguments": {"table":"x","limit":5},"_meta":{"table":"y"}}`, `{"arguments":{"sql":"SELECT 1 FROM b, c","limit":-1},"name":"t"}`,
			`{"name":"t","arguments":{"tables":["x","y","x"],"table":7}}`,
		} {
			var body mcp.Body
			if err := body.Read([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`), false); err != nil {
				t.Fatal(err)
			}
			e := x.For(tool)
			if got, want := e.FromCall(&body.Messages[0]), e.FromParams([]byte(params)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s: %+v, want %+v", tool, params, got, want)
			}
		}
	}
}
