package scan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// countRows scans a result whose only content is the text, in pieces, and returns
// what a records term finds: -1 and a reason when unknown.
func countRows(t testing.TB, term, text string, piece int) (int64, Reason) {
	t.Helper()
	e := mustExtractor(t, Rule{Records: []string{term}})
	spelled, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"id":1,"result":{"content":[{"type":"text","text":` + string(spelled) + `}]}}`
	var s Scanner
	s.Reset(JSON, Calls, e)
	n, why := int64(-2), Known
	for p := body; len(p) > 0; p = p[min(piece, len(p)):] {
		s.Scan([]byte(p[:min(piece, len(p))]), func(r *Reply) {
			f := r.Facts(e)
			if n, why = f.Records, f.RecordsUnknown; !f.RecordsKnown {
				n = -1
			}
		})
	}
	return n, why
}

func TestRowsInTexts(t *testing.T) {
	const csv, tsv, markdown, ndjson, python = "@csv|#", "@tsv|#", "@markdown|#", "@ndjson|#", "@python|#"
	for _, c := range []struct {
		modifier, text string
		rows           int64 // -1: it is not of that format
	}{
		{csv, "a,b\n1,2\n3,4\n", 2},
		{csv, "a,b\r\n1,2\r\n3,4", 2},
		{csv, "a,b", -1}, // or "Sorry, no rows"
		{csv, "a,b\n\n\r\n", -1},
		{csv, "a,b\n1,\"x\ny,\"\"z\"\"\"\n", 1},
		{csv, "a,b\n,\n", 1},
		{csv, "", -1},
		{csv, "\n", -1},
		{csv, "a,b\n1\n", -1},                    // ragged
		{csv, "a,b\n1,2,3\n", -1},                // ragged
		{csv, "a,b\n1,2\n\n3,4\n", -1},           // an empty line inside
		{csv, "a,b\n1,\"2", -1},                  // cut off
		{csv, "a,b\n1,\"2\"x\n", -1},             // a quote where none can be
		{csv, "a,b\n1,2\"\n", -1},                // the same
		{csv, "a,b\n1,2\r3,4\n", -1},             // a lone CR
		{csv, "Query result:\na,b\n1,2\n", -1},   // prose in front
		{csv, "```csv\na,b\n1,2\n```", -1},       // a fence
		{csv, "name\nalice\nbob", -1},            // one column could be any text
		{csv, "Query executed successfully", -1}, // as here
		{"@csv:1|#", "name\nalice\nbob\n", 2},
		{"@csv:1|#", "name\nalice\n\nbob\n", -1}, // is it a value?
		{"@csv:1|#", "name\nalice\n\n", -1},
		{"@csv:3|#", "a,b\n1,2\n", -1},
		{"@fenced|@csv|#", "Here it is:\n```csv\na,b\n1,2\n3,4\n```\nAnything else?", 2},
		{"@fenced|@csv|#", "~~~~\na,b\n1,2\n~~~\n3,4\n~~~~", -1},
		{"@fenced|@csv|#", "   ```\na,b\n1,2\n  `````  \n", 1},
		{"@fenced|@csv|#", "```\na,b\n1,2\n", -1},                                // no end
		{"@fenced|@csv|#", "```\na,b\n```\n```\na,b\n```", -1},                   // which one?
		{"@fenced|@csv|#", "a,b\n1,2\n", -1},                                     // no fence
		{"@fenced|@csv|#", "``` a`b\na,b\n```", -1},                              // is no fence
		{"@fenced|@csv|#", strings.Repeat("x", 999) + "\n```\na,b\n1,2\n```", 1}, // a long line in front
		{"@tagged:data|@fromstr|#", "Beware:\n\n<data-1f>\n[1,2]\n</data-1f>\n\nSo far.", 2},
		{"@tagged:data|@fromstr|#", "Beware: <data>\n<data>\n[1,2]\n</data>", 2},
		{"@tagged:data|@fromstr|#", "<data-1>\n[1,2]\n</data-2>", -1},
		{"@tagged:data|@fromstr|#", "<data>\n[1,2]", -1},
		{"@tagged:data|@fromstr|#", "<data>\n[1,2\n</data>", -1},
		{"@tagged:data|@fromstr|#", "[1,2]", -1},
		{"@fromstr|@tagged:data|@fromstr|#", `"<data>\n[1,2,{\"a\":\"\\n\"}]\n</data>"`, 3},
		{"@fromstr|result|@tagged:data|@fromstr|rows.#", `{"result":"<data>\n{\"rows\":[[],[]]}\n</data>"}`, 2},
		{tsv, "a\tb\n1\t\"\n", 1},
		{tsv, "a\tb\n1\n", -1},
		{tsv, "a,b\n1,2\n", -1},
		{markdown, "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n", 2},
		{markdown, "| a | b |\r\n| :-- | --: |\r\n| 1 | 2 |", 1},
		{markdown, "a | b\n--- | ---\n1 | 2", 1},
		{markdown, "|a|\n|-|\n|1|", 1},
		{markdown, "| a |\n|---|", 0},
		{markdown, "Two rows:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\nAnd one:\n| a |\n|---|\n| 5 |", 3},
		{markdown, "| a \\| b | c |\n|---|---|\n| 1 | 2 |", 1},
		{markdown, "| a | b |\n|---|\n| 1 | 2 |", -1}, // two cells, one dash
		{markdown, "| a | b |\n| 1 | 2 |", -1},        // no delimiter row
		{markdown, "|\n|\n|\n", -1},
		{markdown, "a\n---\nb", -1},                                 // a heading
		{markdown, "| a | b |\n|---|---|\n| 1 | 2 |\n2 rows", -1},   // is that a row?
		{markdown, "```\n| a | b |\n|---|---|\n| 1 | 2 |\n```", -1}, // code
		{markdown, "    | a | b |\n    |---|---|\n", -1},            // code
		{markdown, "", -1},
		{markdown, "No rows.", -1},
		{markdown, "+---+---+\n| a | b |\n+---+---+\n| 1 | 2 |\n+---+---+", -1}, // of psql
		{"@fenced|@markdown|#", "Here:\n```markdown\n| a | b |\n|---|---|\n| 1 | 2 |\n```", 1},
		{"@markdown:only|#", "\n| a | b |\n|---|---|\n| 1 | 2 |\n\n", 1},
		{"@markdown:only|#", "One row:\n| a | b |\n|---|---|\n| 1 | 2 |", -1},
		{"@markdown:only|#", "| a | b |\n|---|---|\n| 1 | 2 |\n\nOne row.", -1},
		{"@markdown:only|#", "| x |\n| a | b |\n|---|---|\n| 1 | 2 |", -1},
		{ndjson, "{\"a\":1}\n{\"a\":\"}\"}\n", 2},
		{ndjson, " [1,2] \r\n\r\n\t{}", 2},
		{ndjson, "", 0},
		{ndjson, "{\n\"a\":1\n}", -1},    // JSON over lines
		{ndjson, "{}{}", -1},             // no line between them
		{ndjson, "1\n2\n", -1},           // could be anything
		{ndjson, "2 rows:\n{}\n{}", -1},  // prose in front
		{ndjson, "{}\n{\"a\":", -1},      // cut off
		{"@ndjson:2|#", "{\"a\":1}", -1}, // one object could be anything
		{"@ndjson:2|#", "{}\n{}", 2},
		{python, "[{'a': 1, 'b': None}, {'a': \"it's\"}]", 2},
		{python, "[(1, Decimal('2.5')), (3, datetime.date(2024, 1, 2))]", 2},
		{python, "[]", 0},
		{python, "[{'a': (1,), 'b': {1, 2}, 'c': b'\\x00', 'd': [], 3: -1e-07}, {}]", 2},
		{python, "[(datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), UUID('x'), nan, -inf, True)]", 1},
		{python, "[(1)]", -1},
		{python, "[<object at 0x7f>]", -1},
		{python, "[1e10, Decimal('1'), array('i', [1, 2])]", 3},
		{python, "[see a, b]", -1},
		{python, "[,]", -1},
		{python, "[1,]", -1},
		{python, "[01]", -1},
		{python, "[true]", -1},
		{python, "['a\nb']", -1},
		{python, "{'rows': [1]}", -2}, // a dict
		{"@python|rows.#", "{'rows': [1, 2]}", 2},
		{"@python|0.n", "[{'n': 7}]", 7},
		{python, " [ 1 , 2 ] \n", 2},
		{python, "['a,b', 'c\\'d, e']", 2},
		{python, "[1, 2", -1},
		{python, "(1, 2)", -1},
		{python, "[1, 2] rows", -1},
		{python, "[1,, 2]", -1},
		{python, "[\"a\"]", -1}, // JSON
		{python, "No results", -1},
		{"@fromstr|#", "[1,2,3]", 3},
		{"@fromstr|#", "```json\n[1,2,3]\n```", -1},
		{"@fenced|@fromstr|#", "3 rows:\n\n```json\n[\n  1,\n  2,\n  3\n]\n```\n", 3},
		{"@fromstr|#", "[(1, 'a'), (2, 'b')]", -1},
		{"@fromstr|#", "[see a, b]", -1},
		{"@fromstr|#", "[,]", -1},
		{"@fromstr|#", "[1, 2, \"\\x\"]", -1},
		{"@fromstr|#", "[1, nul]", -1},
		{"@fromstr|#", "[1, 2] ", 2},
		{"@fromstr|#", "[1, 2]\n[3]", -1},
		{"@embedded|#", "[1,2,3]", 3},
		{"@embedded|#", "Retrieved 3 rows.\n\nResults:\n[1,\n2,3]\n\nBye.", 3},
		{"@embedded|#", "Two:\n[1]\n[2]", -1},
		{"@embedded|#", "[1] and more", -1},
		{"@embedded|#", "Results: [1]", -1},
		{"@embedded|#", "5\n[1]", -1},    // below what may be a header of CSV
		{"@embedded|#", "rows\n[1]", -1}, // likewise
		{"@embedded|#", "5:\n\n[1]\nrows", 1},
		{"@embedded|#", "[1, NaN, -Infinity]", 3},
		{"@norows", "No rows returned", 0},
		{"@norows", "SQL executed successfully. Retrieved 0 rows.", 0},
		{"@norows", "Retrieved 5 rows.", -1},
		{"@norows", "No rows returned; 3 rows in all", -1},
		{"@norows", "None", -1},
		{"@affected", "Query OK, 1 row affected (0.01 sec)", 1},
		{"@affected", "Success: 3 rows affected", 3},
		{"@affected", "Affected rows: 2, Last insert ID: 7", 2},
		{"@affected", "2 row(s) updated.", 2},
		{"@affected", "Rows affected: -1", -1},
		{"@affected", "2 rows affected, then 3 rows affected", -1},
		{"@affected", "2 rows", -1},
		{"@affected", strings.Repeat("x", 512) + " 2 rows affected", -1},
		{"@embedded|#", "[see below]\n[1]", -1},
		{"@html|#", "<p>Rows:</p><table class=\"a>b\"><thead><tr><th>a</th></tr></thead><tbody>\n<tr><td>1 < 2</td></tr>\n<tr><td>2</td></tr></tbody></table>", 2},
		{"@html|#", "<table><tr><td>1<tr><td>2</table>", 2},
		{"@html|#", "<table><tr><td>1</td></tr>", -1},
		{"@html|#", "<table><tr><td><table></table></td></tr></table>", -1},
		{"@html|#", "<table><tr><td>1</td></tr></table><", 1},
		{"@html|#", "<table><tr><td>1</td></tr></table></", 1},
		{"@html|#", "<table></\n</table>", -1},
		{"@html|#", "<table><tr><td>1</td></tr><tfoot><tr><td>1</td></tr></tfoot></table>", -1},
		{"@html|#", "<!-- <table><tr><td>1</td></tr></table> -->", -1},
		{"@html|#", "No rows.", -1},
		{"@yaml|#", "- id: 1\n  name: Ada\n- id: 2\n  name: |\n    - Bob\n\n    x\n", 2},
		{"@yaml|#", "---\n- {a: 1}\n- [1, 2]\n- - 1\n  - 2\n# end\n", 3},
		{"@yaml|#", "[]\n", 0},
		{"@yaml|#", "- buy milk\n- sell it\n", -1},
		{"@yaml|#", "rows:\n- id: 1\n", -1},
		{"@yaml|#", "Rows:\n\n- id: 1\n", -1},
		{"@yaml|#", "", -1},
		{"@vertical|#", "1. row\nid: 1\nname: Ada\n\n2. row\nid: 2\nname: x\ny\n\nResult: 2 rows", 2},
		{"@vertical|#", "1. row\nid: 1\n\nResult: 3 rows", -1},
		{"@vertical|#", "1. row\nid: 1\n\nResult: showing first 1 rows (output truncated)", 1},
		{"@vertical|#", "1. row\nid: 1\n\n3. row\nid: 2\n", -1},
		{"@vertical|#", "*************************** 1. row ***************************\nid: 1\n", 1},
		{"@vertical|#", "No rows returned", -1}, // @norows
		{"@vertical|#", "No rows returned\n1. row\nid: 1\n", -1},
		{"@vertical|#", "No rows returned, since there is no such table", -1},
		{"@fromstr|@ndjson|#", `"{}\n{}\n"`, 2},
		{"@fromstr|@csv|#", `"a,b\n1,2\n"`, 1},
	} {
		want, why := c.rows, Known
		switch want {
		case -1:
			why = WrongFormat
		case -2:
			want, why = -1, WrongType
		}
		for _, piece := range []int{1, 2, 7, 1 << 20} {
			n, got := countRows(t, "result.content.0.text|"+c.modifier, c.text, piece)
			if n != want || got != why {
				t.Errorf("%s of %q in pieces of %d: %d %v, want %d %v", c.modifier, c.text, piece, n, got, want, why)
			}
		}
	}
}

