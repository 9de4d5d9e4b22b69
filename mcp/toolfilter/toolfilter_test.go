package toolfilter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// tools is what the tests allow of tools/list results.
var tools = List{Name: "tools", ID: "name", Allowed: func(tool string) bool { return strings.HasPrefix(tool, "q") || tool == "é" }}

// filterAll filters a body that comes in chunks of so many bytes.
func filterAll(f *Filter, isStream bool, body []byte, chunk int) (out []byte, err error) {
	f.Reset(isStream, tools)
	for p := body; len(p) > 0 && err == nil; p = p[min(chunk, len(p)):] {
		out, err = f.Append(out, p[:min(chunk, len(p))])
	}
	return out, err
}

func TestFilter(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		name, body, want string // want is "" where it is an error
	}{
		{"one stays", `{"id":1,"result":{"tools":[{"name":"q"}]}}`, `{"id":1,"result":{"tools":[{"name":"q"}]}}`},
		{"one goes", `{"id":1,"result":{"tools":[{"name":"x"}],"nextCursor":"c"}}`, `{"id":1,"result":{"tools":[],"nextCursor":"c"}}`},
		{"spaces", " {\"result\" : { \"tools\" :\t[ {\"name\":\"x\"} ,\n {\"name\":\"q1\"} , {\"name\":\"y\"},{\"name\":\"q2\"} ] } } \n", " {\"result\" : { \"tools\" :\t[ \n {\"name\":\"q1\"},{\"name\":\"q2\"} ] } } \n"},
		{"nothing to list", `{"result":{"tools":[ ]}}`, `{"result":{"tools":[ ]}}`},
		{"null", `{"result":{"tools":null}}`, `{"result":{"tools":null}}`},
		{"name comes last, other members", `{"result":{"a":[{"name":"x"}],"tools":[{"inputSchema":{"name":"q","a":"\"]}"},"name":"x"},{"x":[[{}]],"name":"q"}]},"id":1}`, `{"result":{"a":[{"name":"x"}],"tools":[{"x":[[{}]],"name":"q"}]},"id":1}`},
		{"escapes", `{"r\u0065sult":{"too\u006cs":[{"n\u0061me":"\u0071"},{"name":"\u0078"},{"name":"\u00e9"}]}}`, `{"r\u0065sult":{"too\u006cs":[{"n\u0061me":"\u0071"},{"name":"\u00e9"}]}}`},
		{"other spellings", `{"Result":{"TOOLſ":[{"name":"x"},{"name":"q"}]}}`, `{"Result":{"TOOLſ":[{"name":"q"}]}}`},
		{"two names", `{"result":{"tools":[{"name":"q","name":"x"},{"name":"x","name":"q"},{"name":"q","Name":"x"},{"name":"q","name":"q"}]}}`, `{"result":{"tools":[{"name":"q","name":"q"}]}}`},
		{"no name", `{"result":{"tools":[{},{"NAME":"q"},{"name":5},{"name":null},{"name":["q"]},{"name":"\ud800q"},"q",7,null,[],[{"name":"q"}]]}}`, `{"result":{"tools":[]}}`},
		{"lists twice", `{"result":{"tools":[{"name":"x"}],"tools":[{"name":"y"},{"name":"q"}]},"result":{"tools":[{"name":"z"}]}}`, `{"result":{"tools":[],"tools":[{"name":"q"}]},"result":{"tools":[]}}`},
		{"a batch", `[{"id":1,"result":{"tools":[{"name":"x"},{"name":"q"}]}},{"id":2,"result":{"content":[]}} , {"result":{"tools":[{"name":"q"},{"name":"x"}]}}]`, `[{"id":1,"result":{"tools":[{"name":"q"}]}},{"id":2,"result":{"content":[]}} , {"result":{"tools":[{"name":"q"}]}}]`},
		{"a value after the other", `{"result":{}}` + "\n" + `{"result":{"tools":[{"name":"x"}]}}`, `{"result":{}}` + "\n" + `{"result":{"tools":[]}}`},
		{"elsewhere", `{"params":{"tools":[{"name":"x"}]},"tools":[{"name":"x"}],"result":{"content":{"tools":[{"name":"x"}]},"result":{"tools":[{"name":"x"}]}}}`, `{"params":{"tools":[{"name":"x"}]},"tools":[{"name":"x"}],"result":{"content":{"tools":[{"name":"x"}]},"result":{"tools":[{"name":"x"}]}}}`},
		{"an error", `{"id":1,"error":{"code":-32000,"message":"no [tools"}}`, `{"id":1,"error":{"code":-32000,"message":"no [tools"}}`},
		{"a mark in front", "\xef\xbb\xbf{\"result\":{\"tools\":[{\"name\":\"x\"}]}}", "\xef\xbb\xbf{\"result\":{\"tools\":[]}}"},
		{"long names", `{"` + long + `":"` + long + `","result":{"` + long + `\"":{},"tools":[{"` + long + `":1,"name":"q` + long + `"},{"name":"` + long + `"}]}}`, `{"` + long + `":"` + long + `","result":{"` + long + `\"":{},"tools":[{"` + long + `":1,"name":"q` + long + `"}]}}`},
		{"no message", "<html>{\"result\":{\"tools\":[", "<html>{\"result\":{\"tools\":["},
		{"not a number", `{"result":{"a":NaN,"tools":[{"name":"x"}]}}`, `{"result":{"a":NaN,"tools":[]}}`},
		{"UTF-16", "\xff\xfe{\x00", ""},
		{"UTF-16 without a mark", "{\x00\"\x00", ""},
		{"no comma", `{"result":{"tools":[{"name":"x"} {"name":"q"}]}}`, ""},
		{"a comma too many", `{"result":{"tools":[{"name":"q"},]}}`, ""},
		{"no colon", `{"result" {"tools":[]}}`, ""},
		{"a tool that is no JSON", `{"result":{"tools":[{"name":"q"]]}}`, ""},
		{"a bare name", `{result:{"tools":[{"name":"x"}]}}`, ""},
		{"a wrong bracket", `{"result":{"tools":[{"name":"q"}}}}`, ""},
		{"a wrong escape", `{"\xesult":{"tools":[{"name":"x"}]}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Filter
			for _, chunk := range []int{len(c.body), 1, 7} {
				got, err := filterAll(&f, false, []byte(c.body), chunk)
				if (err != nil) != (c.want == "") {
					t.Fatalf("in chunks of %d: %q, %v", chunk, got, err)
				}
				if c.want != "" && string(got) != c.want {
					t.Errorf("in chunks of %d:\n%s\nwant\n%s", chunk, got, c.want)
				}
				if err != nil && bytes.Contains(got, []byte(`"x"`)) {
					t.Errorf("in chunks of %d: before the error there is %q", chunk, got)
				}
			}
		})
	}
}

// TestFilterOfLists filters several lists in one body, each by its own IDs.
func TestFilterOfLists(t *testing.T) {
	templates := List{Name: "resourceTemplates", ID: "uriTemplate", Allowed: func(string) bool { return false }}
	jobs := List{Name: "jobs", ID: "jobId", Allowed: func(id string) bool { return id == "mine" }}
	const body = `[{"result":{"tools":[{"name":"x","jobId":"mine"},{"name":"q","jobId":"x"}]}},
		{"result":{"resource_Templates":[{"name":"q","uriTemplate":"a"},{"name":"q"}],"resources":[{"name":"x"}],"jobs":[{"jobId":"mine"},{"name":"q"},{"jobid":"x","jobId":"mine"}]}}]`
	const want = `[{"result":{"tools":[{"name":"q","jobId":"x"}]}},
		{"result":{"resource_Templates":[],"resources":[{"name":"x"}],"jobs":[{"jobId":"mine"}]}}]`
	for _, chunk := range []int{1, 7, len(body)} {
		var f Filter
		f.Reset(false, tools, templates, jobs)
		var got []byte
		for p := []byte(body); len(p) > 0; p = p[min(chunk, len(p)):] {
			var err error
			if got, err = f.Append(got, p[:min(chunk, len(p))]); err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != want {
			t.Errorf("in chunks of %d:\n%s\nwant\n%s", chunk, got, want)
		}
	}
}

func TestFilterOfStreams(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"an event", "event: message\ndata: {\"result\":{\"tools\":[{\"name\":\"x\"},{\"name\":\"q\"}]}}\nid: 7\n\n", "event: message\ndata: {\"result\":{\"tools\":[{\"name\":\"q\"}]}}\nid: 7\n\n"},
		{"many lines", "data: {\"result\":{\"tools\":[\ndata: {\"name\":\ndata:\"x\"}\ndata: ,{\"name\"\nid: 5\n: comment\ndata: :\"q\"}]}}\n\n", "data: {\"result\":{\"tools\":[\ndata: \ndata:\ndata: {\"name\"\nid: 5\n: comment\ndata: :\"q\"}]}}\n\n"},
		{"a number ends with its line", "data: {\"result\":{\"tools\":[1\ndata: ,2,{\"name\":\"q\"}],\"n\":7\ndata: ,\"tools\":[{\"name\":\"x\"}]}}\n\n", "data: {\"result\":{\"tools\":[\ndata: {\"name\":\"q\"}],\"n\":7\ndata: ,\"tools\":[]}}\n\n"},
		{"other line ends", "data:{\"result\":{\"tools\":[{\"name\":\"x\"}]}}\r\rdata: {\"result\":{\"tools\":[{\"name\":\"x\"}]}}\r\n\r\n", "data:{\"result\":{\"tools\":[]}}\r\rdata: {\"result\":{\"tools\":[]}}\r\n\r\n"},
		{"any type", "event: other\ndata: {\"result\":{\"tools\":[{\"name\":\"x\"}]}}\n\n", "event: other\ndata: {\"result\":{\"tools\":[]}}\n\n"},
		{"no message", "data: /messages?session=[{\ndata\n\ndatas: {\"result\":{\"tools\":[{\"name\":\"x\"}]}}\n\n", "data: /messages?session=[{\ndata\n\ndatas: {\"result\":{\"tools\":[{\"name\":\"x\"}]}}\n\n"},
		{"an event that breaks off", "data: {\"result\":{\"tools\":[{\"name\":\"q\",\ndata: \"x\n\ndata: {\"result\":{\"tools\":[{\"name\":\"x\"},{\"name\":\"q\"}]}}\n\n", "data: {\"result\":{\"tools\":[\ndata: \n\ndata: {\"result\":{\"tools\":[{\"name\":\"q\"}]}}\n\n"},
		{"a mark in front", "\xef\xbb\xbfdata: {\"result\":{\"tools\":[{\"name\":\"x\"}]}}\n\n", "\xef\xbb\xbfdata: {\"result\":{\"tools\":[]}}\n\n"},
		{"half a mark", "\xef\xbbdata: {\"result\":{\"tools\":[{\"name\":\"x\"}]}}\n\n", "\xef\xbbdata: {\"result\":{\"tools\":[{\"name\":\"x\"}]}}\n\n"},
		{"broken", "data: {\"result\":{\"tools\":[{\"name\":\"x\"};", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Filter
			for _, chunk := range []int{len(c.body), 1, 5} {
				got, err := filterAll(&f, true, []byte(c.body), chunk)
				if (err != nil) != (c.want == "") {
					t.Fatalf("in chunks of %d: %q, %v", chunk, got, err)
				}
				if c.want != "" && string(got) != c.want {
					t.Errorf("in chunks of %d:\n%q\nwant\n%q", chunk, got, c.want)
				}
			}
		})
	}
}

// TestFilterHoldsLittle: what can go on does so at once, and a tool without
// an end does not fill the memory.
func TestFilterHoldsLittle(t *testing.T) {
	var f Filter
	f.Reset(true, tools)
	for _, step := range [][2]string{
		{": ping\n\n", ": ping\n\n"},
		{"data: {\"result\":{\"tools\":[{\"name\":\"x\"},{\"name\":\"q\"}", "data: {\"result\":{\"tools\":[{\"name\":\"q\"}"},
		{",{\"name\":\"q\"", ""}, {"}", ",{\"name\":\"q\"}"}, {"]}", "]}"}, {"}", "}"},
	} {
		if got, err := f.Append(nil, []byte(step[0])); string(got) != step[1] || err != nil {
			t.Errorf("after %q: %q, %v, want %q", step[0], got, err, step[1])
		}
	}
	f.Reset(false, tools)
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	got, err := f.Append(nil, []byte(`{"result":{"tools":[{"name":"q","a":"`))
	for n := 0; err == nil && n < 1000; n++ {
		got, err = f.Append(got, chunk)
	}
	if err == nil || len(got) > 100 || cap(f.held) > 3*maxElement {
		t.Errorf("%d bytes went on, %d are held, %v", len(got), cap(f.held), err)
	}
	if again, err := f.Append(nil, []byte(`"}]}}`)); err == nil || len(again) > 0 {
		t.Errorf("behind the error: %q, %v", again, err)
	}
}

// filterDecoded is what Filter does, to a decoded body.
func filterDecoded(body any) any {
	if batch, ok := body.([]any); ok {
		for i := range batch {
			if _, ok := batch[i].(map[string]any); ok {
				batch[i] = filterDecoded(batch[i])
			}
		}
		return batch
	}
	message, _ := body.(map[string]any)
	result, _ := message["result"].(map[string]any)
	listed, ok := result["tools"].([]any)
	if !ok {
		return body
	}
	left := []any{}
	for _, tool := range listed {
		object, _ := tool.(map[string]any)
		if name, ok := object["name"].(string); ok && tools.Allowed(name) {
			left = append(left, tool)
		}
	}
	result["tools"] = left
	return body
}

// jsonValues draws JSON text with odd spacing and escapes, without a name twice
// in one object.
func jsonValues(names []string, inner *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var parts []string
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, len(names), rapid.ID[string]).Draw(t, "names") {
			parts = append(parts, spaced(t, spelt(t, name))+":"+spaced(t, inner.Draw(t, "value")))
		}
		return spaced(t, "{"+strings.Join(parts, ",")+"}")
	})
}

func spaced(t *rapid.T, s string) string {
	space := rapid.SampledFrom([]string{"", "", "", " ", "\n", "\r\n ", "\t"})
	return space.Draw(t, "space") + s + space.Draw(t, "space")
}

// spelt is a string as JSON text, with escapes.
func spelt(t *rapid.T, s string) string {
	if n := rapid.IntRange(-3, len(s)-1).Draw(t, "escape"); n >= 0 && s[n] < 0x80 {
		return fmt.Sprintf(`"%s\u%04x%s"`, s[:n], s[n], s[n+1:])
	}
	return `"` + s + `"`
}

var toolBodies = rapid.Custom(func(t *rapid.T) string {
	leaf := rapid.OneOf(
		rapid.SampledFrom([]string{`1`, `-2.5e3`, `true`, `null`, `""`, `"]"`, `"\\\""`, `"{\"name\":\"x\"}"`, `[]`, `{}`, `[[{"name":"x"}],"}"]`}),
		rapid.Custom(func(t *rapid.T) string {
			return spelt(t, rapid.SampledFrom([]string{"q", "query", "x", "run_sql", "é", "tools"}).Draw(t, "tool"))
		}),
	)
	object := jsonValues([]string{"a", "name", "tools", "result"}, leaf)
	tool := rapid.OneOf(object, object, jsonValues([]string{"name"}, leaf), leaf)
	list := rapid.Custom(func(t *rapid.T) string {
		return "[" + spaced(t, strings.Join(rapid.SliceOfN(tool, 0, 6).Draw(t, "tools"), spaced(t, ","))) + "]"
	})
	result := jsonValues([]string{"tools", "nextCursor", "_meta"}, rapid.OneOf(list, list, leaf, object))
	message := jsonValues([]string{"result", "id", "error", "jsonrpc"}, rapid.OneOf(result, result, leaf, object))
	if rapid.Bool().Draw(t, "batch") {
		return spaced(t, "["+strings.Join(rapid.SliceOfN(rapid.OneOf(message, leaf), 0, 3).Draw(t, "batch"), ",")+"]")
	}
	return message.Draw(t, "message")
})

// TestFilterOracle: what is left decodes to what filtering by decoding
// leaves, in a body and in an event's data however it is cut into lines.
func TestFilterOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := toolBodies.Draw(t, "body")
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		before, _ := json.Marshal(v)
		want := filterDecoded(v)
		chunk := rapid.IntRange(1, len(body)).Draw(t, "chunk")
		var f Filter
		out, err := filterAll(&f, false, []byte(body), chunk)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s became %s: %s", body, out, diff)
		}
		if after, _ := json.Marshal(want); bytes.Equal(before, after) && string(out) != body {
			t.Fatalf("%q became %q though nothing was to be taken out", body, out)
		}

		// The line breaks of the text are where an event's data may be cut.
		stream := "id: 1\ndata: " + strings.NewReplacer("\r\n", "\r\n: c\ndata: ", "\n", "\ndata:").Replace(body) + "\n\n: end\n\n"
		out, err = filterAll(&f, true, []byte(stream), chunk)
		if err != nil {
			t.Fatal(err)
		}
		events := dataOf(string(out))
		if len(events) != 1 || json.Unmarshal([]byte(events[0]), &got) != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %q", stream, out)
		}
	})
}

