package mcp

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// b is text as bytes, nil for "".
func b(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

var exported = cmpopts.IgnoreUnexported(Message{})

func TestReadMessage(t *testing.T) {
	tests := []struct {
		name string
		body string
		want Message // without Raw, which is the body without space around it
	}{
		{"request", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`,
			Message{Kind: Request, ID: b("1"), Method: "tools/list", Params: b("{}")}},
		{"call", `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"query_daily","arguments":{"name":"other"}}}`,
			Message{Kind: Request, ID: b(`"a"`), Method: "tools/call", Tool: "query_daily", Params: b(`{"name":"query_daily","arguments":{"name":"other"}}`)}},
		{"call, params first", `{"params":{"arguments":{},"name":"t"},"method":"tools/call","id":0,"jsonrpc":"2.0"}`,
			Message{Kind: Request, ID: b("0"), Method: "tools/call", Tool: "t", Params: b(`{"arguments":{},"name":"t"}`)}},
		{"escaped names and values", `{"jsonrpc":"2\u002e0","\u0069d":"\u00e9","meth\u006fd":"tools\/c\u0061ll","params":{"n\u0061me":"\ud83d\ude00"}}`,
			Message{Kind: Request, ID: b(`"\u00e9"`), Method: "tools/call", Tool: "😀", Params: b(`{"n\u0061me":"\ud83d\ude00"}`)}},
		{"white space", " \r\n\t{ \"jsonrpc\" : \"2.0\" ,\n\"method\"\t: \"ping\", \"id\" :\r7 } \n",
			Message{Kind: Request, ID: b("7"), Method: "ping"}},
		{"notification", `{"jsonrpc":"2.0","method":"notifications/initialized"}`,
			Message{Kind: Notification, Method: "notifications/initialized"}},
		{"params null", `{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`,
			Message{Kind: Request, ID: b("1"), Method: "ping"}},
		{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"tools/CALL"}`,
			Message{Kind: Request, ID: b("1"), Method: "tools/CALL"}},
		{"empty method", `{"jsonrpc":"2.0","id":1,"method":""}`,
			Message{Kind: Request, ID: b("1")}},
		{"integer id spelt otherwise", `{"jsonrpc":"2.0","id":-1.5e3,"method":"ping"}`,
			Message{Kind: Request, ID: b("-1.5e3"), Method: "ping"}},
		{"large id", `{"jsonrpc":"2.0","id":-9223372036854775808,"method":"ping"}`,
			Message{Kind: Request, ID: b("-9223372036854775808"), Method: "ping"}},
		{"empty id", `{"jsonrpc":"2.0","id":"","method":"ping"}`,
			Message{Kind: Request, ID: b(`""`), Method: "ping"}},
		{"name of something else is no tool", `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":7}}`,
			Message{Kind: Request, ID: b("1"), Method: "prompts/get", Params: b(`{"name":7}`)}},
		{"members of others", `{"jsonrpc":"2.0","id":1,"method":"ping","x":{"Method":1,"METHOD":2},"Name":3,"表":4}`,
			Message{Kind: Request, ID: b("1"), Method: "ping"}},
		{"letter case below params", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"Name":1,"NAME":2,"a\u0000":1,"a":2},"meta":{}}}`,
			Message{Kind: Request, ID: b("1"), Method: "tools/call", Tool: "t", Params: b(`{"name":"t","arguments":{"Name":1,"NAME":2,"a\u0000":1,"a":2},"meta":{}}`)}},
		{"unpaired surrogate in an argument", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"text":"cut \ud83d"}}}`,
			Message{Kind: Request, ID: b("1"), Method: "tools/call", Tool: "t", Params: b(`{"name":"t","arguments":{"text":"cut \ud83d"}}`)}},
		{"result", `{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}`, Message{Kind: Response, ID: b("1")}},
		{"null result", `{"jsonrpc":"2.0","id":1,"result":null}`, Message{Kind: Response, ID: b("1")}},
		{"error", `{"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"no"}}`, Message{Kind: Response, ID: b(`"x"`)}},
		{"error and null result", `{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-1,"message":"no"}}`, Message{Kind: Response, ID: b("1")}},
		{"error without an id", `{"jsonrpc":"2.0","error":{"code":-1,"message":"no"}}`, Message{Kind: Response}},
		{"error with a null id", `{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}`, Message{Kind: Response}},
	}
	var body Body
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := body.Read([]byte(tt.body), false); err != nil {
				t.Fatal(err)
			}
			tt.want.Raw = []byte(strings.Trim(tt.body, " \r\n\t"))
			if diff := cmp.Diff(Body{Messages: []Message{tt.want}}, body, exported); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	// in is a ping with another member.
	in := func(member string) string { return `{"jsonrpc":"2.0","id":1,"method":"ping",` + member + `}` }
	call := func(params string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + params + `}`
	}
	nested := func(levels int) string {
		return in(`"x":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1))
	}
	const parse, invalid = CodeParseError, CodeInvalidRequest
	tests := []struct {
		name, body string
		code       int
		reason     string // a part of it
		id         string
	}{
		// No JSON, or more than one.
		{"empty", ``, parse, "empty", ""},
		{"white space only", " \n", parse, "empty", ""},
		{"byte-order mark", "\ufeff" + in(`"x":1`), parse, "byte-order mark", ""},
		{"byte-order mark within", " \ufeff" + in(`"x":1`), parse, "a value was expected", ""},
		{"UTF-16", "{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", parse, "a name in quotes", ""},
		{"trailing data", in(`"x":1`) + `{}`, parse, "goes on", ""},
		{"trailing NUL", in(`"x":1`) + "\x00", parse, "goes on", ""},
		{"trailing comma", in(`"x":1,`), parse, "a name in quotes", ""},
		{"two lines", in(`"x":1`) + "\n" + in(`"x":1`), parse, "goes on", ""},
		{"unfinished", `{"jsonrpc":"2.0","id":1,"method":"ping"`, parse, "the body ends", ""},
		{"no space by Unicode", "\u00a0" + in(`"x":1`), parse, "a value", ""},
		{"form feed", "\f" + in(`"x":1`), parse, "a value", ""},
		{"comment", in(`"x":1/**/`), parse, "a comma", ""},
		{"single quotes", in(`'x':1`), parse, "a name in quotes", ""},
		{"no quotes", in(`x:1`), parse, "a name in quotes", ""},
		{"no colon", in(`"x" 1`), parse, "a colon", ""},
		{"no value", in(`"x":`), parse, "a value", ""},
		{"no comma", in(`"x":[1 2]`), parse, "a comma", ""},
		{"wrong bracket", in(`"x":[1}`), parse, "a comma", ""},
		{"NaN", in(`"x":NaN`), parse, "a value", ""},
		{"-Infinity", in(`"x":-Infinity`), parse, "a digit", ""},
		{"01", in(`"x":01`), parse, "a comma", ""},
		{"+1", in(`"x":+1`), parse, "a value", ""},
		{".5", in(`"x":.5`), parse, "a value", ""},
		{"1.", in(`"x":1.`), parse, "a digit", ""},
		{"1e", in(`"x":1e`), parse, "a digit", ""},
		{"0x1", in(`"x":0x1`), parse, "a comma", ""},
		{"True", in(`"x":True`), parse, "a value", ""},
		{"truf", in(`"x":truf`), parse, "true", ""},
		{"tab in a string", in("\"x\":\"a\tb\""), parse, "control character", ""},
		{"NUL in a string", in("\"x\":\"a long enough string \x00\""), parse, "control character", ""},
		{"bad escape", in(`"x":"\x41"`), parse, "escape", ""},
		{"short escape", in(`"x":"\u12g4"`), parse, "escape", ""},
		{"half an escape", `{"a\`, parse, "escape", ""},
		{"unfinished value", `{"a":`, parse, "the body ends where a value", ""},
		{"unfinished array", in(`"x":[1`)[:len(in(`"x":[1`))-1], parse, "the body ends where a comma", ""},
		{"unfinished string", `{"a`, parse, "the end of a string", ""},
		{"invalid UTF-8", in("\"x\":\"\xff\""), parse, "UTF-8", ""},
		{"invalid UTF-8 in a long string", in("\"x\":\"0123456789\xc3(0123456789\""), parse, "UTF-8", ""},
		{"invalid UTF-8 in a name", in("\"\xc3\":1"), parse, "UTF-8", ""},
		{"overlong UTF-8", in("\"x\":\"\xc0\xae\""), parse, "UTF-8", ""},
		{"surrogate in UTF-8", in("\"x\":\"\xed\xa0\x80\""), parse, "UTF-8", ""},
		{"utf-7", `{"jsonrpc":"2.0","id":1,"+AG0-ethod":"tools/call"}`, invalid, "a method, a result or an error", "1"},

		// Names that decoders read differently.
		{"method twice", in(`"method":"tools/call"`), invalid, "twice", "1"},
		{"method twice, escaped", in(`"meth\u006fd":"tools/call"`), invalid, "twice", "1"},
		{"method twice, first escaped", `{"\u006dethod":"ping","method":"tools/call","jsonrpc":"2.0","id":1}`, invalid, "twice", ""},
		{"method twice, both escaped", `{"\u006dethod":"ping","m\u0065thod":"tools/call","jsonrpc":"2.0","id":1}`, invalid, "twice", ""},
		{"params twice", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}`, invalid, "twice", "1"},
		{"name twice", call(`{"name":"a","name":"b"}`), invalid, "twice", "1"},
		{"twice in the arguments", call(`{"name":"a","arguments":{"x":[{"y":1,"z":2,"y":3}]}}`), invalid, `"y" occurs twice`, "1"},
		{"a long name twice", in(`"` + strings.Repeat("é", 50) + `":1,"` + strings.Repeat("é", 50) + `":2`), invalid, `é… occurs twice`, "1"},
		{"empty name twice", in(`"x":{"":1,"":2}`), invalid, "twice", "1"},
		{"twice around an object", in(`"x":{"a":{"b":1,"c":2},"b":1,"a":3}`), invalid, `"a" occurs twice`, "1"},
		{"Method", in(`"Method":"tools/call"`), invalid, `"Method" could be taken for "method"`, "1"},
		{"METHOD alone", `{"jsonrpc":"2.0","id":1,"METHOD":"tools/call"}`, invalid, "could be taken", "1"},
		{"paramſ", in(`"param\u017f":{}`), invalid, "could be taken", "1"},
		{"paramſ in UTF-8", in(`"paramſ":{}`), invalid, "could be taken", "1"},
		{"İd", in(`"İd":1`), invalid, "could be taken", "1"},
		{"ıd", in(`"ıd":1`), invalid, "could be taken", "1"},
		{"meth-od", in(`"meth-od":1`), invalid, "could be taken", "1"},
		{"_method_", in(`"_method_":1`), invalid, "could be taken", "1"},
		{"method and NUL", in(`"method\u0000":1`), invalid, "could be taken", "1"},
		{"Method and NUL and more", in(`"Method\u0000x":1`), invalid, "could be taken", "1"},
		{"Name", call(`{"name":"a","Name":"b"}`), invalid, "could be taken", "1"},
		{"Name alone", call(`{"Name":"b"}`), invalid, "could be taken", "1"},
		{"argumentſ", call(`{"name":"a","argument\u017F":{}}`), invalid, "could be taken", "1"},
		{"Kelvin", call(`{"name":"a","tasK":{}}`), invalid, "could be taken", "1"},
		{"ligature", call(`{"name":"a","notiﬁcations":{}}`), invalid, "could be taken", "1"},
		{"sharp s", call(`{"name":"a","meßage":{}}`), invalid, "could be taken", "1"},
		{"Meta", call(`{"name":"a","_Meta":{}}`), invalid, "could be taken", "1"},
		{"Meta without underscore", call(`{"name":"a","Meta":{}}`), invalid, "could be taken", "1"},
		{"client_info", call(`{"name":"a","client_info":{}}`), invalid, "could be taken", "1"},
		{"params of an unknown method", `{"jsonrpc":"2.0","id":1,"method":"x","params":{"URI":1}}`, invalid, "could be taken", "1"},
		{"unpaired surrogate in a name", call(`{"name":"a","arguments":{"\ud800":1}}`), invalid, "unpaired UTF-16 surrogate", "1"},
		{"low surrogate first in a name", in(`"\udc00\ud800":1`), invalid, "unpaired UTF-16 surrogate", "1"},
		{"257 levels", nested(257), invalid, "deeper", "1"},
		{"257 levels of objects", in(strings.Repeat(`"x":{`, 256) + strings.Repeat("}", 256)), invalid, "deeper", "1"},

		// No message.
		{"a string", `"ping"`, invalid, "a JSON object", ""},
		{"a number", ` 1 `, invalid, "a JSON object", ""},
		{"null", `null`, invalid, "a JSON object", ""},
		{"an empty object", `{}`, invalid, "jsonrpc", ""},
		{"no jsonrpc", `{"id":1,"method":"ping"}`, invalid, "jsonrpc", "1"},
		{"jsonrpc 1.0", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, invalid, "jsonrpc", "1"},
		{"jsonrpc 2.0 as a number", `{"jsonrpc":2.0,"id":"a","method":"ping"}`, invalid, "jsonrpc", `"a"`},
		{"neither method nor result", `{"jsonrpc":"2.0","id":1}`, invalid, "a method, a result or an error", "1"},
		{"method and result", in(`"result":{}`), invalid, "either a method or", "1"},
		{"method and null result", in(`"result":null`), invalid, "either a method or", "1"},
		{"method and error", in(`"error":{}`), invalid, "either a method or", "1"},
		{"result and error", `{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`, invalid, "either a result or", "1"},
		{"method is null", `{"jsonrpc":"2.0","id":1,"method":null}`, invalid, `"method" is not a string`, "1"},
		{"method is an array", `{"jsonrpc":"2.0","id":1,"method":["ping"]}`, invalid, `"method" is not a string`, "1"},
		{"method with a unpaired surrogate", `{"jsonrpc":"2.0","id":1,"method":"\ud800"}`, invalid, `"method" is not`, "1"},
		{"id is null", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, invalid, `"id"`, ""},
		{"id is null, notification", `{"jsonrpc":"2.0","id":null,"method":"notifications/initialized"}`, invalid, `"id"`, ""},
		{"id is true", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, invalid, `"id"`, ""},
		{"id is an array", `{"jsonrpc":"2.0","id":[1],"method":"ping"}`, invalid, `"id"`, ""},
		{"id is an object", `{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}`, invalid, `"id"`, ""},
		{"fractional id", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, invalid, `"id"`, ""},
		{"id beyond 64 bits", `{"jsonrpc":"2.0","id":9223372036854775808,"method":"ping"}`, invalid, `"id"`, ""},
		{"id beyond a double", `{"jsonrpc":"2.0","id":1e999,"method":"ping"}`, invalid, `"id"`, ""},
		{"id with a unpaired surrogate", `{"jsonrpc":"2.0","id":"\udfff","method":"ping"}`, invalid, `"id"`, ""},
		{"params is an array", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, invalid, `"params"`, "1"},
		{"params is a string", `{"jsonrpc":"2.0","id":1,"method":"ping","params":"{}"}`, invalid, `"params"`, "1"},
		{"call without params", `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, invalid, `without "name"`, "1"},
		{"call with null params", call(`null`), invalid, `without "name"`, "1"},
		{"call without a name", call(`{"arguments":{"name":"x"}}`), invalid, `without "name"`, "1"},
		{"name is null", call(`{"name":null}`), invalid, `the "name"`, "1"},
		{"name is a number", call(`{"name":1}`), invalid, `the "name"`, "1"},
		{"name with a unpaired surrogate", call(`{"name":"x\ud800y"}`), invalid, `the "name"`, "1"},
		{"call without an id", `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}`, invalid, "without an id", ""},
		{"result without an id", `{"jsonrpc":"2.0","result":{}}`, invalid, "without the id", ""},
		{"result with a null id", `{"jsonrpc":"2.0","id":null,"result":{}}`, invalid, "without the id", ""},
		{"response with an id that is none", `{"jsonrpc":"2.0","id":{},"error":{}}`, invalid, `"id"`, ""},
		{"a batch", `[` + in(`"x":1`) + `]`, invalid, "2025-03-26", ""},
	}
	var body Body
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := body.Read([]byte(tt.body), false)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("err = %v, %d messages", err, len(body.Messages))
			}
			if len(body.Messages) > 0 {
				t.Errorf("%d messages beside the error", len(body.Messages))
			}
			if e.Code != tt.code || !strings.Contains(err.Error(), tt.reason) || string(e.ID) != tt.id {
				t.Errorf("got %d, %q, id %s", e.Code, err, e.ID)
			}
			if e.Offset < 0 || e.Offset > len(tt.body) {
				t.Errorf("offset %d of %d", e.Offset, len(tt.body))
			}
		})
	}
}

