package mcptest

import (
	"fmt"
	"strings"
)

// shapes are messages in other places than the top of the body.
func (c *Corpus) shapes() {
	c.begin("shapes", "a call that stands where the gate does not look, or that is two kinds of message at once")
	for _, body := range []string{
		message(`"method":["tools/call"]`, callParams), message(`"method":["ping","tools/call"]`, callParams), message(`"method":{"method":"tools/call"}`, callParams),
		message(`"method":null`, callParams), message(`"method":1`, callParams), message(`"method":true`, callParams), message(callParams), message(),
		message(`"method":"ping"`, `"params":`+Call), message(`"method":"initialize"`, `"params":`+Call), message(`"method":"ping"`, `"message":`+Call),
		message(`"method":"ping"`, `"params":{"method":"tools/call","name":"count","arguments":{}}`), message(`"method":"ping"`, `"params":[`+Call+`]`),
		message(`"method":"ping"`, `"result":{}`), message(`"method":"tools/call"`, callParams, `"result":{}`),
		message(`"method":"tools/call"`, callParams, `"error":{"code":1,"message":""}`), message(`"result":{}`, `"error":{"code":1,"message":""}`),
		message(`"result":{"method":"tools/call","name":"count"}`), message(`"result":` + Call), message(`"method":"ping"`, `"error":null`),
		message(`"result":null`), message(`"error":null`), `{"jsonrpc":"2.0","result":{}}`, `{"jsonrpc":"2.0","error":{"code":1,"message":""}}`,
		`{"message":` + Call + `}`, `{"body":` + Call + `}`, `{"0":` + Call + `}`, `{"0":` + Call + `,"length":1}`, `{"length":1,"0":` + Ping + `,"1":` + Call + `}`,
		`"` + strings.ReplaceAll(Call, `"`, `\"`) + `"`, `null`, `true`, `1`, `"tools/call"`, `{}`, ` `, "\n", "\x00", `{`, `}`, `[`, `]`, `""`, `"`,
	} {
		c.add(body, body)
	}
	c.add("no body", "")
}

func (c *Corpus) batches() {
	c.begin("batches", "one revision has batches; a decoder may run every message of one, the first, or none")
	versions := []string{"", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "1", "2025-03-26, 2025-06-18"}
	for _, body := range [][2]string{
		{"of a call", "[" + Call + "]"}, {"ping, call", "[" + Ping + "," + otherCall + "]"}, {"call, ping", "[" + otherCall + "," + Ping + "]"},
		{"of pings", "[" + Ping + "," + Initialized + "]"},
	} {
		for _, v := range versions {
			if v == "" {
				c.add(body[0], body[1])
			} else {
				c.and(body[0]+" in revision "+v, body[1], "Mcp-Protocol-Version: "+v)
			}
		}
		c.and(body[0]+", revision twice", body[1], "Mcp-Protocol-Version: 2025-03-26", "Mcp-Protocol-Version: 2025-06-18")
	}
	for _, body := range []string{
		"[]", "[[]]", "[null]", "[1]", `["` + "tools/call" + `"]`, "[" + Call + ",]", "[," + Call + "]", "[null," + Call + "]", "[" + Call + ",null]",
		"[[" + Call + "]]", "[[[[" + Call + "]]]]", "[[" + Ping + "]," + otherCall + "]", "[" + Ping + ",[" + otherCall + "]]", "[{}," + Call + "]",
		"[" + Call + "," + Call + "]", "[" + Call + "," + otherCall + "]", "[" + Initialize + "," + otherCall + "]", "[" + otherCall + "," + Initialize + "]",
		"[" + Initialized + "," + Call + "]", "[" + Initialize + "," + Initialized + "," + otherCall + "]", "[" + message(`"result":{}`) + "," + otherCall + "]",
		"[" + Ping + "," + Call + "]", "[" + Ping + `,{"jsonrpc":"2.0","method":"tools/call",` + callParams + "}]",
		"[" + Ping + "]" + Call, "[" + Ping + "][" + otherCall + "]", "[" + Ping + " " + otherCall + "]", "[" + Ping + "\n" + otherCall + "]",
		" [" + Call + "]", "\n[" + otherCall + "]\n", "\ufeff[" + Call + "]", "(" + Call + ")", "[" + Ping + `,{"jsonrpc":"2.0","id":2,"method":"ping","Method":"tools/call",` + callParams + "}]",
		"[" + Call + "]]", "[" + Ping + "," + otherCall,
	} {
		c.add(body, body)
	}
	c.add("call after 500 pings", "["+strings.Repeat(Ping+",", 500)+otherCall+"]")
	pings := make([]string, 500)
	for i := range pings {
		pings[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i)
	}
	c.add("call after 500 pings of their own ids", "["+strings.Join(pings, ",")+`,{"jsonrpc":"2.0","id":"c","method":"tools/call",`+callParams+"}]")
}

