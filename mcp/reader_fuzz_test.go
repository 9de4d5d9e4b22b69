package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/tallygate/tallygate/mcp/mcptest"
)

// seen is what a decoder makes of a message: the method and the tool that an
// upstream would run.
type seen struct{ method, tool string }

// decoders are the ways in which upstreams read a message. They return false
// where the upstream would refuse it. e2e has one more, the official Go SDK's.
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
func attacks() []mcptest.Attack {
	seen := map[string]bool{}
	return slices.DeleteFunc(mcptest.NewCorpus().Attacks, func(a mcptest.Attack) bool {
		again := seen[string(a.Body)]
		seen[string(a.Body)] = true
		return again
	})
}

func TestReadHostile(t *testing.T) {
	accepted, refused := 0, 0
	for range 10_000 {
		body := []byte(mcptest.NearMessage())
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