// pieces of texts that make CSV, Markdown and the rest, and what comes near.
var textPieces = map[string][]string{
	"csv":      {"a,b\n", "a,b\n", "1,2\n", "1,2\r\n", ",\n", "\"x\",y\n", "\"x\n,\"\"\",y\n", "\n", "a", ",", "\"", "\r", "\t", "name\n", "a,b,c\n"},
	"tsv":      {"a\tb\n", "a\tb\n", "1\t2\n", "\t\n", "\"\t\"\n", "1\t2\r\n", "\n", "\t", "\r", "a\n"},
	"markdown": {"| a | b |\n|---|---|\n", "| a | b |\n", "|---|:-:|\n", "| 1 | 2 |\n", "| 1 | 2 |\r\n", "\n", "a | b\n", "-|-\n", "|a|\n|-|\n", "text\n", "```\n", "~~~~ x\n", "    | a | b |\n", "\t|-|-|\n", "\\|", "|", ":", "-", " ", "> | a | b |\n", "# | a\n", "\\", "``` `\n", "|\n"},
	"ndjson":   {"{\"a\":1}\n", "{\"a\":1}\n", "[1,2]\n", "[\"\\\"}\"]", "\n", " ", "\r\n", "{}", "[\n]", "1\n", "null", "{"},
	"html":     {"<table>", "<table id='x>'>", "</table>", "<tr>", "</tr>", "<td>", "<th>", "</td>", "1 < 2", "<", ">", "</", "<br/>", "<tfoot>", "<!--", "-->", "&lt;", "\n", "<TD >"},
	"yaml":     {"- a: 1\n", "  b: x\n", "- {a: 1}\n", "- [1, 2]\n", "[]\n", "---\n", "# c\n", "\n", "- x\n", "  - y\n", "- - 1\n", "-\n", "a: 1\n", "- a: |\n", "    - z\n"},
	"python":   {"[", "]", "{'a': 1}", ", ", ",", "(1, 'x')", "'it\\'s, '", "\"x\"", "None", " ", "\n", "[]", "[{'a': 1}, {'a': \"'\"}]", "Decimal('1')", "(1,)", "-2.5e-07", "a.b", "f(x=1, y=", ")", "{", "}", ": ", "b'\\x00'", "nan", "'\\u00e9'"},
}

