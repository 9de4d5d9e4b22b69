package scan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
)

// fuzzExtractors go every kind of way.
var fuzzExtractors = func() (es []*Extractor) {
	for _, r := range []Rule{
		{Tables: []string{"result.a", "result.tables.#.name"}, Records: []string{"result.structuredContent.rows.#"}},
		{Tables: []string{"result.content.0.text|@fromstr|tables", "result.content.0.text"}, Records: []string{"result.content.0.text|@fromstr"}},
		{Tables: []string{"result.a.1", "result.a.0.name"}, Records: []string{"result.content.0.text.@fromstr.rows.#"}},
		{Records: []string{"result.n"}},
		{Records: []string{"sum(result.content.#.text|@fromstr|rows.#)", "sum(result.content.#.text|@ndjson|#)", "sum(result.tables.#.n)"}},
		{Tables: []string{"first(result.a.0.name, result.tables)"}, Records: []string{"result.content.0.text|@csv|#", "result.content.0.text|@fenced|@python|#", "=3"}},
	} {
		r.Tool = "*"
		e, err := newExtractor(r)
		if err != nil {
			panic(err)
		}
		es = append(es, e)
	}
	return es
}()

var fuzzMessages = []string{
	`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"rows\":[1,{\"a\":\"\\\"]\"}],\"tables\":[\"x\",5]}"}],"structuredContent":{"rows":[{"a":[1,2]},{}]},"isError":true}}`,
	`{"id":1,"result":{"content":[{"text":"{\"tables\":[\"x\"],\"rows\":[{\"code\":\"000001.SZ\",\"say\":\"\\\"[\\\\\",\"of\":[1,{\"n\":null}]},\n{\"code\":\"\u5e73\\u5e73\",\"day\":\"2024-01-02\",\"close\":10.25},{\"code\":\"000002.SZ\",\"day\":\"2024-01-03\",\"close\":9.5}]}"}]}}`,
	`{"result":{"a":["t","u"],"tables":[{"name":"v"},{"name":5,"name":"w"}],"n":7,"resultType":"task","taskId":"T"},"id":"\u0031"}`,
	`{"id":null,"error":{"code":-32602,"message":"no"}}`,
	`{"method":"notifications/progress","params":{"id":1,"result":{}}}`,
	` [ {"id":1,"result":{"a":"x"}} , {"id":2,"error":null,"result":[]} ]`,
	"\xef\xbb\xbf{\"id\":1,\"result\":{\"a\":\"\\ud83d\\ude00\"}}",
	`{"id":1,"result":{"structuredContent":{"rows":[[[[[[[[[[`,
}

// checkPieces checks that how a body is cut up does not show, and that no more
// is kept than is bounded.
func checkPieces(t *testing.T, format Format, body []byte, cut uint8) []answered {
	var s Scanner
	whole := scanAll(&s, format, [][]byte{body}, fuzzExtractors...)
	for _, n := range []int{1, int(cut) + 2} {
		var pieces [][]byte
		for p := body; len(p) > 0; p = p[min(n, len(p)):] {
			pieces = append(pieces, p[:min(n, len(p))])
		}
		if diff := cmp.Diff(whole, scanAll(&s, format, pieces, fuzzExtractors...), cmpFacts, cmpEmpty); diff != "" {
			t.Fatalf("in pieces of %d: %s", n, diff)
		}
	}
	if n := kept(&s); n > 128<<10 {
		t.Fatalf("%d bytes are kept", n)
	}
	return whole
}

// kept is how much memory a scanner holds on to, about.
func kept(s *Scanner) int {
	n := cap(s.matches.text) + 24*cap(s.matches.names) + 88*cap(s.matches.answers) + cap(s.matches.id) + cap(s.matches.tasks[0].id) + cap(s.matches.tasks[1].id) + cap(s.matches.tasks[2].id)
	return n + keptBy(&s.doc)
}

func keptBy(d *document) int {
	n := cap(d.kept) + cap(d.chunk) + 72*cap(d.open)
	if d.text != nil {
		n += keptByText(d.text)
	}
	return n
}

func keptByText(r *textReader) int {
	n := cap(r.kept) + cap(r.python.stack)*16 + cap(r.python.word) + cap(r.python.out)
	for i := range r.documents {
		n += keptBy(&r.documents[i])
	}
	for _, part := range r.memory {
		n += cap(part.line) + cap(part.edge) + keptByText(part.text)
	}
	return n
}

// gjsonGuesses reports whether v holds what gjson takes for something else, the
// name # and brackets in a string that is an element; or, in a text, what is no
// JSON and the scanner takes, NaN and Infinity.
func gjsonGuesses(v gjson.Result) (guesses bool) {
	if !v.IsObject() && !v.IsArray() {
		return false
	}
	v.ForEach(func(name, value gjson.Result) bool {
		guesses = name.Str == "#" || v.IsArray() && value.Type == gjson.String && strings.ContainsAny(value.Raw, "{[") || gjsonGuesses(value)
		if text := strings.TrimLeft(value.Str, " \t\r\n"); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			guesses = guesses || strings.Contains(text, "NaN") || strings.Contains(text, "Infinity") || gjsonGuesses(gjson.Parse(text))
		}
		return !guesses
	})
	return guesses
}

