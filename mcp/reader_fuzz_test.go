package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/e2e/corpus"
)

// seen is what a decoder makes of a message: the method and the tool that an
// upstream would run.
type seen struct{ method, tool string }

// decoders are the ways in which upstreams read a message. They return false
// where the upstream would refuse it.
var decoders = map[string]func(data []byte) (seen, bool){
	// mcp-go: names in any letter case, the last of several wins.
	"encoding/json into a struct": func(data []byte) (seen, bool) {
		var m struct {
			Method string `json:"method"`
			Params struct {
				Name any `json:"name"`
			} `json:"params"`
		}
		err := json.Unmarshal(data, &m)
		tool, _ := m.Params.Name.(string)
		return seen{m.Method, tool}, err == nil
	},
	// JavaScript, Python and many more: exact names, the last wins.
	"encoding/json into maps": func(data []byte) (seen, bool) {
		var m map[string]any
		err := json.Unmarshal(data, &m)
		method, _ := m["method"].(string)
		params, _ := m["params"].(map[string]any)
		tool, _ := params["name"].(string)
		return seen{method, tool}, err == nil
	},
	// What reads one value from a stream and leaves the rest.
	"encoding/json's Decoder": func(data []byte) (seen, bool) {
		var m struct {
			Method json.RawMessage `json:"method"`
			Params map[string]any  `json:"params"`
		}
		err := json.NewDecoder(bytes.NewReader(data)).Decode(&m)
		var method string
		if err == nil && m.Method != nil {
			err = json.Unmarshal(m.Method, &method)
		}
		tool, _ := m.Params["name"].(string)
		return seen{method, tool}, err == nil
	},
	// The first of several wins, and nothing is checked.
	"gjson": func(data []byte) (seen, bool) {
		m := gjson.ParseBytes(data)
		return seen{m.Get("method").String(), m.Get("params.name").String()}, true
	},
	// The official Go SDK: exact names, the last wins, the rest is left.
	"go-sdk": func(data []byte) (seen, bool) {
		m, err := jsonrpc.DecodeMessage(data)
		r, ok := m.(*jsonrpc.Request)
		if err != nil || !ok {
			return seen{}, err == nil
		}
		var params struct {
			Name any `json:"name"`
		}
		if len(r.Params) > 0 {
			err = json.Unmarshal(r.Params, &params)
		}
		tool, _ := params.Name.(string)
		return seen{r.Method, tool}, err == nil
	},
}