// TestRowsAgree holds the counters against readers of whole texts, which for
// CSV is encoding/csv.
func TestRowsAgree(t *testing.T) {
	modifiers := map[string][]string{
		"csv": {"@csv", "@csv:1"}, "tsv": {"@tsv", "@tsv:1"}, "markdown": {"@markdown", "@markdown:only"},
		"ndjson": {"@ndjson", "@ndjson:2"}, "python": {"@python"}, "html": {"@html"},
	}
	known := map[string]int{}
	checkOften(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{"csv", "tsv", "markdown", "ndjson", "python", "html"}).Draw(t, "format")
		whole := map[string]string{
			"csv": "a,b\n1,\"x,\ny\"\n", "tsv": "a\tb\n1\t2\n", "markdown": "| a | b |\n|---|---|\n| 1 | 2 |\n",
			"ndjson": "{\"a\":1}\n{\"a\":2}\n", "python": "[{'a': 1, 'b': 'it\\'s'}, (2, \"'\")]",
			"html": "<table><tr><th>a</th></tr><tr><td>1</td></tr></table>",
		}[format]
		gen := func() string {
			if rapid.IntRange(0, 3).Draw(t, "whole") == 0 {
				return whole
			}
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(textPieces[format]), 0, 6).Draw(t, "text"), "")
		}
		text := gen()
		path := "|" + rapid.SampledFrom(modifiers[format]).Draw(t, "modifier") + "|#"
		switch rapid.IntRange(0, 5).Draw(t, "within") {
		case 0:
			path = "|@fenced" + path
			fence := rapid.SampledFrom([]string{"```", "~~~~", "```csv", "    ```"}).Draw(t, "fence")
			text = rapid.SampledFrom([]string{"", "Here:\n"}).Draw(t, "before") + fence + "\n" + text + rapid.SampledFrom([]string{"\n", ""}).Draw(t, "lf") + fence[:3] + rapid.SampledFrom([]string{"", "~", "\nThere.", " x"}).Draw(t, "after")
		case 1:
			path = "|@tagged:d" + path
			text = "<d" + rapid.SampledFrom([]string{"", "-1", " x"}).Draw(t, "tag") + ">\n" + text + "\n</d" + rapid.SampledFrom([]string{"", "-1"}).Draw(t, "end") + ">" + rapid.SampledFrom([]string{"", "\n", "."}).Draw(t, "after")
		}
		texts := []string{text}
		for rapid.IntRange(0, 3).Draw(t, "more") == 0 {
			texts = append(texts, gen())
		}
		var contents []string
		for _, text := range texts {
			contents = append(contents, `{"type":"text","text":`+genString(t, text)+`}`)
			if rapid.IntRange(0, 9).Draw(t, "image") == 0 {
				contents = append(contents, `{"type":"image","data":""}`)
			}
		}
		message := `{"id":1,"result":{"content":[` + strings.Join(contents, ",") + `]}}`
		e, err := newExtractor(Rule{Tool: "*", Records: []string{"result.content.0.text" + path, "sum(result.content.#.text" + path + ")"}})
		if err != nil {
			t.Fatal(err)
		}
		want := expectFacts(message, e, rootResult)
		var s Scanner
		got := scanAll(&s, JSON, genPieces(t, message), e)
		if diff := cmp.Diff([]Facts{want}, got[0].Facts, cmpFacts); diff != "" {
			t.Fatalf("%s of %q: %s", path, texts, diff)
		}
		if want.RecordsKnown {
			known[format]++
		}
	})
	for format := range modifiers {
		if known[format] < 10 {
			t.Errorf("%s: %d texts were of that format", format, known[format])
		}
	}
}

