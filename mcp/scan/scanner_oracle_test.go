package scan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// answered is a Reply as it was when it was found, and what its extractors say.
type answered struct {
	ID, ResultType, TaskID       string
	RPCError, HasCode, ToolError bool
	RPCCode, Size                int64
	Facts                        []Facts
}

var (
	cmpUnexported = cmpopts.IgnoreUnexported(Facts{})
	cmpFacts      = cmp.Options{cmpUnexported, cmpopts.IgnoreFields(Facts{}, "TablesUnknown", "RecordsUnknown")}
	cmpEmpty      = cmpopts.EquateEmpty()
)

// scanAll runs a body through a scanner in pieces and returns what it finds.
func scanAll(s *Scanner, format Format, pieces [][]byte, want ...*Extractor) []answered {
	s.Reset(format, Calls, want...)
	var got []answered
	for _, p := range pieces {
		s.Scan(p, func(r *Reply) {
			a := answered{string(r.ID), r.ResultType, string(r.TaskID), r.RPCError, r.HasCode, r.ToolError, r.RPCCode, r.Size, nil}
			for _, e := range want {
				f := r.Facts(e)
				if f.RecordsKnown != (f.RecordsUnknown == Known) || f.Tables != nil && f.TablesUnknown != Known {
					panic(fmt.Sprintf("%+v contradicts itself", f))
				}
				a.Facts = append(a.Facts, f)
			}
			got = append(got, a)
		})
	}
	return got
}

// expect reads a message, valid JSON, whole, with gjson. It returns nil when
// the message is no reply.
func expect(message string, want ...*Extractor) []answered {
	get := func(path string) gjson.Result { return gjson.Get(message, path) }
	a := answered{Size: int64(len(message)), RPCError: get("error").Exists() && get("error").Type != gjson.Null}
	if id := get("id"); get("method").Exists() || !a.RPCError && (!id.Exists() || !get("result").Exists()) {
		return nil
	} else if (id.Type == gjson.String || id.Type == gjson.Number || id.Type == gjson.Null) && len(id.Raw) <= 512 {
		a.ID = id.Raw
	}
	if code := get("error.code"); code.Type == gjson.Number {
		n, err := strconv.ParseInt(code.Raw, 10, 64)
		a.HasCode = err == nil
		if a.HasCode {
			a.RPCCode = n
		}
	}
	a.ToolError = get("result.isError").Type == gjson.True
	short := func(path string, limit int) string {
		if r := get(path); r.Type == gjson.String && len(r.Str) <= limit {
			return r.Str
		}
		return ""
	}
	a.ResultType = short("result.resultType", 64)
	if a.TaskID = short("result.task.taskId", 512); a.TaskID == "" {
		a.TaskID = short("result.taskId", 512)
	}
	for _, e := range want {
		a.Facts = append(a.Facts, expectFacts(message, e, rootResult))
	}
	return []answered{a}
}

// The names that random documents and random paths share.
var sharedNames = []string{"rows", "tables", "name", "text", "a", "x.y", "名", "isError", "task", "taskId", "resultType", "code", "0"}

func genSpace(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", "", " ", "\n", "\r\n\t", "  \n "}).Draw(t, "space")
}