func TestReadBatch(t *testing.T) {
	const (
		ping  = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
		call  = `{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"t"}}`
		note  = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
		reply = `{"jsonrpc":"2.0","id":1,"result":{}}`
	)
	var body Body
	if err := body.Read([]byte(" [ "+ping+" , "+call+","+note+","+note+","+reply+","+reply+"] "), true); err != nil {
		t.Fatal(err)
	}
	want := Body{Batch: true, Messages: []Message{
		{Kind: Request, ID: b("1"), Method: "ping", Raw: b(ping)},
		{Kind: Request, ID: b(`"1"`), Method: "tools/call", Tool: "t", Raw: b(call), Params: b(`{"name":"t"}`)},
		{Kind: Notification, Method: "notifications/initialized", Raw: b(note)},
		{Kind: Notification, Method: "notifications/initialized", Raw: b(note)},
		{Kind: Response, ID: b("1"), Raw: b(reply)},
		{Kind: Response, ID: b("1"), Raw: b(reply)},
	}}
	if diff := cmp.Diff(want, body, exported); diff != "" {
		t.Error(diff)
	}
	if err := body.Read([]byte(ping), true); err != nil || body.Batch || len(body.Messages) != 1 {
		t.Errorf("a single message after a batch: %+v, %v", body, err)
	}

	for _, tt := range []struct{ name, body, reason string }{
		{"empty", `[]`, "at least one"},
		{"empty with space", `[ ]`, "at least one"},
		{"nested", `[[` + ping + `]]`, "a JSON object"},
		{"null", `[` + ping + `,null]`, "a JSON object"},
		{"number", `[1]`, "a JSON object"},
		{"comma", `[` + ping + `,]`, "a value"},
		{"no comma", `[` + ping + note + `]`, "a comma"},
		{"unfinished", `[` + ping, "a comma"},
		{"two batches", `[` + ping + `][` + call + `]`, "goes on"},
		{"one id twice", `[` + ping + `,` + call + `,{"jsonrpc":"2.0","id":1.0,"method":"tools/list"}]`, "have the id 1.0"},
		{"one id twice, escaped", `[` + call + `,{"jsonrpc":"2.0","id":"\u0031","method":"tools/list"}]`, "have the id"},
		{"one bad of several", `[` + ping + `,{"jsonrpc":"2.0","id":2,"Method":"tools/call"}]`, "could be taken"},
		{"257 levels", `[{"jsonrpc":"2.0","id":1,"method":"ping","x":` + strings.Repeat("[", 255) + strings.Repeat("]", 255) + `}]`, "deeper"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := body.Read([]byte(tt.body), true)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Reason, tt.reason) || e.ID != nil {
				t.Errorf("err = %#v", err)
			}
		})
	}
}