func TestSums(t *testing.T) {
	texts := func(texts ...string) string {
		var b strings.Builder
		for _, text := range texts {
			if text == "image" {
				b.WriteString(`,{"type":"image","data":"x"}`)
				continue
			}
			spelled, err := json.Marshal(text)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, `,{"type":"text","text":%s}`, spelled)
		}
		return `{"content":[` + strings.TrimPrefix(b.String(), ",") + `]}`
	}
	const csv = "sum(result.content.#.text|@csv|#)"
	for _, c := range []struct {
		term, result string
		want         int64 // -1: unknown
		why          Reason
	}{
		{csv, texts("a,b\n1,2", "a,b\n1,2\n3,4"), 3, Known},
		{csv, texts("image", "a,b\n1,2", "image"), 1, Known},
		{csv, texts("a,b\n1,2", "That was all."), -1, WrongFormat},
		{csv, texts("That was all.", "a,b\n1,2"), -1, WrongFormat},
		{csv, texts("image"), -1, NotFound},
		{csv, `{"content":[]}`, -1, NotFound},
		{csv, `{"content":[{"text":5}]}`, -1, WrongType},
		{csv, `{"content":{}}`, -1, WrongType},
		{csv, `{}`, -1, NotFound},
		{"sum(result.content.#.text|@fromstr|rows.#)", texts(`{"rows":[1]}`, `{"rows":[2,3]}`), 3, Known},
		{"sum(result.content.#.text|@ndjson|#)", texts(`{"a":1}`, `{"a":2}`), 2, Known}, // a row a text
		{"sum(result.content.#.text|@ndjson|#)", `{"content":[]}`, 0, Known},
		{"sum(result.content.#.text|@ndjson:2|#)", texts(`{"a":1}`, `{"a":2}`), 2, Known},
		{"sum(result.content.#.text|@ndjson:2|#)", texts(`{"a":1}`), -1, WrongFormat},
		{"sum(result.content.#.text|@ndjson:2|#)", `{"content":[]}`, -1, WrongFormat},
		{"sum(result.content.#.text|@embedded|#)", texts("Retrieved 2 rows.\n\nResults:\n[{},{}]", "Query execution time: 3 ms"), 2, Known},
		{"sum(result.content.#.text|@embedded|#)", texts("[{},{}]", "[{}"), -1, WrongFormat},
		{"sum(result.content.#.text|@embedded|#)", texts("None.", "Really."), -1, NotFound},
		{"sum(result.content.#.text|@embedded|results.#.rows.#)", texts(`{"results":[{"rows":[1,2]},{"rows":[3]}]}`, `{"results":[]}`), 3, Known},
		{"sum(result.content.#.text|@embedded|results.#.rows.#)", texts(`{"results":[{"rows":[1,2]},{}]}`), -1, NotFound},
		{"sum(result.content.#.text|@embedded|#.#)", texts(`[[{},{}],[],[{}]]`, `[]`), 3, Known},
		{"sum(result.content.#.text|@embedded|#.#)", texts(`[[{},{}],5]`), -1, WrongType},
		{"sum(result.content.#.text|@affected)", texts("3 rows affected", "Done."), 3, Known},
		{"sum(result.content.#.text|@fromstr|rows.#)", texts(`{"rows":[1]}`, `{"note":1}`), -1, NotFound},
		{"sum(result.content.#.text|@fromstr|n)", texts(`{"n":1}`, `{"n":41}`), 42, Known},
		{"sum(result.sets.#.rows.#)", `{"sets":[{"rows":[1,2]},{"rows":[]},{"x":1,"rows":[3]}]}`, 3, Known},
		{"sum(result.sets.#.rows.#)", `{"sets":[{"rows":[1,2]},{}]}`, -1, NotFound},
		{"sum(result.sets.#.rows.#)", `{"sets":[]}`, 0, Known},
		{"sum(result.sets.#.n)", `{"sets":[{"n":1},{"n":2.0}]}`, 3, Known},
		{"sum(result.sets.#.n)", `{"sets":[{"n":1},{"n":"2"}]}`, -1, WrongType},
		{"sum(result.sets.#.n)", `{"sets":[{"n":9223372036854775807},{"n":1}]}`, -1, OverCap},
		{"sum(result.a, result.b.#)", `{"a":1,"b":[0,0]}`, 3, Known},
		{"sum(result.a, result.b.#)", `{"a":1}`, -1, NotFound},
		{`sum(result.a\,b)`, `{"a,b":4}`, 4, Known},
	} {
		e := mustExtractor(t, Rule{Records: []string{c.term}})
		for _, piece := range []int{1, 1 << 20} {
			var f Facts
			var s Scanner
			s.Reset(JSON, Calls, e)
			body := `{"id":1,"result":` + c.result + `}`
			for p := body; len(p) > 0; p = p[min(piece, len(p)):] {
				s.Scan([]byte(p[:min(piece, len(p))]), func(r *Reply) { f = r.Facts(e) })
			}
			n := f.Records
			if !f.RecordsKnown {
				n = -1
			}
			if n != c.want || f.RecordsUnknown != c.why {
				t.Errorf("%s of %s: %d %v, want %d %v", c.term, c.result, n, f.RecordsUnknown, c.want, c.why)
			}
		}
	}
}