func (c *Corpus) depthAndSize() {
	c.begin("depth", "decoders give up at depths from 128 to 10,000, some by skipping, some by crashing")
	for _, depth := range []int{100, 127, 253, 254, 255, 256, 257, 511, 999, 1001, 9_999, 10_001, 100_000} {
		arrays := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		objects := strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
		c.add(fmt.Sprintf("call after %d arrays", depth), message(`"x":`+arrays, `"method":"tools/call"`, callParams))
		c.add(fmt.Sprintf("second method after %d objects", depth), message(`"method":"ping"`, `"x":`+objects, `"method":"tools/call"`, callParams))
	}
	c.add("arrays without end", message(`"method":"ping"`, `"x":`+strings.Repeat("[", 100_000)))
	c.add("call in 300 arrays", strings.Repeat("[", 300)+Call+strings.Repeat("]", 300))
	c.add("name twice, 200 deep", message(`"method":"tools/call"`, `"params":{"name":"count","arguments":`+strings.Repeat(`{"a":`, 200)+`{"b":1,"b":2}`+strings.Repeat("}", 201)))

	c.begin("size", "what comes after a decoder's bound is cut off, or collides with what came before")
	for _, n := range []int{1 << 10, 1 << 16, 1 << 20} {
		long := strings.Repeat("x", n)
		c.add(fmt.Sprintf("second method after a name of %d bytes", n), message(`"method":"ping"`, `"`+long+`":1`, `"method":"tools/call"`, callParams))
		c.add(fmt.Sprintf("second method after a value of %d bytes", n), message(`"method":"ping"`, `"x":"`+long+`"`, `"method":"tools/call"`, callParams))
		c.add(fmt.Sprintf("second method after %d spaces", n), message(`"method":"ping"`, strings.Repeat(" ", n)+`"method":"tools/call"`, callParams))
		c.add(fmt.Sprintf("method with %d escapes", n/6), message(`"method":"ping`+strings.Repeat(`\u0000`, n/6)+`"`, `"meth\u006fd":"tools/call"`, callParams))
	}
	for _, n := range []int{15, 16, 17, 31, 32, 33, 1000, 50_000} {
		var names strings.Builder
		for i := range n {
			fmt.Fprintf(&names, `"n%d":%d,`, i, i)
		}
		c.add(fmt.Sprintf("second method after %d names", n), message(`"method":"ping"`, names.String()+`"method":"tools/call"`, callParams))
		c.add(fmt.Sprintf("second, escaped method after %d names", n), message(`"method":"ping"`, names.String()+`"m\u0065thod":"tools/call"`, callParams))
	}
	c.add("larger than the gate reads", message(`"method":"ping"`, `"x":"`+strings.Repeat("x", 4<<20)+`"`, `"method":"tools/call"`, callParams))
}