// dataOf is the data of each event that has some.
func dataOf(stream string) (events []string) {
	stream = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(stream, "\ufeff"))
	var data []string
	lines := strings.Split(stream, "\n")
	for _, line := range lines[:len(lines)-1] {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line == "" && data != nil:
			events = append(events, strings.Join(data, "\n"))
			data = nil
		case name == "data":
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return events
}

// listed is the tools that a decoder of Go's finds in a body: it takes names in
// any letter case, and the last of several.
func listed(body []byte) (names []string) {
	type message struct {
		Result struct {
			Tools []struct {
				Name string `json:"name"`
			} `json:"tools"`
		} `json:"result"`
	}
	type raw struct {
		Result json.RawMessage `json:"result"`
	}
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	for {
		var whole json.RawMessage
		if d.Decode(&whole) != nil || whole[0] != '{' && whole[0] != '[' {
			return names
		}
		var batch []json.RawMessage
		if json.Unmarshal(whole, &batch) != nil {
			batch = []json.RawMessage{whole}
		}
		for _, text := range batch {
			var m message
			var r raw
			// Of a result that comes twice, Go's decoder merges the two.
			if json.Unmarshal(text, &m) == nil && json.Unmarshal(text, &r) == nil {
				for _, tool := range m.Result.Tools {
					names = append(names, tool.Name)
				}
			}
		}
	}
}