// genString spells a string in JSON, with what escapes it needs and some more.
func genString(t *rapid.T, s string) string {
	var b strings.Builder
	b.WriteByte('"')
	strange := rapid.IntRange(0, 4).Draw(t, "strange") == 0
	for _, r := range s {
		way := 9
		if strange {
			way = rapid.IntRange(0, 9).Draw(t, "spelling")
		}
		switch {
		case r == '"' || r == '\\' || r < ' ' || way == 0:
			if r > 0xffff {
				hi, lo := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
				fmt.Fprintf(&b, `\u%04x\u%04X`, hi, lo)
			} else if i := strings.IndexRune("\"\\/\b\f\n\r\t", r); i >= 0 && way > 3 {
				b.WriteByte('\\')
				b.WriteByte(`"\/bfnrt`[i])
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	if rapid.IntRange(0, 30).Draw(t, "half") == 15 {
		b.WriteString(rapid.SampledFrom([]string{`\ud83d`, `\ude00`, `\ud83d\ud83d`, `\ud83d\n`, `\ud83dx`}).Draw(t, "surrogate"))
	}
	b.WriteByte('"')
	return b.String()
}

func genPlain(t *rapid.T) string {
	if rapid.IntRange(0, 50).Draw(t, "kind") == 25 {
		return strings.Repeat("é,\"\\", rapid.IntRange(40, 130).Draw(t, "long"))
	}
	return rapid.StringOfN(rapid.RuneFrom([]rune("ab_,:}]\"\\/\n\x00é名😀")), 0, 12, -1).Draw(t, "string")
}

func genScalar(t *rapid.T) string {
	if rapid.Bool().Draw(t, "string") {
		return genString(t, genPlain(t))
	}
	return rapid.SampledFrom([]string{"0", "7", "12.0", "-0", "-3", "1.5", "1e3", "9223372036854775807", "9223372036854775808", "5.000", "true", "false", "null", "0.0"}).Draw(t, "scalar")
}

// genValue is a JSON value. gjson takes brackets in a string that is an element
// of an array for a document, so a text of JSON is only ever a member.
func genValue(t *rapid.T, depth int, member bool) string {
	kind := rapid.IntRange(0, 9).Draw(t, "value")
	switch {
	case depth > 0 && kind < 4:
		return genObject(t, depth-1)
	case depth > 0 && kind < 7:
		var b strings.Builder
		b.WriteString("[" + genSpace(t))
		for i := range rapid.IntRange(0, 5).Draw(t, "elements") {
			if i > 0 {
				b.WriteString(genSpace(t) + "," + genSpace(t))
			}
			b.WriteString(genValue(t, depth-1, false))
		}
		return b.String() + genSpace(t) + "]"
	case depth > 0 && kind == 7 && member:
		text := genSpace(t) + genValue(t, depth-1, false) + genSpace(t)
		switch rapid.IntRange(0, 8).Draw(t, "text") {
		case 0:
			text = "Found: " + text
		case 1:
			text += "!"
		case 2:
			text = strings.TrimSpace(text)
			text = text[:len(text)-1]
		case 3:
			text += strings.Repeat(" ", 2000)
		}
		return genString(t, text)
	}
	return genScalar(t)
}

func genObject(t *rapid.T, depth int, first ...string) string {
	members := slices.Clone(first)
	for range rapid.IntRange(0, 5).Draw(t, "members") {
		name := rapid.SampledFrom(sharedNames).Draw(t, "name")
		if rapid.IntRange(0, 30).Draw(t, "other") == 15 {
			name = strings.Repeat("n", rapid.SampledFrom([]int{0, 9, 255, 256, 257, 700}).Draw(t, "length"))
		}
		members = append(members, genString(t, name)+genSpace(t)+":"+genSpace(t)+genValue(t, depth, true))
	}
	members = rapid.Permutation(members).Draw(t, "order")
	return "{" + genSpace(t) + strings.Join(members, genSpace(t)+","+genSpace(t)) + genSpace(t) + "}"
}

// genMessage is a response, mostly.
func genMessage(t *rapid.T) string {
	some := func(label string) bool { return rapid.IntRange(0, 9).Draw(t, label) == 0 }
	var members []string
	add := func(name, value string) { members = append(members, `"`+name+`"`+genSpace(t)+":"+genSpace(t)+value) }
	id := func() string {
		return rapid.SampledFrom([]string{"1", "-2.5e3", `"a\"\\\u00e9"`, `""`, "null", "true", "{}", "[1]", `"` + strings.Repeat("i", 510) + `"`, `"` + strings.Repeat("i", 511) + `"`, strings.Repeat("9", 512), strings.Repeat("9", 600)}).Draw(t, "id")
	}
	add("jsonrpc", `"2.0"`)
	for n := 9; n > 1; n /= 2 {
		if rapid.IntRange(0, 9).Draw(t, "has id") < n {
			add("id", id())
		}
		if rapid.IntRange(0, 9).Draw(t, "has result") < n {
			add("result", genValue(t, 5, true))
		}
		if some("has error") {
			add("error", rapid.OneOf(rapid.Just("null"), rapid.Just(`{"code":-32602,"message":"no"}`), rapid.Custom(func(t *rapid.T) string { return genValue(t, 2, true) })).Draw(t, "error"))
		}
	}
	if some("has method") {
		add("method", `"ping"`)
	}
	if some("has more") {
		add("re\\u0073ult", genValue(t, 3, true))
	}
	members = rapid.Permutation(members).Draw(t, "order")
	return "{" + genSpace(t) + strings.Join(members, genSpace(t)+","+genSpace(t)) + genSpace(t) + "}"
}

func genPath(t *rapid.T, root string, records, sum bool) string {
	p := root
	each, text := false, false
	for n := rapid.IntRange(0, 3).Draw(t, "steps"); n >= 0; n-- {
		sep, kind := ".", rapid.IntRange(0, 9).Draw(t, "step")
		if strings.HasSuffix(p, "@fromstr") && rapid.Bool().Draw(t, "pipe") {
			sep = "|"
		}
		switch {
		case kind == 0 && !text && (!each || sum) && p != root && !strings.HasSuffix(p, "#"):
			p, text = p+rapid.SampledFrom([]string{".", "|"}).Draw(t, "sep")+"@fromstr", true
		case kind == 1 && !each && n > 0 && (!records || sum):
			p, each = p+sep+"#", true
		case kind == 2:
			p += sep + rapid.SampledFrom([]string{"0", "1", "2"}).Draw(t, "index")
		case n == 0 && records && kind < 7:
			p += sep + "#"
		default:
			p += sep + strings.ReplaceAll(rapid.SampledFrom(sharedNames).Draw(t, "name"), ".", `\.`)
		}
	}
	if records && !strings.HasSuffix(p, "#") && !text && rapid.IntRange(0, 4).Draw(t, "format") == 0 {
		p += "|@" + rapid.SampledFrom([]string{"csv", "ndjson:2", "python"}).Draw(t, "modifier") + "|#"
	}
	return p
}

func genRule(t *rapid.T, root string) Rule {
	r := Rule{Tool: "*"}
	for range rapid.IntRange(0, 3).Draw(t, "table terms") {
		term := genPath(t, root, false, false)
		if rapid.IntRange(0, 4).Draw(t, "first") == 0 {
			term = "first(" + term + ", " + genPath(t, root, false, false) + ")"
		}
		r.Tables = append(r.Tables, term)
	}
	for range rapid.IntRange(0, 2).Draw(t, "records") {
		term := genPath(t, root, true, false)
		switch kind := rapid.IntRange(0, 4).Draw(t, "sum"); {
		case root == rootArguments:
		case kind == 0:
			term = "sum(" + genPath(t, root, true, true) + ", " + genPath(t, root, true, true) + ")"
		case kind == 1:
			term = "sum(" + genPath(t, root, true, true) + ")"
		}
		r.Records = append(r.Records, term)
	}
	return r
}

func genExtractor(t *rapid.T, root string) *Extractor {
	r := genRule(t, root)
	e, err := newExtractor(r)
	if err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	return e
}

// genPieces cuts a body up.
func genPieces(t *rapid.T, body string) [][]byte {
	most := rapid.SampledFrom([]int{1, 3, 70, 400, len(body) + 1}).Draw(t, "piece")
	var pieces [][]byte
	for len(body) > 0 {
		n := min(rapid.IntRange(1, most).Draw(t, "cut"), len(body))
		pieces = append(pieces, []byte(body[:n]))
		body = body[n:]
	}
	return pieces
}

// genEvents carries messages in an event stream, among other things. It returns
// the messages as they come out of it.
func genEvents(t *rapid.T, messages []string) (body string, carried []string) {
	var b strings.Builder
	if rapid.Bool().Draw(t, "bom") {
		b.WriteString(byteOrderMark)
	}
	write := func(lines ...string) {
		for _, line := range lines {
			ends := []string{"\n", "\r\n", "\r"}
			if line == "" && strings.HasSuffix(b.String(), "\r") {
				ends = ends[1:] // an LF would end no line of its own
			}
			b.WriteString(line + rapid.SampledFrom(ends).Draw(t, "eol"))
		}
	}
	line := func(field, value string) {
		write(field + ":" + rapid.SampledFrom([]string{"", " "}).Draw(t, "space") + value)
	}
	reply := `{"id":1,"result":{}}`
	for _, m := range messages {
		switch rapid.IntRange(0, 7).Draw(t, "noise") {
		case 0:
			line("", "ping "+reply)
		case 1:
			write("event: endpoint", "data: "+reply, "")
		case 2:
			write("retry", "data", "")
		case 3:
			line("datum", reply)
			line("data2", reply)
		case 4:
			line("id", reply)
		case 5:
			line("event", "endpoint")
			line("event", rapid.SampledFrom([]string{"message", ""}).Draw(t, "type"))
		case 6:
			write("data: "+reply[:12], "") // broken off
		}
		if rapid.Bool().Draw(t, "typed") {
			line("event", "message")
		}
		m = strings.ReplaceAll(strings.ReplaceAll(m, "\r\n", "\n"), "\r", "\n")
		for _, part := range strings.Split(m, "\n") {
			if strings.HasPrefix(part, " ") {
				write("data: " + part)
			} else {
				line("data", part)
			}
			if rapid.IntRange(0, 9).Draw(t, "between") == 0 {
				line("id", "5")
			}
		}
		write("")
		carried = append(carried, m)
	}
	return b.String(), carried
}

// checkOften is rapid.Check, of more than its hundred: documents and paths seldom
// meet.
func checkOften(t *testing.T, property func(*rapid.T)) {
	for range 15 {
		rapid.Check(t, property)
	}
}

func TestScannerAgreesWithGJSON(t *testing.T) {
	var s Scanner
	checkOften(t, func(t *rapid.T) {
		extractors := []*Extractor{genExtractor(t, "result")}
		for rapid.IntRange(0, 3).Draw(t, "more") == 0 {
			extractors = append(extractors, genExtractor(t, "result"))
		}
		var messages []string
		for range rapid.IntRange(1, 3).Draw(t, "messages") {
			messages = append(messages, genMessage(t))
		}
		var want []answered
		var body string
		var format Format
		if rapid.Bool().Draw(t, "stream") {
			format = SSE
			body, messages = genEvents(t, messages)
		} else if body = messages[0]; rapid.Bool().Draw(t, "batch") {
			body = "[" + genSpace(t) + strings.Join(messages, genSpace(t)+","+genSpace(t)) + "]"
		} else {
			messages = messages[:1]
		}
		for _, m := range messages {
			if !json.Valid([]byte(m)) {
				t.Fatalf("the test made no JSON: %s", m)
			}
			want = append(want, expect(m, extractors...)...)
		}
		got := scanAll(&s, format, genPieces(t, body), extractors...)
		if diff := cmp.Diff(want, got, cmpFacts, cmpEmpty); diff != "" {
			t.Fatalf("%s\n%v\n%s", diff, paths(extractors), body)
		}
	})
}

func TestParamsAgreeWithGJSON(t *testing.T) {
	checkOften(t, func(t *rapid.T) {
		e := genExtractor(t, "arguments")
		params := genObject(t, 0, `"arguments":`+genValue(t, 5, true), `"name":"query"`)
		if diff := cmp.Diff(expectFacts(params, e, rootArguments), e.FromParams([]byte(params)), cmpFacts, cmpEmpty); diff != "" {
			t.Fatalf("%s\n%+v\n%s", diff, e.params, params)
		}
	})
}

func paths(extractors []*Extractor) (ps []string) {
	for _, e := range extractors {
		for _, w := range e.result {
			ps = append(ps, w.path.text)
		}
	}
	return ps
}