func (c *Corpus) syntax() {
	c.begin("what follows", "some servers run the first message of a body and leave the rest, others read the last, or all of them")
	for _, between := range []string{
		"", " ", "\n", "\r\n", ",", ";", "\x00", "\x1e", "\x1a", "\u2028", "//", "#", "&", "]", "}", "\n\n", "\r\n\r\n", "\n---\n", "\x00\x00\x00\x00",
		"\n0\r\n\r\n", "\ndata: ",
	} {
		c.add(fmt.Sprintf("ping %q call", between), Ping+between+Call)
		c.add(fmt.Sprintf("call %q ping", between), Call+between+Ping)
		if between != "" {
			c.add(fmt.Sprintf("call %q", between), Call+between)
			c.add(fmt.Sprintf("%q call", between), between+Call)
		}
	}
	for _, prefix := range []string{")]}',\n", "while(1);", "for(;;);", "data: ", "callback(", "\v", "\f", "\u00a0", "\u3000", "+", "=", "--b\r\n\r\n", "{}"} {
		c.add(fmt.Sprintf("%q before", prefix), prefix+Call)
	}
	c.add("cut short", Call[:len(Call)-1])
	c.add("initialize, then call", Initialize+otherCall)
	c.add("call, cut, then ping", Call[:len(Call)-1]+Ping)
	c.add("lines", Initialize+"\n"+Initialized+"\n"+otherCall+"\n")

	c.begin("loose syntax", "decoders of JSON5, YAML and JavaScript read a method where JSON has none, or pass over one where it has")
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call",` + callParams + `,}`, `{"jsonrpc":"2.0","id":1,"method":"ping",/*"method":"x",*/` + callParams + `}`,
		message(`"method":"ping" //`+"\n"+`,"method":"tools/call"`, callParams), message(`"method":"ping" #`+"\n"+`,"method":"tools/call"`, callParams),
		message(`/*"method":"ping",*/"method":"tools/call"`, callParams), message(`"method":/*"ping"*/"tools/call"`, callParams),
		strings.ReplaceAll(Call, `"`, `'`), message(`"method":'tools/call'`, callParams), message(`method:"tools/call"`, callParams),
		message(`"method":"ping",`, `"method":"tools/call"`, callParams), message(`,"method":"tools/call"`, callParams), message(`"method" "tools/call"`, callParams),
		message(`"method"="tools/call"`, callParams), message(`"method":"tools"+"/call"`, callParams), message(`"method":"tools""/call"`, callParams),
		message("\"method\":`tools/call`", callParams), message(`"method":tools/call`, callParams), message(`"method":"tools\`+"\n"+`/call"`, callParams),
		message("\"method\":\"tools/call\n\"", callParams), message("\"method\":\"tools/call\t\"", callParams), message("\"method\":\"tools/call\x00\"", callParams),
		message("\"method\":\"tools/call\x1f\"", callParams), message("\"method\":\"tools/call\x7f\"", callParams), message("\"method\":\"ping\x08\x08\x08\x08tools/call\"", callParams),
		message(`"method":"tools\x2fcall"`, callParams), message(`"method":"tools\u{2f}call"`, callParams), message(`"method":"tools\57call"`, callParams),
		message(`"method":"tools\u2fcall"`, callParams), message(`"method":"tools\u002Fcall"`, callParams), message(`"method":"tools\u 02fcall"`, callParams),
		message(`"x":True`, `"method":"tools/call"`, callParams), message(`"x":nil`, `"method":"tools/call"`, callParams), message(`"x":0x1F`, `"method":"tools/call"`, callParams),
		message(`"x":1e999`, `"method":"tools/call"`, callParams), message(`"x":-1e999`, `"method":"tools/call"`, callParams), message(`"x":01`, `"method":"tools/call"`, callParams),
		message(`"x":`+strings.Repeat("1", 10_000), `"method":"tools/call"`, callParams), message(`"x":1e`+strings.Repeat("1", 1_000), `"method":"tools/call"`, callParams),
		"---\njsonrpc: \"2.0\"\nid: 1\nmethod: tools/call\nparams: {name: count}\n", `<?xml version="1.0"?><methodCall><methodName>tools/call</methodName></methodCall>`,
		"{\v\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"," + callParams + "}", "{\u00a0\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"," + callParams + "}",
		"{\ufeff\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"," + callParams + "}", "\t\r\n " + strings.ReplaceAll(Call, ",", " \r\n\t, ") + "\t\r\n ",
		strings.ReplaceAll(Call, ":", " \n: "),
	} {
		c.add(body[:min(len(body), 120)], body)
	}
}