// expectBody is expect for a body or the data of an event: a message or a batch.
func expectBody(body string) (want []answered) {
	switch v := gjson.Parse(body); {
	case v.IsObject():
		return expect(strings.Trim(body, " \t\r\n"), fuzzExtractors...)
	case v.IsArray():
		for _, m := range v.Array() {
			if !m.IsObject() {
				break
			}
			want = append(want, expect(m.Raw, fuzzExtractors...)...)
		}
	}
	return want
}

func FuzzScanJSON(f *testing.F) {
	for _, m := range fuzzMessages {
		f.Add([]byte(m), uint8(5))
	}
	f.Fuzz(func(t *testing.T, body []byte, cut uint8) {
		got := checkPieces(t, JSON, body, cut)
		text := strings.TrimPrefix(string(body), byteOrderMark)
		if !gjson.Valid(text) || gjsonGuesses(gjson.Parse(text)) {
			return
		}
		if diff := cmp.Diff(expectBody(text), got, cmpFacts, cmpEmpty); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzScanSSE(f *testing.F) {
	for _, m := range fuzzMessages {
		f.Add([]byte("event: message\nid: 1\ndata: "+m+"\n\n"), uint8(5))
		f.Add([]byte(":\r\rdata:"+strings.ReplaceAll(m, ",", ",\r\ndata: ")+"\r\r\nevent:ping\rdata: "+m+"\r\n\r\n"), uint8(30))
	}
	f.Fuzz(func(t *testing.T, body []byte, cut uint8) {
		got := checkPieces(t, SSE, body, cut)
		var want []answered
		for _, e := range eventsOf(body) {
			if e.typeBehindData {
				return
			}
			if e.kind != "" && e.kind != "message" || !e.data {
				continue
			}
			if !gjson.Valid(e.text) || gjsonGuesses(gjson.Parse(e.text)) {
				return
			}
			want = append(want, expectBody(e.text)...)
		}
		if diff := cmp.Diff(want, got, cmpFacts, cmpEmpty); diff != "" {
			t.Fatal(diff)
		}
	})
}

type event struct {
	kind, text           string
	data, typeBehindData bool
}

// eventsOf reads an event stream whole, as WHATWG HTML says, but for the last
// event, which needs no empty line.
func eventsOf(body []byte) (events []event) {
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	text := strings.ReplaceAll(strings.ReplaceAll(string(body), "\r\n", "\n"), "\r", "\n")
	var e event
	for _, line := range append(strings.Split(text, "\n"), "") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			events, e = append(events, e), event{}
		case field == "event":
			e.kind, e.typeBehindData = value, e.data
		case field == "data" && e.data:
			e.text += "\n" + value
		case field == "data":
			e.text, e.data = value, true
		}
	}
	return events
}

// FuzzTexts holds the readers of rows in texts against readers of whole texts,
// however the text comes.
func FuzzTexts(f *testing.F) {
	modifiers := []string{"@csv", "@csv:1", "@tsv", "@tsv:1", "@markdown", "@markdown:only", "@ndjson", "@ndjson:2", "@python", "@fromstr", "@embedded", "@html", "@yaml", "@fenced|@csv", "@tagged:d|@ndjson", "@fenced|@markdown"}
	var extractors []*Extractor
	for _, m := range modifiers {
		extractors = append(extractors, mustExtractor(f, Rule{Records: []string{"result.text|" + m + "|#"}}))
	}
	for _, pieces := range textPieces {
		for i := range modifiers {
			f.Add(strings.Join(pieces[:3], ""), uint8(i), uint8(3))
			f.Add("```\n"+strings.Join(pieces, "")+"\n```\n<d>\n"+strings.Join(pieces[:2], "")+"\n</d>", uint8(i), uint8(3))
		}
	}
	f.Fuzz(func(t *testing.T, text string, modifier, cut uint8) {
		if !utf8.ValidString(text) {
			return
		}
		spelled, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		message := `{"id":1,"result":{"text":` + string(spelled) + `}}`
		e := extractors[int(modifier)%len(extractors)]
		want := expectFacts(message, e, rootResult)
		for _, n := range []int{1, int(cut) + 2, len(message)} {
			var pieces [][]byte
			for p := message; len(p) > 0; p = p[min(n, len(p)):] {
				pieces = append(pieces, []byte(p[:min(n, len(p))]))
			}
			var s Scanner
			got := scanAll(&s, JSON, pieces, e)
			if strings.Contains(e.rule.Records[0], "yaml") && want.RecordsKnown != got[0].Facts[0].RecordsKnown {
				continue // it takes less than YAML is, and does not look into the items
			}
			if diff := cmp.Diff([]Facts{want}, got[0].Facts, cmpFacts); diff != "" {
				t.Fatalf("%v of %q in pieces of %d: %s", e.rule.Records, text, n, diff)
			}
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{`arguments.table`, `result.content.0.text|@fromstr|rows.#`, `result.a\.b.#.c`, `result.#(a=1)`, `result.\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			return
		}
		if p.String() != s || len(p.steps) == 0 || len(p.steps) > maxSteps {
			t.Errorf("%q: %+v", s, p)
		}
	})
}
