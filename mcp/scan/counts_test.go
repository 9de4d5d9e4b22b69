package scan

import (
	"encoding/json"
	"strings"
	"testing"
)

// defaultFacts are what the default rule finds in a call, given its arguments
// and its result as JSON.
func defaultFacts(t testing.TB, arguments, result string) Facts {
	t.Helper()
	x, err := NewExtractors(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := x.For("tool")
	f := e.FromParams([]byte(`{"arguments":` + arguments + `}`))
	var s Scanner
	s.Reset(JSON, Calls, e)
	s.Scan([]byte(`{"id":1,"result":`+result+`}`), func(r *Reply) { f = f.Merge(r.Facts(e)) })
	return f
}

// spelledTexts is a result whose contents are the texts.
func spelledTexts(texts ...string) string {
	type content struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	contents := make([]content, len(texts))
	for i, text := range texts {
		contents[i] = content{"text", text}
	}
	spelled, err := json.Marshal(map[string]any{"content": contents})
	if err != nil {
		panic(err)
	}
	return string(spelled)
}

func TestWhatCounts(t *testing.T) {
	const (
		none      = `{"day":"2024-01-02"}`
		query     = `{"sql":"SELECT a FROM t"}`
		write     = `{"sql":"INSERT INTO t VALUES (1)"}`
		writes    = `{"sql":"INSERT INTO t VALUES (1); DELETE FROM t WHERE a = 1"}`
		returning = `{"sql":"UPDATE t SET a = 1 RETURNING a"}`
		ddl       = `{"sql":"CREATE TABLE t (a INT)"}`
		explain   = `{"sql":"EXPLAIN SELECT a FROM t"}`
		mixed     = `{"sql":"SELECT a FROM t; DELETE FROM t WHERE a = 1"}`
		two       = `{"params":{"sqlStatements":["SELECT a FROM t","SELECT b FROM u"]}}`
		unread    = `{"sql":"CALL p(1)"}`
		contents  = `{"content":[{"type":"text","text":"[{'a': 1}, {'a': 2}]"}],"structuredContent":{"result":[{"type":"text","text":"[{'a': 1}, {'a': 2}]","annotations":null,"_meta":null}]}}`
	)
	structured := func(json string) string { return `{"structuredContent":` + json + `}` }
	for _, c := range []struct {
		name, arguments, result string
		want                    int64 // -1: unknown
		why                     Reason
	}{
		{"rows", none, structured(`{"rows":[1,2]}`), 2, Known},
		{"rows of a query", query, structured(`{"rows":[1,2]}`), 2, Known},
		{"no rows of a query", query, structured(`{"rows":[]}`), 0, Known},
		{"no rows of a write", write, structured(`{"rows":[]}`), -1, NotFound},
		{"no rows of what is not understood", unread, structured(`{"rows":[]}`), -1, SQLUnread},
		{"rows of what is not understood", unread, structured(`{"rows":[{},{}]}`), 2, Known},
		{"rows of DDL", ddl, structured(`{"rows":[1,2]}`), -1, NotCounted},
		{"rows of EXPLAIN", explain, spelledTexts(`[{"plan":"…"}]`), -1, NotCounted},
		{"several of different kinds", mixed, structured(`{"rows":[1,2]}`), -1, NotCounted},

		{"a status row of a write", write, spelledTexts(`[{'affected_rows': 3}]`), 3, Known},
		{"a status row without a query", none, spelledTexts(`[{"affected_rows": 3}]`), 3, Known},
		{"a row that looks like one", query, spelledTexts(`[{'affected_rows': 3}]`), 1, Known},
		{"a status row of RETURNING", returning, spelledTexts(`[{'affected_rows': 0}]`), 0, Known},
		{"rows of RETURNING", returning, spelledTexts(`[{'a': 1}, {'a': 1}]`), 2, Known},
		{"a status row that is none", write, spelledTexts(`[{'affected_rows': -1}]`), -1, WrongFormat},
		{"a row with more in it", none, spelledTexts(`[{"affected_rows": 3, "day": 1}]`), 1, Known},
		{"a name that a column has as well", none, spelledTexts(`[{"count": 3}]`), 1, Known},
		{"the same of a write", write, spelledTexts(`[{"Count": 3}]`), 3, Known},
		{"one number of a write", write, spelledTexts(`{"columns":["Count"],"rows":[[3]],"rowCount":1}`), 3, Known},
		{"one number of several writes", writes, spelledTexts(`{"columns":["Count"],"rows":[[3]],"rowCount":1}`), -1, NotCounted},
		{"a tuple of one number", write, spelledTexts(`[(3,)]`), 3, Known},
		{"statistics of a DELETE", write, spelledTexts(`{"columns":["read_rows","written_rows"],"rows":[[0,5]]}`), -1, WrongFormat},
		{"zeros of a write", write, structured(`{"rows":[],"row_count":2}`), 2, Known},
		{"nothing of a write", write, structured(`{"rows":[],"row_count":0}`), -1, NotFound},
		{"affected", write, structured(`{"rowsAffected":4}`), 4, Known},
		{"affected in a text", write, spelledTexts(`{"success":true,"affectedRows":4}`), 4, Known},
		{"affected in words", write, spelledTexts("Success: 4 rows affected"), 4, Known},
		{"affected in words, beside a note", write, spelledTexts("Affected rows: 4, Last insert ID: 0", "Query execution time: 1 ms"), 4, Known},
		{"affected beside rows of a query", query, structured(`{"rows":[1],"changes":9}`), 1, Known},
		{"affected beside no rows", none, structured(`{"rows":[],"affected_rows":9}`), -1, Contradiction},
		{"two that differ", write, `{"content":[{"type":"text","text":"3 rows affected"}],"structuredContent":{"rows":[],"row_count":2}}`, -1, Contradiction},
		{"nothing affected, by a tool without a query", none, spelledTexts("Rows affected: 0"), -1, NotFound},
		{"rows affected in a value of a query", query, spelledTexts(`[{"log":"3 rows affected"}]`), 1, Known},

		{"row_count that differs", query, structured(`{"rows":[1,2],"row_count":9}`), -1, Contradiction},
		{"a total beside a page", query, structured(`{"rows":[1,2],"total":9}`), 2, Known},
		{"row_count alone", query, spelledTexts(`{"row_count":6000}`), -1, WrongFormat},
		{"row_count in rows", query, spelledTexts(`{"row_count":10}`, `{"row_count":20}`), 2, Known},
		{"texts that differ from the structured content", query, `{"content":[{"type":"text","text":"[1,2,3]"}],"structuredContent":{"rows":[1,2]}}`, -1, Contradiction},
		{"texts that do not", query, `{"content":[{"type":"text","text":"[1,2]"}],"structuredContent":{"rows":[1,2]}}`, 2, Known},

		{"contents", query, contents, 2, Known},
		{"contents alone", none, `{"structuredContent":{"result":[{"type":"text","text":"a"}]}}`, -1, WrongType},
		{"rows with a type", none, `{"structuredContent":{"result":[{"type":"text","size":1},{"type":"text","size":2}]}}`, 2, Known},

		{"a list of lists, of two statements", two, spelledTexts(`[[{"a":1},{"a":2}],[],[{"b":1}]]`), 3, Known},
		{"a list of lists, of one", query, spelledTexts(`[[{"a":1},{"a":2}],[{"b":1}]]`), 2, Known},
		{"a list of lists, of nobody knows", none, spelledTexts(`[[{"a":1},{"a":2}],[{"b":1}]]`), -1, WrongType},
		{"rows that are arrays, of two statements", two, spelledTexts(`[[1,2],[3,4]]`), 2, Known},
		{"results", two, spelledTexts(`{"results":[{"rows":[1,2]},{"rows":[3]}]}`), 3, Known},

		{"beside a note", query, spelledTexts(`[{"a":1}]`, "Query execution time: 3 ms"), 1, Known},
		{"behind a sentence", query, spelledTexts("Retrieved 1 rows.\n\nResults:\n[{\"a\":1}]"), 1, Known},
		{"below a header of CSV", query, spelledTexts("value\n[1,2,3]"), -1, WrongFormat},
		{"a value that is a list", none, spelledTexts("[1, 2, 3]"), -1, WrongType},
		{"a list that a query gives", query, spelledTexts("[1, 2, 3]"), 3, Known},
		{"numbered rows", query, spelledTexts("1. row\na: 1\n\n2. row\na: 2\n\nResult: 2 rows"), 2, Known},
		{"no rows, in words", query, spelledTexts("No rows returned"), 0, Known},
		{"no rows, in words, of a write", write, spelledTexts("Retrieved 0 rows."), -1, WrongFormat},
		{"an apology with a comma", query, spelledTexts("Sorry, no such table"), -1, WrongFormat},
		{"an embedded resource", query, `{"content":[{"type":"resource","resource":{"uri":"x://y","mimeType":"application/json","text":"[{\"a\":1},{\"a\":2}]"}}]}`, 2, Known},
		{"one object", query, spelledTexts(`{"a":1}`), -1, WrongFormat},
	} {
		f := defaultFacts(t, c.arguments, c.result)
		n := f.Records
		if !f.RecordsKnown {
			n = -1
		}
		if n != c.want || f.RecordsUnknown != c.why {
			t.Errorf("%s: %d %v by %q, want %d %v\n\t%s\n\t%s", c.name, n, f.RecordsUnknown, f.Line(), c.want, c.why, c.arguments, c.result)
		}
	}
}

// TestRulesOfOperators: the number that a rule points to is what its author
// wants, whatever the statement was; rows are counted by what they mean.
func TestRulesOfOperators(t *testing.T) {
	for _, c := range []struct {
		records, affected, query, result string
		want                             int64 // -1: unknown
	}{
		{"result.n", "", "DELETE FROM t WHERE a = 1", `{"n":5}`, 5},
		{"=1", "", "CREATE TABLE t (a INT)", `{}`, 1},
		{"result.rows.#", "", "DELETE FROM t WHERE a = 1", `{"rows":[]}`, -1},
		{"result.rows.#", "result.n", "DELETE FROM t WHERE a = 1", `{"rows":[],"n":3}`, 3},
		{"result.rows.#", "result.n", "SELECT a FROM t", `{"rows":[1],"n":3}`, 1},
		{"result.rows.#", "result.text|@affected", "DELETE FROM t WHERE a = 1", `{"text":"3 rows affected"}`, 3},
		{"result.rows.#", "=2", "DELETE FROM t WHERE a = 1", `{}`, 2},
	} {
		r := Rule{Tool: "*", Tables: []string{"arguments.sql|@sql"}, Records: []string{c.records}}
		if c.affected != "" {
			r.Affected = []string{c.affected}
		}
		e := mustExtractor(t, r)
		f := e.FromParams([]byte(`{"arguments":{"sql":"` + c.query + `"}}`))
		var s Scanner
		s.Reset(JSON, Calls, e)
		s.Scan([]byte(`{"id":1,"result":`+c.result+`}`), func(r *Reply) { f = f.Merge(r.Facts(e)) })
		n := f.Records
		if !f.RecordsKnown {
			n = -1
		}
		if n != c.want || f.Line() != "" {
			t.Errorf("%+v: %d by %q", c, n, f.Line())
		}
	}
}

// TestSecondSign: two or three bare words are a statement only if something
// else says so.
func TestSecondSign(t *testing.T) {
	rows := spelledTexts(`[{"a":1},{"a":2}]`)
	for _, c := range []struct {
		arguments, result string
		tables            string
	}{
		{`{"query":"delete from cart"}`, rows, ""},
		{`{"query":"delete from cart"}`, spelledTexts("2 rows affected"), "cart"},
		{`{"query":"DELETE FROM cart"}`, spelledTexts("Done"), "cart"},
		{`{"query":"drop table cart"}`, spelledTexts("Done"), ""},
		{`{"query":"DROP TABLE cart"}`, spelledTexts("Done"), "cart"},
		{`{"query":"DROP TABLE CART"}`, spelledTexts("Done"), ""},
		{`{"sql":"drop table cart"}`, spelledTexts("Done"), "cart"},
		{`{"query":"describe cart"}`, rows, "cart"},
		{`{"query":"describe cart"}`, spelledTexts("A cart has wheels."), ""},
		{`{"query":"how do I select a plan from the list"}`, rows, ""},
		{`{"query":"weather in Paris","index":"cities"}`, rows, "cities"},
		{`{"collection":"orders","filter":{}}`, rows, "orders"},
	} {
		if f := defaultFacts(t, c.arguments, c.result); strings.Join(f.Tables, ",") != c.tables {
			t.Errorf("%s and %s: tables %q, want %q", c.arguments, c.result, f.Tables, c.tables)
		}
	}
}