func TestTheFirstThatIsKnownCounts(t *testing.T) {
	e := mustExtractor(t, Rule{
		Tables:  []string{"first(result.t, result.u)"},
		Records: []string{"result.a", "result.text|@fromstr|rows.#", "result.text|@csv|#"},
	})
	for result, want := range map[string]Facts{
		`{"a":1,"t":"x","text":"[]","u":"y"}`:                                {Records: 1, RecordsKnown: true, Tables: []string{"x"}},
		`{"u":"y","text":"{\"rows\":[1,2]}","t":"x","a":1}`:                  {Records: 1, RecordsKnown: true, Tables: []string{"x"}},
		`{"u":["y"],"text":"{\"rows\":[1,2]}","t":[],"a":null}`:              {Records: 2, RecordsKnown: true, Tables: []string{"y"}},
		`{"text":"a,b\n1,2\n"}`:                                              {Records: 1, RecordsKnown: true, TablesUnknown: NotFound},
		`{"text":"{\"rows\":[1,2]} and more","t":5}`:                         {RecordsUnknown: WrongFormat, TablesUnknown: WrongType},
		`{"a":-1,"text":"{\"n\":1}","t":"` + strings.Repeat("x", 257) + `"}`: {RecordsUnknown: WrongFormat, TablesUnknown: OverCap},
	} {
		var s Scanner
		s.Reset(JSON, Calls, e)
		s.Scan([]byte(`{"id":1,"result":`+result+`}`), func(r *Reply) {
			if diff := cmp.Diff(want, r.Facts(e), cmpUnexported); diff != "" {
				t.Errorf("%s: %s", result, diff)
			}
		})
	}
}
