package mcptest

import (
	"fmt"
	"strings"
)

// methods are messages that need a key and hide nothing, and methods that
// look like others.
func (c *Corpus) methods() {
	c.begin("keyed methods", "what is not known to be public needs a key, heard of or not")
	for _, method := range []string{
		"tools/list", "tools/call", "resources/list", "resources/read", "resources/templates/list", "resources/subscribe",
		"resources/unsubscribe", "prompts/list", "prompts/get", "completion/complete", "logging/setLevel", "roots/list",
		"sampling/createMessage", "elicitation/create", "tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "rpc.discover",
		"made/up", "", "x",
	} {
		c.add("request "+method, message(`"method":"`+method+`"`, callParams))
	}
	for _, method := range []string{
		"notifications/cancelled", "notifications/progress", "notifications/message", "notifications/roots/list_changed",
		"notifications/made/up", "tools/call", "tools/list",
	} {
		c.add("notification "+method, `{"jsonrpc":"2.0","method":"`+method+`","params":{"name":"count","arguments":{},"requestId":9,"progressToken":9,"progress":1}}`)
	}
	c.add("result", message(`"result":{}`))
	c.add("error", message(`"error":{"code":-1,"message":"no"}`))
	c.add("ping with the id null", `{"jsonrpc":"2.0","id":null,"method":"ping"}`)

	c.begin("lookalike methods", "servers that trim, fold or normalise a method run it under another name than the gate read")
	for _, literal := range []string{
		`TOOLS/CALL`, `Tools/Call`, `tools\/call`, allEscaped("tools/call"), `\u0074ools/call`, `tools/call `, ` tools/call`,
		`tools/call\u0000`, `ping\u0000tools/call`, `tools/call\u0000ping`, `tools/call\n`, `tools//call`, `./tools/call`,
		`ping/../tools/call`, `tools\\call`, `tools.call`, `toolſ/call`, `ｔools/call`, `tools/call\ud800`, `tools/\u200bcall`,
		`\ufefftools/call`, `ping?tools/call`, `PING`, `ping `, `pıng`, `İnitialize`, `INITIALIZE`,
		`notifications/initialized/../../tools/call`,
	} {
		c.add(literal, message(`"method":"`+literal+`"`, callParams))
	}
}

// spellings are names that some decoder takes for "method", as JSON text.
func spellings() [][2]string {
	list := [][2]string{
		{"the same", `"method"`},
		{"all escaped", `"` + allEscaped("method") + `"`},
		{"all escaped, upper-case digits", `"` + strings.ToUpper(allEscaped("method")) + `"`},
		{"title case", `"Method"`}, {"upper case", `"METHOD"`}, {"last letter upper case", `"methoD"`}, {"mixed case", `"mEtHoD"`},
		{"escaped capital", `"\u004dethod"`},
		{"escaped NUL after", `"method\u0000"`}, {"escaped NUL before", `"\u0000method"`}, {"NUL and more", `"method\u0000x"`},
		{"raw NUL after", "\"method\x00\""}, {"raw NUL within", "\"met\x00hod\""},
		{"space after", `"method "`}, {"space before", `" method"`}, {"no-break space", "\"method\u00a0\""},
		{"raw tab", "\"method\t\""}, {"escaped tab", `"method\t"`}, {"raw newline", "\"method\n\""}, {"escaped newline", `"\nmethod"`},
		{"zero-width space", "\"meth\u200bod\""}, {"soft hyphen", "\"meth\u00adod\""}, {"BOM in the name", "\"\ufeffmethod\""},
		{"combining dot", "\"method\u0307\""}, {"variation selector", "\"method\ufe0f\""},
		{"underscore before", `"_method"`}, {"underscore after", `"method_"`}, {"dash within", `"met-hod"`}, {"underscore within", `"Met_hod"`},
		{"Cyrillic e", "\"m\u0435thod\""}, {"full width", "\"\uff4dethod\""}, {"mathematical", "\"\U0001d426ethod\""},
		{"unpaired surrogate after", `"method\ud800"`}, {"lone surrogate before", `"\udc00method"`}, {"two high surrogates", `"method\ud800\ud800"`},
		{"hex escape", `"\x6dethod"`}, {"needless escape", `"\method"`}, {"braced escape", `"\u{6d}ethod"`}, {"short escape", `"\u6dethod"`},
		{"octal escape", `"\155ethod"`},
		{"overlong UTF-8", "\"\xc1\xadethod\""}, {"invalid UTF-8 after", "\"method\xff\""}, {"cut UTF-8", "\"method\xc3\""},
		{"surrogate in UTF-8", "\"method\xed\xa0\x80\""},
		{"single quotes", `'method'`}, {"no quotes", `method`}, {"after a comment", `/**/"method"`},
	}
	for i, char := range "method" {
		list = append(list, [2]string{fmt.Sprintf("escape of letter %d", i+1), `"` + "method"[:i] + escaped(char) + "method"[i+1:] + `"`})
	}
	return list
}

