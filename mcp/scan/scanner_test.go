package scan

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustExtractor(t testing.TB, r Rule) *Extractor {
	t.Helper()
	r.Tool = "*"
	e, err := newExtractor(r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ids scans a body in one piece and returns the ids of its replies.
func ids(format Format, body string) (found []string) {
	var s Scanner
	for _, a := range scanAll(&s, format, [][]byte{[]byte(body)}) {
		found = append(found, a.ID)
	}
	return found
}

func TestReplies(t *testing.T) {
	for name, c := range map[string]struct {
		format Format
		body   string
		want   []string
	}{
		"id of a number":              {JSON, `{"id":-1.5e3,"result":1}`, []string{"-1.5e3"}},
		"id of a string":              {JSON, `{"id":"a\"\u0031","result":null}`, []string{`"a\"\u0031"`}},
		"id null":                     {JSON, `{"id":null,"error":{}}`, []string{"null"}},
		"id of another type":          {JSON, `[{"id":{},"result":1},{"id":[1],"result":1},{"id":true,"result":1}]`, []string{"", "", ""}},
		"id too long":                 {JSON, `{"id":"` + strings.Repeat("1", 511) + `","result":1}`, []string{""}},
		"id behind the result":        {JSON, `{"result":{"id":2},"id":1}`, []string{"1"}},
		"id escaped":                  {JSON, `{"\u0069d":1,"result":2}`, []string{"1"}},
		"no id":                       {JSON, `{"result":{"id":2}}`, nil},
		"no result":                   {JSON, `{"id":1,"error":null}`, nil},
		"a request":                   {JSON, `{"id":1,"result":{},"method":"ping"}`, nil},
		"a notification":              {JSON, `{"method":"notifications/message","params":{"id":1,"result":{}}}`, nil},
		"batch":                       {JSON, ` [ {"id":1,"result":{}} , {"method":"a"},{"id":"1","error":{}} ] `, []string{"1", `"1"`}},
		"empty batch":                 {JSON, `[]`, nil},
		"batch in a batch":            {JSON, `[{"id":1,"result":1},[{"id":2,"result":1}]]`, []string{"1"}},
		"batch of others":             {JSON, `[7,{"id":2,"result":1}]`, nil},
		"a second document":           {JSON, `{"id":1,"result":1}{"id":2,"result":1}`, []string{"1"}},
		"byte-order mark":             {JSON, byteOrderMark + `{"id":1,"result":1}`, []string{"1"}},
		"part of a byte-order mark":   {JSON, byteOrderMark[:2] + `{"id":1,"result":1}`, nil},
		"cut off":                     {JSON, `{"id":1,"result":{"content":[]}`, nil},
		"wrong bracket":               {JSON, `{"id":1,"result":{"content":[]]}`, nil},
		"no colon":                    {JSON, `{"id" 1,"result":{}}`, nil},
		"no value":                    {JSON, `{"id":,"result":{}}`, nil},
		"comma too many":              {JSON, `{"id":1,"result":{},}`, nil},
		"a name that is no string":    {JSON, `{id:1,"result":{}}`, nil},
		"half a literal":              {JSON, `{"id":nul,"result":{}}`, nil},
		"no escape":                   {JSON, `{"id":1,"result":{"resultType":"\x"}}`, nil},
		"no escape in a text":         {JSON, `{"id":1,"result":{"content":"\x"}}`, []string{"1"}}, // skipped
		"no escape in a name":         {JSON, `{"id":1,"\u00zz":1,"result":{}}`, nil},
		"HTML":                        {JSON, `<html>{"id":1,"result":{}}</html>`, nil},
		"empty":                       {JSON, ``, nil},
		"events among others":         {SSE, ": hi\n\nevent: message\nid: 7\ndata: {\"method\":\"notifications/progress\"}\n\ndata: {\"id\":1,\n" + `data: "result":{}}` + "\n\ndata:[{\"id\":2,\"result\":1}]\n\n", []string{"1", "2"}},
		"line ends":                   {SSE, "data:\rdata:{\"id\":1,\r\ndata:\ndata:\"result\":1}\r\r\ndata:{\"id\":2,\"result\":1}\n\n", []string{"1", "2"}},
		"type of the event":           {SSE, "event: endpoint\ndata: {\"id\":1,\"result\":1}\n\nevent\ndata: {\"id\":2,\"result\":1}\n\nevent: messages\ndata: {\"id\":3,\"result\":1}\n\n", []string{"2"}},
		"broken event":                {SSE, "data: {\"id\":1,\n\ndata: oh\n\ndata: {\"id\":2,\"result\":1}\n\n", []string{"2"}},
		"no empty line at the end":    {SSE, `data: {"id":1,"result":1}`, []string{"1"}},
		"other fields":                {SSE, "Data: {\"id\":1,\"result\":1}\ndatas: {\"id\":1,\"result\":1}\n data: {\"id\":1,\"result\":1}\n\n", nil},
		"byte-order mark of a stream": {SSE, byteOrderMark + "data: {\"id\":1,\"result\":1}\n\n", []string{"1"}},
		"byte-order mark inside":      {SSE, "\n" + byteOrderMark + "data: {\"id\":1,\"result\":1}\n\n", nil},
		"part of a mark in a stream":  {SSE, byteOrderMark[:2] + "data: {\"id\":1,\"result\":1}\n\n", nil},
		"JSON in place of a stream":   {SSE, `{"id":1,"result":1}`, nil},
		"a stream in place of JSON":   {JSON, "data: {\"id\":1,\"result\":1}\n\n", nil},
	} {
		if diff := cmp.Diff(c.want, ids(c.format, c.body)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The gate records a call before the piece that completes its result leaves.
func TestFoundDuringTheScanOfTheClosingBrace(t *testing.T) {
	for format, body := range map[Format]string{JSON: `[{"id":1,"result":{"a":{}}}]`, SSE: "data: {\"id\":1,\"result\":{\"a\":{}}}\n\n"} {
		var s Scanner
		s.Reset(format, Calls)
		brace := strings.LastIndex(body, "}")
		for i := range body {
			replies := 0
			s.Scan([]byte(body[i:i+1]), func(*Reply) { replies++ })
			if replies == 1 != (i == brace) {
				t.Errorf("%d replies at byte %d of %s", replies, i, body)
			}
		}
	}
}

func TestTablesOverACap(t *testing.T) {
	e := mustExtractor(t, Rule{Tables: []string{"result.tables", "result.rows.#.t"}, Records: []string{"result.rows.#"}})
	rows := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"t":"t%d"},{"t":"t0"}`, i)
		}
		return "[" + b.String()[1:] + "]"
	}
	for _, c := range []struct {
		result string
		tables int
	}{
		{`{"rows":` + rows(64) + `}`, 64},
		{`{"rows":` + rows(65) + `}`, 0},
		{`{"rows":` + rows(64) + `,"tables":"t7"}`, 64},
		{`{"rows":` + rows(64) + `,"tables":"one more"}`, 0},
		{`{"rows":[{"t":"a"},{"t":"` + strings.Repeat("x", 256) + `"}]}`, 2},
		{`{"rows":[{"t":"a"},{"t":"` + strings.Repeat("x", 257) + `"}]}`, 0},
		{`{"rows":[{"t":"a"},{"t":"` + strings.Repeat("x", 9999) + `"}]}`, 0},
		{`{"tables":["a","a","` + strings.Repeat("é", 128) + `"],"rows":[]}`, 2},
		{`{"tables":["a","` + strings.Repeat("é", 129) + `"],"rows":[]}`, 0},
		{`{"tables":["","\ud800",5,null,["b"],{"t":"c"},"` + "\xff" + `"],"rows":[{"t":""},{}]}`, 1},
	} {
		var s Scanner
		got := scanAll(&s, JSON, [][]byte{[]byte(`{"id":1,"result":` + c.result + `}`)}, e)
		if len(got) != 1 || len(got[0].Facts[0].Tables) != c.tables || !got[0].Facts[0].RecordsKnown {
			t.Errorf("%.80s: %+v, want %d tables", c.result, got, c.tables)
		}
	}
}

func TestWantFromTheNextMessageOn(t *testing.T) {
	first, second := mustExtractor(t, Rule{Records: []string{"result.a"}}), mustExtractor(t, Rule{Records: []string{"result.b"}})
	var s Scanner
	s.Reset(SSE, Calls, first, nil, first)
	var got []Facts
	found := func(r *Reply) { got = append(got, r.Facts(first), r.Facts(second)) }
	s.Scan([]byte(`data: {"id":1,`), found)
	s.Want(first, second)
	s.Scan([]byte("\"result\":{\"a\":1,\"b\":2}}\n\ndata: {\"id\":2,\"result\":{\"a\":3,\"b\":4}}\n\n"), found)
	known := func(n int64) Facts { return Facts{Records: n, RecordsKnown: true} }
	if diff := cmp.Diff([]Facts{known(1), {}, known(3), known(4)}, got, cmpFacts); diff != "" {
		t.Error(diff)
	}
}

func TestFacts(t *testing.T) {
	fromText := Rule{Tables: []string{"result.text", "result.text|@fromstr|t"}, Records: []string{"result.text|@fromstr"}}
	rows := Rule{Records: []string{"result.text|@fromstr|rows.#"}}
	for _, c := range []struct {
		rule   Rule
		result string
		want   Facts
	}{
		{Rule{Records: []string{"result.n"}}, `{"n":0}`, Facts{RecordsKnown: true}},
		{Rule{Records: []string{"result.n"}}, `{"n":41.00}`, Facts{Records: 41, RecordsKnown: true}},
		{Rule{Records: []string{"result.n"}}, `{"n":9223372036854775808}`, Facts{}},
		{Rule{Records: []string{"result.n"}}, `{"n":-1}`, Facts{}},
		{Rule{Records: []string{"result.n"}}, `{"n":1.5}`, Facts{}},
		{Rule{Records: []string{"result.n"}}, `{"n":1e3}`, Facts{}},
		{Rule{Records: []string{"result.n"}}, `{"n":"3"}`, Facts{}},
		{Rule{Records: []string{"result.n"}}, `{"n":null,"n":3}`, Facts{}}, // null is what the path leads to
		{Rule{Records: []string{"result.n.m"}}, `{"n":null,"n":{"m":3},"n":{"m":4}}`, Facts{Records: 3, RecordsKnown: true}},
		{Rule{Records: []string{"result.rows.#"}}, `{"rows":[ ]}`, Facts{RecordsKnown: true}},
		{Rule{Records: []string{"result.rows.#"}}, `{"rows":[","]}`, Facts{Records: 1, RecordsKnown: true}},
		{Rule{Records: []string{"result.rows.#"}}, `{"rows":{"#":5}}`, Facts{}},
		{Rule{Tables: []string{"result.b", "result.a"}}, `{"a":"1","b":["2","1","3"]}`, Facts{Tables: []string{"2", "1", "3"}}},
		{fromText, `{"text":" 12 "}`, Facts{Tables: []string{" 12 "}, Records: 12, RecordsKnown: true}},
		{fromText, `{"text":"12"}`, Facts{Tables: []string{"12"}, Records: 12, RecordsKnown: true}},
		{fromText, `{"text":"12 rows"}`, Facts{Tables: []string{"12 rows"}}},
		{fromText, `{"text":"{\"t\":\"x\"}"}`, Facts{Tables: []string{`{"t":"x"}`, "x"}}},
		{fromText, `{"text":"{\"t\":\"x\"} and more"}`, Facts{Tables: []string{`{"t":"x"} and more`}}},
		{fromText, `{"text":{"t":"x"}}`, Facts{}},
		{rows, `{"text":"{\"rows\":[1,\"\\\"]\",{\"\\u005d\":2}]}"}`, Facts{Records: 3, RecordsKnown: true}},
		{rows, `{"text":"\u007b\u0022rows\u0022:[[1,2]]}"}`, Facts{Records: 1, RecordsKnown: true}},
		{rows, `{"text":"{\"rows\":[1,2"}`, Facts{}},
		{rows, `{"text":"{\"rows\":[1,2]"}`, Facts{}},
		{rows, `{"text":"3 rows: {\"rows\":[1,2]}"}`, Facts{}},
		{rows, `{"text":""}`, Facts{}},
		{rows, `{"text":1,"text":"{\"rows\":[1,2]}"}`, Facts{}}, // looked for once
		{rows, `{"text":"oops","text":"{\"rows\":[1,2]}"}`, Facts{}},
		{rows, `{"text":"oops` + strings.Repeat("!", 2*textChunkSize) + `","text":"{\"rows\":[1,2]}"}`, Facts{}},
		{Rule{Tables: []string{"result.a.0.b", "result.a.#.c"}, Records: []string{"result.a.#"}}, `{"a":[{"c":"x"},{"b":"n","c":"y"}]}`, Facts{Tables: []string{"x", "y"}, Records: 2, RecordsKnown: true}},
	} {
		var s Scanner
		e := mustExtractor(t, c.rule)
		got := scanAll(&s, JSON, [][]byte{[]byte(`{"id":1,"result":` + c.result + `}`)}, e)
		if len(got) != 1 {
			t.Errorf("%s: %d replies", c.result, len(got))
		} else if diff := cmp.Diff(c.want, got[0].Facts[0], cmpFacts); diff != "" {
			t.Errorf("%+v of %s: %s", c.rule, c.result, diff)
		}
	}
}

func TestWhatAReplySays(t *testing.T) {
	for _, c := range []struct {
		body string
		want answered
	}{
		{`{"id":1,"error":{"code":-32602}}`, answered{ID: "1", RPCError: true, HasCode: true, RPCCode: -32602}},
		{`{"id":1,"error":{"code":"no"}}`, answered{ID: "1", RPCError: true}},
		{`{"id":1,"result":null,"error":"no"}`, answered{ID: "1", RPCError: true}},
		{`{"id":1,"result":{"isError":true}}`, answered{ID: "1", ToolError: true}},
		{`{"id":1,"result":{"isError":"true"}}`, answered{ID: "1"}},
		{`{"id":1,"result":{"resultType":"input_required"}}`, answered{ID: "1", ResultType: "input_required"}},
		{`{"id":1,"result":{"resultType":"later"}}`, answered{ID: "1", ResultType: "later"}},
		{`{"id":1,"result":{"resultType":"` + strings.Repeat("x", 65) + `"}}`, answered{ID: "1"}},
		{`{"id":1,"result":{"resultType":"task","taskId":"T\n"}}`, answered{ID: "1", ResultType: "task", TaskID: "T\n"}},
		{`{"id":1,"result":{"task":{"taskId":"T"}}}`, answered{ID: "1", TaskID: "T"}},
		{`{"id":1,"result":{"task":{"taskId":"T"},"taskId":"U"}}`, answered{ID: "1", TaskID: "T"}},
		{`{"id":1,"result":{"taskId":"U","task":{"taskId":"T"}}}`, answered{ID: "1", TaskID: "T"}},
		{`{"id":1,"result":{"taskId":"U","task":{"taskId":""}}}`, answered{ID: "1", TaskID: "U"}},
	} {
		c.want.Size = int64(len(c.body))
		var s Scanner
		if diff := cmp.Diff([]answered{c.want}, scanAll(&s, JSON, [][]byte{[]byte(c.body)}), cmpFacts); diff != "" {
			t.Errorf("%s: %s", c.body, diff)
		}
	}
}

// stream scans head, then unit n times, then tail, from one buffer, and returns
// what is found and how many bytes were allocated meanwhile.
func stream(t *testing.T, format Format, e *Extractor, head, unit string, n int, tail string) (got []answered, allocated uint64) {
	t.Helper()
	var s Scanner
	s.Reset(format, Calls, e)
	found := func(r *Reply) {
		got = append(got, answered{ID: string(r.ID), Size: r.Size, Facts: []Facts{r.Facts(e)}})
	}
	perPiece := max(1, 32<<10/len(unit))
	piece := []byte(strings.Repeat(unit, perPiece))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.Scan([]byte(head), found)
	for ; n >= perPiece; n -= perPiece {
		s.Scan(piece, found)
	}
	s.Scan(piece[:n*len(unit)], found)
	s.Scan([]byte(tail), found)
	runtime.ReadMemStats(&after)
	return got, after.TotalAlloc - before.TotalAlloc
}

func TestLongStreamsInLittleMemory(t *testing.T) {
	// 10 million of these are more than 1 GiB.
	const row = `,{"ts_code":"000001.SZ","name":"a\"]},","trade_date":"2024-01-02","close":10.20,"vol":120000,"n":1,"x":null}`
	count := mustExtractor(t, Rule{Records: []string{"result.structuredContent.rows.#"}})
	each := mustExtractor(t, Rule{Tables: []string{"result.rows.#.name"}, Records: []string{"result.rows.#"}})
	text := mustExtractor(t, Rule{Tables: []string{"result.content.0.text"}, Records: []string{"result.content.0.text|@fromstr|rows.#"}})
	csv := mustExtractor(t, Rule{Records: []string{"result.content.0.text|@csv|#"}})
	sum := mustExtractor(t, Rule{Records: []string{"sum(result.content.#.text|@ndjson|#)"}})
	formats := mustExtractor(t, Rule{Records: []string{
		"result.content.0.text|@markdown|#", "result.content.0.text|@tsv|#", "result.content.0.text|@python|#",
		"result.content.0.text|@fenced|@csv|#", "result.content.0.text|@tagged:x|@ndjson|#", "result.content.0.text|@fromstr|@fenced|@csv|#",
		"result.content.0.text|@html|#", "result.content.0.text|@yaml|#", "result.content.0.text|@vertical|#", "result.content.0.text|@embedded|rows.#",
	}})
	byDefault := mustExtractor(t, DefaultRule)
	const inText = `{"id":1,"result":{"content":[{"text":"`
	quoted := func(s string) string { s = fmt.Sprintf("%q", s); return s[1 : len(s)-1] }
	for name, c := range map[string]struct {
		format           Format
		e                *Extractor
		head, unit, tail string
		n                int
		replies          int
		records          int64 // -1: unknown
	}{
		"10 million rows":      {JSON, count, `{"id":1,"result":{"structuredContent":{"rows":[0`, row, `]}}}`, 10_000_000, 1, 10_000_001},
		"rows in a stream":     {SSE, count, `data: {"id":1,"result":{"structuredContent":{"rows":[0`, row, "]}}}\n\n", 1_000_000, 1, 1_000_001},
		"rows gone through":    {JSON, each, `{"id":1,"result":{"rows":[0`, row, `]}}`, 1_000_000, 1, 1_000_001},
		"rows in a text":       {JSON, text, `{"id":1,"result":{"content":[{"text":"{\"rows\":[0`, quoted(row), `]}"}]}}`, 1_000_000, 1, 1_000_001},
		"rows by default":      {JSON, byDefault, `{"id":1,"result":{"structuredContent":{"results":[0`, row, `]}}}`, 1_000_000, 1, 1_000_001},
		"rows of JSON lines":   {JSON, byDefault, inText, `{\"a\":\"}\"}\n`, `"}]}}`, 1_000_000, 1, 1_000_000},
		"rows of CSV":          {JSON, csv, inText + `a,b`, `\n1,\"\"`, `"}]}}`, 1_000_000, 1, 1_000_000},
		"rows of Markdown":     {JSON, formats, inText + `|a|b|\n|-|-|`, `\n|1|2|`, `"}]}}`, 1_000_000, 1, 1_000_000},
		"rows of Python":       {JSON, formats, inText + `[`, `{'a': 'x'}, `, `0]"}]}}`, 1_000_000, 1, 1_000_001},
		"rows in a fence":      {JSON, formats, inText + "```\\na,b\\n", `1,2\n`, "```\"}]}}", 1_000_000, 1, 1_000_000},
		"rows between tags":    {JSON, formats, inText + `<x>\n`, `[]\n`, `</x>"}]}}`, 1_000_000, 1, 1_000_000},
		"rows of many texts":   {JSON, sum, `{"id":1,"result":{"content":[{"text":"{}"}`, `,{"type":"text","text":"{}\n{}"}`, `]}}`, 200_000, 1, 400_001},
		"rows of HTML":         {JSON, formats, inText + `<table>`, `<tr><td>1 < 2</td></tr>`, `</table>"}]}}`, 1_000_000, 1, 1_000_000},
		"rows of YAML":         {JSON, formats, inText, `- a: 1\n  b: |\n    x\n`, `"}]}}`, 1_000_000, 1, 1_000_000},
		"rows behind prose":    {JSON, formats, inText + `Rows:\n{\"rows\":[0`, `,{\"a\":\"[\"}`, `]}\nThat was all.\n"}]}}`, 1_000_000, 1, 1_000_001},
		"endless tables":       {JSON, formats, inText, `<table>`, `"}]}}`, 1_000_000, 1, -1},
		"endless anchors":      {JSON, formats, inText, `- &a *a\n`, `"}]}}`, 1_000_000, 1, -1},
		"endless dicts":        {JSON, formats, inText, `{'a': `, `"}]}}`, 1_000_000, 1, -1},
		"endless calls":        {JSON, formats, inText + `[`, `f(`, `"}]}}`, 1_000_000, 1, -1},
		"endless prose":        {JSON, byDefault, inText, `0 rows affected:\n`, `"}]}}`, 1_000_000, 1, -1},
		"endless numbers":      {JSON, byDefault, inText, `1. row\n`, `"}]}}`, 1_000_000, 1, -1},
		"endless values":       {JSON, byDefault, inText, `[]`, `"}]}}`, 1_000_000, 1, -1},
		"endless quotes":       {JSON, byDefault, inText, `\"'`, `"}]}}`, 1_000_000, 1, -1},
		"endless field of CSV": {JSON, csv, inText + `a,b\n1,\"`, `xx`, `"}]}}`, 1_000_000, 1, -1},
		"endless line of text": {JSON, formats, inText, ` x`, `"}]}}`, 1_000_000, 1, -1},
		"endless edge":         {JSON, formats, inText, "`", `"}]}}`, 1_000_000, 1, -1},
		"endless tag":          {JSON, formats, inText + `<x`, `x`, `"}]}}`, 1_000_000, 1, -1},
		"endless brackets":     {JSON, formats, inText, `[`, `"}]}}`, 1_000_000, 1, -1},
		"endless lines":        {JSON, formats, inText, `|\n`, `"}]}}`, 1_000_000, 1, -1},
		"endless backslashes":  {JSON, byDefault, inText, `\\\\`, `"}]}}`, 1_000_000, 1, -1},
		"endless line":         {SSE, count, "data: ", `{"id":1,"result":`, "\n\ndata: {\"id\":1,\"result\":{}}\n\n", 1_000_000, 1, -1},
		"endless field":        {SSE, count, "", `data`, "\n\ndata: {\"id\":1,\"result\":{}}\n\n", 1_000_000, 1, -1},
		"endless name":         {JSON, each, `{"id":1,"result":{"`, `ro\u0077s`, `":{}}}`, 1_000_000, 1, -1},
		"endless id":           {JSON, count, `{"id":"`, `\\1`, `","result":{}}`, 1_000_000, 1, -1},
		"endless number":       {JSON, mustExtractor(t, Rule{Records: []string{"result.n"}}), `{"id":1,"result":{"n":1`, `0000`, `}}`, 1_000_000, 1, -1},
		"endless table":        {JSON, text, `{"id":1,"result":{"content":[{"text":"`, `\ud83d`, `"}]}}`, 1_000_000, 1, -1},
		"endless space":        {JSON, count, `{"id":1,"result":{`, " \n", `}}`, 1_000_000, 1, -1},
		"endless escapes":      {JSON, count, `{"id":1,"result":"`, `\"`, `"}`, 1_000_000, 1, -1},
		"endless batch":        {JSON, count, `[{}`, `,{"id":1}`, `,{"id":1,"result":{}}]`, 1_000_000, 1, -1},
		"only CRs":             {SSE, count, "", "\r", "data: {\"id\":1,\"result\":{}}\n\n", 1_000_000, 1, -1},
		"depth bomb":           {JSON, count, `{"id":1,"result":`, `[{"":`, ``, 1_000_000, 0, -1},
		"depth bomb, followed": {JSON, count, `{"id":1,"result":{"structuredContent":{"rows":[`, `[`, ``, 10_000_000, 0, -1},
		"depth bomb, text":     {JSON, text, `{"id":1,"result":{"content":[{"text":"`, `[`, `"}]}}`, 1_000_000, 1, -1},
	} {
		got, allocated := stream(t, c.format, c.e, c.head, c.unit, c.n, c.tail)
		if allocated > 64<<10 {
			t.Errorf("%s: %d bytes allocated", name, allocated)
		}
		if len(got) != c.replies {
			t.Errorf("%s: %d replies, want %d", name, len(got), c.replies)
			continue
		}
		for _, a := range got {
			if f := a.Facts[0]; f.RecordsKnown != (c.records >= 0) || f.RecordsKnown && f.Records != c.records {
				t.Errorf("%s: %+v, want %d records", name, f, c.records)
			}
			if strings.HasPrefix(name, "rows") || strings.HasPrefix(name, "10") {
				if want := int64(len(c.head)+c.n*len(c.unit)+len(c.tail)) - int64(len("data: \n\n"))*int64(c.format); a.Size != want {
					t.Errorf("%s: size %d, want %d", name, a.Size, want)
				}
			}
		}
	}
}

func TestBalancedDepthIsSkipped(t *testing.T) {
	var body bytes.Buffer
	const depth = 1_000_000
	body.WriteString(`{"id":1,"result":{"deep":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `,"n":3}}`)
	var s Scanner
	got := scanAll(&s, JSON, [][]byte{body.Bytes()}, mustExtractor(t, Rule{Records: []string{"result.n"}}))
	if len(got) != 1 || got[0].Facts[0].Records != 3 || got[0].Size != int64(body.Len()) {
		t.Errorf("%+v", got)
	}
}

func TestTextThatIsNoString(t *testing.T) {
	e := mustExtractor(t, Rule{Records: []string{"result.text|@fromstr|rows.#"}})
	var s Scanner
	if got := scanAll(&s, JSON, [][]byte{[]byte(`{"id":1,"result":{"text":"{\"rows\":[]}\x"}}`)}, e); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// The usual: one call, one rule, one message in a few pieces.
func TestScanAllocatesNothing(t *testing.T) {
	e := mustExtractor(t, Rule{Tables: []string{"arguments.table"}, Records: []string{"result.structuredContent.rows.#"}})
	message := `{"jsonrpc":"2.0","id":"abc","result":{"content":[{"type":"text","text":"\"rows\""}],"structuredContent":{"rows":` + rowsOf(2000) + `},"resultType":"complete"}}`
	for format, body := range map[Format]string{JSON: message, SSE: "event: message\ndata: " + message + "\n\n"} {
		var s Scanner
		p := []byte(body)
		replies := 0
		found := func(r *Reply) {
			if f := r.Facts(e); f.RecordsKnown {
				replies++
			}
		}
		run := func() {
			s.Reset(format, Calls, e)
			s.Scan(p[:100], found)
			s.Scan(p[100:], found)
		}
		if n := testing.AllocsPerRun(100, run); n != 0 || replies == 0 {
			t.Errorf("format %d: %v allocations, %d replies", format, n, replies)
		}
	}
}