// FuzzFilter: of no body whatever does a tool get through that may not be
// called, and how a body is cut up does not show.
func FuzzFilter(f *testing.F) {
	for _, body := range []string{
		`{"id":1,"result":{"tools":[{"name":"x"},{"name":"q"}],"nextCursor":"c"}}`,
		`[{"result":{"tools":[ {"a":{"name":"q"},"name":"x"} ]}},{"Result":{"too\u006cs":[{"name":"q","Name":"x"}]}}]`,
		"data: {\"result\":{\"tools\":[{\"name\":\ndata: \"x\"},1\ndata:2]}}\r\n\r\n",
		`{"result":{"tools":[{"name":"x"}]},"result":{"tools":{}}}{"result":{"tools":[{}]}}`,
	} {
		f.Add([]byte(body), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, cut uint8) {
		var filter Filter
		for _, isStream := range []bool{false, true} {
			whole, err := filterAll(&filter, isStream, body, max(1, len(body)))
			chunks, errPieces := filterAll(&filter, isStream, body, int(cut)+1)
			if (err != nil) != (errPieces != nil) || err == nil && !bytes.Equal(whole, chunks) {
				t.Fatalf("whole %q, %v; in chunks %q, %v", whole, err, chunks, errPieces)
			}
			texts := []string{string(whole)}
			if isStream {
				texts = dataOf(string(whole))
			}
			for _, text := range texts {
				for _, name := range listed([]byte(text)) {
					if name != "" && !tools.Allowed(name) {
						t.Fatalf("%q lists %q: %q", body, name, whole)
					}
				}
			}
			if !filter.holding && err == nil && bytes.IndexByte(body, '[') < 0 && !bytes.Equal(whole, body) {
				t.Fatalf("%q became %q", body, whole)
			}
		}
	})
}