// checkRead holds for every body: Read says what the plain rules say, and all
// decoders see in an accepted message what the reader saw.
func checkRead(t interface{ Errorf(string, ...any) }, data []byte) {
	var body Body
	err := body.Read(data, true)
	if want := accepts(data); (err == nil) != want {
		t.Errorf("%q: Read says %v, the rules say accepted: %v", data, err, want)
	}
	if single := new(Body).Read(data, false); (single == nil) != (err == nil && !body.Batch) {
		t.Errorf("%q: %v without batches, %v with", data, single, err)
	}
	if err != nil {
		return
	}
	for _, m := range body.Messages {
		for name, decode := range decoders {
			got, ok := decode(m.Raw)
			if !ok {
				continue
			}
			if got.method != m.Method {
				t.Errorf("%q: %s sees the method %q, not %q", m.Raw, name, got.method, m.Method)
			}
			if m.IsCall() && got.tool != m.Tool {
				t.Errorf("%q: %s sees the tool %q, not %q", m.Raw, name, got.tool, m.Tool)
			}
			if !body.Batch { // what stands around the message makes no difference
				if around, _ := decode(data); around != got {
					t.Errorf("%q: %s sees %q in the message and %q in the body", data, name, got, around)
				}
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`,
		`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"t","arguments":{"x":[1,-2.5e+3,true,false,null,"\u00e9\n"]},"_meta":{"progressToken":1}}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"initialize"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t"}}]`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","method":"tools/call","params":{"name":"t"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","meth\u006fd":"tools/call","params":{"name":"t"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","Method":"tools/call","params":{"name":"t"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","method\u0000":"tools/call"}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{},"param\u017f":{"name":"t"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud800"}}`,
		`{"jsonrpc":"2.0","id":1e999,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":1.5,"method":"ping"}{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}`,
		"\ufeff" + `{"jsonrpc":"2.0","id":1,"method":"ping"}`,
		`{"jsonrpc":"2.0","id":1,"+AG0-ethod":"tools/call"}`,
		`[[{"jsonrpc":"2.0","id":1,"method":"ping"}]]`,
		`{"jsonrpc":"2.0","id":1,"method":"ping","x":` + strings.Repeat("[", 256) + strings.Repeat("]", 256) + `}`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1,"\u0061":1}`,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}",
		`"\ud83d\ude00"`,
		` `,
	} {
		f.Add([]byte(seed))
	}
	for _, a := range attacks() {
		if len(a.Body) <= 64<<10 { // larger ones would slow the fuzzer down
			f.Add(a.Body)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkRead(t, data)
	})
}

// TestReadCorpus holds the same of everything that end-to-end tests send to
// real upstreams.
func TestReadCorpus(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.Section+": "+a.Name, func(t *testing.T) { checkRead(t, a.Body) })
	}
}

// attacks are those of the corpus that have a body which none before has.
func attacks() []corpus.Attack {
	seen := map[string]bool{}
	return slices.DeleteFunc(corpus.New().Attacks, func(a corpus.Attack) bool {
		again := seen[string(a.Body)]
		seen[string(a.Body)] = true
		return again
	})
}

// The protocol's names and values, misspelt, repeated, misplaced and escaped.

func pick(of ...string) string { return of[rand.IntN(len(of))] }

// oneIn tells true once in n times.
func oneIn(n int) bool { return rand.IntN(n) == 0 }

// spell writes a name as a JSON string, now and then differently.
func spell(name string) string {
	if oneIn(40) {
		name = pick(strings.ToUpper(name), strings.ToUpper(name[:1])+name[1:], name+"\x00", "\x00"+name, "_"+name, name+"-", name+" ",
			strings.ReplaceAll(name, "s", "ſ"), strings.ReplaceAll(name, "k", "K"), strings.ReplaceAll(name, "i", "ı"),
			strings.ReplaceAll(name, "ss", "ß"), strings.ReplaceAll(name, "o", "ο"), strings.Trim(name, "_"), name+"\u0307")
	}
	var s strings.Builder
	s.WriteByte('"')
	for _, c := range name {
		if c < ' ' || oneIn(30) {
			fmt.Fprintf(&s, `\u%04x`, c)
		} else {
			s.WriteRune(c)
		}
	}
	if oneIn(150) {
		s.WriteString(pick(`\ud800`, `\udc00`, `\ud800\ud800`, `\ud83d\ude00`))
	}
	s.WriteByte('"')
	return s.String()
}

func space() string {
	if oneIn(500) {
		return "\v"
	}
	return pick("", "", "", "", " ", "\n", "\t\r")
}

func object(members []string) string {
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + space() + strings.Join(members, space()+","+space()) + space() + "}"
}

func anyValue() string {
	return pick(`1`, `1.0`, `-0`, `"1"`, `"ping"`, `"tools/call"`, `"2.0"`, `null`, `true`, `{}`, `[]`, `[{}]`, `{"name":"t"}`,
		`{"name":"t","name":"u"}`, `{"a":1,"A":2}`, `1e999`, `01`, `"\ud800"`, `{"method":"tools/call"}`)
}

func nameAnd(name string, values ...string) string {
	value := pick(values...)
	if oneIn(40) {
		value = anyValue()
	}
	return spell(name) + space() + ":" + space() + value
}

// hostile is a body that is nearly a message, or a batch of them.
func hostile() string {
	message := func() string {
		var params []string
		for _, name := range []string{"arguments", "_meta", "cursor", "clientInfo", "taskId", "notifications", "message", "x"} {
			if oneIn(4) {
				params = append(params, nameAnd(name, `{}`, `"a"`, spell("x")))
			}
		}
		if !oneIn(5) {
			params = append(params, nameAnd("name", spell("t"), spell("u")))
		}
		members := []string{nameAnd("jsonrpc", `"2.0"`), nameAnd("params", object(params))}
		if !oneIn(5) {
			members = append(members, nameAnd("id", `1`, `2`, `"1"`, `1.0`))
		}
		if !oneIn(4) {
			members = append(members, nameAnd("method", spell("ping"), spell("tools/call"), spell("initialize"), spell("x")))
		} else {
			members = append(members, nameAnd("result", `{}`, `null`))
		}
		for _, name := range []string{"method", "id", "params", "result", "error", "x", "Name", "é"} {
			if oneIn(40) {
				members = append(members, nameAnd(name, anyValue()))
			}
		}
		return object(members)
	}
	body := message()
	if oneIn(4) {
		body = "[" + strings.Join([]string{body, message(), pick(message(), message(), anyValue())}, ",") + "]"
	}
	if oneIn(40) {
		body += pick("{}", "\x00", ",", "]", "1")
	}
	return space() + body + space()
}

func TestReadHostile(t *testing.T) {
	accepted, refused := 0, 0
	for range 10_000 {
		body := []byte(hostile())
		checkRead(t, body)
		if new(Body).Read(body, true) == nil {
			accepted++
		} else {
			refused++
		}
	}
	if accepted < refused/4 || refused < accepted/4 {
		t.Errorf("%d accepted and %d refused show too little of one of them", accepted, refused)
	}
}

// What an honest client sends is read as it was meant, however its encoder
// escapes and indents.
func TestReadHonest(t *testing.T) {
	argument := rapid.OneOf(rapid.String().AsAny(), rapid.Int().AsAny(), rapid.Float64Range(-1e9, 1e9).AsAny(), rapid.Bool().AsAny(),
		rapid.SliceOf(rapid.String()).AsAny(), rapid.MapOf(rapid.String(), rapid.Int()).AsAny(), rapid.Just[any](nil))
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.IntRange(-1<<62, 1<<62).AsAny(), rapid.String().AsAny()).Draw(t, "id")
		method := rapid.OneOf(rapid.Just("tools/call"), rapid.SampledFrom([]string{"ping", "tools/list", "prompts/get"}), rapid.String()).Draw(t, "method")
		tool := rapid.String().Draw(t, "tool")
		arguments := rapid.MapOf(rapid.String(), argument).Draw(t, "arguments")
		var encoded bytes.Buffer
		enc := json.NewEncoder(&encoded)
		enc.SetEscapeHTML(rapid.Bool().Draw(t, "HTML"))
		enc.SetIndent("", rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "indent"))
		if err := enc.Encode(map[string]any{"jsonrpc": "2.0", "id": id, "method": method,
			"params": map[string]any{"name": tool, "arguments": arguments}}); err != nil {
			t.Fatal(err)
		}
		data := encoded.Bytes()
		if rapid.Bool().Draw(t, "ASCII") {
			data = toASCII(data)
		}
		var body Body
		if err := body.Read(data, false); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		m := body.Messages[0]
		if method != "tools/call" {
			tool = ""
		}
		wantID, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind != Request || m.Method != method || m.Tool != tool || IDKey(m.ID) != IDKey(wantID) {
			t.Errorf("%s: read as %+v", data, m)
		}
		checkRead(t, data)
	})
}

// toASCII escapes what is beyond ASCII, as Python's encoder does.
func toASCII(data []byte) []byte {
	var out bytes.Buffer
	for _, c := range string(data) {
		switch {
		case c < 0x80:
			out.WriteRune(c)
		case c < 0x10000:
			fmt.Fprintf(&out, `\u%04X`, c)
		default:
			c -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		}
	}
	return out.Bytes()
}