func TestReadDepth(t *testing.T) {
	body := `{"jsonrpc":"2.0","id":1,"method":"ping","x":` + strings.Repeat(`[{"a":`, 127) + `[]` + strings.Repeat("}]", 127) + `}`
	if err := new(Body).Read([]byte(body), false); err != nil {
		t.Errorf("256 levels: %v", err)
	}
}

// A body that is used again holds nothing of the one before.
func TestBodyReuse(t *testing.T) {
	var body Body
	first := []byte(`[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"x"}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","_meta":{}}}]`)
	if err := body.Read(first, true); err != nil {
		t.Fatal(err)
	}
	kept := &body.Messages[0]
	second := []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	if err := body.Read(second, true); err != nil {
		t.Fatal(err)
	}
	if kept != &body.Messages[0] {
		t.Error("the array of messages was not used again")
	}
	want := []Message{{Kind: Notification, Method: "notifications/initialized", Raw: second}, {}}
	if diff := cmp.Diff(want, body.Messages[:2], cmp.AllowUnexported(Message{})); diff != "" {
		t.Error(diff)
	}
	if &body.Messages[0].Raw[0] != &second[0] {
		t.Error("Raw does not alias the body")
	}
}

// Every size of an object, around where a list becomes a table and where a
// table grows: all names are new, but for one that is not.
func TestNames(t *testing.T) {
	// names are n names, every so manieth with an escape.
	names := func(n, escaped int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("name%d", i)
			if escaped > 0 && i%escaped == escaped-1 {
				list[i] = `\u006e` + list[i][1:]
			}
		}
		return list
	}
	object := func(names []string) []byte {
		return []byte(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":{"` + strings.Join(names, `":{"in":0,"ner":1},"`) + `":0}}}`)
	}
	var body Body
	for _, escaped := range []int{0, 1, 3, 20} {
		for n := 1; n < 120; n++ {
			list := names(n, escaped)
			if err := body.Read(object(list), false); err != nil {
				t.Fatalf("%d names: %v", n, err)
			}
			for _, again := range []int{0, n / 2, n - 1} {
				for _, spelt := range []string{list[again], `n\u0061me` + strings.TrimPrefix(strings.TrimPrefix(list[again], `\u006e`), "n")[3:]} {
					if err := body.Read(object(append(list[:n:n], spelt)), false); err == nil {
						t.Fatalf("%d names and %s again: not refused", n, spelt)
					}
				}
			}
		}
	}
}

func TestNamesWithQuotes(t *testing.T) {
	// The second name, decoded, is the first and what follows it in the body.
	body := `{"jsonrpc":"2.0","id":1,"method":"m","x":{"\u0061":1,"b":2,"b\":2,\"b":3}}`
	if err := new(Body).Read([]byte(body), false); err != nil {
		t.Error(err)
	}
}