// names hide a call behind a second method.
func (c *Corpus) names() {
	c.begin("two methods", "of two names that are equal, or that it takes to be, one decoder believes the first and another the last")
	for _, s := range spellings() {
		for _, public := range []string{"ping", "initialize"} {
			c.add(s[0]+", after "+public, message(`"method":"`+public+`"`, s[1]+`:"tools/call"`, bothParams))
			c.add(s[0]+", before "+public, message(s[1]+`:"tools/call"`, `"method":"`+public+`"`, bothParams))
		}
		if s[0] != "the same" {
			c.add(s[0]+", alone", message(s[1]+`:"tools/call"`, bothParams))
		}
	}
	c.add("call, ping, call", message(`"method":"tools/call"`, `"method":"ping"`, `"method":"tools/call"`, bothParams))
	c.add("ping, call, ping", message(`"method":"ping"`, `"method":"tools/call"`, `"method":"ping"`, bothParams))
	c.add("after params", message(`"method":"ping"`, bothParams, `"method":"tools/call"`))
	c.add("in a notification", `{"jsonrpc":"2.0","method":"notifications/initialized","method":"tools/call",`+callParams+`}`)
	c.add("in a notification with a late id", `{"jsonrpc":"2.0","method":"notifications/initialized","Method":"tools/call",`+callParams+`,"id":1}`)
	c.add("in server/discover", message(`"method":"server/discover"`, `"Method":"tools/call"`, bothParams))

	c.begin("names of prototypes", "a decoder that assigns names to an object can be given a method that is not in the text of the message's own members")
	for _, members := range []string{
		`"__proto__":{"method":"tools/call",` + callParams + `}`,
		`"__proto__":{"method":"tools/call",` + callParams + `},"method":"ping"`,
		`"method":"ping","__proto__":{"method":"tools/call",` + callParams + `}`,
		`"method":"ping","constructor":{"prototype":{"method":"tools/call"}},` + callParams,
		`"\u005f_proto__":{"method":"tools/call"},"method":"ping",` + callParams,
		`"method":"ping","params":{"__proto__":{"method":"tools/call","name":"count"}}`,
		`"method":"tools/call","params":{"__proto__":{"name":"count","arguments":{}}}`,
		`"method":"tools/call","params":{"name":"count","__proto__":{"name":"other"}}`,
		`"method":"tools/call","params":{"name":"__proto__"}`,
		`"method":"__proto__"`, `"method":"constructor"`, `"method":"toString"`, `"method":"hasOwnProperty"`,
		`"toString":"tools/call","method":"ping"`, `"toJSON":{"method":"tools/call"},"method":"ping"`, `"valueOf":"tools/call","method":"ping"`,
		`"":"tools/call","method":"ping"`,
	} {
		c.add(members, message(members))
	}
}

