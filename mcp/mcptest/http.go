package mcptest

import (
	"fmt"
	"net/url"
	"strings"
)

// modern is a message as 2026-07-28 has it, with the headers that it requires.
func modern(method, params string) (body string, headers []string) {
	if params != "" {
		params += ","
	}
	body = message(`"method":"`+method+`"`, `"params":{`+params+`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
		`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}`)
	return body, []string{"Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: " + method}
}

// revisions say which revision a message is of, and lie about it.
func (c *Corpus) revisions() {
	c.begin("revisions", "the headers of 2026-07-28 repeat what the body says; a server may go by either, an older one by neither")
	versions := []string{"2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2099-01-01", "DRAFT-2026-v1", ""}
	for _, v := range versions {
		c.and("call under "+v, Call, "Mcp-Protocol-Version: "+v)
		for _, lie := range []string{"ping", "initialize", "server/discover", "notifications/initialized"} {
			c.and("call under "+v+" said to be "+lie, Call, "Mcp-Protocol-Version: "+v, "Mcp-Method: "+lie)
		}
	}
	callBody, callHeaders := modern("tools/call", `"name":"count","arguments":{}`)
	pingBody, pingHeaders := modern("ping", "")
	discoverBody, discoverHeaders := modern("server/discover", "")
	listBody, listHeaders := modern("tools/list", "")
	listen, listenHeaders := modern("subscriptions/listen", `"notifications":{"toolsListChanged":true}`)
	c.and("modern call", callBody, append(callHeaders, "Mcp-Name: count")...)
	c.and("modern call, name in base 64", callBody, append(callHeaders, "Mcp-Name: =?base64?Y291bnQ=?=")...)
	c.and("modern call, name of another tool", callBody, append(callHeaders, "Mcp-Name: other")...)
	c.and("modern call, no name", callBody, callHeaders...)
	c.and("modern call, no headers", callBody)
	c.and("modern call, method of a ping", callBody, append(pingHeaders, "Mcp-Name: count")...)
	c.and("modern call, method of a discovery", callBody, append(discoverHeaders, "Mcp-Name: count")...)
	c.and("modern call, method twice", callBody, append(discoverHeaders, "Mcp-Method: tools/call", "Mcp-Name: count")...)
	c.and("modern list", listBody, listHeaders...)
	c.and("modern list, method of a discovery", listBody, discoverHeaders...)
	c.and("modern discovery", discoverBody, discoverHeaders...)
	c.and("modern discovery, method of a call", discoverBody, append(callHeaders, "Mcp-Name: count")...)
	c.and("modern ping", pingBody, pingHeaders...)
	c.and("modern call in a batch", "["+callBody+"]", append(callHeaders, "Mcp-Name: count")...)
	c.and("modern call after discovery in a batch", "["+discoverBody+","+callBody+"]", discoverHeaders...)
	for _, v := range []string{"2025-06-18", "2025-11-25"} {
		c.and("modern call under "+v, callBody, "Mcp-Protocol-Version: "+v, "Mcp-Method: ping")
		c.and("modern discovery under "+v, discoverBody, "Mcp-Protocol-Version: "+v, "Mcp-Method: tools/call")
	}
	for _, name := range []string{`"Method":"tools/call"`, `"m\u0065thod":"tools/call"`, `"method":"tools/call"`} {
		body := strings.Replace(discoverBody, `"params":{`, name+`,"params":{"name":"count","arguments":{},`, 1)
		c.and("modern discovery with "+name, body, discoverHeaders...)
		c.and("modern discovery with "+name+", said to be a call", body, append(callHeaders, "Mcp-Name: count")...)
	}
	open := Attack{Name: "modern listening", Verb: "POST", Headers: append(append([]string{}, WantsJSON...), listenHeaders...), Body: []byte(listen), How: StreamOpen}
	c.put(open)
	open.Name, open.Headers = "modern listening, method of a discovery", append(append([]string{}, WantsJSON...), discoverHeaders...)
	c.put(open)
}

// wires send the same bodies in other ways.
func (c *Corpus) wires() {
	c.begin("ways to send", "a body must be the same one however it arrives")
	bodies := [][2]string{
		{"call", Call}, {"ping", Ping}, {"initialize", Initialize}, {"batch", "[" + Ping + "," + otherCall + "]"}, {"no body", ""},
		{"two methods", message(`"method":"ping"`, `"method":"tools/call"`, bothParams)}, {"escaped method", message(`"method":"initialize"`, `"m\u0065thod":"tools/call"`, bothParams)},
		{"Method", message(`"method":"ping"`, `"Method":"tools/call"`, bothParams)}, {"trailing call", Ping + Call}, {"trailing ping", Call + "\n" + Ping},
		{"BOM", "\ufeff" + Call}, {"UTF-16", callIn("utf-16")}, {"invalid UTF-8", message(`"method":"ping\xff"`, `"method":"tools/call"`, bothParams)},
		{"long", message(`"method":"tools/call"`, `"params":{"name":"count","arguments":{"x":"`+strings.Repeat("é", 50_000)+`"}}`)},
		{"too long", message(`"method":"tools/call"`, `"params":{"name":"count","arguments":{"x":"`+strings.Repeat("x", 5<<20)+`"}}`)},
	}
	for _, w := range []struct {
		how  Wire
		name string
	}{{Chunked, "in chunks"}, {OneByte, "byte by byte"}, {Expecting, "after Expect"}, {HTTP2, "over HTTP/2"}} {
		for _, b := range bodies {
			if w.how == OneByte && len(b[1]) > 1000 {
				continue
			}
			c.put(Attack{Name: b[0] + " " + w.name, Verb: "POST", Headers: WantsJSON, Body: []byte(b[1]), How: w.how})
		}
		zipped := compressed("gzip", Call)
		c.put(Attack{Name: "gzip " + w.name, Verb: "POST", Headers: append([]string{"Content-Encoding: gzip"}, WantsJSON...), Body: []byte(zipped), How: w.how})
		seven := callIn("utf-7")
		c.put(Attack{Name: "UTF-7 " + w.name, Verb: "POST", Headers: []string{"Content-Type: application/json; charset=utf-7", Accepts}, Body: []byte(seven), How: w.how})
	}
}

func (c *Corpus) verbsAndPaths() {
	c.begin("HTTP methods", "a server may take a body with a method that the gate takes for one without")
	for _, verb := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE", "QUERY", "PROPFIND", "post", "Post", "POST2", "CONNECT"} {
		c.put(Attack{Name: verb + " with a call", Verb: verb, Headers: WantsJSON, Body: []byte(Call)})
		c.put(Attack{Name: verb + " without a body", Verb: verb, Headers: WantsJSON})
		c.put(Attack{Name: verb + " with a call in chunks", Verb: verb, Headers: WantsJSON, Body: []byte(Call), How: Chunked})
	}
	for _, h := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		c.and("ping as a GET by "+h, Ping, h+": GET")
		c.put(Attack{Name: "GET as a POST by " + h, Verb: "GET", Headers: append([]string{h + ": POST"}, WantsJSON...), Body: []byte(Call)})
	}
	c.put(Attack{Name: "resumption", Verb: "GET", Headers: []string{"Accept: text/event-stream", "Last-Event-ID: 1"}})
	c.put(Attack{Name: "GET for a WebSocket", Verb: "GET", Headers: []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}})

	c.begin("targets", "a proxy and a server may normalise a path differently")
	query := "?method=tools%2Fcall&body=" + url.QueryEscape(Call)
	for _, target := range []string{
		"/messages" + query, "/messages?_method=GET", "/messages/", "/messages//", "//messages", "/./messages", "/x/../messages", "/messages/../messages", "/messages/x/..", "/%6dessages",
		"/%6Dessages", "/messages%2f", "/messages%00", "/messages;x=1", "/messages%3fx", "/messages?x=%00", "/messages#x", "/Messages", "/MESSAGES", "/messages.json", "/messages\\", "/messages/%2e%2e/messages",
		"/messages/../.well-known/x", "/.well-known/../messages", "/register/../messages", "/.well-known/x", "/register", "/", "/mcp", "http://127.0.0.1/messages", "http://localhost/messages", "*",
	} {
		c.put(Attack{Name: "call to " + target, Verb: "POST", Target: target, Headers: WantsJSON, Body: []byte(Call)})
	}
	c.put(Attack{Name: "ping with a call in the query", Verb: "POST", Target: "/messages" + query, Headers: WantsJSON, Body: []byte(Ping)})
	c.put(Attack{Name: "GET with a call in the query", Verb: "GET", Target: "/messages" + query, Headers: WantsJSON})
}

func (c *Corpus) headers() {
	c.begin("headers", "what a header claims about identity, route or framing must not open the gate")
	for _, h := range []string{
		"X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Original-URL: /register", "X-Rewrite-URL: /.well-known/x", "X-Forwarded-Path: /register", "X-Forwarded-Host: localhost",
		"X-Forwarded-User: ops@example.com", "X-API-Key: sk-x", "Cookie: authorization=Bearer", "Proxy-Authorization: Bearer x", "X-Authorization: Bearer x", "Api-Key: x", "Mcp-Method: ping", "Mcp-Name: ping",
		"Mcp-Session-Id: x", "Origin: http://127.0.0.1", "Origin: null", "Referer: http://localhost/", "Te: trailers", "Trailer: Authorization", "Expect: x", "Upgrade: h2c", "Upgrade: websocket", "X-Tallygate: 1",
		"Content-Length : 0", "Content-Location: /register", "Content-Range: bytes 0-1/2", "Range: bytes=0-1", "Content-MD5: x", "Content-Language: x", "Date: x", "Via: 1.1 caddy", "Max-Forwards: 0", "Accept-Charset: utf-7",
	} {
		c.and("call, "+h, Call, h)
	}
	for _, h := range []string{"Bearer", "Bearer ", "Bearer null", "Bearer undefined", "Bearer sk-", "Bearer *", "Basic c2s6", "sk-x", "Bearer\tsk-x", "bearer", "Bearer Bearer", "Bearer ' or 1=1--", "Bearer %", "", "Digest x", "Bearer " + strings.Repeat("x", 5000)} {
		c.and(fmt.Sprintf("call, Authorization %.40q", h), Call, "Authorization: "+h)
	}
	for _, named := range []string{
		"content-type", "content-length", "authorization", "mcp-session-id", "mcp-protocol-version", "content-encoding", "transfer-encoding", "accept", "host", "x-case2", "close, content-type",
		"keep-alive, authorization", "upgrade", "te", "Content-Type, Accept", "mcp-method",
	} {
		c.and("call, Connection: "+named, Call, "Connection: "+named)
		c.and("ping, Connection: "+named, Ping, "Connection: "+named)
	}
	c.and("batch whose revision goes with the connection", "["+Call+"]", "Mcp-Protocol-Version: 2025-03-26", "Connection: mcp-protocol-version")
	c.and("coding that goes with the connection", compressed("gzip", Call), "Content-Encoding: gzip", "Connection: content-encoding")
	c.and("h2c upgrade", Call, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
}

// framing is about where a request ends and the next one begins.
func (c *Corpus) framing() {
	c.begin("framing", "two servers that disagree where a body ends disagree which request comes next")
	const json = "Content-Type: application/json\r\n"
	length := func(s string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(s)) }
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	const end = "0\r\n\r\n"
	request := func(head, extra, body string) string {
		return "POST /messages HTTP/1.1\r\n" + head + json + extra + "\r\n" + body
	}
	whole := func(head, body string) string { return request(head, length(body), body) }
	next := whole("{last}", Call)

	c.raw("pipelined calls", whole("{first}", Ping), next)
	c.raw("pipelined after a call", whole("{first}", Call), whole("{last}", Ping))
	c.raw("pipelined GET, call", "GET /messages HTTP/1.1\r\n{first}\r\n", next)
	c.raw("GET with a call as its body", "GET /messages HTTP/1.1\r\n{first}"+length(next)+"\r\n", next)
	c.raw("GET with a call in its chunk", "GET /messages HTTP/1.1\r\n{first}Transfer-Encoding: chunked\r\n\r\n", chunk(next), end, whole("{last}", Ping))
	c.raw("DELETE with a call as its body", "DELETE /messages HTTP/1.1\r\n{first}"+length(next)+"\r\n", next)
	c.raw("body of a ping holds a request", request("{first}", length(Ping+next), Ping+next), whole("{last}", Ping))
	for _, te := range []string{
		"Transfer-Encoding: chunked", "Transfer-Encoding:chunked", "Transfer-Encoding: Chunked", "Transfer-Encoding: chunked ", "Transfer-Encoding: \tchunked", "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked",
		" Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: identity", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: gzip, chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked",
		"Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;x=1", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked\x00", "Transfer_Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked",
	} {
		c.raw(fmt.Sprintf("length and %q", te), request("{first}", length(chunk(Ping)+end+next)+te+"\r\n", chunk(Ping)+end), next)
		c.raw(fmt.Sprintf("%q and length", te), request("{first}", te+"\r\nContent-Length: 4\r\n", chunk(Ping)+end), next)
		c.raw(fmt.Sprintf("%q alone", te), request("{first}", te+"\r\n", chunk(Call)+end), whole("{last}", Ping))
	}
	for _, cl := range []string{
		"Content-Length: %d\r\nContent-Length: %d", "Content-Length: %d\r\nContent-Length: 0", "Content-Length: 0\r\nContent-Length: %d", "Content-Length: %d, %d", "Content-Length: +%d", "Content-Length: -%d", "Content-Length: 0x%x",
		"Content-Length: %d.0", "Content-Length: %de0", "Content-Length: 00%d", "Content-Length: %d ", "Content-Length : %d", "Content-Length:\r\n %d", "Content-Length: \"%d\"", "Content-Length: %d\x00", "Content_Length: %d", " Content-Length: %d",
		"Content-Length: 18446744073709551616", "Content-Length: 99999999999999999999", "Content-Length:", "X: y",
	} {
		n := strings.Count(cl, "%")
		lengths := []any{len(Call), len(Call)}[:n]
		c.raw(fmt.Sprintf("call with %q", cl), request("{first}", fmt.Sprintf(cl, lengths...)+"\r\n", Call), whole("{last}", Ping))
	}
	c.raw("ping longer than its length", request("{first}", length(Ping), Ping+"  "), next)
	c.raw("ping, and a call beyond its length", request("{first}", length(Ping), Ping+Call), next)
	c.raw("call cut by its length", request("{first}", fmt.Sprintf("Content-Length: %d\r\n", len(Call)-1), Call), next)
	c.raw("call that never comes whole", request("{last}", fmt.Sprintf("Content-Length: %d\r\n", len(Call)+1), Call))
	c.raw("chunk extension", request("{last}", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x;x=\"\r\n%s\r\n0\r\n\r\n", len(Call), Call)))
	c.raw("chunk size with a sign", request("{last}", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("+%x\r\n%s\r\n0\r\n\r\n", len(Call), Call)))
	c.raw("chunk size with a prefix", request("{last}", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("0x%x\r\n%s\r\n0\r\n\r\n", len(Call), Call)))
	c.raw("chunk size that overflows", request("{last}", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("10000000000000000%x\r\n%s\r\n0\r\n\r\n", len(Call), Call)))
	c.raw("chunk ends with a line feed", request("{last}", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\n%s\n0\n\n", len(Call), Call)))
	c.raw("chunk without an end", request("{last}", "Transfer-Encoding: chunked\r\n", chunk(Call)))
	c.raw("chunk data beyond its size", request("{last}", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(Ping), Ping+Call)))
	c.raw("trailers", request("{last}", "Transfer-Encoding: chunked\r\nTrailer: Authorization, Content-Encoding\r\n", chunk(Call)+"0\r\nAuthorization: Bearer x\r\nContent-Encoding: gzip\r\n\r\n"))
	c.raw("line feeds", strings.ReplaceAll("POST /messages HTTP/1.1\r\n{last}"+json+length(Call)+"\r\n", "\r\n", "\n"), Call)
	c.raw("carriage returns", "POST /messages HTTP/1.1\r\n{last}X: y\r"+json+length(Call)+"\r\n", Call)
	c.raw("folded content type", "POST /messages HTTP/1.1\r\n{last}Content-Type: text/plain;\r\n application/json\r\n"+length(Call)+"\r\n", Call)
	c.raw("folded header with another request", "POST /messages HTTP/1.1\r\n{last}X: y\r\n Content-Length: 0\r\n"+json+length(Call)+"\r\n", Call)
	c.raw("HTTP/1.0", "POST /messages HTTP/1.0\r\n{last}"+json+length(Call)+"\r\n", Call)
	c.raw("HTTP/1.0 in chunks", "POST /messages HTTP/1.0\r\n{last}"+json+"Transfer-Encoding: chunked\r\n\r\n", chunk(Call)+end)
	c.raw("HTTP/0.9", "POST /messages\r\n", Call)
	c.raw("HTTP/1.2", "POST /messages HTTP/1.2\r\n{last}"+json+length(Call)+"\r\n", Call)
	c.raw("HTTP/2.0 in text", "POST /messages HTTP/2.0\r\n{last}"+json+length(Call)+"\r\n", Call)
	c.raw("preface of HTTP/2, then text", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", next)
	c.raw("two hosts", "POST /messages HTTP/1.1\r\n{last}Host: localhost\r\n"+json+length(Call)+"\r\n", Call)
	c.raw("space before the colon", "POST /messages HTTP/1.1\r\n{last}Content-Type : application/json\r\n"+length(Call)+"\r\n", Call)
	c.raw("NUL in a header", "POST /messages HTTP/1.1\r\n{last}"+json+"X: a\x00b\r\n"+length(Call)+"\r\n", Call)
	c.raw("empty lines first", "\r\n\r\nPOST /messages HTTP/1.1\r\n{last}"+json+length(Call)+"\r\n", Call)
	c.raw("tabs in the request line", "POST\t/messages\tHTTP/1.1\r\n{last}"+json+length(Call)+"\r\n", Call)
	c.raw("two requests in one line", "POST /messages HTTP/1.1 POST /messages HTTP/1.1\r\n{last}"+json+length(Call)+"\r\n", Call)
	c.raw("Expect, and the body at once", "POST /messages HTTP/1.1\r\n{last}Expect: 100-continue\r\n"+json+length(Call)+"\r\n", Call)
	c.raw("Expect, and a request instead of the body", "POST /messages HTTP/1.1\r\n{first}Expect: 100-continue\r\n"+json+length(next)+"\r\n", next)
	c.raw("Upgrade, then a call", "GET /messages HTTP/1.1\r\n{first}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", next)
	c.raw("public POST with Upgrade, then a call", request("{first}", "Connection: Upgrade\r\nUpgrade: h2c\r\n"+length(Ping), Ping), next)
}
