package scan_test

import (
	"fmt"

	"github.com/tallygate/tallygate/mcp/scan"
)

// The tables come from the request and the number of records from the reply,
// which may arrive in chunks of any size.
func Example() {
	extractors, err := scan.NewExtractors([]scan.Rule{{
		Tool:    "report_*",
		Tables:  []string{"arguments.source"},
		Records: []string{"result.structuredContent.lines.#"},
	}})
	if err != nil {
		panic(err)
	}
	extractor := extractors.For("report_daily")
	facts := extractor.FromParams([]byte(`{"name":"report_daily","arguments":{"source":"sales"}}`))

	var scanner scan.Scanner
	scanner.Reset(scan.JSON, scan.Calls, extractor)
	for _, chunk := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"li`,
		`nes":[{"n":1},{"n":2},{"n":3}]}}}`,
	} {
		scanner.Scan([]byte(chunk), func(r *scan.Reply) { facts = facts.Merge(r.Facts(extractor)) })
	}
	fmt.Println(facts.Tables, facts.Records, facts.RecordsKnown)
	// Output: [sales] 3 true
}

// A tool's query names its tables. Of several paths for the number of records,
// the first that is known counts.
func ExampleRule() {
	extractors, err := scan.NewExtractors([]scan.Rule{{
		Tool:    "run_query",
		Tables:  []string{"arguments.sql|@sql"},
		Records: []string{"result.structuredContent.count", "result.structuredContent.rows.#"},
	}})
	if err != nil {
		panic(err)
	}
	extractor := extractors.For("run_query")
	request := `{"name":"run_query","arguments":{"sql":"SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer"}}`
	for _, result := range []string{`{"count":12,"rows":[{"id":1}]}`, `{"rows":[{"id":1},{"id":2}]}`, `{}`} {
		facts := extractor.FromParams([]byte(request))
		var scanner scan.Scanner
		scanner.Reset(scan.JSON, scan.Calls, extractor)
		reply := `{"jsonrpc":"2.0","id":1,"result":{"structuredContent":` + result + `}}`
		scanner.Scan([]byte(reply), func(r *scan.Reply) { facts = facts.Merge(r.Facts(extractor)) })
		if facts.RecordsKnown {
			fmt.Println(facts.Tables, facts.Records)
		} else {
			fmt.Println(facts.Tables, facts.RecordsUnknown)
		}
	}
	// Output:
	// [orders customers] 12
	// [orders customers] 2
	// [orders customers] not_found
}

// A path that cannot give what it is used for is an error that names the tool
// and the path.
func ExampleNewExtractors_error() {
	_, err := scan.NewExtractors([]scan.Rule{{Tool: "run_query", Tables: []string{"result.#"}}})
	fmt.Println(err)
	// Output: tool "run_query": table: path "result.#": it gives a number, no table name; write #.name for a name in each element
}