// params hide which tool a call runs, and versions and ids whether it is one.
func (c *Corpus) params() {
	c.begin("two tools", "the tool that is recorded must be the tool that runs")
	for _, s := range spellings() {
		name := strings.NewReplacer("method", "name", "Method", "Name", "METHOD", "NAME", "methoD", "namE").Replace(s[1])
		if name == s[1] {
			continue // a spelling that needs the letters of "method"
		}
		c.add("name: "+s[0]+", after", message(`"method":"tools/call"`, `"params":{"name":"count",`+name+`:"other","arguments":{}}`))
		c.add("name: "+s[0]+", before", message(`"method":"tools/call"`, `"params":{`+name+`:"other","name":"count","arguments":{}}`))
	}
	for _, members := range []string{
		callParams + `,"params":{"name":"other"}`, callParams + `,"Params":{"name":"other"}`, `"PARAMS":{"name":"other"},` + callParams,
		callParams + `,"paramſ":{"name":"other"}`, callParams + `,"param\u017f":{"name":"other"}`, callParams + `,"par\u0061ms":{"name":"other"}`,
		`"paramſ":{"name":"other"},` + callParams, `"paramſ":{"name":"other"}`, `"Params":{"name":"other"}`, `"PARAMS":{"name":"count"}`,
		callParams + `,"params\u0000":{"name":"other"}`, callParams + `,"params":null`, `"params":null,` + callParams,
		`"params":{"name":"count","arguments":{"name":"other"}}`, `"params":{"name":"count","arguments":{},"argumentſ":{}}`,
		`"params":{"name":"count","tasK":{}}`, `"params":{"name":"count","_meta":{},"_Meta":{"progressToken":1}}`,
		`"params":["count",{}]`, `"params":[{"name":"count"}]`, `"params":"count"`, `"params":{}`, `"params":{"name":null}`,
		`"params":{"name":["count"]}`, `"params":{"name":{"name":"count"}}`, `"params":{"name":1}`, `"params":{"name":""}`,
		`"params":{"name":"count\u0000"}`, `"params":{"name":"COUNT"}`, `"params":{"name":"\u0063ount"}`, `"params":{"name":"count "}`,
		`"params":{"name":"made up"}`, `"params":{"name":"count","name\u0000":"other"}`, `"params":{"name":"count","arguments":{"a":1,"a":2}}`,
		`"params":{"name":"count","arguments":{"a":1,"A":2}}`, `"params":{"name":"count","arguments":[]}`, `"params":{"name":"count","arguments":null}`,
		`"params":{"name":"count","arguments":"{}"}`, `"name":"other",` + callParams, `"arguments":{},` + callParams,
	} {
		c.add(members, message(`"method":"tools/call"`, members))
	}

	c.begin("versions", "whether an object is JSON-RPC 2.0 at all decides who reads on")
	for _, v := range []string{
		`"jsonrpc":"1.0"`, `"jsonrpc":"2"`, `"jsonrpc":2.0`, `"jsonrpc":2`, `"jsonrpc":"2.0 "`, `"jsonrpc":"2.00"`, `"jsonrpc":"\u0032.0"`,
		`"jsonrpc":null`, `"jsonrpc":["2.0"]`, `"jsonrpc":"2.0","jsonrpc":"1.0"`, `"jsonrpc":"1.0","jsonrpc":"2.0"`, `"JSONRPC":"2.0"`,
		`"jsonrpc":"1.0","Jsonrpc":"2.0"`, `"jſonrpc":"2.0"`, `"jsonrpc":"1.0","jſonrpc":"2.0"`, `"jsonrpc\u0000":"2.0"`, `"jsonrpc":true`, `"x":1`,
	} {
		c.add("call, "+v, `{`+v+`,"id":1,"method":"tools/call",`+callParams+`}`)
	}

	c.begin("ids", "an id tells a request from a notification, and an answer from another; decoders differ in what they take for one")
	for _, id := range []string{
		`0`, `-0`, `-1`, `1.0`, `1.5`, `1e0`, `1E+2`, `1e400`, `-1e400`, `1e-400`, `9007199254740993`, `9223372036854775807`, `18446744073709551616`, `-1e300`,
		strings.Repeat("9", 300), `0.` + strings.Repeat("0", 200) + `1`, `""`, `"a"`, `"1"`, `"\u0031"`, `"\u0000"`, `"\ud800"`, `"é"`,
		`"` + strings.Repeat("x", 250) + `"`, `"` + strings.Repeat("x", 100_000) + `"`,
		`null`, `true`, `false`, `[]`, `[1]`, `{}`, `{"id":1}`,
		`1,"id":2`, `1,"ID":2`, `1,"Id":null`, `null,"id":1`, `1,"\u0069d":2`, `1,"İd":2`, `1,"ıd":2`, `1,"id\u0000":2`, `01`, `+1`, `0x1`, `1_0`, `.5`, `1.`,
		`NaN`, `Infinity`, `-`, `undefined`, `1n`,
	} {
		name := id
		if len(name) > 40 {
			name = fmt.Sprintf("%s… of %d bytes", id[:10], len(id))
		}
		c.add("call, id "+name, `{"jsonrpc":"2.0","id":`+id+`,"method":"tools/call",`+callParams+`}`)
	}
	c.add("call, id last", `{"jsonrpc":"2.0","method":"tools/call",`+callParams+`,"id":1}`)
	c.add("call, upper-case id alone", `{"jsonrpc":"2.0","ID":1,"method":"tools/call",`+callParams+`}`)
	c.add("call, dotted id alone", `{"jsonrpc":"2.0","İd":1,"method":"tools/call",`+callParams+`}`)
}
